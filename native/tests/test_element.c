/* The element idrnsr in a GstHarness: what it makes of buffers, events, queries and caps. */
#include <gst/check/gstharness.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <idrn.h>
#include <string.h>

#define WIDTH 64
#define HEIGHT 48
#define FRAME_NS (GST_SECOND / 25)

static GstElement *element_with(const gchar *mode) {
    GstElement *element = gst_object_ref_sink(gst_element_factory_make("idrnsr", NULL));
    g_object_set(element, "model", IDRN_TEST_MODEL, "threads", 1, NULL);
    gst_util_set_object_arg(G_OBJECT(element), "mode", mode);
    return element;
}

static void set_src_caps(GstHarness *harness, const gchar *format) {
    gchar *caps =
        g_strdup_printf("video/x-raw,format=%s,width=%d,height=%d,framerate=25/1", format, WIDTH, HEIGHT);
    gst_harness_set_src_caps_str(harness, caps);
    g_free(caps);
}

/* A harness starts its element at once, so the properties come first. */
static GstHarness *harness_of(GstElement *element) {
    GstHarness *harness = gst_harness_new_with_element(element, "sink", "src");
    gst_object_unref(element);
    return harness;
}

static GstHarness *harness_with(const gchar *mode, const gchar *format) {
    GstHarness *harness = harness_of(element_with(mode));
    set_src_caps(harness, format);
    return harness;
}

/* A frame of noise; its rows have no padding: 64 pixels of 3 or 4 bytes. */
static GstBuffer *frame_number(guint number, gsize step) {
    const gsize size = WIDTH * HEIGHT * step;
    guint8 *pixels = g_malloc(size);
    guint32 state = number;
    for (gsize i = 0; i < size; ++i) {
        state = state * 1664525u + 1013904223u;
        pixels[i] = (guint8)(state >> 24);
    }
    GstBuffer *buffer = gst_buffer_new_wrapped(pixels, size);
    GST_BUFFER_PTS(buffer) = number * FRAME_NS;
    GST_BUFFER_DURATION(buffer) = FRAME_NS;
    return buffer;
}

static void add_face(GstBuffer *buffer, const gchar *type, guint x, guint y, guint width, guint height) {
    gst_buffer_add_video_region_of_interest_meta(buffer, type, x, y, width, height);
}

static idrn_engine *opened(void) {
    idrn_options options = idrn_options_default();
    idrn_engine *engine = NULL;
    options.threads = 1;
    g_assert_cmpint(idrn_open(IDRN_TEST_MODEL, &options, &engine), ==, IDRN_OK);
    return engine;
}

/* What libidrn itself makes of the frame, with one face. */
static guint8 *expected_frame(GstBuffer *buffer, idrn_format format, gsize step, guint width, guint height,
                              idrn_box box) {
    idrn_engine *engine = opened();
    guint8 *pixels = g_malloc(width * height * step);
    GstMapInfo map;
    g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
    const idrn_image frame = {map.data, WIDTH, HEIGHT, WIDTH * step, format};
    const idrn_image out = {pixels, width, height, width * step, format};
    g_assert_cmpint(idrn_upscale(engine, &frame, &box, 1, IDRN_BACKGROUND_RESIZE, &out), ==, IDRN_OK);
    gst_buffer_unmap(buffer, &map);
    idrn_close(engine);
    return pixels;
}

static void assert_holds(GstBuffer *buffer, const guint8 *pixels, gsize size) {
    GstMapInfo map;
    g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
    g_assert_cmpuint(map.size, ==, size);
    g_assert_true(memcmp(map.data, pixels, size) == 0);
    gst_buffer_unmap(buffer, &map);
}

static void assert_caps(GstHarness *harness, const gchar *format, gint width, gint height) {
    GstCaps *caps = gst_pad_get_current_caps(harness->sinkpad);
    GstVideoInfo info;
    g_assert_true(gst_video_info_from_caps(&info, caps));
    g_assert_cmpstr(GST_VIDEO_INFO_NAME(&info), ==, format);
    g_assert_cmpint(info.width, ==, width);
    g_assert_cmpint(info.height, ==, height);
    g_assert_cmpint(GST_VIDEO_INFO_FPS_N(&info), ==, 25);
    gst_caps_unref(caps);
}

/* Every format comes out at the model's scale as libidrn makes it, with its times and its scaled region. */
static void test_frame(void) {
    static const struct {
        const gchar *name;
        idrn_format format;
        gsize step;
    } formats[] = {
        {"RGB", IDRN_RGB, 3}, {"BGR", IDRN_BGR, 3}, {"RGBx", IDRN_RGBX, 4}, {"BGRx", IDRN_BGRX, 4}};

    for (guint i = 0; i < G_N_ELEMENTS(formats); ++i) {
        GstHarness *harness = harness_with("frame", formats[i].name);
        GstBuffer *in = frame_number(3, formats[i].step);
        const idrn_box box = {20, 15, 18, 18};
        add_face(in, "face", 20, 15, 18, 18);
        guint8 *expected = expected_frame(in, formats[i].format, formats[i].step, 4 * WIDTH, 4 * HEIGHT, box);
        GstBuffer *out = gst_harness_push_and_pull(harness, in);
        assert_caps(harness, formats[i].name, 4 * WIDTH, 4 * HEIGHT);
        assert_holds(out, expected, 16 * WIDTH * HEIGHT * formats[i].step);
        g_assert_cmpuint(GST_BUFFER_PTS(out), ==, 3 * FRAME_NS);
        g_assert_cmpuint(GST_BUFFER_DURATION(out), ==, FRAME_NS);
        const GstVideoRegionOfInterestMeta *roi = (const GstVideoRegionOfInterestMeta *)gst_buffer_get_meta(
            out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
        g_assert_nonnull(roi);
        g_assert_cmpuint(roi->x, ==, 80);
        g_assert_cmpuint(roi->y, ==, 60);
        g_assert_cmpuint(roi->w, ==, 72);
        g_assert_cmpuint(roi->h, ==, 72);
        g_free(expected);
        gst_buffer_unref(out);
        gst_harness_teardown(harness);
    }
}

/* Downstream decides the size where it cares. */
static void test_size_from_downstream(void) {
    GstHarness *harness = harness_of(element_with("frame"));
    gst_harness_set_sink_caps_str(harness, "video/x-raw,width=200,height=150");
    set_src_caps(harness, "BGRx");
    GstBuffer *in = frame_number(1, 4);
    const idrn_box box = {20, 15, 18, 18};
    add_face(in, NULL, 20, 15, 18, 18);
    guint8 *expected = expected_frame(in, IDRN_BGRX, 4, 200, 150, box);
    GstBuffer *out = gst_harness_push_and_pull(harness, in);
    assert_caps(harness, "BGRx", 200, 150);
    assert_holds(out, expected, 200 * 150 * 4);
    g_free(expected);
    gst_buffer_unref(out);
    gst_harness_teardown(harness);
}

/* Where it cares about one side only, the other keeps the frame's shape. */
static void test_one_side_from_downstream(void) {
    static const struct {
        const gchar *caps;
        gint width, height;
    } sizes[] = {{"video/x-raw,width=200", 200, 150}, {"video/x-raw,height=99", 132, 99}};

    for (guint i = 0; i < G_N_ELEMENTS(sizes); ++i) {
        GstHarness *harness = harness_of(element_with("frame"));
        gst_harness_set_sink_caps_str(harness, sizes[i].caps);
        set_src_caps(harness, "RGB");
        gst_buffer_unref(gst_harness_push_and_pull(harness, frame_number(1, 3)));
        assert_caps(harness, "RGB", sizes[i].width, sizes[i].height);
        gst_harness_teardown(harness);
    }
}

/* With mode=crops the pixels pass untouched, not even copied, and the face's picture is with its region and
 * on the bus. */
static void test_crops(void) {
    GstHarness *harness = harness_with("crops", "BGR");
    GstBus *bus = gst_bus_new();
    gst_element_set_bus(harness->element, bus);
    GstBuffer *in = frame_number(2, 3);
    GstMemory *memory = gst_buffer_peek_memory(in, 0);
    add_face(in, "face", 20, 10, 20, 26);
    add_face(in, "face", 0, 0, 200, 200);
    GstBuffer *out = gst_harness_push_and_pull(harness, in);
    assert_caps(harness, "BGR", WIDTH, HEIGHT);
    g_assert_true(gst_buffer_peek_memory(out, 0) == memory);

    gpointer state = NULL;
    GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *)gst_buffer_iterate_meta_filtered(
        out, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
    GstStructure *param = gst_video_region_of_interest_meta_get_param(roi, "idrn-sr");
    g_assert_nonnull(param);
    gint x = -1, y = -1;
    guint width = 0, height = 0;
    GstSample *sample = NULL;
    g_assert_true(gst_structure_get(param, "window-x", G_TYPE_INT, &x, "window-y", G_TYPE_INT, &y,
                                    "window-width", G_TYPE_UINT, &width, "window-height", G_TYPE_UINT,
                                    &height, "image", GST_TYPE_SAMPLE, &sample, NULL));
    g_assert_cmpuint(width, ==, 40);
    g_assert_cmpuint(height, ==, 48);
    GstVideoInfo info;
    g_assert_true(gst_video_info_from_caps(&info, gst_sample_get_caps(sample)));
    g_assert_cmpint(info.width, ==, 160);
    g_assert_cmpint(info.height, ==, 192);

    guint8 *pixels = g_malloc(160 * 192 * 3);
    idrn_engine *engine = opened();
    GstMapInfo map;
    g_assert_true(gst_buffer_map(out, &map, GST_MAP_READ));
    const idrn_image frame = {map.data, WIDTH, HEIGHT, WIDTH * 3, IDRN_BGR};
    const idrn_image result = {pixels, 160, 192, 160 * 3, IDRN_BGR};
    const idrn_window window = {x, y, width, height};
    g_assert_cmpint(idrn_crops(engine, &frame, &window, 1, &result), ==, IDRN_OK);
    gst_buffer_unmap(out, &map);
    assert_holds(gst_sample_get_buffer(sample), pixels, 160 * 192 * 3);
    g_assert_cmpuint(GST_BUFFER_PTS(gst_sample_get_buffer(sample)), ==, 2 * FRAME_NS);
    roi = (GstVideoRegionOfInterestMeta *)gst_buffer_iterate_meta_filtered(
        out, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
    g_assert_null(gst_video_region_of_interest_meta_get_param(roi, "idrn-sr")); /* too large */

    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT);
    g_assert_nonnull(message);
    const GstStructure *content = gst_message_get_structure(message);
    guint64 time = 0;
    g_assert_true(gst_structure_has_name(content, "idrn-faces"));
    g_assert_true(gst_structure_get_uint64(content, "stream-time", &time));
    g_assert_cmpuint(time, ==, 2 * FRAME_NS);
    g_assert_cmpuint(gst_value_array_get_size(gst_structure_get_value(content, "faces")), ==, 1);

    gst_message_unref(message);
    gst_sample_unref(sample);
    gst_buffer_unref(out);
    gst_element_set_bus(harness->element, NULL);
    gst_object_unref(bus);
    idrn_close(engine);
    g_free(pixels);
    gst_harness_teardown(harness);
}

/* A buffer that somebody else holds too is not changed. */
static void test_crops_leaves_shared_buffers(void) {
    GstHarness *harness = harness_with("crops", "RGB");
    GstBuffer *in = frame_number(1, 3);
    add_face(in, "face", 20, 15, 18, 18);
    GstBuffer *out = gst_harness_push_and_pull(harness, gst_buffer_ref(in));
    g_assert_true(out != in);
    GstVideoRegionOfInterestMeta *roi =
        (GstVideoRegionOfInterestMeta *)gst_buffer_get_meta(in, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
    g_assert_null(gst_video_region_of_interest_meta_get_param(roi, "idrn-sr"));
    gst_buffer_unref(in);
    gst_buffer_unref(out);
    gst_harness_teardown(harness);
}

/* Only regions of the type asked for are faces. */
static void test_roi_type(void) {
    GstElement *element = element_with("crops");
    g_object_set(element, "roi-type", "face", "post-messages", FALSE, NULL);
    GstHarness *harness = harness_of(element);
    set_src_caps(harness, "RGB");
    GstBuffer *in = frame_number(1, 3);
    add_face(in, "car", 20, 15, 18, 18);
    add_face(in, NULL, 20, 15, 18, 18);
    GstBuffer *out = gst_harness_push_and_pull(harness, in);
    gpointer state = NULL;
    GstMeta *meta;
    guint regions = 0;
    while (
        (meta = gst_buffer_iterate_meta_filtered(out, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        g_assert_null(
            gst_video_region_of_interest_meta_get_param((GstVideoRegionOfInterestMeta *)meta, "idrn-sr"));
        ++regions;
    }
    g_assert_cmpuint(regions, ==, 2);
    gst_buffer_unref(out);
    gst_harness_teardown(harness);
}

/* More regions than libidrn takes at once, some of no size or outside the frame, are no error. */
static void test_many_regions(void) {
    GstHarness *harness = harness_with("frame", "RGB");
    GstBuffer *in = frame_number(1, 3);
    add_face(in, "face", 5, 5, 0, 0);
    add_face(in, "face", G_MAXUINT, G_MAXUINT, 20, 20);
    for (guint i = 0; i < 300; ++i) {
        add_face(in, "face", 0, 0, 200, 200); /* too large: cheap */
    }
    gst_buffer_unref(gst_harness_push_and_pull(harness, in));
    gst_harness_teardown(harness);
}

/* Frames go on after a flush, and the end of the stream passes. */
static void test_flush_and_eos(void) {
    GstHarness *harness = harness_with("frame", "RGB");
    gst_buffer_unref(gst_harness_push_and_pull(harness, frame_number(0, 3)));
    g_assert_true(gst_harness_push_event(harness, gst_event_new_flush_start()));
    g_assert_cmpint(gst_harness_push(harness, frame_number(1, 3)), ==, GST_FLOW_FLUSHING);
    g_assert_true(gst_harness_push_event(harness, gst_event_new_flush_stop(TRUE)));
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    g_assert_true(gst_harness_push_event(harness, gst_event_new_segment(&segment)));
    gst_buffer_unref(gst_harness_push_and_pull(harness, frame_number(2, 3)));
    g_assert_true(gst_harness_push_event(harness, gst_event_new_eos()));
    GstEvent *event;
    gboolean ended = FALSE;
    while ((event = gst_harness_try_pull_event(harness)) != NULL) {
        ended = ended || GST_EVENT_TYPE(event) == GST_EVENT_EOS;
        gst_event_unref(event);
    }
    g_assert_true(ended);
    g_assert_cmpint(gst_harness_push(harness, frame_number(3, 3)), ==, GST_FLOW_EOS);
    gst_harness_teardown(harness);
}

/* No frame is held back, so upstream's latency passes as it is. */
static void test_latency(void) {
    GstHarness *harness = harness_with("frame", "RGB");
    gst_harness_set_upstream_latency(harness, 70 * GST_MSECOND);
    g_assert_cmpuint(gst_harness_query_latency(harness), ==, 70 * GST_MSECOND);
    gst_harness_teardown(harness);
}

/* A frame that the sink says will come too late is not computed. */
static void test_qos(void) {
    GstHarness *harness = harness_with("frame", "RGB");
    gst_buffer_unref(gst_harness_push_and_pull(harness, frame_number(0, 3)));
    g_assert_true(gst_harness_push_upstream_event(
        harness, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, (GstClockTimeDiff)(5 * FRAME_NS), FRAME_NS)));
    g_assert_cmpint(gst_harness_push(harness, frame_number(1, 3)), ==, GST_FLOW_OK);
    g_assert_null(gst_harness_try_pull(harness));
    gst_buffer_unref(gst_harness_push_and_pull(harness, frame_number(20, 3)));
    gst_harness_teardown(harness);
}

static void assert_start_fails(GstElement *element, const gchar *said) {
    GstBus *bus = gst_bus_new();
    gst_element_set_bus(element, bus);
    g_assert_cmpint(gst_element_set_state(element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    GError *error = NULL;
    gchar *details = NULL;
    g_assert_nonnull(message);
    gst_message_parse_error(message, &error, &details);
    g_assert_nonnull(strstr(details, said));
    g_error_free(error);
    g_free(details);
    gst_message_unref(message);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_element_set_bus(element, NULL);
    gst_object_unref(bus);
    gst_object_unref(element);
}

/* Without a model, or with a folder that is none, or a cascade that is none, the element does not start and
 * says why. */
static void test_bad_model(void) {
    assert_start_fails(gst_object_ref_sink(gst_element_factory_make("idrnsr", NULL)), "property \"model\"");
    GstElement *element = gst_object_ref_sink(gst_element_factory_make("idrnsr", NULL));
    g_object_set(element, "model", "/nowhere", NULL);
    assert_start_fails(element, "'/nowhere' is missing");
    element = gst_object_ref_sink(gst_element_factory_make("idrnsr", NULL));
    g_object_set(element, "model", "/no\xffwhere", NULL);
    assert_start_fails(element, "where' is missing");
    element = element_with("frame");
    g_object_set(element, "cascade", "/nowhere.xml", NULL);
    assert_start_fails(element, "'/nowhere.xml' is missing");
}

/* What an element is told while it runs would be taken from under its other thread: it keeps what it started
 * with and says so. After a stop it may be told anything. */
static void test_properties_while_running(void) {
    GstElement *element = element_with("crops");
    g_object_set(element, "roi-type", "face", NULL);
    GstHarness *harness = harness_of(element);
    GstBus *bus = gst_bus_new();
    gchar *type = NULL;
    gint mode = -1;

    gst_element_set_bus(element, bus);
    set_src_caps(harness, "RGB");
    gst_buffer_unref(gst_harness_push_and_pull(harness, frame_number(0, 3)));
    gst_util_set_object_arg(G_OBJECT(element), "mode", "frame");
    g_object_set(element, "roi-type", "car", NULL);
    g_object_get(element, "mode", &mode, "roi-type", &type, NULL);
    g_assert_cmpint(mode, ==, 1);
    g_assert_cmpstr(type, ==, "face");
    g_free(type);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_WARNING);
    g_assert_nonnull(message);
    gst_message_unref(message);
    gst_harness_set_src_caps_str(harness, "video/x-raw,format=RGB,width=32,height=96,framerate=25/1");
    gst_buffer_unref(gst_harness_push_and_pull(harness, frame_number(1, 3)));
    assert_caps(harness, "RGB", 32, 96);
    g_assert_cmpint(gst_element_set_state(element, GST_STATE_NULL), ==, GST_STATE_CHANGE_SUCCESS);
    g_object_set(element, "roi-type", "car", NULL);
    g_object_get(element, "roi-type", &type, NULL);
    g_assert_cmpstr(type, ==, "car");
    g_free(type);
    gst_element_set_bus(element, NULL);
    gst_object_unref(bus);
    gst_harness_teardown(harness);
}

/* The caps change in mid-stream, to rows that end in padding. */
static void test_other_caps_in_mid_stream(void) {
    GstHarness *harness = harness_with("frame", "BGRx");
    gst_buffer_unref(gst_harness_push_and_pull(harness, frame_number(0, 4)));
    gst_harness_set_src_caps_str(harness, "video/x-raw,format=RGB,width=31,height=33,framerate=25/1");
    gst_harness_set_sink_caps_str(harness, "video/x-raw,width=125,height=77");
    GstVideoInfo from, to;
    gst_video_info_set_format(&from, GST_VIDEO_FORMAT_RGB, 31, 33);
    gst_video_info_set_format(&to, GST_VIDEO_FORMAT_RGB, 125, 77);
    g_assert_cmpint(GST_VIDEO_INFO_PLANE_STRIDE(&from, 0), >, 3 * 31);
    g_assert_cmpint(GST_VIDEO_INFO_PLANE_STRIDE(&to, 0), >, 3 * 125);
    guint8 *pixels = g_malloc(from.size), *expected = g_malloc0(to.size);
    for (gsize i = 0; i < from.size; ++i) {
        pixels[i] = (guint8)(i * 7 / 5);
    }
    idrn_engine *engine = opened();
    const idrn_image frame = {pixels, 31, 33, (size_t)GST_VIDEO_INFO_PLANE_STRIDE(&from, 0), IDRN_RGB};
    const idrn_image picture = {expected, 125, 77, (size_t)GST_VIDEO_INFO_PLANE_STRIDE(&to, 0), IDRN_RGB};
    const idrn_box box = {5, 5, 18, 18};
    g_assert_cmpint(idrn_upscale(engine, &frame, &box, 1, IDRN_BACKGROUND_RESIZE, &picture), ==, IDRN_OK);
    GstBuffer *in = gst_buffer_new_wrapped(pixels, from.size);
    GST_BUFFER_PTS(in) = FRAME_NS;
    add_face(in, "face", 5, 5, 18, 18);
    GstBuffer *out = gst_harness_push_and_pull(harness, in);
    assert_caps(harness, "RGB", 125, 77);
    GstMapInfo map;
    g_assert_true(gst_buffer_map(out, &map, GST_MAP_READ));
    for (guint y = 0; y < picture.height_px; ++y) {
        const gsize at = y * picture.stride_bytes;
        g_assert_true(memcmp(map.data + at, expected + at, 3 * 125) == 0);
    }
    gst_buffer_unmap(out, &map);
    idrn_close(engine);
    g_free(expected);
    gst_buffer_unref(out);
    gst_harness_teardown(harness);
}

/* Planar video is refused in negotiation. A buffer smaller than its caps is no crash: an error with
 * mode=crops, and with mode=frame what GstVideoFilter makes of it, a warning. */
static void test_bad_input(void) {
    GstHarness *harness = harness_of(element_with("frame"));
    GstCaps *planar = gst_caps_from_string("video/x-raw,format=I420,width=64,height=48,framerate=25/1");
    GstPad *pad = gst_element_get_static_pad(harness->element, "sink");
    g_assert_false(gst_pad_query_accept_caps(pad, planar));
    gst_caps_unref(planar);
    gst_object_unref(pad);
    set_src_caps(harness, "RGB");
    g_assert_cmpint(gst_harness_push(harness, gst_buffer_new_allocate(NULL, 100, NULL)), ==, GST_FLOW_OK);
    gst_harness_teardown(harness);
    harness = harness_with("crops", "RGB");
    g_assert_cmpint(gst_harness_push(harness, gst_buffer_new_allocate(NULL, 100, NULL)), ==, GST_FLOW_ERROR);
    gst_harness_teardown(harness);
}

/* A whole pipeline runs, in both modes. */
static void test_pipeline(void) {
    const gchar *modes[] = {"frame", "crops"};
    GstElementFactory *factory = gst_element_factory_find("videotestsrc");

    if (factory == NULL) {
        g_test_skip("GStreamer's base plug-ins are not installed");
        return;
    }
    gst_object_unref(factory);
    for (guint i = 0; i < G_N_ELEMENTS(modes); ++i) {
        gchar *line = g_strdup_printf(
            "videotestsrc num-buffers=3 ! video/x-raw,width=64,height=48 ! videoconvert ! "
            "idrnsr model=%s mode=%s ! videoconvert ! fakesink",
            IDRN_TEST_MODEL, modes[i]);
        GstElement *pipeline = gst_parse_launch(line, NULL);
        GstBus *bus = gst_element_get_bus(pipeline);
        g_assert_cmpint(gst_element_set_state(pipeline, GST_STATE_PLAYING), !=, GST_STATE_CHANGE_FAILURE);
        GstMessage *message =
            gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
        g_assert_cmpint(GST_MESSAGE_TYPE(message), ==, GST_MESSAGE_EOS);
        gst_message_unref(message);
        gst_object_unref(bus);
        gst_element_set_state(pipeline, GST_STATE_NULL);
        gst_object_unref(pipeline);
        g_free(line);
    }
}

int main(int argc, char **argv) {
    gst_init(&argc, &argv);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/idrnsr/frame", test_frame);
    g_test_add_func("/idrnsr/size-from-downstream", test_size_from_downstream);
    g_test_add_func("/idrnsr/one-side-from-downstream", test_one_side_from_downstream);
    g_test_add_func("/idrnsr/crops", test_crops);
    g_test_add_func("/idrnsr/crops-leaves-shared-buffers", test_crops_leaves_shared_buffers);
    g_test_add_func("/idrnsr/roi-type", test_roi_type);
    g_test_add_func("/idrnsr/many-regions", test_many_regions);
    g_test_add_func("/idrnsr/flush-and-eos", test_flush_and_eos);
    g_test_add_func("/idrnsr/latency", test_latency);
    g_test_add_func("/idrnsr/qos", test_qos);
    g_test_add_func("/idrnsr/bad-model", test_bad_model);
    g_test_add_func("/idrnsr/properties-while-running", test_properties_while_running);
    g_test_add_func("/idrnsr/other-caps-in-mid-stream", test_other_caps_in_mid_stream);
    g_test_add_func("/idrnsr/bad-input", test_bad_input);
    g_test_add_func("/idrnsr/pipeline", test_pipeline);
    return g_test_run();
}
