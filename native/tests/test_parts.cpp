// The parts that need no model: SHA-256, manifests, windows, paste order, resizing.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <limits>
#include <string>

#include "check.h"
#include "error.h"
#include "manifest.h"
#include "paste.h"
#include "pictures.h"
#include "plan_cache.h"
#include "resize.h"
#include "sha256.h"
#include "shrink.h"
#include "window.h"

namespace {

namespace fs = std::filesystem;

// The examples of FIPS 180-2, appendix B
// (https://csrc.nist.gov/files/pubs/fips/180-2/final/docs/fips180-2.pdf), and the lengths around which
// padding takes another block.
void test_sha256() {
    const auto hash = [](const std::string &text) { return idrn::sha256(text.data(), text.size()); };
    CHECK(hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(hash(std::string(1000000, 'a')) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK(hash(std::string(55, 'a')) == "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    CHECK(hash(std::string(56, 'a')) == "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
    CHECK(hash(std::string(64, 'a')) == "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

const std::string SHA(64, 'a');

std::string manifest_text(const std::string &more = "", const std::string &path = "model.onnx",
                          const std::string &bytes = "5") {
    return R"({"format_version": 1, "name": "tiny-x4", "scale": 4, "network": {"scale": 4}, )" + more +
           R"("files": {"fp32": {"path": ")" + path + R"(", "sha256": ")" + SHA + R"(", "bytes": )" + bytes +
           "}}}";
}

bool refused(const std::string &text) {
    try {
        idrn::parse_manifest(text);
        return false;
    } catch (const idrn::Error &error) {
        return error.status == IDRN_ERROR_MODEL && *error.what() != '\0';
    }
}

void test_manifest() {
    const idrn::Manifest manifest = idrn::parse_manifest(manifest_text());
    CHECK(manifest.name == "tiny-x4" && manifest.scale == 4 && manifest.files.size() == 1);
    CHECK(manifest.files.at("fp32").path == "model.onnx" && manifest.files.at("fp32").size_bytes == 5);
    for (const char *path :
         {"../model.onnx", "/model.onnx", "a/../../b", "a//b", "C:b", "a\\\\b", "", ".", "a/", "\\u0000"}) {
        CHECK(refused(manifest_text("", path)));
    }
    for (const char *bytes :
         {"0", "-1", "1e3", "5.0", "4294967296", "99999999999999999999", "\"5\"", "true"}) {
        CHECK(refused(manifest_text("", "model.onnx", bytes)));
    }
    CHECK(refused(manifest_text(R"("name": "twice", )")));
    CHECK(refused(manifest_text(R"("task": "face-detection", )")));
    CHECK(!refused(manifest_text(R"("task": "super-resolution", )")));
    CHECK(refused(manifest_text(R"("data": )" + std::string(40, '[') + std::string(40, ']') + ", ")));
    CHECK(refused(manifest_text(R"("data": )" + std::string(100000, '[') + ", ")));
    CHECK(refused(manifest_text(R"("data": NaN, )")));
    CHECK(refused("") && refused("[]") && refused("{}") && refused("null") && refused("\xff"));
    CHECK(refused(std::string(idrn::LARGEST_MANIFEST_BYTES + 1, ' ')));
    std::string text = manifest_text();
    CHECK(refused(text.replace(text.find("\": 1"), 4, "\": 2")));  // another format version
    for (size_t length = 0; length < manifest_text().size(); ++length) {
        CHECK(refused(manifest_text().substr(0, length)));
    }
}

bool is(const idrn_window &window, int32_t x, int32_t y, uint32_t width, uint32_t height) {
    return window.x_px == x && window.y_px == y && window.width_px == width && window.height_px == height;
}

void test_windows() {
    CHECK(is(idrn::window_for({100, 50, 20, 20}, 640, 480), 94, 44, 32, 32));
    CHECK(is(idrn::window_for({-5, -5, 20, 20}, 640, 480), 0, 0, 32, 32));
    CHECK(is(idrn::window_for({630, 470, 30, 40}, 640, 480), 592, 416, 48, 64));
    CHECK(is(idrn::window_for({0, 0, 20, 20}, 16, 480), -8, 0, 32, 32));
    CHECK(is(idrn::window_for({0, 0, 20, 30}, 640, 41), 0, -3, 40, 48));
    // The largest face of each shape, with its margin, and the next wider and the next higher one.
    CHECK(is(idrn::window_for({200, 200, 21.4, 21.4}, 640, 480), 195, 195, 32, 32));
    CHECK(is(idrn::window_for({200, 200, 21.5, 21.4}, 640, 480), 191, 187, 40, 48));
    CHECK(is(idrn::window_for({200, 200, 21.4, 21.5}, 640, 480), 191, 187, 40, 48));
    CHECK(is(idrn::window_for({200, 200, 28.5, 35.7}, 640, 480), 194, 194, 40, 48));
    CHECK(is(idrn::window_for({200, 200, 28.6, 35.7}, 640, 480), 190, 186, 48, 64));
    CHECK(is(idrn::window_for({200, 200, 28.5, 35.8}, 640, 480), 190, 186, 48, 64));
    CHECK(is(idrn::window_for({200, 200, 35.7, 50}, 640, 480), 194, 193, 48, 64));
    CHECK(is(idrn::window_for({200, 200, 35.8, 50}, 640, 480), 186, 185, 64, 80));
    CHECK(is(idrn::window_for({200, 200, 35.7, 50.1}, 640, 480), 186, 185, 64, 80));
    CHECK(is(idrn::window_for({200, 200, 50, 64.2}, 640, 480), 193, 192, 64, 80));
    CHECK(is(idrn::window_for({200, 200, 50.1, 64.2}, 640, 480), 189, 184, 72, 96));
    CHECK(is(idrn::window_for({200, 200, 50, 64.3}, 640, 480), 189, 184, 72, 96));
    CHECK(is(idrn::window_for({200, 200, 57.1, 78.5}, 640, 480), 193, 191, 72, 96));
    CHECK(is(idrn::window_for({200, 200, 57.2, 78.5}, 640, 480), 189, 187, 80, 104));
    CHECK(is(idrn::window_for({200, 200, 57.1, 78.6}, 640, 480), 189, 187, 80, 104));
    CHECK(is(idrn::window_for({200, 200, 64.2, 85.7}, 640, 480), 192, 191, 80, 104));
    CHECK(is(idrn::window_for({200, 200, 64.3, 85.7}, 640, 480), 188, 187, 88, 112));
    CHECK(is(idrn::window_for({200, 200, 64.2, 85.8}, 640, 480), 188, 187, 88, 112));
    CHECK(is(idrn::window_for({200, 200, 71.4, 92.8}, 640, 480), 192, 190, 88, 112));
    CHECK(is(idrn::window_for({200, 200, 71.5, 92.8}, 640, 480), 188, 182, 96, 128));
    CHECK(is(idrn::window_for({200, 200, 71.4, 92.9}, 640, 480), 188, 182, 96, 128));
    CHECK(is(idrn::window_for({200, 200, 78.5, 107.1}, 640, 480), 191, 190, 96, 128));
    CHECK(is(idrn::window_for({200, 200, 78.6, 107.1}, 640, 480), 175, 190, 128, 128));
    // Without its whole margin the largest shape takes a face up to the context, and none a larger one.
    CHECK(is(idrn::window_for({200, 200, 40, 120}, 640, 480), 156, 196, 128, 128));
    CHECK(is(idrn::window_for({200, 200, 120, 100}, 640, 480), 196, 186, 128, 128));
    CHECK(is(idrn::window_for({200, 200, 121, 100}, 640, 480), 0, 0, 0, 0));
    CHECK(is(idrn::window_for({200, 200, 100, 121}, 640, 480), 0, 0, 0, 0));
    // One that lies has the width of an upright window.
    CHECK(is(idrn::window_for({200, 200, 62, 20}, 640, 480), 191, 158, 80, 104));
    CHECK(is(idrn::window_for({1e300, -1e300, 20, 20}, 640, 480), 608, 0, 32, 32));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const idrn_box &box : {idrn_box{nan, 0, 1, 1}, {0, INFINITY, 1, 1}, {0, 0, 0, 1}, {0, 0, 1, -1}}) {
        try {
            idrn::window_for(box, 640, 480);
            CHECK(!"a box like this is refused");
        } catch (const idrn::Error &error) {
            CHECK(error.status == IDRN_ERROR_ARGUMENT);
        }
    }
}

void test_cut_mirrors_beyond_the_frame() {
    Picture frame(3, 2, IDRN_BGRX, 5);
    fill_with_noise(frame.bytes, 1);
    std::vector<uint8_t> rgb(8 * 9 * 3 + 1, uint8_t{171});
    idrn::cut(frame.image, {-4, -3, 8, 9}, rgb.data());
    constexpr uint32_t COLUMNS[] = {2, 2, 1, 0, 0, 1, 2, 2};  // -4 .. 3
    constexpr uint32_t ROWS[] = {1, 1, 0, 0, 1, 1, 0, 0, 1};  // -3 .. 5
    for (uint32_t y = 0; y < 9; ++y) {
        for (uint32_t x = 0; x < 8; ++x) {
            for (size_t c = 0; c < 3; ++c) {
                CHECK(rgb[(y * 8 + x) * 3 + c] == frame.at(COLUMNS[x], ROWS[y], c));
            }
        }
    }
    CHECK(rgb.back() == 171);
    idrn::cut(frame.image, {INT32_MAX, INT32_MIN, 8, 9}, rgb.data());
}

// Whichever side is longer, the pixels decide.
void test_paste_order() {
    const std::vector<idrn_window> windows = {{5, 0, 32, 32}, {0, 9, 48, 64}, {4, 0, 32, 32}, {0, 1, 48, 64},
                                              {5, 0, 32, 32}, {0, 0, 80, 32}, {9, 9, 32, 100}};
    std::vector<uint32_t> places;
    idrn::order_for_paste(windows, places);
    CHECK((places == std::vector<uint32_t>{6, 3, 1, 5, 2, 0, 4}));
}

// Those of one shape follow each other in their order; windows of as many pixels in another shape are not
// among them.
void test_order_by_shape() {
    const std::vector<idrn_window> windows = {{0, 0, 48, 64}, {0, 0, 32, 32}, {1, 0, 64, 48}, {2, 0, 48, 64},
                                              {3, 0, 32, 32}, {4, 0, 64, 48}, {5, 0, 16, 40}};
    std::vector<uint32_t> places;
    idrn::order_by_shape(windows, places);
    CHECK((places == std::vector<uint32_t>{6, 1, 4, 2, 5, 0, 3}));
}

void test_output_size() {
    const auto is = [](idrn::Size size, uint32_t width, uint32_t height) {
        return size.width == width && size.height == height;
    };
    CHECK(is(idrn::output_size({320, 240}, 4), 1280, 960));
    CHECK(is(idrn::output_size({640, 480}, 4), 1440, 1080));
    CHECK(is(idrn::output_size({1920, 400}, 4), 1920, 400));
    CHECK(is(idrn::output_size({1921, 1}, 4), 1921, 1));
    CHECK(is(idrn::output_size({1000, 1}, 2), 1920, 2));
}

// The mean of what is covered, and a flat picture stays flat at every size, with the stride's padding
// untouched.
void test_resize() {
    idrn::Resizer resizer;
    Picture four(4, 2);
    four.bytes = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110,
                  2, 12, 22, 32, 42, 52, 62, 72, 82, 92, 102, 112};
    four.image.pixels = four.bytes.data();
    Picture half(2, 1);
    resizer.resize(four.image, half.image);
    CHECK((half.bytes == std::vector<uint8_t>{16, 26, 36, 76, 86, 96}));
    for (const auto [width, height] :
         {idrn::Size{1, 1}, {7, 3}, {31, 90}, {64, 48}, {13, 100}, {32, 49}, {124, 192}}) {
        Picture flat(31, 48, IDRN_BGRX, 3), out(width, height, IDRN_BGRX, 7);
        std::fill(flat.bytes.begin(), flat.bytes.end(), uint8_t{77});
        std::fill(out.bytes.begin(), out.bytes.end(), uint8_t{1});
        resizer.resize(flat.image, out.image);
        for (size_t i = 0; i < out.bytes.size(); ++i) {
            const size_t x = i % out.image.stride_bytes;
            const int expected = x >= width * 4 ? 1 : x % 4 == 3 ? 255 : 77;
            CHECK(out.bytes[i] == expected);
        }
    }
}

// A frame that grows is within one level of what the exact weights give, at its corners and with the
// strongest edges there are; and so is one of a single pixel.
void test_grow() {
    idrn::Grower grower;
    idrn::RowMaker maker;
    idrn::Taps rows, columns;
    for (const auto [width, height] : {idrn::Size{1, 1}, {2, 3}, {31, 48}}) {
        for (const auto [wide, tall] : {idrn::Size{124, 192}, {33, 50}, {400, 97}}) {
            for (idrn_format format = IDRN_RGB; format <= IDRN_BGRX; ++format) {
                Picture frame(width, height, format, 2), out(wide, tall, format, 1);
                fill_with_noise(frame.bytes, wide);
                std::transform(frame.bytes.begin(), frame.bytes.end(), frame.bytes.begin(),
                               [](uint8_t level) { return level < 60    ? 0
                                                          : level > 190 ? 255
                                                                        : level; });
                idrn::make_taps(rows, height, tall, {0, tall}, 0, {0, height});
                idrn::make_taps(columns, width, wide, {0, wide}, 0, {0, width});
                grower.grow(frame.image, out.image, rows, columns);
                const size_t step = format >= IDRN_RGBX ? 4 : 3;
                std::vector<uint8_t> line(wide * step);
                for (uint32_t y = 0; y < tall; ++y) {
                    maker.make(frame.image.pixels, frame.image.stride_bytes, width, step, rows, y, columns,
                               line.data());
                    for (size_t x = 0; x < line.size(); ++x) {
                        CHECK(std::abs(line[x] - out.bytes[y * out.image.stride_bytes + x]) <= 1);
                    }
                }
            }
        }
    }
}

// Halves round up at a half, an odd pixel out counts twice, two taps have weights in parts of 256, and at
// their own scale pixels are not copied.
void test_shrink() {
    const std::vector<uint8_t> grey = {0, 0, 0, 3, 3, 3, 100, 100, 100, 200, 200, 200, 255, 255, 255};
    const auto shrunk = [&grey](const idrn::Part &columns) {
        idrn::Shrinker shrinker;
        const idrn::Pixels made = shrinker.shrink({grey.data(), 15}, {{0, 1}, 0, 1, {0, 1}}, columns);
        std::vector<int> levels;
        for (int64_t i = 0; i < columns.wanted.last - columns.wanted.first; ++i) {
            levels.push_back(made.first[i * 3 + 1]);
        }
        return levels;
    };
    CHECK((shrunk({{0, 5}, 1, 1, {0, 3}}) == std::vector<int>{2, 150, 255}));
    CHECK((shrunk({{1, 5}, 0, 0.75, {0, 3}}) == std::vector<int>{19, 150, 246}));
    CHECK((shrunk({{1, 5}, 0, 0.75, {1, 2}}) == std::vector<int>{150}));
    idrn::Shrinker shrinker;
    const idrn::Part two = {{2, 5}, 0, 1, {1, 3}};
    CHECK(shrinker.shrink({grey.data(), 15}, {{0, 1}, 0, 1, {0, 1}}, two).first == grey.data() + 9);
}

// Reading starts where an output's edge is a pixel's: outputs are 1.6 pixels, so output 25 in front of 27.
// Without such an edge there is no part, nor where the axis grows or the outputs reach too far.
void test_parts_of_an_axis() {
    const auto part = idrn::make_part(640, 400, {27, 30}, 32, {0, 64});
    CHECK(part && part->read.first == 8 && part->read.last == 17 && part->halvings == 0);
    CHECK(part->factor == 0.625 && part->wanted.first == 2 && part->wanted.last == 5);
    const auto quarter = idrn::make_part(640, 150, {15, 30}, 32, {0, 128});
    CHECK(quarter && quarter->halvings == 2 && quarter->factor == 0.9375);
    CHECK(!idrn::make_part(1000, 999, {500, 520}, 499, {0, 40}));
    CHECK(!idrn::make_part(100, 101, {0, 101}, 0, {0, 100}));
    CHECK(!idrn::make_part(100, 50, {0, 50}, 0, {0, 99}));
    CHECK(!idrn::make_part(100, 50, {0, 50}, 0, {1, 100}));
}

// A plan is found again by its key, and not in a folder that others can write to.
void test_plan_cache() {
    const fs::path cache = fs::temp_directory_path() / ("idrn-test-cache-" + std::to_string(getpid()));
    CHECK(setenv("XDG_CACHE_HOME", cache.c_str(), 1) == 0);
    const std::string plan("\0plan\n", 6);
    CHECK(idrn::read_plan("a").empty());
    idrn::keep_plan("a", plan);
    CHECK(idrn::read_plan("a") == plan && idrn::read_plan("b").empty());
    idrn::keep_plan("a", "newer");
    CHECK(idrn::read_plan("a") == "newer");
    const fs::path folder = cache / "idrn_trt" / "native-plans";
    CHECK(std::distance(fs::directory_iterator(folder), {}) == 1);
    fs::permissions(folder, fs::perms::group_write, fs::perm_options::add);
    CHECK(idrn::read_plan("a").empty());
    fs::remove_all(cache);
}

}  // namespace

int main() {
    test_sha256();
    test_manifest();
    test_windows();
    test_cut_mirrors_beyond_the_frame();
    test_paste_order();
    test_order_by_shape();
    test_output_size();
    test_resize();
    test_grow();
    test_shrink();
    test_parts_of_an_axis();
    test_plan_cache();
}
