// What a stranger can give: a manifest, options, and boxes of faces in a frame. The first byte says which.
//
//   cmake --preset fuzz && cmake --build --preset fuzz
//   build/fuzz/native/fuzz/fuzz_input -max_total_time=600 native/fuzz/seeds

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "error.h"
#include "idrn.h"
#include "manifest.h"
#include "paste.h"
#include "resize.h"
#include "window.h"

namespace {

// Takes values off the front; zeros when nothing is left.
class Bytes {
public:
    Bytes(const uint8_t *data, size_t size) : data_(data), size_(size) {}

    template <typename T>
    T take() {
        T value{};
        const size_t size = std::min(sizeof(T), size_);
        std::memcpy(&value, data_, size);
        data_ += size;
        size_ -= size;
        return value;
    }

    std::string_view rest() const { return {reinterpret_cast<const char *>(data_), size_}; }
    bool empty() const { return size_ == 0; }

private:
    const uint8_t *data_;
    size_t size_;
};

void try_manifest(const Bytes &bytes) {
    try {
        const idrn::Manifest manifest = idrn::parse_manifest(bytes.rest());
        for (const auto &[kind, file] : manifest.files) {
            if (file.path.empty() || file.path.front() == '/' || file.sha256.size() != 64) {
                std::abort();
            }
        }
    } catch (const idrn::Error &error) {
        if (error.status != IDRN_ERROR_MODEL) {
            std::abort();
        }
    }
}

void try_options(Bytes &bytes) {
    const auto options = bytes.take<idrn_options>();
    idrn_engine *engine = nullptr;
    const idrn_status status = idrn_open("/nowhere", &options, &engine);
    if (status == IDRN_OK || engine != nullptr || *idrn_last_error() == '\0') {
        std::abort();
    }
}

// The whole way of a frame but for the network, whose answer is grey.
void try_boxes(Bytes &bytes) {
    static idrn::Paster paster;
    static idrn::Resizer resizer;
    const auto small = [&bytes](uint32_t most) { return 1 + bytes.take<uint16_t>() % most; };
    const idrn::Size frame = {small(200), small(200)}, out = {small(400), small(400)};
    const idrn_format format = bytes.take<uint8_t>() % 4;
    const uint32_t scale = 2 + bytes.take<uint8_t>() % 3;
    const size_t step = format >= IDRN_RGBX ? 4 : 3;
    std::vector<uint8_t> in_bytes(frame.width * frame.height * step),
        out_bytes(out.width * out.height * step);
    std::vector<uint8_t> lr(128 * 128 * 3), sr(lr.size() * scale * scale, 128);
    const idrn_image in = {in_bytes.data(), frame.width, frame.height, frame.width * step, format};
    const idrn_image picture = {out_bytes.data(), out.width, out.height, out.width * step, format};
    std::vector<idrn_window> windows;
    while (!bytes.empty() && windows.size() < 8) {
        const auto box = bytes.take<idrn_box>();
        idrn_window window;
        if (idrn_window_for(&box, frame.width, frame.height, &window) == IDRN_OK && window.width_px > 0) {
            windows.push_back(window);
        }
    }
    resizer.resize(in, picture);
    std::vector<uint32_t> places;
    idrn::order_for_paste(windows, places);
    for (const uint32_t place : places) {
        idrn::cut(in, windows[place], lr.data());
        paster.paste(picture, windows[place], sr.data(), scale, frame);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Bytes bytes(data, size);
    switch (bytes.take<uint8_t>() % 3) {
    case 0: try_manifest(bytes); break;
    case 1: try_options(bytes); break;
    default: try_boxes(bytes); break;
    }
    return 0;
}
