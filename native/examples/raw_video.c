/* Raw video through libidrn: packed RGB frames on standard input, upscaled ones on standard output.
 *
 *   raw_video MODEL_FOLDER WIDTH HEIGHT BOXES_FILE < frames.rgb > upscaled.rgb
 *
 * With ffmpeg at both ends, for a clip of 320x240 (the result is 1280x960 with a model of scale 4):
 *
 *   ffmpeg -i clip.mkv -f rawvideo -pix_fmt rgb24 - \
 *     | raw_video models/idrn-d8-w64-x4-real 320 240 boxes.txt \
 *     | ffmpeg -f rawvideo -pix_fmt rgb24 -s 1280x960 -r 25 -i - clear.mkv
 */
#include <idrn.h>
#include <stdio.h>
#include <stdlib.h>

#include "boxes.h"

/* Returns whether every frame was read, upscaled and written; says what went wrong. */
static int upscale_all(idrn_engine *engine, idrn_image *frame, idrn_image *out, box_reader *reader) {
    static idrn_box boxes[IDRN_MAX_FACES];
    const size_t frame_bytes = frame->stride_bytes * frame->height_px;
    const size_t out_bytes = out->stride_bytes * out->height_px;
    unsigned long number = 0;
    size_t got;

    while ((got = fread(frame->pixels, 1, frame_bytes, stdin)) == frame_bytes) {
        const uint32_t count = boxes_of_frame(reader, number++, boxes);
        if (idrn_upscale(engine, frame, boxes, count, IDRN_BACKGROUND_RESIZE, out) != IDRN_OK) {
            fprintf(stderr, "%s\n", idrn_last_error());
            return 0;
        }
        if (fwrite(out->pixels, 1, out_bytes, stdout) != out_bytes) {
            fprintf(stderr, "standard output cannot be written\n");
            return 0;
        }
    }
    if (got > 0) {
        fprintf(stderr, "standard input ends within frame %lu\n", number);
    }
    return got == 0;
}

/* Gives an image memory; its size is set. */
static int allocate(idrn_image *image) {
    image->stride_bytes = (size_t)image->width_px * 3;
    image->pixels = malloc(image->stride_bytes * image->height_px);
    return image->pixels != NULL;
}

int main(int argc, char **argv) {
    idrn_image frame = {NULL, 0, 0, 0, IDRN_RGB}, out = {NULL, 0, 0, 0, IDRN_RGB};
    idrn_engine *engine = NULL;
    box_reader reader;
    int done = 0;

    if (argc != 5 || !open_boxes(&reader, argv[4])) {
        fprintf(stderr,
                "usage: raw_video MODEL_FOLDER WIDTH HEIGHT BOXES_FILE < frames.rgb > upscaled.rgb\n");
        return 2;
    }
    frame.width_px = (uint32_t)strtoul(argv[2], NULL, 10);
    frame.height_px = (uint32_t)strtoul(argv[3], NULL, 10);
    if (idrn_open(argv[1], NULL, &engine) != IDRN_OK ||
        idrn_output_size(engine, frame.width_px, frame.height_px, &out.width_px, &out.height_px) != IDRN_OK) {
        fprintf(stderr, "%s\n", idrn_last_error());
    } else if (!allocate(&frame) || !allocate(&out)) {
        fprintf(stderr, "out of memory\n");
    } else {
        done = upscale_all(engine, &frame, &out, &reader);
    }
    free(frame.pixels);
    free(out.pixels);
    fclose(reader.file);
    idrn_close(engine);
    return done ? 0 : 1;
}
