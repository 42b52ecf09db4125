#include "engine.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <numeric>

#include "error.h"
#include "model_folder.h"
#include "pixels.h"
#include "window.h"

namespace idrn {
namespace {

// Graphs are static. A batch is run in pieces of these sizes, so that a stream whose number of faces changes
// meets a few graphs a window size instead of one for each number.
constexpr std::array<uint32_t, 4> PIECES = {8, 4, 2, 1};
// Of more LR pixels than this a piece's feature maps leave the cache, and each window costs up to a tenth
// more (docs/performance.md). A single window is run whole whatever its size.
constexpr uint64_t MOST_PIXELS = 9216;
// The 15 pieces of the windows of faces, and as many odd ones.
constexpr size_t MOST_GRAPHS = 32;
// A network keeps a picture's mean to about one grey level; one whose weights or scales are broken lands at 0
// or 255. Half of what lies between is far from both.
constexpr int64_t MOST_DRIFT_LEVELS = 64;

// The window compiled and tried when an engine is opened: the one most faces fall into.
constexpr uint32_t OPENING_WINDOW_PX = 32;

struct Source {
    idrn_precision precision;
    const char *kind;  // of the model's file
};

// In the order that IDRN_PRECISION_AUTO takes them.
constexpr Source OPENVINO_SOURCES[] = {{IDRN_PRECISION_INT8, "int8-cpu"},
                                       {IDRN_PRECISION_FP32, "fp32"},
                                       {IDRN_PRECISION_FP32, "fp16"},
                                       {IDRN_PRECISION_BF16, "fp32"},
                                       {IDRN_PRECISION_BF16, "fp16"}};
constexpr Source TENSORRT_SOURCES[] = {
    {IDRN_PRECISION_FP16, "fp16"}, {IDRN_PRECISION_INT8, "int8-trt"}, {IDRN_PRECISION_FP32, "fp32"}};

// Of several that would do the first whose file is there; where none is, the first: reading it says what is
// wrong.
template <size_t COUNT>
Source choose(const Source (&sources)[COUNT], idrn_precision wanted, const ModelFolder &folder) {
    const auto fits = [wanted](const Source &source) {
        return wanted == IDRN_PRECISION_AUTO || source.precision == wanted;
    };
    const auto *first = std::find_if(std::begin(sources), std::end(sources), fits);
    if (first == std::end(sources)) {
        throw argument_error("options has precision " + std::to_string(wanted) + ", which its backend lacks");
    }
    const auto *there = std::find_if(first, std::end(sources), [&](const Source &source) {
        return fits(source) && folder.has(source.kind);
    });
    return there == std::end(sources) ? *first : *there;
}

void copy_text(char (&to)[65], const std::string &text) {
    text.copy(to, sizeof(to) - 1);  // at most 64 characters: the manifest is checked
}

void read_packed(const idrn_image &image, uint8_t *rgb) {
    const size_t step = bytes_per_pixel(image.format);
    const size_t red = red_at(image.format);
    for (size_t y = 0; y < image.height_px; ++y) {
        const uint8_t *pixel = row(image, y);
        for (size_t x = 0; x < image.width_px; ++x, pixel += step, rgb += 3) {
            rgb[0] = pixel[red];
            rgb[1] = pixel[1];
            rgb[2] = pixel[2 - red];
        }
    }
}

void write_packed(const idrn_image &image, const uint8_t *rgb) {
    const size_t step = bytes_per_pixel(image.format);
    const size_t red = red_at(image.format);
    for (size_t y = 0; y < image.height_px; ++y) {
        uint8_t *pixel = row(image, y);
        for (size_t x = 0; x < image.width_px; ++x, pixel += step, rgb += 3) {
            pixel[red] = rgb[0];
            pixel[1] = rgb[1];
            pixel[2 - red] = rgb[2];
            if (step == 4) {
                pixel[3] = OPAQUE_BYTE;
            }
        }
    }
}

class Images final : public Batch {
public:
    Images(const idrn_image *windows, const idrn_image *results) : windows_(windows), results_(results) {}
    void read(uint32_t place, uint8_t *rgb) const override { read_packed(windows_[place], rgb); }
    void write(uint32_t place, const uint8_t *rgb) const override { write_packed(results_[place], rgb); }

private:
    const idrn_image *windows_;
    const idrn_image *results_;
};

class Cuts final : public Batch {
public:
    Cuts(const idrn_image &frame, const idrn_window *windows, const idrn_image *results)
        : frame_(frame), windows_(windows), results_(results) {}
    void read(uint32_t place, uint8_t *rgb) const override { cut(frame_, windows_[place], rgb); }
    void write(uint32_t place, const uint8_t *rgb) const override { write_packed(results_[place], rgb); }

private:
    const idrn_image &frame_;
    const idrn_window *windows_;
    const idrn_image *results_;
};

// The same batch with its places counted anew: place i is places[i] of it.
class Chosen final : public Batch {
public:
    Chosen(const Batch &batch, const uint32_t *places) : batch_(batch), places_(places) {}
    void read(uint32_t place, uint8_t *rgb) const override { batch_.read(places_[place], rgb); }
    void write(uint32_t place, const uint8_t *rgb) const override { batch_.write(places_[place], rgb); }

private:
    const Batch &batch_;
    const uint32_t *places_;
};

}  // namespace

Engine::Engine(const std::string &model_folder, const idrn_options &options) {
    const ModelFolder folder(model_folder);
    const Manifest &manifest = folder.manifest();
    info_.struct_size = sizeof(info_);
    info_.scale = manifest.scale;
    const bool on_gpu = options.backend == IDRN_BACKEND_TENSORRT;
    const Source source = on_gpu ? choose(TENSORRT_SOURCES, options.precision, folder)
                                 : choose(OPENVINO_SOURCES, options.precision, folder);
    info_.precision = source.precision;
    const NetworkFile file{manifest.name, folder.read(source.kind), manifest.scale};
    copy_text(info_.model, manifest.name);
    copy_text(info_.model_sha256, manifest.files.at(source.kind).sha256);
    network_ = on_gpu ? open_tensorrt(file) : open_openvino(file, info_.precision, options.threads);
    graphs_.reserve(MOST_GRAPHS);
    check_sane();
}

// Runs a grey ramp through the network; NaN and infinity come out as 0 or 255.
void Engine::check_sane() {
    constexpr uint32_t SIDE = OPENING_WINDOW_PX;
    Graph &opening = graph({1, SIDE, SIDE});
    int64_t before = 0;
    for (uint32_t i = 0; i < SIDE * SIDE * 3; ++i) {
        const uint32_t level = i / 3 % SIDE * 255 / (SIDE - 1);
        opening.lr()[i] = static_cast<uint8_t>(level);
        before += level;
    }
    opening.infer();
    const int64_t size = int64_t{SIDE} * SIDE * 3 * info_.scale * info_.scale;
    const int64_t after = std::accumulate(opening.sr(), opening.sr() + size, int64_t{0});
    const int64_t drift = after / size - before / int64_t{SIDE * SIDE * 3};
    if (std::abs(drift) > MOST_DRIFT_LEVELS) {
        throw model_error("model '" + std::string(info_.model) + "': a grey ramp comes out " +
                          std::to_string(drift) + " grey levels off, expected within " +
                          std::to_string(MOST_DRIFT_LEVELS) + ": the weights or scales are damaged");
    }
}

void Engine::run(const idrn_image *windows, uint32_t count, const idrn_image *results) {
    const std::lock_guard<std::mutex> lock(mutex_);
    compute(Images(windows, results), count, {windows[0].width_px, windows[0].height_px});
}

void Engine::crops(const idrn_image &frame, const idrn_window *windows, uint32_t count,
                   const idrn_image *results) {
    const std::lock_guard<std::mutex> lock(mutex_);
    windows_.assign(windows, windows + count);
    compute_by_shape(Cuts(frame, windows, results));
}

void Engine::upscale(const idrn_image &frame, const idrn_box *boxes, uint32_t count,
                     idrn_background background, const idrn_image &out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    windows_.clear();
    for (uint32_t i = 0; i < count; ++i) {
        const idrn_window window = window_for(boxes[i], frame.width_px, frame.height_px);
        if (pixels_of(window) > 0) {
            windows_.push_back(window);
        }
    }
    lay_out_pictures();
    compute_by_shape(Cuts(frame, windows_.data(), pictures_.data()));
    if (background == IDRN_BACKGROUND_RESIZE) {
        resizer_.resize(frame, out);
    }
    order_for_paste(windows_, places_);
    for (const uint32_t place : places_) {
        paster_.paste(out, windows_[place], pictures_[place].pixels, info_.scale,
                      {frame.width_px, frame.height_px});
    }
}

// One packed picture for each window, in memory of our own.
void Engine::lay_out_pictures() {
    size_t size = 0;
    pictures_.clear();
    for (const idrn_window &window : windows_) {
        const uint32_t width = info_.scale * window.width_px, height = info_.scale * window.height_px;
        pictures_.push_back({nullptr, width, height, size_t{width} * 3, IDRN_RGB});
        size += size_t{width} * height * 3;
    }
    if (bytes_.size() < size) {
        bytes_.resize(size);
    }
    uint8_t *next = bytes_.data();
    for (idrn_image &picture : pictures_) {
        picture.pixels = next;
        next += picture.height_px * picture.stride_bytes;
    }
}

// All of windows_, those of one shape together.
void Engine::compute_by_shape(const Batch &batch) {
    order_by_shape(windows_, places_);
    for (auto first = places_.cbegin(); first != places_.cend();) {
        const idrn_window &window = windows_[*first];
        const auto last = std::find_if_not(
            first, places_.cend(), [&](uint32_t place) { return same_shape(windows_[place], window); });
        compute(Chosen(batch, &*first), static_cast<uint32_t>(last - first),
                {window.width_px, window.height_px});
        first = last;
    }
}

void Engine::compute(const Batch &batch, uint32_t count, Size window) {
    const uint64_t pixels = uint64_t{window.height} * window.width;
    uint32_t start = 0;
    for (const uint32_t size : PIECES) {
        if (size > 1 && size * pixels > MOST_PIXELS) {
            continue;
        }
        for (; count - start >= size; start += size) {
            Graph &piece = graph({size, window.height, window.width});
            const size_t lr_bytes = size_t{window.width} * window.height * 3;
            const size_t sr_bytes = lr_bytes * info_.scale * info_.scale;
            for (uint32_t i = 0; i < size; ++i) {
                batch.read(start + i, piece.lr() + i * lr_bytes);
            }
            piece.infer();
            for (uint32_t i = 0; i < size; ++i) {
                batch.write(start + i, piece.sr() + i * sr_bytes);
            }
        }
    }
}

Graph &Engine::graph(const Shape &shape) {
    const auto found = std::find_if(graphs_.begin(), graphs_.end(),
                                    [&shape](const auto &graph) { return graph->shape == shape; });
    if (found != graphs_.end()) {
        std::rotate(found, found + 1, graphs_.end());
        return *graphs_.back();
    }
    if (graphs_.size() == MOST_GRAPHS) {
        graphs_.erase(graphs_.begin());
    }
    graphs_.push_back(network_->compile(shape));
    return *graphs_.back();
}

}  // namespace idrn
