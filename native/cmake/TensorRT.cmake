# TensorRT and CUDA's runtime: into libidrn where headers and libraries are there, compiled as a check where
# only the headers are. Sets tensorrt_source and tensorrt_libraries.
option(IDRN_TENSORRT "Put TensorRT into libidrn where it is found" ON)

set(tensorrt_source src/tensorrt_missing.cpp)
set(tensorrt_libraries)
if(NOT IDRN_TENSORRT)
  return()
endif()

find_package(CUDAToolkit QUIET)
find_path(TENSORRT_INCLUDE_DIR NAMES NvInfer.h HINTS ENV TENSORRT_ROOT PATH_SUFFIXES include)
find_library(TENSORRT_LIBRARY NAMES nvinfer HINTS ENV TENSORRT_ROOT PATH_SUFFIXES lib)
find_library(TENSORRT_ONNX_LIBRARY NAMES nvonnxparser HINTS ENV TENSORRT_ROOT PATH_SUFFIXES lib)

if(NOT TENSORRT_INCLUDE_DIR OR NOT CUDAToolkit_INCLUDE_DIRS)
  message(STATUS "TensorRT: not used, its headers or CUDA's were not found; TENSORRT_ROOT in the environment "
                 "says where they are")
elseif(TENSORRT_LIBRARY AND TENSORRT_ONNX_LIBRARY AND TARGET CUDA::cudart)
  message(STATUS "TensorRT: ${TENSORRT_LIBRARY}")
  add_library(idrn_tensorrt INTERFACE)
  target_include_directories(idrn_tensorrt SYSTEM INTERFACE ${TENSORRT_INCLUDE_DIR})
  target_link_libraries(idrn_tensorrt INTERFACE ${TENSORRT_LIBRARY} ${TENSORRT_ONNX_LIBRARY} CUDA::cudart)
  set(tensorrt_source src/tensorrt.cpp)
  set(tensorrt_libraries idrn_tensorrt)
else()
  message(STATUS "TensorRT: only compiled, its libraries or CUDA's were not found")
  add_library(tensorrt_check OBJECT src/tensorrt.cpp)
  target_include_directories(tensorrt_check PRIVATE include)
  target_include_directories(tensorrt_check SYSTEM PRIVATE
    ${TENSORRT_INCLUDE_DIR} ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(tensorrt_check PRIVATE idrn_flags)
endif()
