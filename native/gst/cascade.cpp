#include "cascade.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>
#include <vector>

struct idrn_cascade {
    cv::CascadeClassifier classifier;
    // Kept from frame to frame.
    cv::Mat grey;
    std::vector<cv::Rect> found;
};

namespace {

// As idrn_trt/faces finds faces with its cascade.
constexpr double SCALE_STEP = 1.1;
constexpr int MIN_NEIGHBOURS = 3;
// The face in a square that the cascade finds, from hairline to chin and from ear to ear, in sides of the square.
constexpr idrn_box FACE = {0.084, -0.069, 0.841, 1.145};

int conversion(idrn_format format) {
    switch (format) {
    case IDRN_RGB: return cv::COLOR_RGB2GRAY;
    case IDRN_BGR: return cv::COLOR_BGR2GRAY;
    case IDRN_RGBX: return cv::COLOR_RGBA2GRAY;
    default: return cv::COLOR_BGRA2GRAY;
    }
}

}  // namespace

idrn_cascade *idrn_cascade_open(const char *file) {
    try {
        auto cascade = std::make_unique<idrn_cascade>();
        return cascade->classifier.load(file) ? cascade.release() : nullptr;
    } catch (const std::exception &) {
        return nullptr;
    }
}

void idrn_cascade_close(idrn_cascade *cascade) {
    delete cascade;
}

int idrn_cascade_find(idrn_cascade *cascade, const idrn_image *frame, unsigned min_face_px, idrn_box *boxes) {
    try {
        const int type = frame->format >= IDRN_RGBX ? CV_8UC4 : CV_8UC3;
        const cv::Mat picture(static_cast<int>(frame->height_px), static_cast<int>(frame->width_px), type,
                              frame->pixels, frame->stride_bytes);
        // A face is higher than the square it is found by.
        const int least = static_cast<int>(min_face_px / FACE.h_px);
        cv::cvtColor(picture, cascade->grey, conversion(frame->format));
        cascade->classifier.detectMultiScale(cascade->grey, cascade->found, SCALE_STEP, MIN_NEIGHBOURS, 0,
                                             cv::Size(least, least));
        const size_t count = std::min<size_t>(cascade->found.size(), IDRN_MAX_FACES);
        std::transform(
            cascade->found.begin(), cascade->found.begin() + static_cast<ptrdiff_t>(count), boxes,
            [](const cv::Rect &square) {
                const double side = square.width;
                return idrn_box{square.x + FACE.x_px * side, square.y + FACE.y_px * side, FACE.w_px * side,
                                FACE.h_px * side};
            });
        return static_cast<int>(count);
    } catch (const std::exception &) {
        return -1;
    }
}
