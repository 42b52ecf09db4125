// The library through its C interface, on a model of the repository: results, and what bad input gets.

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "idrn.h"
#include "pictures.h"

namespace {

namespace fs = std::filesystem;

const fs::path MODEL = IDRN_TEST_MODEL;

// Opened once for all tests, for compiling takes most of the time; with one thread.
idrn_engine *engine = nullptr;

void open_engine() {
    idrn_options options = idrn_options_default();
    options.threads = 1;
    CHECK(idrn_open(MODEL.c_str(), &options, &engine) == IDRN_OK);
}

bool is_refused(idrn_status got, idrn_status expected, const char *said) {
    return got == expected && std::strstr(idrn_last_error(), said) != nullptr;
}

void test_info() {
    idrn_info info{};
    info.struct_size = sizeof(info);
    CHECK(idrn_abi_version() == IDRN_ABI_VERSION);
    CHECK(idrn_get_info(engine, &info) == IDRN_OK);
    CHECK(info.scale == 4 && info.precision == IDRN_PRECISION_INT8);
    CHECK(info.model == MODEL.filename().string() && std::strlen(info.model_sha256) == 64);
    uint32_t width = 0, height = 0;
    CHECK(idrn_output_size(engine, 640, 480, &width, &height) == IDRN_OK && width == 1440 && height == 1080);
}

// A batch in any format and with any stride gives what each window gives by itself, and no byte beside it
// changes.
void test_run_formats_and_strides() {
    constexpr uint32_t COUNT = 4, SIDE = 16;
    Picture rgb(SIDE, SIDE), rgb_out(4 * SIDE, 4 * SIDE);
    fill_with_noise(rgb.bytes, 7);
    CHECK(idrn_run(engine, &rgb.image, 1, &rgb_out.image) == IDRN_OK);
    std::vector<idrn_image> in, out;
    std::vector<std::unique_ptr<Picture>> kept;
    for (uint32_t i = 0; i < COUNT; ++i) {
        kept.push_back(std::make_unique<Picture>(SIDE, SIDE, i, 3 * i));
        Picture &window = *kept.back();
        const size_t step = i >= IDRN_RGBX ? 4 : 3;
        for (uint32_t y = 0; y < SIDE; ++y) {
            for (uint32_t x = 0; x < SIDE; ++x) {
                for (size_t c = 0; c < 3; ++c) {
                    const size_t place = i == IDRN_RGB || i == IDRN_RGBX ? c : 2 - c;
                    window.bytes[y * window.image.stride_bytes + x * step + place] = rgb.at(x, y, c);
                }
            }
        }
        in.push_back(window.image);
        kept.push_back(std::make_unique<Picture>(4 * SIDE, 4 * SIDE, COUNT - 1 - i, 5));
        std::fill(kept.back()->bytes.begin(), kept.back()->bytes.end(), uint8_t{171});
        out.push_back(kept.back()->image);
    }
    CHECK(idrn_run(engine, in.data(), COUNT, out.data()) == IDRN_OK);
    for (uint32_t i = 0; i < COUNT; ++i) {
        const Picture &result = *kept[2 * i + 1];
        for (uint32_t y = 0; y < 4 * SIDE; ++y) {
            for (uint32_t x = 0; x < 4 * SIDE; ++x) {
                for (size_t c = 0; c < 3; ++c) {
                    CHECK(result.at(x, y, c) == rgb_out.at(x, y, c));
                }
            }
            CHECK(result.image.pixels[(y + 1) * result.image.stride_bytes - 1] == 171);
        }
    }
}

// upscale with the faces' own crops: in the middle of a face the frame holds what idrn_crops gives, and with
// the caller's background nothing outside of the windows changes.
void test_upscale_shows_the_crops() {
    Picture frame(90, 70, IDRN_BGR, 2), out(360, 280, IDRN_BGR, 1), crop(160, 192);
    fill_with_noise(frame.bytes, 3);
    std::fill(out.bytes.begin(), out.bytes.end(), uint8_t{9});
    const idrn_box boxes[] = {{40, 30, 20, 26}, {0, 0, 200, 200}};
    idrn_window window;
    CHECK(idrn_window_for(boxes, 90, 70, &window) == IDRN_OK && window.width_px == 40 &&
          window.height_px == 48);
    CHECK(idrn_crops(engine, &frame.image, &window, 1, &crop.image) == IDRN_OK);
    CHECK(idrn_upscale(engine, &frame.image, boxes, 2, IDRN_BACKGROUND_KEEP, &out.image) == IDRN_OK);
    const auto left = 4 * static_cast<uint32_t>(window.x_px), top = 4 * static_cast<uint32_t>(window.y_px);
    for (uint32_t y = 0; y < 280; ++y) {
        for (uint32_t x = 0; x < 360; ++x) {
            const bool within = x >= left + 16 && x < left + 144 && y >= top + 16 && y < top + 176;
            const bool full = x >= left + 24 && x < left + 136 && y >= top + 28 && y < top + 164;
            for (size_t c = 0; c < 3; ++c) {
                CHECK(within || out.at(x, y, c) == 9);
                CHECK(!full || out.at(x, y, c) == crop.at(x - left, y - top, c));
            }
        }
    }
}

// Windows of several shapes at once each give what they give alone.
void test_crops_of_several_shapes() {
    constexpr idrn_window WINDOWS[] = {
        {3, 5, 24, 16}, {-4, 9, 16, 24}, {30, 20, 24, 16}, {8, 40, 16, 16}, {1, 2, 16, 24}};
    constexpr uint32_t COUNT = 5;
    Picture frame(60, 50);
    fill_with_noise(frame.bytes, 13);
    std::vector<std::unique_ptr<Picture>> kept;
    std::vector<idrn_image> results;
    for (const idrn_window &window : WINDOWS) {
        kept.push_back(std::make_unique<Picture>(4 * window.width_px, 4 * window.height_px));
        results.push_back(kept.back()->image);
    }
    CHECK(idrn_crops(engine, &frame.image, WINDOWS, COUNT, results.data()) == IDRN_OK);
    for (uint32_t i = 0; i < COUNT; ++i) {
        Picture alone(results[i].width_px, results[i].height_px);
        CHECK(idrn_crops(engine, &frame.image, &WINDOWS[i], 1, &alone.image) == IDRN_OK);
        CHECK(alone.bytes == kept[i]->bytes);
    }
}

void test_bad_arguments() {
    Picture small(32, 32), large(128, 128);
    CHECK(
        is_refused(idrn_run(nullptr, &small.image, 1, &large.image), IDRN_ERROR_ARGUMENT, "engine is null"));
    CHECK(is_refused(idrn_run(engine, nullptr, 1, &large.image), IDRN_ERROR_ARGUMENT, "windows is null"));
    CHECK(is_refused(idrn_run(engine, &small.image, 1, nullptr), IDRN_ERROR_ARGUMENT, "results is null"));
    CHECK(is_refused(idrn_run(engine, &small.image, 10000, &large.image), IDRN_ERROR_ARGUMENT,
                     "10000 windows"));
    CHECK(
        is_refused(idrn_run(engine, &small.image, 1, &small.image), IDRN_ERROR_ARGUMENT, "expected 128x128"));
    CHECK(idrn_run(engine, &small.image, 0, &large.image) == IDRN_OK);
    const auto refused = [&](auto change, const char *said) {
        idrn_image image = small.image;
        change(image);
        return is_refused(idrn_run(engine, &image, 1, &large.image), IDRN_ERROR_ARGUMENT, said);
    };
    CHECK(refused([](idrn_image &image) { image.pixels = nullptr; }, "null"));
    CHECK(refused([](idrn_image &image) { image.stride_bytes = 95; }, "stride of 95"));
    CHECK(refused([](idrn_image &image) { image.stride_bytes = SIZE_MAX; }, "stride"));
    CHECK(refused([](idrn_image &image) { image.width_px = 0; }, "side of 0"));
    CHECK(refused([](idrn_image &image) { image.height_px = UINT32_MAX; }, "side of 4294967295"));
    CHECK(refused([](idrn_image &image) { image.format = 99; }, "format 99"));
    idrn_info info{};
    CHECK(is_refused(idrn_get_info(engine, &info), IDRN_ERROR_ARGUMENT, "struct_size 0"));
    CHECK(is_refused(idrn_get_info(engine, nullptr), IDRN_ERROR_ARGUMENT, "info is null"));
    uint32_t width = 0;
    CHECK(is_refused(idrn_output_size(engine, 0, 5, &width, &width), IDRN_ERROR_ARGUMENT, "0x5"));
    CHECK(is_refused(idrn_output_size(engine, 5, 5, &width, nullptr), IDRN_ERROR_ARGUMENT,
                     "height_px is null"));
    idrn_window window{0, 0, 0, 0};
    const auto crops = [&](idrn_engine *by, const idrn_image *from, const idrn_window *places, uint32_t count,
                           const idrn_image *to) { return idrn_crops(by, from, places, count, to); };
    CHECK(
        is_refused(crops(engine, &small.image, &window, 1, &large.image), IDRN_ERROR_ARGUMENT, "side of 0"));
    const idrn_window flat{0, 0, 32, 7}, wide{0, 0, 257, 32}, upright{0, 0, 32, 40};
    CHECK(is_refused(crops(engine, &small.image, &flat, 1, &large.image), IDRN_ERROR_ARGUMENT, "side of 7"));
    CHECK(
        is_refused(crops(engine, &small.image, &wide, 1, &large.image), IDRN_ERROR_ARGUMENT, "side of 257"));
    CHECK(is_refused(crops(engine, &small.image, &upright, 1, &large.image), IDRN_ERROR_ARGUMENT,
                     "expected 128x160"));
    CHECK(is_refused(crops(engine, &small.image, &window, 10000, &large.image), IDRN_ERROR_ARGUMENT,
                     "10000 windows"));
    CHECK(
        is_refused(crops(nullptr, &small.image, &window, 1, &large.image), IDRN_ERROR_ARGUMENT, "engine is"));
    CHECK(is_refused(crops(engine, nullptr, &window, 1, &large.image), IDRN_ERROR_ARGUMENT, "frame is null"));
    CHECK(
        is_refused(crops(engine, &small.image, nullptr, 1, &large.image), IDRN_ERROR_ARGUMENT, "windows is"));
    CHECK(
        is_refused(crops(engine, &small.image, &window, 1, nullptr), IDRN_ERROR_ARGUMENT, "results is null"));
    const idrn_box empty = {0, 0, 0, 5};
    CHECK(is_refused(idrn_window_for(&empty, 32, 32, &window), IDRN_ERROR_ARGUMENT, "positive size"));
    CHECK(is_refused(idrn_window_for(nullptr, 32, 32, &window), IDRN_ERROR_ARGUMENT, "box is null"));
    idrn_close(nullptr);
}

void test_bad_frames() {
    Picture frame(40, 40), out(80, 80), other(80, 80, IDRN_BGR);
    const std::vector<idrn_box> boxes(10000, idrn_box{5, 5, 20, 20});
    const auto upscale = [&](const idrn_image *from, const idrn_box *faces, uint32_t count,
                             idrn_background kept, const idrn_image *to) {
        return idrn_upscale(engine, from, faces, count, kept, to);
    };
    CHECK(is_refused(upscale(&frame.image, boxes.data(), 10000, 0, &out.image), IDRN_ERROR_ARGUMENT,
                     "10000 faces"));
    CHECK(is_refused(upscale(&frame.image, nullptr, 1, 0, &out.image), IDRN_ERROR_ARGUMENT, "boxes is null"));
    CHECK(is_refused(upscale(nullptr, boxes.data(), 1, 0, &out.image), IDRN_ERROR_ARGUMENT, "frame is null"));
    CHECK(is_refused(upscale(&frame.image, boxes.data(), 1, 0, nullptr), IDRN_ERROR_ARGUMENT, "out is null"));
    CHECK(is_refused(upscale(&frame.image, boxes.data(), 1, 2, &out.image), IDRN_ERROR_ARGUMENT,
                     "background is 2"));
    CHECK(
        is_refused(upscale(&frame.image, boxes.data(), 1, 0, &frame.image), IDRN_ERROR_ARGUMENT, "overlaps"));
    CHECK(
        is_refused(upscale(&frame.image, boxes.data(), 1, 0, &other.image), IDRN_ERROR_ARGUMENT, "the same"));
    idrn_image nothing = frame.image;
    nothing.height_px = 0;
    CHECK(is_refused(upscale(&nothing, boxes.data(), 1, 0, &out.image), IDRN_ERROR_ARGUMENT, "40x0"));
    idrn_image narrow = frame.image;
    narrow.stride_bytes = 119;
    CHECK(is_refused(upscale(&narrow, nullptr, 0, 0, &out.image), IDRN_ERROR_ARGUMENT, "stride of 119"));
    CHECK(is_refused(upscale(&frame.image, nullptr, 0, 0, &narrow), IDRN_ERROR_ARGUMENT, "stride of 119"));
    CHECK(upscale(&frame.image, nullptr, 0, 0, &out.image) == IDRN_OK);
    // Boxes outside the frame are shifted into it, as Python does.
    const idrn_box outside[] = {{-500, -500, 20, 20}, {1e9, 3, 20, 20}};
    CHECK(upscale(&frame.image, outside, 2, 0, &out.image) == IDRN_OK);
    Picture dot(1, 1), dot_out(3, 5);
    CHECK(upscale(&dot.image, boxes.data(), 1, 0, &dot_out.image) == IDRN_OK);
}

// A copy of the model that a test may spoil.
class Copy {
public:
    Copy() : folder(fs::temp_directory_path() / ("idrn-test-" + std::to_string(getpid()))) {
        fs::create_directory(folder);
        for (const char *name : {"manifest.json", "model.int8-cpu.onnx"}) {
            fs::copy_file(MODEL / name, folder / name);
        }
    }
    Copy(const Copy &) = delete;
    Copy &operator=(const Copy &) = delete;
    ~Copy() { fs::remove_all(folder); }

    const fs::path folder;
};

std::string text_of(const fs::path &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void replace_in(const fs::path &path, const std::string &from, const std::string &to) {
    std::string text = text_of(path);
    text.replace(text.find(from), from.size(), to);
    std::ofstream(path, std::ios::binary) << text;
}

bool is_refused_folder(const fs::path &folder, const char *said) {
    idrn_engine *none = engine;
    return is_refused(idrn_open(folder.c_str(), nullptr, &none), IDRN_ERROR_MODEL, said) && none == nullptr;
}

void test_bad_folders() {
    CHECK(is_refused_folder("/nowhere", "missing"));
    CHECK(is_refused_folder(fs::temp_directory_path(), "manifest.json' is missing"));
    CHECK(is_refused_folder("", "missing"));
    {
        Copy copy;
        std::fstream file(copy.folder / "model.int8-cpu.onnx",
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(1000).put('!');
        file.close();
        CHECK(is_refused_folder(copy.folder, "altered"));
    }
    {
        Copy copy;
        fs::resize_file(copy.folder / "model.int8-cpu.onnx", 1000);
        CHECK(is_refused_folder(copy.folder, "altered"));
    }
    {
        Copy copy;
        replace_in(copy.folder / "manifest.json", "\"format_version\": 1", "\"format_version\": 2");
        CHECK(is_refused_folder(copy.folder, "format version 2"));
    }
    {
        Copy copy;
        replace_in(copy.folder / "manifest.json", "\"scale\": 4", "\"scale\": 2");
        replace_in(copy.folder / "manifest.json", "\"scale\": 4", "\"scale\": 2");
        CHECK(is_refused_folder(copy.folder, "does not enlarge 2 times"));
    }
    {
        Copy copy;
        fs::remove(copy.folder / "model.int8-cpu.onnx");
        fs::create_symlink(MODEL / "model.int8-cpu.onnx", copy.folder / "model.int8-cpu.onnx");
        CHECK(is_refused_folder(copy.folder, "link out of its folder"));
    }
}

void test_bad_options() {
    idrn_engine *none = nullptr;
    const auto refused = [&](auto change, const char *said) {
        idrn_options options = idrn_options_default();
        change(options);
        return is_refused(idrn_open(MODEL.c_str(), &options, &none), IDRN_ERROR_ARGUMENT, said);
    };
    CHECK(refused([](idrn_options &options) { options.struct_size = 4; }, "struct_size 4"));
    CHECK(refused([](idrn_options &options) { options.precision = 5; }, "precision 5"));
    CHECK(
        refused([](idrn_options &options) { options.precision = IDRN_PRECISION_FP16; }, "its backend lacks"));
    CHECK(refused([](idrn_options &options) { options.backend = 2; }, "backend 2"));
#ifdef IDRN_TEST_NO_TENSORRT
    CHECK(refused([](idrn_options &options) { options.backend = IDRN_BACKEND_TENSORRT; },
                  "not in this libidrn"));
#endif
    CHECK(refused([](idrn_options &options) { options.threads = UINT32_MAX; }, "4294967295 threads"));
    CHECK(is_refused(idrn_open(nullptr, nullptr, &none), IDRN_ERROR_ARGUMENT, "model_folder is null"));
    CHECK(is_refused(idrn_open(MODEL.c_str(), nullptr, nullptr), IDRN_ERROR_ARGUMENT, "engine is null"));
}

// Two threads on one engine get what one gets, and an error's text is its own thread's.
void test_threads() {
    Picture window(16, 16), alone(64, 64);
    fill_with_noise(window.bytes, 11);
    CHECK(idrn_run(engine, &window.image, 1, &alone.image) == IDRN_OK);
    CHECK(idrn_run(engine, nullptr, 1, &alone.image) == IDRN_ERROR_ARGUMENT);
    const std::string said = idrn_last_error();
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            CHECK(*idrn_last_error() == '\0');
            for (int k = 0; k < 20; ++k) {
                Picture result(64, 64);
                CHECK(idrn_run(engine, &window.image, 1, &result.image) == IDRN_OK);
                CHECK(result.bytes == alone.bytes);
                CHECK(idrn_run(nullptr, &window.image, 1, &result.image) == IDRN_ERROR_ARGUMENT);
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    CHECK(said == idrn_last_error());
}

}  // namespace

int main() {
    open_engine();
    test_info();
    test_run_formats_and_strides();
    test_upscale_shows_the_crops();
    test_crops_of_several_shapes();
    test_bad_arguments();
    test_bad_frames();
    test_bad_folders();
    test_bad_options();
    test_threads();
    idrn_close(engine);
}
