// In the place of tensorrt.cpp where TensorRT or CUDA is not there.

#include "backend.h"
#include "error.h"

namespace idrn {

std::unique_ptr<Network> open_tensorrt(const NetworkFile &) {
    throw argument_error(
        "backend IDRN_BACKEND_TENSORRT is not in this libidrn: TensorRT's and CUDA's headers and "
        "libraries were not found when it was built");
}

}  // namespace idrn
