// The C interface: checks what the caller gave, and turns exceptions into a status and a text.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <string>

#include "engine.h"
#include "error.h"
#include "idrn.h"
#include "pixels.h"
#include "window.h"

struct idrn_engine {
    idrn_engine(const std::string &model_folder, const idrn_options &options)
        : engine(model_folder, options) {}

    idrn::Engine engine;
};

namespace {

using idrn::argument_error;
using idrn::Name;
using idrn::size_text;

constexpr uint32_t LEAST_WINDOW_PX = 8;
constexpr uint32_t MOST_THREADS = 1024;

thread_local char last_error[1024] = "";

idrn_status failed(idrn_status status, const char *text) noexcept {
    std::strncpy(last_error, text, sizeof(last_error) - 1);
    return status;
}

// Runs `body`; nothing thrown leaves.
template <typename Body>
idrn_status guarded(const Body &body) noexcept {
    try {
        body();
        return IDRN_OK;
    } catch (const idrn::Error &error) {
        return failed(error.status, error.what());
    } catch (const std::bad_alloc &) {
        return failed(IDRN_ERROR_MEMORY, "out of memory");
    } catch (const std::exception &error) {
        return failed(IDRN_ERROR_DEVICE, error.what());
    } catch (...) {
        return failed(IDRN_ERROR_DEVICE, "an unknown exception");
    }
}

void check_pointer(const void *pointer, const char *name) {
    if (pointer == nullptr) {
        throw argument_error(std::string(name) + " is null");
    }
}

void check_struct(uint32_t got, size_t expected, const char *name) {
    if (got != expected) {
        throw argument_error(std::string(name) + " has struct_size " + std::to_string(got) + ", expected " +
                             std::to_string(expected) +
                             ": the program was built against another idrn.h, or did not set it");
    }
}

void check_options(const idrn_options &options) {
    check_struct(options.struct_size, sizeof(idrn_options), "options");
    if (options.precision > IDRN_PRECISION_FP16) {
        throw argument_error("options has precision " + std::to_string(options.precision) +
                             ", expected one of IDRN_PRECISION_AUTO, _FP32, _BF16, _INT8, _FP16");
    }
    if (options.backend > IDRN_BACKEND_TENSORRT) {
        throw argument_error("options has backend " + std::to_string(options.backend) +
                             ", expected IDRN_BACKEND_OPENVINO or IDRN_BACKEND_TENSORRT");
    }
    if (options.threads > MOST_THREADS) {
        throw argument_error("options has " + std::to_string(options.threads) +
                             " threads, expected at most " + std::to_string(MOST_THREADS));
    }
}

void check_count(uint32_t count, const char *what) {
    if (count > IDRN_MAX_FACES) {
        throw argument_error(std::to_string(count) + " " + what + ", expected at most " +
                             std::to_string(IDRN_MAX_FACES) + " a call");
    }
}

void check_window_side(uint32_t side, const Name &name) {
    if (side < LEAST_WINDOW_PX || side > IDRN_MAX_WINDOW_PX) {
        throw argument_error(name.text() + " has a side of " + std::to_string(side) + " pixels, expected " +
                             std::to_string(LEAST_WINDOW_PX) + " to " + std::to_string(IDRN_MAX_WINDOW_PX));
    }
}

void check_size(const idrn_image &image, const Name &name, uint32_t width, uint32_t height) {
    idrn::check_image(image, name);
    if (image.width_px != width || image.height_px != height) {
        throw argument_error(name.text() + " is " + size_text(image.width_px, image.height_px) +
                             ", expected " + size_text(width, height));
    }
}

void check_frame_size(uint32_t width, uint32_t height) {
    if (width < 1 || height < 1 || width > IDRN_MAX_FRAME_PX || height > IDRN_MAX_FRAME_PX) {
        throw argument_error("a frame is " + size_text(width, height) + ", expected 1 to " +
                             std::to_string(IDRN_MAX_FRAME_PX) + " pixels a side");
    }
}

void check_apart(const idrn_image &frame, const idrn_image &out) {
    const std::less<> before;
    const uint8_t *frame_end = frame.pixels + frame.height_px * frame.stride_bytes;
    const uint8_t *out_end = out.pixels + out.height_px * out.stride_bytes;
    if (before(frame.pixels, out_end) && before(out.pixels, frame_end)) {
        throw argument_error("out overlaps the frame");
    }
}

void check_run(const idrn_image *windows, uint32_t count, const idrn_image *results, uint32_t scale) {
    check_pointer(windows, "windows");
    check_pointer(results, "results");
    check_count(count, "windows");
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t width = windows[0].width_px, height = windows[0].height_px;
        check_window_side(width, {"windows", 0});
        check_window_side(height, {"windows", 0});
        check_size(windows[i], {"windows", i}, width, height);
        check_size(results[i], {"results", i}, width * scale, height * scale);
    }
}

void check_crops(const idrn_image *frame, const idrn_window *windows, uint32_t count,
                 const idrn_image *results, uint32_t scale) {
    check_pointer(frame, "frame");
    check_pointer(windows, "windows");
    check_pointer(results, "results");
    check_count(count, "windows");
    idrn::check_image(*frame, {"frame"});
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t width = windows[i].width_px, height = windows[i].height_px;
        check_window_side(width, {"windows", i});
        check_window_side(height, {"windows", i});
        check_size(results[i], {"results", i}, width * scale, height * scale);
    }
}

void check_upscale(const idrn_image *frame, const idrn_box *boxes, uint32_t count, idrn_background background,
                   const idrn_image *out) {
    check_pointer(frame, "frame");
    check_pointer(out, "out");
    check_count(count, "faces");
    if (count > 0) {
        check_pointer(boxes, "boxes");
    }
    if (background > IDRN_BACKGROUND_KEEP) {
        throw argument_error("background is " + std::to_string(background) +
                             ", expected IDRN_BACKGROUND_RESIZE or IDRN_BACKGROUND_KEEP");
    }
    idrn::check_image(*frame, {"frame"});
    idrn::check_image(*out, {"out"});
    if (frame->format != out->format) {
        throw argument_error("frame has format " + std::to_string(frame->format) + " and out " +
                             std::to_string(out->format) + ", expected the same");
    }
    check_apart(*frame, *out);
}

}  // namespace

uint32_t idrn_abi_version(void) {
    return IDRN_ABI_VERSION;
}

const char *idrn_last_error(void) {
    return last_error;
}

idrn_options idrn_options_default(void) {
    return {sizeof(idrn_options), 0, IDRN_PRECISION_AUTO, IDRN_BACKEND_OPENVINO};
}

idrn_status idrn_open(const char *model_folder, const idrn_options *options, idrn_engine **engine) {
    return guarded([=] {
        check_pointer(engine, "engine");
        *engine = nullptr;
        check_pointer(model_folder, "model_folder");
        const idrn_options used = options == nullptr ? idrn_options_default() : *options;
        check_options(used);
        *engine = new idrn_engine(model_folder, used);
    });
}

void idrn_close(idrn_engine *engine) {
    if (engine != nullptr) {
        engine->engine.finish();
        delete engine;
    }
}

idrn_status idrn_get_info(const idrn_engine *engine, idrn_info *info) {
    return guarded([=] {
        check_pointer(engine, "engine");
        check_pointer(info, "info");
        check_struct(info->struct_size, sizeof(idrn_info), "info");
        *info = engine->engine.info();
    });
}

idrn_status idrn_run(idrn_engine *engine, const idrn_image *windows, uint32_t count,
                     const idrn_image *results) {
    return guarded([=] {
        check_pointer(engine, "engine");
        check_run(windows, count, results, engine->engine.info().scale);
        if (count > 0) {
            engine->engine.run(windows, count, results);
        }
    });
}

idrn_status idrn_window_for(const idrn_box *box, uint32_t frame_width_px, uint32_t frame_height_px,
                            idrn_window *window) {
    return guarded([=] {
        check_pointer(box, "box");
        check_pointer(window, "window");
        check_frame_size(frame_width_px, frame_height_px);
        *window = idrn::window_for(*box, frame_width_px, frame_height_px);
    });
}

idrn_status idrn_crops(idrn_engine *engine, const idrn_image *frame, const idrn_window *windows,
                       uint32_t count, const idrn_image *results) {
    return guarded([=] {
        check_pointer(engine, "engine");
        check_crops(frame, windows, count, results, engine->engine.info().scale);
        engine->engine.crops(*frame, windows, count, results);
    });
}

idrn_status idrn_output_size(const idrn_engine *engine, uint32_t frame_width_px, uint32_t frame_height_px,
                             uint32_t *width_px, uint32_t *height_px) {
    return guarded([=] {
        check_pointer(engine, "engine");
        check_pointer(width_px, "width_px");
        check_pointer(height_px, "height_px");
        check_frame_size(frame_width_px, frame_height_px);
        const idrn::Size size =
            idrn::output_size({frame_width_px, frame_height_px}, engine->engine.info().scale);
        *width_px = size.width;
        *height_px = size.height;
    });
}

idrn_status idrn_upscale(idrn_engine *engine, const idrn_image *frame, const idrn_box *boxes, uint32_t count,
                         idrn_background background, const idrn_image *out) {
    return guarded([=] {
        check_pointer(engine, "engine");
        check_upscale(frame, boxes, count, background, out);
        engine->engine.upscale(*frame, boxes, count, background, *out);
    });
}
