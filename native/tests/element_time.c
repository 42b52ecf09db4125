/* A clip through idrnsr, again and again: what benchmarks/native.py times beside Python's upscale.
 *
 *   element_time MODEL_FOLDER THREADS WIDTH HEIGHT FRAMES.rgb BOXES_FILE
 *
 * For every line on standard input all frames go through the element, with the boxes as their regions of
 * interest; then a line is written. The first pass compiles the network.
 */
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <stdio.h>
#include <stdlib.h>

#include "boxes.h"

static GstHarness *start(char **argv) {
    GstElement *element = gst_object_ref_sink(gst_element_factory_make("idrnsr", NULL));
    gchar *caps =
        g_strdup_printf("video/x-raw,format=RGB,width=%s,height=%s,framerate=25/1", argv[3], argv[4]);
    g_object_set(element, "model", argv[1], "threads", (guint)strtoul(argv[2], NULL, 10), NULL);
    gst_util_set_object_arg(G_OBJECT(element), "precision", "int8");
    GstHarness *harness = gst_harness_new_with_element(element, "sink", "src");
    gst_harness_set_src_caps_str(harness, caps);
    g_free(caps);
    gst_object_unref(element);
    return harness;
}

/* A buffer for each frame, which the element only reads. */
static GPtrArray *frames_with_boxes(guint8 *pixels, gsize size, gsize frame_bytes, box_reader *reader) {
    static idrn_box boxes[IDRN_MAX_FACES];
    GPtrArray *frames = g_ptr_array_new_with_free_func((GDestroyNotify)gst_buffer_unref);

    for (gsize at = 0; at + frame_bytes <= size; at += frame_bytes) {
        GstBuffer *buffer = gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY, pixels + at, frame_bytes, 0,
                                                        frame_bytes, NULL, NULL);
        const uint32_t count = boxes_of_frame(reader, frames->len, boxes);
        for (uint32_t i = 0; i < count; ++i) {
            gst_buffer_add_video_region_of_interest_meta(buffer, "face", (guint)boxes[i].x_px,
                                                         (guint)boxes[i].y_px, (guint)boxes[i].w_px,
                                                         (guint)boxes[i].h_px);
        }
        g_ptr_array_add(frames, buffer);
    }
    return frames;
}

static void pass(GstHarness *harness, const GPtrArray *frames) {
    for (guint i = 0; i < frames->len; ++i) {
        gst_buffer_unref(gst_harness_push_and_pull(harness, gst_buffer_ref(frames->pdata[i])));
    }
}

int main(int argc, char **argv) {
    box_reader reader;
    gchar *pixels = NULL;
    gsize size = 0;

    gst_init(&argc, &argv);
    if (argc != 7 || !g_file_get_contents(argv[5], &pixels, &size, NULL) || !open_boxes(&reader, argv[6])) {
        fprintf(stderr, "usage: element_time MODEL_FOLDER THREADS WIDTH HEIGHT FRAMES.rgb BOXES_FILE\n");
        return 2;
    }
    const gsize frame_bytes = strtoul(argv[3], NULL, 10) * strtoul(argv[4], NULL, 10) * 3;
    GPtrArray *frames = frames_with_boxes((guint8 *)pixels, size, frame_bytes, &reader);
    GstHarness *harness = start(argv);
    for (int c = getchar(); c != EOF; c = getchar()) {
        if (c == '\n') {
            pass(harness, frames);
            printf("done\n");
            fflush(stdout);
        }
    }
    gst_harness_teardown(harness);
    g_ptr_array_unref(frames);
    g_free(pixels);
    fclose(reader.file);
    return 0;
}
