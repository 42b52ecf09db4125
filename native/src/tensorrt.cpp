// TensorRT on an NVIDIA GPU. Never run by this project, which has had neither at hand: only compiled.
//
// A plan is built for each shape when it first comes, which takes up to minutes, and kept in the user's cache
// folder. TensorRT computes in the types that the file has; its ends are float32, as in every model file, and
// are made of bytes and made into bytes here, on the host.

#include <NvInfer.h>
#include <NvOnnxParser.h>
#include <cuda_runtime_api.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <vector>

#include "backend.h"
#include "error.h"
#include "sha256.h"

namespace idrn {
namespace {

namespace fs = std::filesystem;
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
    static Log log;
    return log;
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
    const std::unique_ptr<trt::INetworkDefinition> network(made(builder->createNetworkV2(typed), "a network"));
    const std::unique_ptr<nvonnxparser::IParser> parser(
        made(nvonnxparser::createParser(*network, log()), "a parser"));
    if (!parser->parse(file.onnx.data(), file.onnx.size())) {
        throw model_error("TensorRT does not take model '" + file.name + "': " + log().last());
    }
    const std::unique_ptr<trt::IBuilderConfig> config(made(builder->createBuilderConfig(), "a configuration"));
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

// A plan is code: what anybody else could have written there is not loaded. Empty where there can be no folder
// of the user's own.
fs::path cache_folder() {
    const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
    const bool given = cache != nullptr && *cache == '/';
    if (!given && home == nullptr) {
        return {};
    }
    fs::path folder = given ? fs::path(cache) : fs::path(home) / ".cache";
    for (const char *part : {"idrn_trt", "native-plans"}) {
        folder /= part;
        struct stat status {};
        mkdir(folder.c_str(), 0700);
        if (stat(folder.c_str(), &status) != 0 || status.st_uid != geteuid() || (status.st_mode & 022) != 0) {
            return {};
        }
    }
    return folder;
}

// All that a plan depends on, as a file's name.
std::string plan_name(const NetworkFile &file, const Shape &shape) {
    int device = 0, driver = 0;
    cudaDeviceProp gpu{};
    check(cudaGetDevice(&device), "looking for a GPU");
    check(cudaGetDeviceProperties(&gpu, device), "looking at the GPU");
    check(cudaDriverGetVersion(&driver), "looking at the driver");
    std::string key = sha256(file.onnx.data(), file.onnx.size()) + gpu.name;
    for (const auto number : {int64_t{getInferLibVersion()}, int64_t{driver}, int64_t{gpu.major},
                              int64_t{gpu.minor}, int64_t{shape.count}, int64_t{shape.height},
                              int64_t{shape.width}}) {
        key += " " + std::to_string(number);
    }
    return sha256(key.data(), key.size()) + ".plan";
}

// Whole or not at all. A plan that cannot be kept is built again next time.
void keep(const fs::path &path, const std::string &plan) {
    const fs::path part = path.string() + "." + std::to_string(getpid());
    std::error_code failure;
    if (std::ofstream(part, std::ios::binary).write(plan.data(), static_cast<std::streamsize>(plan.size()))) {
        fs::rename(part, path, failure);
    }
    fs::remove(part, failure);
}

using Plan = std::shared_ptr<trt::ICudaEngine>;

Plan load(trt::IRuntime &runtime, const NetworkFile &file, const Shape &shape) {
    const std::string name = plan_name(file, shape);
    const fs::path folder = cache_folder();
    if (!folder.empty()) {
        std::ifstream kept(folder / name, std::ios::binary);
        const std::string plan((std::istreambuf_iterator<char>(kept)), {});
        if (!plan.empty()) {
            if (Plan loaded{runtime.deserializeCudaEngine(plan.data(), plan.size())}) {
                return loaded;
            }
        }
    }
    const std::string plan = build(file, shape);
    if (!folder.empty()) {
        keep(folder / name, plan);
    }
    return Plan(made(runtime.deserializeCudaEngine(plan.data(), plan.size()), "the plan's engine"));
}

// Floats on the GPU and, page-locked, on the host.
class Floats {
public:
    explicit Floats(size_t count) : size_bytes(count * sizeof(float)) {
        check(cudaMalloc(&gpu, size_bytes), "allocating");
        if (const cudaError_t code = cudaMallocHost(&memory_, size_bytes); code != cudaSuccess) {
            cudaFree(gpu);
            check(code, "allocating");
        }
    }
    Floats(const Floats &) = delete;
    Floats &operator=(const Floats &) = delete;
    ~Floats() {
        cudaFree(gpu);
        cudaFreeHost(memory_);
    }

    float *host() { return static_cast<float *>(memory_); }

    const size_t size_bytes;
    void *gpu = nullptr;

private:
    void *memory_ = nullptr;
};
