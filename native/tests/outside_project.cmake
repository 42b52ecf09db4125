# An outside project finds the installed library, by its CMake package and by pkg-config, builds and runs with it.
file(REMOVE_RECURSE ${work})
set(prefix ${work}/prefix)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${build} --prefix ${prefix} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(GLOB_RECURSE pc ${prefix}/idrn.pc)
cmake_path(GET pc PARENT_PATH pc_folder)
set(ENV{PKG_CONFIG_PATH} ${pc_folder})
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/outside -B ${work}/build -D CMAKE_PREFIX_PATH=${prefix}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${work}/build OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
cmake_path(GET pc_folder PARENT_PATH lib_folder)
set(ENV{LD_LIBRARY_PATH} ${lib_folder})
foreach(program by_package by_pkg_config)
  execute_process(COMMAND ${work}/build/${program} ${model} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
