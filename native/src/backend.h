// What computes the network: a backend opens a model's file and compiles it for static shapes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "idrn.h"

namespace idrn {

struct Shape {
    uint32_t count;
    uint32_t height;
    uint32_t width;

    bool operator==(const Shape &other) const {
        return count == other.count && height == other.height && width == other.width;
    }
};

// The network for one shape, with the memory it reads and writes.
class Graph {
public:
    explicit Graph(const Shape &fixed) : shape(fixed) {}
    virtual ~Graph() = default;

    virtual uint8_t *lr() = 0;        // packed RGB (count, height, width, 3)
    virtual const uint8_t *sr() = 0;  // the same, scale times larger
    virtual void infer() = 0;         // throws Error (IDRN_ERROR_DEVICE)

    const Shape shape;
};

// A model, read once.
class Network {
public:
    virtual ~Network() = default;

    // Throws Error: IDRN_ERROR_DEVICE, and IDRN_ERROR_MODEL where only compiling shows what is wrong.
    virtual std::unique_ptr<Graph> compile(const Shape &shape) const = 0;
};

struct NetworkFile {
    std::string name;  // the model's
    std::string onnx;  // the verified file's bytes
    uint32_t scale;    // as the manifest says
};

// OpenVINO on the CPU; the same graph as idrn_trt/engines/openvino.py builds. threads: 0 for every processor.
// Throws Error: IDRN_ERROR_MODEL for a file that is not a network of that scale, IDRN_ERROR_ARGUMENT for a
// precision that this processor lacks.
std::unique_ptr<Network> open_openvino(const NetworkFile &file, idrn_precision precision, uint32_t threads);

// TensorRT on the GPU that is current for the calling thread; never run by this project. Throws Error:
// IDRN_ERROR_ARGUMENT where TensorRT was not found when this was built, IDRN_ERROR_DEVICE without a GPU.
std::unique_ptr<Network> open_tensorrt(const NetworkFile &file);

}  // namespace idrn
