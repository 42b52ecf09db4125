// After the first calls libidrn allocates nothing: every operator new and malloc of the process is counted by
// which library asked for it.

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "check.h"
#include "idrn.h"
#include "pictures.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int> ours{0};
std::atomic<int> others{0};

void count(const void *caller) {
    if (!counting) {
        return;
    }
    Dl_info info{};
    const bool known = dladdr(caller, &info) != 0 && info.dli_fname != nullptr;
    const bool mine = known && std::strstr(info.dli_fname, "libidrn") != nullptr;
    ++(mine ? ours : others);
}

}  // namespace

// Not inlined, or the compiler sees memory of new go to free.
__attribute__((noinline)) void *operator new(size_t size) {
    count(__builtin_return_address(0));
    if (void *memory = std::malloc(size)) {
        return memory;
    }
    throw std::bad_alloc();
}

__attribute__((noinline)) void operator delete(void *memory) noexcept {
    std::free(memory);
}

__attribute__((noinline)) void operator delete(void *memory, size_t) noexcept {
    std::free(memory);
}

int main() {
    idrn_options options = idrn_options_default();
    options.threads = 1;
    idrn_engine *engine = nullptr;
    CHECK(idrn_open(IDRN_TEST_MODEL, &options, &engine) == IDRN_OK);
    Picture frame(160, 120), at_model_scale(640, 480), at_another(400, 300);
    fill_with_noise(frame.bytes, 2);
    std::vector<idrn_image> windows, results;
    std::vector<std::unique_ptr<Picture>> kept;
    for (int i = 0; i < 3; ++i) {
        kept.push_back(std::make_unique<Picture>(32, 32));
        windows.push_back(kept.back()->image);
        kept.push_back(std::make_unique<Picture>(128, 128));
        results.push_back(kept.back()->image);
    }
    const idrn_box boxes[] = {{10, 10, 20, 20}, {60, 60, 19, 30}, {100, 30, 16, 16}};
    const idrn_window places[] = {{5, 5, 32, 32}, {50, 50, 40, 48}, {90, 40, 32, 32}};
    Picture upright(160, 192);
    const idrn_image crops[] = {results[0], upright.image, results[2]};
    const auto call_all = [&] {
        CHECK(idrn_run(engine, windows.data(), 3, results.data()) == IDRN_OK);
        CHECK(idrn_crops(engine, &frame.image, places, 3, crops) == IDRN_OK);
        CHECK(idrn_upscale(engine, &frame.image, boxes, 3, IDRN_BACKGROUND_RESIZE, &at_another.image) ==
              IDRN_OK);
        CHECK(idrn_upscale(engine, &frame.image, boxes, 3, IDRN_BACKGROUND_KEEP, &at_model_scale.image) ==
              IDRN_OK);
    };
    call_all();
    call_all();
    counting = true;
    call_all();
    counting = false;
    std::printf("allocations: %d of libidrn, %d of others\n", ours.load(), others.load());
    CHECK(ours == 0);
    CHECK(others > 0);  // OpenVINO makes some: the counting works
    idrn_close(engine);
}
