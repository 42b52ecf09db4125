// TensorRT on an NVIDIA GPU. Never run by this project, which has had neither at hand: only compiled.
//
// A plan is built for each shape when it first comes, which takes up to minutes, and kept in the user's cache
// folder. TensorRT computes in the types that the file has; its ends are float32, as in every model file, and
// are made of bytes and made into bytes here, on the host.

#include <NvInfer.h>
#include <NvOnnxParser.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string_view>
#include <vector>

#include "backend.h"
#include "error.h"
#include "plan_cache.h"
#include "sha256.h"

namespace idrn {
namespace {

namespace trt = nvinfer1;

// The ends of every model file.
constexpr char LR[] = "lr";
constexpr char SR[] = "sr";

// Keeps the last error; TensorRT's calls themselves only return null or false. One for the process, for
// TensorRT keeps the first that it is given.
class Log final : public trt::ILogger {
public:
    void log(Severity severity, const char *text) noexcept override {
        if (severity <= Severity::kERROR) {
            const std::lock_guard<std::mutex> lock(mutex_);
            last_[std::string_view(text).copy(last_, sizeof(last_) - 1)] = '\0';
        }
    }
    std::string last() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return last_;
    }

private:
    std::mutex mutex_;
    char last_[512] = "no reason given";
};

Log &log() {
    static Log kept;
    return kept;
}

template <typename T>
T made(T pointer, const char *what) {
    if (!pointer) {
        throw device_error("TensorRT cannot make " + std::string(what) + ": " + log().last());
    }
    return pointer;
}

void check(cudaError_t code, const char *doing) {
    if (code != cudaSuccess) {
        throw device_error("CUDA failed " + std::string(doing) + ": " + cudaGetErrorString(code));
    }
}

trt::Dims dims(const Shape &shape) {
    return {4, {shape.count, 3, shape.height, shape.width}};
}

std::string build(const NetworkFile &file, const Shape &shape) {
    const std::unique_ptr<trt::IBuilder> builder(made(trt::createInferBuilder(log()), "a builder"));
    const auto typed = 1U << static_cast<uint32_t>(trt::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
    const std::unique_ptr<trt::INetworkDefinition> network(
        made(builder->createNetworkV2(typed), "a network"));
    const std::unique_ptr<nvonnxparser::IParser> parser(
        made(nvonnxparser::createParser(*network, log()), "a parser"));
    if (!parser->parse(file.onnx.data(), file.onnx.size())) {
        throw model_error("TensorRT does not take model '" + file.name + "': " + log().last());
    }
    const std::unique_ptr<trt::IBuilderConfig> config(
        made(builder->createBuilderConfig(), "a configuration"));
    config->clearFlag(trt::BuilderFlag::kTF32);  // float32 means float32
    trt::IOptimizationProfile *profile = made(builder->createOptimizationProfile(), "a profile");
    for (const auto bound :
         {trt::OptProfileSelector::kMIN, trt::OptProfileSelector::kOPT, trt::OptProfileSelector::kMAX}) {
        profile->setDimensions(LR, bound, dims(shape));
    }
    config->addOptimizationProfile(profile);
    const std::unique_ptr<trt::IHostMemory> plan(
        made(builder->buildSerializedNetwork(*network, *config), "a plan"));
    return {static_cast<const char *>(plan->data()), plan->size()};
}

// All that a plan depends on.
std::string plan_key(const NetworkFile &file, const Shape &shape) {
    int device = 0, driver = 0;
    cudaDeviceProp gpu{};
    check(cudaGetDevice(&device), "looking for a GPU");
    check(cudaGetDeviceProperties(&gpu, device), "looking at the GPU");
    check(cudaDriverGetVersion(&driver), "looking at the driver");
    std::string key = sha256(file.onnx.data(), file.onnx.size()) + gpu.name;
    for (const int64_t number :
         {int64_t{getInferLibVersion()}, int64_t{driver}, int64_t{gpu.major}, int64_t{gpu.minor},
          int64_t{shape.count}, int64_t{shape.height}, int64_t{shape.width}}) {
        key += " " + std::to_string(number);
    }
    return key;
}

using Plan = std::unique_ptr<trt::ICudaEngine>;

Plan load(trt::IRuntime &runtime, const NetworkFile &file, const Shape &shape) {
    const std::string key = plan_key(file, shape);
    std::string plan = read_plan(key);
    if (!plan.empty()) {
        if (Plan kept{runtime.deserializeCudaEngine(plan.data(), plan.size())}) {
            return kept;
        }
    }
    plan = build(file, shape);
    keep_plan(key, plan);
    return Plan(made(runtime.deserializeCudaEngine(plan.data(), plan.size()), "the plan's engine"));
}

// Floats on the GPU and, page-locked, on the host.
struct Floats {
    explicit Floats(size_t count) : size_bytes(count * sizeof(float)) {
        void *memory = nullptr;
        check(cudaMalloc(&memory, size_bytes), "allocating");
        gpu.reset(memory);
        check(cudaMallocHost(&memory, size_bytes), "allocating");
        host.reset(static_cast<float *>(memory));
    }

    struct Free {
        void operator()(void *memory) const { cudaFree(memory); }
        void operator()(float *memory) const { cudaFreeHost(memory); }
    };
    const size_t size_bytes;
    std::unique_ptr<void, Free> gpu;
    std::unique_ptr<float, Free> host;
};

class TensorRtGraph final : public Graph {
public:
    TensorRtGraph(std::shared_ptr<trt::IRuntime> runtime, const NetworkFile &file, const Shape &fixed)
        : Graph(fixed),
          large_{fixed.count, file.scale * fixed.height, file.scale * fixed.width},
          runtime_(std::move(runtime)),
          plan_(load(*runtime_, file, fixed)),
          context_(made(plan_->createExecutionContext(), "a context")),
          source_(values(shape)),
          result_(values(large_)),
          lr_(values(shape)),
          sr_(values(large_)) {
        cudaStream_t stream = nullptr;
        check(cudaStreamCreate(&stream), "making a stream");
        stream_.reset(stream);
        const bool taken = context_->setInputShape(LR, dims(shape)) &&
                           context_->setTensorAddress(LR, source_.gpu.get()) &&
                           context_->setTensorAddress(SR, result_.gpu.get());
        const trt::Dims got = context_->getTensorShape(SR), expected = dims(large_);
        if (!taken || !std::equal(got.d, got.d + std::max(got.nbDims, 0), expected.d, expected.d + 4)) {
            throw model_error("model '" + file.name + "' has no ends '" + LR + "' and '" + SR +
                              "' of scale " + std::to_string(file.scale) + ", as its manifest says");
        }
    }

    uint8_t *lr() override { return lr_.data(); }
    const uint8_t *sr() override { return sr_.data(); }

    void infer() override {
        each(shape, [this](size_t pixel, size_t value) { source_.host.get()[value] = lr_[pixel] / 255.0F; });
        check(cudaMemcpyAsync(source_.gpu.get(), source_.host.get(), source_.size_bytes,
                              cudaMemcpyHostToDevice, stream_.get()),
              "copying to the GPU");
        if (!context_->enqueueV3(stream_.get())) {
            throw device_error("TensorRT failed: " + log().last());
        }
        check(cudaMemcpyAsync(result_.host.get(), result_.gpu.get(), result_.size_bytes,
                              cudaMemcpyDeviceToHost, stream_.get()),
              "copying from the GPU");
        check(cudaStreamSynchronize(stream_.get()), "computing");
        each(large_, [this](size_t pixel, size_t value) {
            const float level = std::nearbyint(result_.host.get()[value] * 255.0F);  // halves to even
            sr_[pixel] = static_cast<uint8_t>(level > 0.0F ? std::min(level, 255.0F) : 0.0F);
        });
    }

private:
    static size_t values(const Shape &of) { return size_t{of.count} * of.height * of.width * 3; }

    // Every value's place in packed pixels and in planes.
    template <typename Visit>
    static void each(const Shape &of, const Visit &visit) {
        const size_t plane = size_t{of.height} * of.width;
        for (size_t i = 0; i < of.count * plane; ++i) {
            for (size_t c = 0; c < 3; ++c) {
                visit(i * 3 + c, (i / plane * 3 + c) * plane + i % plane);
            }
        }
    }

    struct Destroy {
        void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
    };

    const Shape large_;
    std::shared_ptr<trt::IRuntime> runtime_;
    Plan plan_;
    std::unique_ptr<trt::IExecutionContext> context_;
    Floats source_, result_;
    std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Destroy> stream_;
    std::vector<uint8_t> lr_, sr_;
};

class TensorRtNetwork final : public Network {
public:
    explicit TensorRtNetwork(NetworkFile file)
        : file_(std::move(file)), runtime_(made(trt::createInferRuntime(log()), "a runtime")) {}

    std::unique_ptr<Graph> compile(const Shape &shape) const override {
        return std::make_unique<TensorRtGraph>(runtime_, file_, shape);
    }

private:
    NetworkFile file_;
    std::shared_ptr<trt::IRuntime> runtime_;
};

}  // namespace

std::unique_ptr<Network> open_tensorrt(const NetworkFile &file) {
    return std::make_unique<TensorRtNetwork>(file);
}

}  // namespace idrn
