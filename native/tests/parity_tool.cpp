// What tests/native compares Python with: a stream of requests on standard input, answered on standard
// output.
//
//   parity_tool MODEL_FOLDER PRECISION
//
// A request is a letter and whole numbers in text, a line, then pixels as packed RGB:
//   r COUNT WIDTH HEIGHT           windows                     -> results
//   u WIDTH HEIGHT W H COUNT KEEP  boxes (doubles), frame, and the background W x H when KEEP is 1  -> frame

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "idrn.hpp"

namespace {

std::vector<uint8_t> read(size_t size) {
    std::vector<uint8_t> bytes(size);
    if (std::fread(bytes.data(), 1, size, stdin) != size) {
        throw std::runtime_error("standard input ends within a request");
    }
    return bytes;
}

void write(const std::vector<uint8_t> &bytes) {
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    std::fflush(stdout);
}

std::vector<idrn_image> images(std::vector<uint8_t> &bytes, uint32_t width, uint32_t height) {
    std::vector<idrn_image> views;
    const size_t size = size_t{width} * height * 3;
    for (size_t at = 0; at < bytes.size(); at += size) {
        views.push_back({bytes.data() + at, width, height, size_t{width} * 3, IDRN_RGB});
    }
    return views;
}

void run(idrn::OpenEngine &engine) {
    unsigned count = 0, width = 0, height = 0;
    if (std::scanf("%u %u %u", &count, &width, &height) != 3 || std::getchar() != '\n') {
        throw std::runtime_error("not a request");
    }
    const uint32_t scale = engine.info().scale;
    std::vector<uint8_t> lr = read(size_t{count} * width * height * 3);
    std::vector<uint8_t> sr(lr.size() * scale * scale);
    engine.run(images(lr, width, height), images(sr, width * scale, height * scale));
    write(sr);
}

void upscale(idrn::OpenEngine &engine) {
    unsigned width = 0, height = 0, out_width = 0, out_height = 0, count = 0, keep = 0;
    if (std::scanf("%u %u %u %u %u %u", &width, &height, &out_width, &out_height, &count, &keep) != 6) {
        throw std::runtime_error("not a request");
    }
    std::vector<idrn_box> boxes(count);
    for (idrn_box &box : boxes) {
        if (std::scanf("%lf %lf %lf %lf", &box.x_px, &box.y_px, &box.w_px, &box.h_px) != 4) {
            throw std::runtime_error("not a box");
        }
    }
    std::getchar();
    std::vector<uint8_t> frame = read(size_t{width} * height * 3);
    const size_t size = size_t{out_width} * out_height * 3;
    std::vector<uint8_t> out = keep ? read(size) : std::vector<uint8_t>(size);
    engine.upscale(images(frame, width, height)[0], boxes, images(out, out_width, out_height)[0],
                   keep ? IDRN_BACKGROUND_KEEP : IDRN_BACKGROUND_RESIZE);
    write(out);
}

}  // namespace

int main(int argc, char **argv) {
    try {
        if (argc != 3) {
            throw std::runtime_error("usage: parity_tool MODEL_FOLDER PRECISION");
        }
        idrn_options options = idrn_options_default();
        options.precision = static_cast<idrn_precision>(std::atoi(argv[2]));
        options.threads = 1;
        idrn::OpenEngine engine(argv[1], options);
        for (int letter = std::getchar(); letter != EOF; letter = std::getchar()) {
            letter == 'r' ? run(engine) : upscale(engine);
        }
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
