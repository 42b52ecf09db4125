// Calls the library many times and says how the process's resident memory went.
//
//   memory_flat MODEL_FOLDER CALLS
//
// Exits with 1 when it grew by more than 1 MiB over the last nine tenths of the calls.

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "idrn.hpp"
#include "pictures.h"

namespace {

long resident_kib() {
    std::ifstream status("/proc/self/statm");
    long pages = 0, resident = 0;
    status >> pages >> resident;
    return resident * 4;
}

}  // namespace

int main(int argc, char **argv) {
    const int calls = argc == 3 ? std::atoi(argv[2]) : 0;
    if (calls < 10) {
        std::fprintf(stderr, "usage: memory_flat MODEL_FOLDER CALLS (10 or more)\n");
        return 2;
    }
    idrn_options options = idrn_options_default();
    options.threads = 1;
    idrn::OpenEngine engine(argv[1], options);
    Picture window(32, 32), result(128, 128), frame(80, 60), out(200, 150);
    fill_with_noise(frame.bytes, 1);
    long before = 0;
    for (int i = 0; i < calls; ++i) {
        engine.run({window.image}, {result.image});
        engine.upscale(frame.image, {{20, 20, 20, 20}}, out.image);
        if (i == calls / 10) {
            before = resident_kib();
        }
    }
    const long after = resident_kib();
    std::printf("%d calls: resident %ld KiB after a tenth of them, %ld KiB at the end\n", calls, before,
                after);
    return after - before > 1024 ? 1 : 0;
}
