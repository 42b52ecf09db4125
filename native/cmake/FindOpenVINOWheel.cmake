# OpenVINO's C++ package: where CMake looks by itself or OpenVINO_DIR says, else in the Python wheel.
find_package(OpenVINO QUIET COMPONENTS Runtime)
foreach(python "${PROJECT_SOURCE_DIR}/.venv/bin/python" python3)
  if(NOT OpenVINO_FOUND)
    execute_process(
      COMMAND ${python} -c "import openvino.utils; print(openvino.utils.get_cmake_path())"
      OUTPUT_VARIABLE wheel_dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failure)
    if(failure EQUAL 0)
      unset(OpenVINO_DIR CACHE)
      find_package(OpenVINO QUIET COMPONENTS Runtime PATHS "${wheel_dir}" NO_DEFAULT_PATH)
    endif()
  endif()
endforeach()
if(NOT OpenVINO_FOUND)
  message(FATAL_ERROR
    "OpenVINO was not found. `pip install openvino` has all that is needed; then configure with\n"
    "  -DOpenVINO_DIR=$(python3 -c 'import openvino.utils as u; print(u.get_cmake_path())')\n"
    "or point OpenVINO_DIR at the runtime/cmake folder of OpenVINO's archive.")
endif()
message(STATUS "OpenVINO ${OpenVINO_VERSION}: ${OpenVINO_DIR}")
