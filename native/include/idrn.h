/* libidrn: faces made clear by the IDRN networks, from C. The whole interface is this file.
 *
 *   #include <idrn.h>
 *   #include <stdio.h>
 *
 *   int main(int argc, char **argv) {
 *       static uint8_t small[32 * 32 * 3], large[128 * 128 * 3];
 *       idrn_image in = {small, 32, 32, 32 * 3, IDRN_RGB};
 *       idrn_image out = {large, 128, 128, 128 * 3, IDRN_RGB};
 *       idrn_options options = idrn_options_default();
 *       idrn_engine *engine = NULL;
 *       idrn_status status;
 *       if (argc != 2) return 2;
 *       status = idrn_open(argv[1], &options, &engine);
 *       if (status == IDRN_OK) status = idrn_run(engine, &in, 1, &out);
 *       if (status != IDRN_OK) fprintf(stderr, "%s\n", idrn_last_error());
 *       idrn_close(engine);
 *       return status == IDRN_OK ? 0 : 1;
 *   }
 *
 * Threads: any thread may call anything; calls on one engine wait for each other, and idrn_close must be
 * the last of them.
 *
 * A call that fails changes nothing but idrn_last_error() and, for those that compute, the contents of
 * the images it was to fill. No exception leaves the library, and it never ends the process.
 */
#ifndef IDRN_H
#define IDRN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(IDRN_BUILDING)
#define IDRN_API __attribute__((visibility("default")))
#else
#define IDRN_API
#endif

/* Raised when a program built against an older header can no longer use the library. */
#define IDRN_ABI_VERSION 2u

/* The most faces of one idrn_upscale and the most windows of one idrn_crops or idrn_run. */
#define IDRN_MAX_FACES 256u

/* The largest width and height of a frame, and of a window. */
#define IDRN_MAX_FRAME_PX 16384u
#define IDRN_MAX_WINDOW_PX 256u

/* An opened model. */
typedef struct idrn_engine idrn_engine;

typedef enum idrn_status {
    IDRN_OK = 0,
    IDRN_ERROR_ARGUMENT = 1, /* a null pointer, a size, a stride, a box or an option */
    IDRN_ERROR_MODEL = 2,    /* the model folder: missing, altered, of another version, or unfit */
    IDRN_ERROR_DEVICE = 3,   /* the inference library failed */
    IDRN_ERROR_MEMORY = 4    /* out of memory */
} idrn_status;

typedef uint32_t idrn_format;
enum {
    IDRN_RGB = 0,
    IDRN_BGR = 1,
    IDRN_RGBX = 2, /* the fourth byte is not read, and written as 255 */
    IDRN_BGRX = 3
};

typedef uint32_t idrn_precision;
enum {
    IDRN_PRECISION_AUTO = 0, /* the first that the model has a file for: OpenVINO int8, fp32; TensorRT fp16,
                                int8, fp32 */
    IDRN_PRECISION_FP32 = 1,
    IDRN_PRECISION_BF16 = 2, /* OpenVINO; needs a processor that multiplies in bfloat16 */
    IDRN_PRECISION_INT8 = 3,
    IDRN_PRECISION_FP16 = 4 /* TensorRT */
};

/* What computes. */
typedef uint32_t idrn_backend;
enum {
    IDRN_BACKEND_OPENVINO = 0, /* on the processor */
    IDRN_BACKEND_TENSORRT = 1  /* on an NVIDIA GPU, where TensorRT was found when the library was built. Never
                                  run by this project. The GPU is the one that is current for the calling
                                  thread, the same in all calls on an engine; threads has no meaning. */
};

/* Start from idrn_options_default(), which fills in every member. */
typedef struct idrn_options {
    uint32_t struct_size; /* sizeof(idrn_options) in the caller's program */
    uint32_t threads;     /* for the computation; 0: every processor */
    idrn_precision precision;
    idrn_backend backend;
} idrn_options;

/* 8-bit pixels in the caller's memory, rows from the top. Images that are read are never written. */
typedef struct idrn_image {
    uint8_t *pixels;
    uint32_t width_px;
    uint32_t height_px;
    size_t stride_bytes; /* from one row to the next: at least width_px times 3 or 4 */
    idrn_format format;
} idrn_image;

/* A face's rectangle in the frame's pixels. It may reach over the frame's edge; it must be finite and have a
 * size. */
typedef struct idrn_box {
    double x_px;
    double y_px;
    double w_px;
    double h_px;
} idrn_box;

/* The rectangle of frame pixels that the network sees of a face. In a frame narrower or lower than it, x_px
 * or y_px is negative and what is missing is mirrored. idrn_window_for takes the first with room for the face
 * of 32x32, 40x48, 48x64, 64x80, 72x96, 80x104, 88x112, 96x128 and 128x128 (width and height). */
typedef struct idrn_window {
    int32_t x_px;
    int32_t y_px;
    uint32_t width_px; /* both 0 for a face too large to be a low-resolution one */
    uint32_t height_px;
} idrn_window;

typedef struct idrn_info {
    uint32_t struct_size; /* sizeof(idrn_info) in the caller's program, set before the call */
    uint32_t scale;       /* 2, 3 or 4 */
    idrn_precision precision;
    char model[65];        /* the model's name */
    char model_sha256[65]; /* of the file in use, lower-case hexadecimal */
} idrn_info;

/* What idrn_upscale finds in `out`. */
typedef uint32_t idrn_background;
enum {
    IDRN_BACKGROUND_RESIZE = 0, /* anything: the frame is resized into it first, bicubic where it grows and
                                   the mean of what is covered where it shrinks */
    IDRN_BACKGROUND_KEEP = 1    /* the caller's own background: only the faces are put in */
};

/* IDRN_ABI_VERSION of the library in use. */
IDRN_API uint32_t idrn_abi_version(void);

/* What went wrong in this thread's last failed call, in English; "" before the first. Valid until this
 * thread's next call that fails. */
IDRN_API const char *idrn_last_error(void);

IDRN_API idrn_options idrn_options_default(void);

/* Opens a model folder: its manifest and the file in use are checked against each other. Blocks for about a
 * second; with TensorRT for minutes the first time. `options` may be null. On failure *engine is null. */
IDRN_API idrn_status idrn_open(const char *model_folder, const idrn_options *options, idrn_engine **engine);

/* Waits for the call in progress and frees everything. Null is allowed. */
IDRN_API void idrn_close(idrn_engine *engine);

/* What was opened. */
IDRN_API idrn_status idrn_get_info(const idrn_engine *engine, idrn_info *info);

/* The network alone: results[i] becomes windows[i], `scale` times larger. All windows of a call have one
 * size, of 8 to IDRN_MAX_WINDOW_PX pixels a side; formats and strides are each image's own. No result may
 * overlap a window. The network is compiled for a size and for 1, 2, 4 or 8 windows at once when it is
 * first needed, which takes about a second each; after that a call allocates nothing but what OpenVINO itself
 * does. */
IDRN_API idrn_status idrn_run(idrn_engine *engine, const idrn_image *windows, uint32_t count,
                              const idrn_image *results);

/* The window of a face in a frame of that size. */
IDRN_API idrn_status idrn_window_for(const idrn_box *box, uint32_t frame_width_px, uint32_t frame_height_px,
                                     idrn_window *window);

/* Cuts windows out of the frame and runs the network on them: results[i] is scale times windows[i].width_px
 * wide and scale times its height_px high. The windows may lie anywhere and have sides of 8 to
 * IDRN_MAX_WINDOW_PX pixels; those of one size are computed together. No result may overlap the frame. */
IDRN_API idrn_status idrn_crops(idrn_engine *engine, const idrn_image *frame, const idrn_window *windows,
                                uint32_t count, const idrn_image *results);

/* The usual size of an upscaled frame: `scale` times the frame's where that stays within 1920x1080, else the
 * largest within it of the same shape; and never smaller than the frame. */
IDRN_API idrn_status idrn_output_size(const idrn_engine *engine, uint32_t frame_width_px,
                                      uint32_t frame_height_px, uint32_t *width_px, uint32_t *height_px);

/* The frame at the size of `out`, with every face that has a window made by the network and faded into the
 * background. Both images have one format and do not overlap. boxes may be null when count is 0. */
IDRN_API idrn_status idrn_upscale(idrn_engine *engine, const idrn_image *frame, const idrn_box *boxes,
                                  uint32_t count, idrn_background background, const idrn_image *out);

#ifdef __cplusplus
}
#endif

#endif
