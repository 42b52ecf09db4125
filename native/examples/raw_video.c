/* Raw video through libidrn: packed RGB frames on standard input, upscaled ones on standard output.
 *
 *   raw_video MODEL_FOLDER WIDTH HEIGHT BOXES_FILE < frames.rgb > upscaled.rgb
 *
 * With ffmpeg at both ends, for a clip of 320x240 (the result is 1280x960 with a model of scale 4):
 *
 *   ffmpeg -i clip.mkv -f rawvideo -pix_fmt rgb24 - | raw_video models/idrn-d8-w64-x4-real 320 240 boxes.txt
 * \ | ffmpeg -f rawvideo -pix_fmt rgb24 -s 1280x960 -r 25 -i - clear.mkv
 */
#include <idrn.h>
#include <stdio.h>
#include <stdlib.h>

#include "boxes.h"

static idrn_status upscale_all(idrn_engine *engine, idrn_image *frame, idrn_image *out, box_reader *reader) {
    static idrn_box boxes[IDRN_MAX_FACES];
    const size_t frame_bytes = frame->stride_bytes * frame->height_px;
    const size_t out_bytes = out->stride_bytes * out->height_px;
    idrn_status status = IDRN_OK;
    unsigned long number;

    for (number = 0; status == IDRN_OK && fread(frame->pixels, 1, frame_bytes, stdin) == frame_bytes;
         ++number) {
        const uint32_t count = boxes_of_frame(reader, number, boxes);
        status = idrn_upscale(engine, frame, boxes, count, IDRN_BACKGROUND_RESIZE, out);
        if (status == IDRN_OK && fwrite(out->pixels, 1, out_bytes, stdout) != out_bytes) {
            fprintf(stderr, "standard output cannot be written\n");
            return IDRN_ERROR_DEVICE;
        }
    }
    return status;
}

int main(int argc, char **argv) {
    idrn_image frame = {NULL, 0, 0, 0, IDRN_RGB}, out = {NULL, 0, 0, 0, IDRN_RGB};
    idrn_engine *engine = NULL;
    idrn_status status;
    box_reader reader;

    if (argc != 5 || !open_boxes(&reader, argv[4])) {
        fprintf(stderr,
                "usage: raw_video MODEL_FOLDER WIDTH HEIGHT BOXES_FILE < frames.rgb > upscaled.rgb\n");
        return 2;
    }
    frame.width_px = (uint32_t)strtoul(argv[2], NULL, 10);
    frame.height_px = (uint32_t)strtoul(argv[3], NULL, 10);
    status = idrn_open(argv[1], NULL, &engine);
    if (status == IDRN_OK) {
        status = idrn_output_size(engine, frame.width_px, frame.height_px, &out.width_px, &out.height_px);
    }
    if (status == IDRN_OK) {
        frame.stride_bytes = (size_t)frame.width_px * 3;
        out.stride_bytes = (size_t)out.width_px * 3;
        frame.pixels = malloc(frame.stride_bytes * frame.height_px);
        out.pixels = malloc(out.stride_bytes * out.height_px);
        status = upscale_all(engine, &frame, &out, &reader);
    }
    if (status != IDRN_OK) {
        fprintf(stderr, "%s\n", idrn_last_error());
    }
    free(frame.pixels);
    free(out.pixels);
    fclose(reader.file);
    idrn_close(engine);
    return status == IDRN_OK ? 0 : 1;
}
