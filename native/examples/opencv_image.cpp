// One photograph: faces by OpenCV's cascade, result by libidrn.
//
//   opencv_image MODEL_FOLDER CASCADE.xml photo.jpg clear.png

#include <cstdio>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/objdetect.hpp>

#include "idrn.hpp"

namespace {

idrn_image view(cv::Mat &bgr) {
    return {bgr.data, static_cast<uint32_t>(bgr.cols), static_cast<uint32_t>(bgr.rows), bgr.step, IDRN_BGR};
}

std::vector<idrn_box> find_faces(const cv::Mat &bgr, const std::string &cascade_file) {
    cv::CascadeClassifier cascade(cascade_file);
    if (cascade.empty()) {
        throw std::runtime_error(cascade_file + " is no cascade");
    }
    cv::Mat grey;
    cv::cvtColor(bgr, grey, cv::COLOR_BGR2GRAY);
    std::vector<cv::Rect> found;
    cascade.detectMultiScale(grey, found);
    std::vector<idrn_box> boxes;
    for (const cv::Rect &square : found) {
        // The cascade marks a square; the face goes from above it to below it and leaves some of its sides.
        const double side = square.width;
        boxes.push_back({square.x + 0.084 * side, square.y - 0.069 * side, 0.841 * side, 1.145 * side});
    }
    return boxes;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: opencv_image MODEL_FOLDER CASCADE.xml PHOTO RESULT\n");
        return 2;
    }
    try {
        cv::Mat photo = cv::imread(argv[3], cv::IMREAD_COLOR);
        if (photo.empty()) {
            throw std::runtime_error(std::string(argv[3]) + " is no picture");
        }
        idrn::OpenEngine engine(argv[1]);
        const int scale = static_cast<int>(engine.info().scale);
        cv::Mat clear(photo.rows * scale, photo.cols * scale, CV_8UC3);
        const std::vector<idrn_box> boxes = find_faces(photo, argv[2]);
        engine.upscale(view(photo), boxes, view(clear));
        std::printf("%zu faces\n", boxes.size());
        return cv::imwrite(argv[4], clear) ? 0 : 1;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
