#include <algorithm>
#include <mutex>
#include <openvino/openvino.hpp>
#include <openvino/opsets/opset13.hpp>
#include <vector>

#include "backend.h"
#include "error.h"

namespace idrn {
namespace {

namespace op = ov::opset13;

constexpr int64_t PROBE_PX = 32;

// The part of OpenVINO's message that says what is wrong; the lines before say where.
std::string last_line(const std::exception &error) {
    std::string text = error.what();
    text.erase(std::find_if(text.rbegin(), text.rend(), [](unsigned char c) { return c > ' '; }).base(),
               text.end());
    return text.substr(text.rfind('\n') + 1);
}

bool can_bf16(const ov::Core &core) {
    const std::vector<std::string> able = core.get_property("CPU", ov::device::capabilities);
    return std::find(able.begin(), able.end(), "BF16") != able.end();
}

ov::AnyMap compile_options(idrn_precision precision, uint32_t threads) {
    ov::AnyMap config = {
        ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
        ov::num_streams(1),
        // What the layers that are not quantised compute in.
        ov::hint::inference_precision(precision == IDRN_PRECISION_BF16 ? ov::element::bf16
                                                                       : ov::element::f32),
    };
    if (threads > 0) {
        config.insert(ov::inference_num_threads(static_cast<int>(threads)));
    }
    return config;
}

bool is_picture(const ov::Output<const ov::Node> &port) {
    const ov::PartialShape &shape = port.get_partial_shape();
    return port.get_element_type() == ov::element::f32 && shape.rank() == ov::Dimension(4) &&
           shape[1].compatible(3);
}

void check_ends(const ov::Model &graph, const std::string &name) {
    const bool one_each = graph.inputs().size() == 1 && graph.outputs().size() == 1;
    if (!one_each || !is_picture(graph.inputs()[0]) || !is_picture(graph.outputs()[0])) {
        throw model_error("model '" + name +
                          "' does not have one input and one output of float32 (N, 3, h, w)");
    }
}

void check_scale(const ov::Model &graph, const std::string &name, uint32_t scale) {
    const auto probe = graph.clone();
    probe->reshape(ov::PartialShape{1, 3, PROBE_PX, PROBE_PX});
    const ov::PartialShape &shape = probe->output().get_partial_shape();
    if (!shape.compatible({1, 3, PROBE_PX * scale, PROBE_PX * scale})) {
        throw model_error("model '" + name + "' does not enlarge " + std::to_string(scale) +
                          " times, as its manifest says");
    }
}

std::shared_ptr<op::Constant> scalar(float value) {
    return op::Constant::create(ov::element::f32, ov::Shape{}, {value});
}

std::shared_ptr<op::Constant> axes(const std::vector<int64_t> &order) {
    return op::Constant::create(ov::element::i64, ov::Shape{order.size()}, order);
}

// The float NCHW graph with uint8 NHWC ends: (N, h, w, 3) -> (N, s*h, s*w, 3). OpenVINO's conversion to
// uint8 cuts the fraction off, so clipping and rounding (half to even) are operators of their own.
std::shared_ptr<ov::Model> with_uint8_ends(const std::shared_ptr<ov::Model> &graph, const Shape &shape) {
    const int64_t count = shape.count, height = shape.height, width = shape.width;
    graph->reshape(ov::PartialShape{count, 3, height, width});
    const ov::PartialShape images{count, height, width, 3};
    const auto lr = std::make_shared<op::Parameter>(ov::element::u8, images);
    const auto lr_float = std::make_shared<op::Convert>(lr, ov::element::f32);
    const auto unit = std::make_shared<op::Multiply>(lr_float, scalar(static_cast<float>(1.0 / 255)));
    const auto nchw = std::make_shared<op::Transpose>(unit, axes({0, 3, 1, 2}));
    for (auto &target : graph->input().get_target_inputs()) {
        target.replace_source_output(nchw);
    }
    const auto y = graph->get_results().at(0)->input_value(0);
    const auto levels = std::make_shared<op::Multiply>(y, scalar(255.0F));
    const auto clipped = std::make_shared<op::Clamp>(levels, 0.0, 255.0);
    const auto rounded = std::make_shared<op::Round>(clipped, op::Round::RoundMode::HALF_TO_EVEN);
    const auto bytes = std::make_shared<op::Convert>(rounded, ov::element::u8);
    const auto sr = std::make_shared<op::Transpose>(bytes, axes({0, 2, 3, 1}));
    const auto result = std::make_shared<op::Result>(sr);
    return std::make_shared<ov::Model>(ov::ResultVector{result}, ov::ParameterVector{lr}, "idrn");
}

// The one Core of all engines that are open at a time: docs/decisions/014 says why there is only one.
std::shared_ptr<ov::Core> shared_core() {
    static std::mutex mutex;
    static std::weak_ptr<ov::Core> kept;
    const std::lock_guard<std::mutex> lock(mutex);
    std::shared_ptr<ov::Core> core = kept.lock();
    if (!core) {
        core = std::make_shared<ov::Core>();
        kept = core;
    }
    return core;
}

class OpenVinoGraph final : public Graph {
public:
    OpenVinoGraph(ov::CompiledModel compiled, const Shape &fixed, uint32_t scale)
        : Graph(fixed),
          lr_(ov::element::u8, {fixed.count, fixed.height, fixed.width, 3}),
          sr_(ov::element::u8, {fixed.count, size_t{scale} * fixed.height, size_t{scale} * fixed.width, 3}),
          request_(compiled.create_infer_request()) {
        request_.set_input_tensor(lr_);
        request_.set_output_tensor(sr_);
    }

    uint8_t *lr() override { return static_cast<uint8_t *>(lr_.data()); }
    const uint8_t *sr() override { return static_cast<const uint8_t *>(sr_.data()); }

    void infer() override {
        try {
            request_.infer();
        } catch (const std::exception &error) {
            throw device_error("OpenVINO failed: " + last_line(error));
        }
    }

private:
    ov::Tensor lr_;
    ov::Tensor sr_;
    ov::InferRequest request_;
};

class OpenVinoNetwork final : public Network {
public:
    OpenVinoNetwork(const NetworkFile &file, idrn_precision precision, uint32_t threads)
        : core_(shared_core()),
          name_(file.name),
          scale_(file.scale),
          config_(compile_options(precision, threads)) {
        if (precision == IDRN_PRECISION_BF16 && !can_bf16(*core_)) {
            throw argument_error(
                "precision IDRN_PRECISION_BF16 needs a processor with bfloat16 arithmetic, which "
                "this one lacks");
        }
        try {
            source_ = core_->read_model(file.onnx, ov::Tensor());
            check_ends(*source_, name_);
            check_scale(*source_, name_, scale_);
        } catch (const Error &) {
            throw;
        } catch (const std::exception &error) {
            throw model_error("OpenVINO cannot read model '" + name_ + "': " + last_line(error));
        }
    }

    std::unique_ptr<Graph> compile(const Shape &shape) const override {
        try {
            const auto graph = with_uint8_ends(source_->clone(), shape);
            return std::make_unique<OpenVinoGraph>(core_->compile_model(graph, "CPU", config_), shape,
                                                   scale_);
        } catch (const std::exception &error) {
            throw device_error("OpenVINO cannot compile '" + name_ + "': " + last_line(error));
        }
    }

private:
    std::shared_ptr<ov::Core> core_;
    std::shared_ptr<ov::Model> source_;
    std::string name_;
    uint32_t scale_;
    ov::AnyMap config_;
};

}  // namespace

std::unique_ptr<Network> open_openvino(const NetworkFile &file, idrn_precision precision, uint32_t threads) {
    return std::make_unique<OpenVinoNetwork>(file, precision, threads);
}

}  // namespace idrn
