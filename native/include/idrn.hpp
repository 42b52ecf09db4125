// idrn.h for C++17: an engine that closes itself, and statuses as exceptions. Header only.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "idrn.h"

namespace idrn {

class Failure : public std::runtime_error {
public:
    Failure(idrn_status kind, const char *text) : std::runtime_error(text), status(kind) {}

    const idrn_status status;
};

inline void check(idrn_status status) {
    if (status != IDRN_OK) {
        throw Failure(status, idrn_last_error());
    }
}

// Every function throws Failure; the rest is as idrn.h says. An Engine that was moved from may only be
// assigned to or destroyed.
class OpenEngine {
public:
    explicit OpenEngine(const std::string &model_folder,
                        const idrn_options &options = idrn_options_default()) {
        idrn_engine *opened = nullptr;
        check(idrn_open(model_folder.c_str(), &options, &opened));
        engine_.reset(opened);
    }

    idrn_info info() const {
        idrn_info info{};
        info.struct_size = sizeof(info);
        check(idrn_get_info(engine_.get(), &info));
        return info;
    }

    void run(const std::vector<idrn_image> &windows, const std::vector<idrn_image> &results) {
        check_same(windows.size(), results.size());
        check(idrn_run(engine_.get(), windows.data(), static_cast<uint32_t>(windows.size()), results.data()));
    }

    void crops(const idrn_image &frame, const std::vector<idrn_window> &windows,
               const std::vector<idrn_image> &results) {
        check_same(windows.size(), results.size());
        check(idrn_crops(engine_.get(), &frame, windows.data(), static_cast<uint32_t>(windows.size()),
                         results.data()));
    }

    void upscale(const idrn_image &frame, const std::vector<idrn_box> &boxes, const idrn_image &out,
                 idrn_background background = IDRN_BACKGROUND_RESIZE) {
        check(idrn_upscale(engine_.get(), &frame, boxes.data(), static_cast<uint32_t>(boxes.size()),
                           background, &out));
    }

    idrn_engine *get() const { return engine_.get(); }

private:
    struct Close {
        void operator()(idrn_engine *engine) const { idrn_close(engine); }
    };

    static void check_same(size_t windows, size_t results) {
        if (windows != results) {
            throw std::invalid_argument("as many results as windows are needed");
        }
    }

    std::unique_ptr<idrn_engine, Close> engine_;
};

}  // namespace idrn
