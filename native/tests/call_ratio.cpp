// What a call of the library costs over OpenVINO's own, on the same graph, in turns and with one thread.
// Times are the process's processor time, which other programs on the machine disturb least.
//
//   call_ratio MODEL_FOLDER [COUNT [SIDE [ROUNDS]]]
//
// Writes medians as JSON; the ratio's is that of each round's own two calls.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "backend.h"
#include "idrn.hpp"
#include "model_folder.h"
#include "pictures.h"

namespace {

template <typename Call>
double milliseconds(const Call &call) {
    const std::clock_t start = std::clock();
    call();
    return 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

// The value that so many per cent of the others stay below.
double percentile(std::vector<double> values, size_t share) {
    const auto place = values.begin() + static_cast<ptrdiff_t>((values.size() - 1) * share / 100);
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

}  // namespace

int main(int argc, char **argv) {
    const auto number = [&](int place, int otherwise) {
        return static_cast<uint32_t>(argc > place ? std::atoi(argv[place]) : otherwise);
    };
    if (argc < 2) {
        std::fprintf(stderr, "usage: call_ratio MODEL_FOLDER [COUNT [SIDE [ROUNDS]]]\n");
        return 2;
    }
    const uint32_t count = number(2, 1), side = number(3, 32), rounds = number(4, 500);
    idrn_options options = idrn_options_default();
    options.threads = 1;
    options.precision = IDRN_PRECISION_INT8;
    idrn::OpenEngine engine(argv[1], options);
    const idrn::ModelFolder folder(argv[1]);
    const uint32_t scale = folder.manifest().scale;
    const auto network = idrn::open_openvino({"bare", folder.read("int8-cpu"), scale}, options.precision, 1);
    const auto graph = network->compile({count, side, side});

    std::vector<std::unique_ptr<Picture>> kept;
    std::vector<idrn_image> windows, results;
    for (uint32_t i = 0; i < count; ++i) {
        kept.push_back(std::make_unique<Picture>(side, side));
        windows.push_back(kept.back()->image);
        kept.push_back(std::make_unique<Picture>(scale * side, scale * side));
        results.push_back(kept.back()->image);
    }
    std::vector<double> bare, ours, ratios;
    for (uint32_t i = 0; i < rounds + 20; ++i) {
        const double of_openvino = milliseconds([&] { graph->infer(); });
        const double of_library = milliseconds([&] { engine.run(windows, results); });
        if (i >= 20) {
            bare.push_back(of_openvino);
            ours.push_back(of_library);
            ratios.push_back(of_library / of_openvino);
        }
    }
    std::printf(
        "{\"windows\": %u, \"window_px\": %u, \"openvino_ms\": %.4f, \"idrn_run_ms\": %.4f, "
        "\"ratio\": %.4f, \"ratio_p10\": %.4f, \"ratio_p90\": %.4f, \"rounds\": %u}\n",
        count, side, percentile(bare, 50), percentile(ours, 50), percentile(ratios, 50),
        percentile(ratios, 10), percentile(ratios, 90), rounds);
}
