/* A pipeline with idrnsr whose faces come from a file instead of from a detector.
 *
 *   gst_boxes BOXES_FILE filesrc location=clip.mkv ! decodebin ! videoconvert \
 *     ! idrnsr name=sr model=DIR ! videoconvert ! autovideosink
 *
 * The element named "sr" gets the boxes as regions of interest, frames counted from the first that reaches
 * it. The program ends with the stream.
 */
#include <gst/gst.h>
#include <gst/video/gstvideometa.h>

#include "boxes.h"

typedef struct {
    box_reader reader;
    unsigned long frame;
} feed;

static GstPadProbeReturn add_boxes(GstPad *pad, GstPadProbeInfo *info, gpointer data) {
    static idrn_box boxes[IDRN_MAX_FACES];
    feed *from = data;
    GstBuffer *buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));
    const uint32_t count = boxes_of_frame(&from->reader, from->frame++, boxes);
    uint32_t i;
    (void)pad;

    for (i = 0; i < count; ++i) {
        gst_buffer_add_video_region_of_interest_meta(buffer, "face", (guint)boxes[i].x_px,
                                                     (guint)boxes[i].y_px, (guint)boxes[i].w_px,
                                                     (guint)boxes[i].h_px);
    }
    GST_PAD_PROBE_INFO_DATA(info) = buffer;
    return GST_PAD_PROBE_OK;
}

static int play(GstElement *pipeline) {
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message;
    GError *error = NULL;
    gchar *details = NULL;

    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        gst_message_parse_error(message, &error, &details);
        g_printerr("%s (%s)\n", error->message, details);
        g_error_free(error);
        g_free(details);
    }
    const int code = GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS ? 0 : 1;
    gst_message_unref(message);
    gst_object_unref(bus);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    return code;
}

int main(int argc, char **argv) {
    GError *error = NULL;
    feed from = {0};

    gst_init(&argc, &argv);
    if (argc < 3 || !open_boxes(&from.reader, argv[1])) {
        g_printerr("usage: gst_boxes BOXES_FILE PIPELINE...\n");
        return 2;
    }
    GstElement *pipeline = gst_parse_launchv((const gchar **)argv + 2, &error);
    GstElement *element = error == NULL ? gst_bin_get_by_name(GST_BIN(pipeline), "sr") : NULL;
    if (element == NULL) {
        g_printerr("%s\n", error != NULL ? error->message : "the pipeline has no element named sr");
        return 1;
    }
    GstPad *pad = gst_element_get_static_pad(element, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, add_boxes, &from, NULL);
    const int code = play(pipeline);
    gst_object_unref(pad);
    gst_object_unref(element);
    gst_object_unref(pipeline);
    fclose(from.reader.file);
    return code;
}
