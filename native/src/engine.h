// One opened model: batches of any size in pieces that graphs of static shape compute.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend.h"
#include "idrn.h"
#include "paste.h"
#include "resize.h"

namespace idrn {

// Where the windows of a batch come from and where the results go, by their places in it.
class Batch {
public:
    virtual void read(uint32_t place, uint8_t *rgb) const = 0;
    virtual void write(uint32_t place, const uint8_t *rgb) const = 0;

protected:
    ~Batch() = default;
};

// Calls wait for each other.
class Engine {
public:
    // Throws Error.
    Engine(const std::string &model_folder, const idrn_options &options);

    const idrn_info &info() const { return info_; }

    void run(const idrn_image *windows, uint32_t count, const idrn_image *results);
    void crops(const idrn_image &frame, const idrn_window *windows, uint32_t count,
               const idrn_image *results);
    void upscale(const idrn_image &frame, const idrn_box *boxes, uint32_t count, idrn_background background,
                 const idrn_image &out);
    // Waits for a call in progress.
    void finish() { const std::lock_guard<std::mutex> lock(mutex_); }

private:
    void compute(const Batch &batch, uint32_t count, Size window);
    void compute_by_shape(const Batch &batch);
    void lay_out_pictures();
    void check_sane();
    Graph &graph(const Shape &shape);

    idrn_info info_{};
    std::unique_ptr<Network> network_;
    std::vector<std::unique_ptr<Graph>> graphs_;  // the one used last at the end
    std::mutex mutex_;
    // Kept from call to call, so that a call allocates nothing.
    std::vector<idrn_window> windows_;
    std::vector<uint32_t> places_;
    std::vector<uint8_t> bytes_;
    std::vector<idrn_image> pictures_;  // in bytes_
    Paster paster_;
    Resizer resizer_;
};

}  // namespace idrn
