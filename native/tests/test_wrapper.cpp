// The C++ wrapper: results, exceptions, and an engine that moves.

#include <string>
#include <utility>

#include "check.h"
#include "idrn.hpp"
#include "pictures.h"

int main() {
    idrn::OpenEngine opened(IDRN_TEST_MODEL);
    idrn::OpenEngine engine = std::move(opened);
    CHECK(engine.info().scale == 4);
    Picture window(32, 32), result(128, 128), frame(64, 64), out(256, 256), crop(128, 128);
    fill_with_noise(window.bytes, 5);
    engine.run({window.image}, {result.image});
    engine.crops(window.image, {{0, 0, 32, 32}}, {crop.image});
    CHECK(crop.bytes == result.bytes);
    engine.upscale(frame.image, {{20, 20, 20, 20}}, out.image);
    try {
        engine.run({window.image}, {window.image});
        CHECK(!"a result of the wrong size is refused");
    } catch (const idrn::Failure &failure) {
        CHECK(failure.status == IDRN_ERROR_ARGUMENT && std::string(failure.what()) == idrn_last_error());
    }
    try {
        engine.run({window.image}, {});
        CHECK(!"a missing result is refused");
    } catch (const std::invalid_argument &) {
    }
    try {
        idrn::OpenEngine nothing("/nowhere");
        CHECK(!"a missing folder is refused");
    } catch (const idrn::Failure &failure) {
        CHECK(failure.status == IDRN_ERROR_MODEL);
    }
}
