/**
 * SECTION:element-idrnsr
 *
 * Makes the faces in raw video clear. Where the faces are is read from the GstVideoRegionOfInterestMeta of
 * each buffer, as the detectors of DL Streamer and DeepStream leave it; or, with the property "cascade",
 * found with one of OpenCV's cascades.
 *
 * With mode=frame the whole frame comes out upscaled, faces by the network and the rest by interpolation.
 * With mode=crops the frame passes through as it is: every region of interest that is small enough gets a
 * parameter "idrn-sr" with the upscaled face as a GstSample ("image") and where it was cut ("window-x",
 * "window-y", "window-width", "window-height", in the frame's pixels), and a message "idrn-faces" on the bus
 * carries the same.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mkv ! decodebin ! videoconvert ! gvadetect model=face-detection.xml \
 *   ! idrnsr model=models/idrn-d8-w64-x4-real ! videoconvert ! autovideosink
 * ]|
 */
#include "gstidrnsr.h"

#include <gst/video/gstvideofilter.h>
#include <gst/video/gstvideometa.h>
#include <gst/video/video.h>
#include <idrn.h>

#include "cascade.h"

GST_DEBUG_CATEGORY_STATIC(gst_idrn_sr_debug);
#define GST_CAT_DEFAULT gst_idrn_sr_debug

#define SIZE "[1, " G_STRINGIFY(GST_IDRN_MOST_PX) "]"
#define GST_IDRN_MOST_PX 16384
#define FORMATS "{ RGB, BGR, RGBx, BGRx }"
#define CAPS GST_VIDEO_CAPS_MAKE(FORMATS) ", width = (int) " SIZE ", height = (int) " SIZE

G_STATIC_ASSERT(GST_IDRN_MOST_PX == IDRN_MAX_FRAME_PX);

typedef enum { MODE_FRAME, MODE_CROPS } Mode;

enum {
    PROP_0,
    PROP_MODEL,
    PROP_MODE,
    PROP_PRECISION,
    PROP_THREADS,
    PROP_ROI_TYPE,
    PROP_POST_MESSAGES,
    PROP_CASCADE,
    PROP_MIN_FACE
};

#define DEFAULT_MODE MODE_FRAME
#define DEFAULT_PRECISION ((gint)IDRN_PRECISION_AUTO)
#define DEFAULT_THREADS 0
#define DEFAULT_POST_MESSAGES TRUE
#define DEFAULT_MIN_FACE_PX 24

typedef struct {
    GstVideoFilter parent;

    /* Properties. They do not change while `running`, which the object's lock guards, so that the thread of
     * the stream reads them without it. */
    gboolean running;
    gchar *model;
    gchar *roi_type;
    gint mode;
    gint precision;
    guint threads;
    gboolean post_messages;
    gchar *cascade_file;
    guint min_face_px;

    /* From start to stop. */
    idrn_engine *engine;
    idrn_cascade *cascade; /* NULL: faces are regions of interest */
    guint scale;

    /* Of the frame at hand; the arrays are kept from frame to frame. */
    GArray *boxes;   /* mode=frame: of idrn_box */
    GArray *crops;   /* mode=crops: of Crop */
    GArray *windows; /* and idrn_window */
    GArray *images;  /* and idrn_image, where the crops go */
} GstIdrnSr;

typedef struct {
    GstVideoFilterClass parent_class;
} GstIdrnSrClass;

G_DEFINE_TYPE(GstIdrnSr, gst_idrn_sr, GST_TYPE_VIDEO_FILTER)
#define GST_IDRN_SR(object) ((GstIdrnSr *)(object))

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(CAPS));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(CAPS));

static GType mode_type(void) {
    static gsize type = 0;
    static const GEnumValue values[] = {
        {MODE_FRAME, "The upscaled frame, its faces by the network", "frame"},
        {MODE_CROPS, "The frame as it is, upscaled faces as metadata", "crops"},
        {0, NULL, NULL}};
    if (g_once_init_enter(&type)) {
        g_once_init_leave(&type, g_enum_register_static("GstIdrnSrMode", values));
    }
    return (GType)type;
}

static GType precision_type(void) {
    static gsize type = 0;
    static const GEnumValue values[] = {
        {IDRN_PRECISION_AUTO, "int8 where the model has that file, else fp32", "auto"},
        {IDRN_PRECISION_FP32, "32-bit floating point", "fp32"},
        {IDRN_PRECISION_BF16, "bfloat16, on processors that have it", "bf16"},
        {IDRN_PRECISION_INT8, "8-bit integers", "int8"},
        {0, NULL, NULL}};
    if (g_once_init_enter(&type)) {
        g_once_init_leave(&type, g_enum_register_static("GstIdrnSrPrecision", values));
    }
    return (GType)type;
}

static idrn_format format_of(GstVideoFormat format) {
    switch (format) {
    case GST_VIDEO_FORMAT_RGB: return IDRN_RGB;
    case GST_VIDEO_FORMAT_BGR: return IDRN_BGR;
    case GST_VIDEO_FORMAT_RGBx: return IDRN_RGBX;
    default: return IDRN_BGRX;
    }
}

static idrn_image image_of(const GstVideoFrame *frame) {
    const idrn_image image = {GST_VIDEO_FRAME_PLANE_DATA(frame, 0), (uint32_t)GST_VIDEO_FRAME_WIDTH(frame),
                              (uint32_t)GST_VIDEO_FRAME_HEIGHT(frame),
                              (size_t)GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0),
                              format_of(GST_VIDEO_FRAME_FORMAT(frame))};
    return image;
}

/* Whether a region of interest is a face to upscale. */
static gboolean is_face(const GstIdrnSr *self, const GstVideoRegionOfInterestMeta *roi) {
    if (roi->w == 0 || roi->h == 0) {
        return FALSE;
    }
    return self->roi_type == NULL || g_strcmp0(g_quark_to_string(roi->roi_type), self->roi_type) == 0;
}

static GstVideoRegionOfInterestMeta *next_roi(GstBuffer *buffer, gpointer *state) {
    return (GstVideoRegionOfInterestMeta *)gst_buffer_iterate_meta_filtered(
        buffer, state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
}

static idrn_box box_of(const GstVideoRegionOfInterestMeta *roi) {
    idrn_box box = {roi->x, roi->y, roi->w, roi->h};
    return box;
}

/* `why` may quote a file's name, which may be any bytes; a message on the bus may not. */
static void refuse_file(GstIdrnSr *self, const gchar *what, const gchar *why) {
    gchar *readable = g_utf8_make_valid(why, -1);
    GST_ELEMENT_ERROR(self, RESOURCE, OPEN_READ, ("%s", what), ("%s", readable));
    g_free(readable);
}

static GstFlowReturn refuse(GstIdrnSr *self) {
    GST_ELEMENT_ERROR(self, LIBRARY, FAILED, ("The faces could not be upscaled."), ("%s", idrn_last_error()));
    return GST_FLOW_ERROR;
}

/* The cascade's faces as the frame's boxes. */
static gboolean find_faces(GstIdrnSr *self, const GstVideoFrame *in) {
    const idrn_image frame = image_of(in);

    g_array_set_size(self->boxes, IDRN_MAX_FACES);
    const gint count =
        idrn_cascade_find(self->cascade, &frame, self->min_face_px, (idrn_box *)self->boxes->data);
    g_array_set_size(self->boxes, (guint)MAX(count, 0));
    if (count < 0) {
        GST_ELEMENT_ERROR(self, LIBRARY, FAILED, ("The faces could not be found."),
                          ("OpenCV's cascade failed"));
    }
    return count >= 0;
}

static void take_regions(GstIdrnSr *self, const GstVideoFrame *in) {
    GstVideoRegionOfInterestMeta *roi;
    gpointer state = NULL;

    g_array_set_size(self->boxes, 0);
    while ((roi = next_roi(in->buffer, &state)) != NULL && self->boxes->len < IDRN_MAX_FACES) {
        if (is_face(self, roi)) {
            const idrn_box box = box_of(roi);
            g_array_append_val(self->boxes, box);
        }
    }
    if (roi != NULL) {
        GST_WARNING_OBJECT(self, "more than %u faces in a frame: the rest is only resized", IDRN_MAX_FACES);
    }
}

static GstFlowReturn transform_frame(GstVideoFilter *filter, GstVideoFrame *in, GstVideoFrame *out) {
    GstIdrnSr *self = GST_IDRN_SR(filter);
    const idrn_image frame = image_of(in), picture = image_of(out);

    if (self->cascade == NULL) {
        take_regions(self, in);
    } else if (!find_faces(self, in)) {
        return GST_FLOW_ERROR;
    }
    if (idrn_upscale(self->engine, &frame, (const idrn_box *)self->boxes->data, self->boxes->len,
                     IDRN_BACKGROUND_RESIZE, &picture) != IDRN_OK) {
        return refuse(self);
    }
    return GST_FLOW_OK;
}

/* One face of the frame at hand with mode=crops. */
typedef struct {
    GstVideoRegionOfInterestMeta *roi;
    GstVideoInfo info;
    guint8 *pixels; /* of the upscaled window, until a buffer takes them */
} Crop;

/* Adds the face of a region to those of the frame, unless it is too large to have a window. */
static gboolean add_crop(GstIdrnSr *self, const GstVideoFrame *in, GstVideoRegionOfInterestMeta *roi) {
    const idrn_box box = box_of(roi);
    idrn_window window;
    Crop crop = {0};

    if (idrn_window_for(&box, (uint32_t)GST_VIDEO_FRAME_WIDTH(in), (uint32_t)GST_VIDEO_FRAME_HEIGHT(in),
                        &window) != IDRN_OK) {
        return FALSE;
    }
    if (window.width_px == 0) {
        return TRUE;
    }
    const guint width = self->scale * window.width_px, height = self->scale * window.height_px;
    gst_video_info_set_format(&crop.info, GST_VIDEO_FRAME_FORMAT(in), width, height);
    crop.roi = roi;
    crop.pixels = g_malloc(GST_VIDEO_INFO_SIZE(&crop.info));
    const idrn_image image = {crop.pixels, width, height, (size_t)GST_VIDEO_INFO_PLANE_STRIDE(&crop.info, 0),
                              format_of(GST_VIDEO_FRAME_FORMAT(in))};
    g_array_append_val(self->crops, crop);
    g_array_append_val(self->windows, window);
    g_array_append_val(self->images, image);
    return TRUE;
}

/* All faces of the frame, those of one window size in one batch. */
static gboolean compute_crops(GstIdrnSr *self, const GstVideoFrame *in) {
    const idrn_image frame = image_of(in);
    idrn_status status = IDRN_OK;

    for (guint first = 0; status == IDRN_OK && first < self->crops->len; first += IDRN_MAX_FACES) {
        status = idrn_crops(self->engine, &frame, &g_array_index(self->windows, idrn_window, first),
                            MIN(self->crops->len - first, IDRN_MAX_FACES),
                            &g_array_index(self->images, idrn_image, first));
    }
    return status == IDRN_OK;
}

/* Attaches an upscaled face to its region of interest and adds it to `faces`. */
static void attach(Crop *crop, const idrn_window *window, const GstBuffer *from, GValue *faces) {
    GstBuffer *buffer =
        gst_buffer_new_wrapped(g_steal_pointer(&crop->pixels), GST_VIDEO_INFO_SIZE(&crop->info));
    GST_BUFFER_PTS(buffer) = GST_BUFFER_PTS(from);
    GST_BUFFER_DURATION(buffer) = GST_BUFFER_DURATION(from);
    GstCaps *caps = gst_video_info_to_caps(&crop->info);
    GstSample *sample = gst_sample_new(buffer, caps, NULL, NULL);
    GstStructure *param =
        gst_structure_new("idrn-sr", "window-x", G_TYPE_INT, window->x_px, "window-y", G_TYPE_INT,
                          window->y_px, "window-width", G_TYPE_UINT, window->width_px, "window-height",
                          G_TYPE_UINT, window->height_px, "image", GST_TYPE_SAMPLE, sample, NULL);
    GValue face = G_VALUE_INIT;

    g_value_init(&face, GST_TYPE_STRUCTURE);
    gst_value_set_structure(&face, param);
    gst_value_array_append_and_take_value(faces, &face);
    gst_video_region_of_interest_meta_add_param(crop->roi, param);
    gst_sample_unref(sample);
    gst_caps_unref(caps);
    gst_buffer_unref(buffer);
}

static void clear_crop(gpointer crop) {
    g_free(((Crop *)crop)->pixels);
}

static void post(GstIdrnSr *self, GstBuffer *buffer, GValue *faces) {
    const GstSegment *segment = &GST_BASE_TRANSFORM(self)->segment;
    const GstClockTime time = GST_BUFFER_PTS(buffer);
    GstStructure *content =
        gst_structure_new("idrn-faces", "timestamp", G_TYPE_UINT64, time, "stream-time", G_TYPE_UINT64,
                          gst_segment_to_stream_time(segment, GST_FORMAT_TIME, time), "running-time",
                          G_TYPE_UINT64, gst_segment_to_running_time(segment, GST_FORMAT_TIME, time), NULL);
    gst_structure_set_value(content, "faces", faces);
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), content));
}

/* From a box's side, which may begin before the frame's edge, to a region's, which may not: where it begins,
 * and its length. */
static void region_side(gdouble start_px, gdouble length_px, guint *start, guint *length) {
    const gdouble first_px = MAX(start_px, 0.0);

    *start = (guint)first_px;
    *length = (guint)MAX(length_px - (first_px - start_px), 0.0);
}

/* Leaves the cascade's faces on the buffer as a detector would. */
static gboolean add_regions(GstIdrnSr *self, GstBuffer *buffer, const GstVideoFrame *frame) {
    const gchar *type = self->roi_type != NULL ? self->roi_type : "face";

    if (!find_faces(self, frame)) {
        return FALSE;
    }
    for (guint i = 0; i < self->boxes->len; ++i) {
        const idrn_box *box = &g_array_index(self->boxes, idrn_box, i);
        guint x, y, width, height;
        region_side(box->x_px, box->w_px, &x, &width);
        region_side(box->y_px, box->h_px, &y, &height);
        gst_buffer_add_video_region_of_interest_meta(buffer, type, x, y, width, height);
    }
    return TRUE;
}

static gboolean make_crops(GstIdrnSr *self, GstBuffer *buffer, const GstVideoFrame *frame) {
    GstVideoRegionOfInterestMeta *roi;
    gpointer state = NULL;

    while ((roi = next_roi(buffer, &state)) != NULL) {
        if (is_face(self, roi) && !add_crop(self, frame, roi)) {
            return FALSE;
        }
    }
    return compute_crops(self, frame);
}

/* mode=crops: the pixels are only read, so the memory may be shared with others. */
static GstFlowReturn transform_ip(GstBaseTransform *transform, GstBuffer *buffer) {
    GstIdrnSr *self = GST_IDRN_SR(transform);
    GstVideoFrame frame;
    GValue faces = G_VALUE_INIT;

    /* Without a reference of its own, with which the buffer would take no metadata. */
    if (!gst_video_frame_map(&frame, &GST_VIDEO_FILTER(transform)->in_info, buffer,
                             GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
        GST_ELEMENT_ERROR(self, STREAM, FAILED, (NULL), ("a buffer of another size than its caps say"));
        return GST_FLOW_ERROR;
    }
    if (self->cascade != NULL && !add_regions(self, buffer, &frame)) {
        gst_video_frame_unmap(&frame);
        return GST_FLOW_ERROR;
    }
    const gboolean done = make_crops(self, buffer, &frame);
    gst_video_frame_unmap(&frame);
    g_value_init(&faces, GST_TYPE_ARRAY);
    for (guint i = 0; done && i < self->crops->len; ++i) {
        attach(&g_array_index(self->crops, Crop, i), &g_array_index(self->windows, idrn_window, i), buffer,
               &faces);
    }
    if (done && self->post_messages && self->crops->len > 0) {
        post(self, buffer, &faces);
    }
    g_value_unset(&faces);
    g_array_set_size(self->crops, 0);
    g_array_set_size(self->windows, 0);
    g_array_set_size(self->images, 0);
    return done ? GST_FLOW_OK : refuse(self);
}

static void set_running(GstIdrnSr *self, gboolean running) {
    GST_OBJECT_LOCK(self);
    self->running = running;
    GST_OBJECT_UNLOCK(self);
}

/* Opens the model and the cascade that the properties name. */
static gboolean open_model(GstIdrnSr *self) {
    idrn_options options = idrn_options_default();
    idrn_info info = {0};

    if (self->model == NULL) {
        GST_ELEMENT_ERROR(
            self, RESOURCE, NOT_FOUND, ("No model is given."),
            ("set the property \"model\" to a model folder, such as models/idrn-d8-w64-x4-real"));
        return FALSE;
    }
    options.precision = (idrn_precision)self->precision;
    options.threads = self->threads;
    info.struct_size = sizeof(info);
    if (idrn_open(self->model, &options, &self->engine) != IDRN_OK ||
        idrn_get_info(self->engine, &info) != IDRN_OK) {
        refuse_file(self, "The model cannot be used.", idrn_last_error());
        return FALSE;
    }
    if (self->cascade_file != NULL && (self->cascade = idrn_cascade_open(self->cascade_file)) == NULL) {
        gchar *why = g_strdup_printf("'%s' is missing or no cascade, or the element was built without OpenCV",
                                     self->cascade_file);
        refuse_file(self, "The cascade cannot be used.", why);
        g_free(why);
        idrn_close(self->engine);
        self->engine = NULL;
        return FALSE;
    }
    self->scale = info.scale;
    gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), self->mode == MODE_CROPS);
    GST_INFO_OBJECT(self, "model %s, scale %u, sha256 %s", info.model, info.scale, info.model_sha256);
    return TRUE;
}

static gboolean start(GstBaseTransform *transform) {
    GstIdrnSr *self = GST_IDRN_SR(transform);

    set_running(self, TRUE);
    if (!open_model(self)) {
        set_running(self, FALSE);
        return FALSE;
    }
    return TRUE;
}

static gboolean stop(GstBaseTransform *transform) {
    GstIdrnSr *self = GST_IDRN_SR(transform);
    idrn_close(self->engine);
    self->engine = NULL;
    idrn_cascade_close(self->cascade);
    self->cascade = NULL;
    set_running(self, FALSE);
    return TRUE;
}

/* With mode=frame the other side may have any size, and everything else of these caps. */
static GstCaps *transform_caps(GstBaseTransform *transform, GstPadDirection direction, GstCaps *caps,
                               GstCaps *filter) {
    GstCaps *other = gst_caps_copy(caps);
    (void)direction;

    if (GST_IDRN_SR(transform)->mode == MODE_FRAME) {
        gst_caps_set_simple(other, "width", GST_TYPE_INT_RANGE, 1, GST_IDRN_MOST_PX, "height",
                            GST_TYPE_INT_RANGE, 1, GST_IDRN_MOST_PX, NULL);
    }
    if (filter != NULL) {
        GstCaps *both = gst_caps_intersect_full(filter, other, GST_CAPS_INTERSECT_FIRST);
        gst_caps_unref(other);
        other = both;
    }
    return other;
}

/* The whole number of pixels nearest to size * numerator / denominator that a picture may have a side of. */
static gint side_px(gint size, gint numerator, gint denominator) {
    const guint64 nearest = gst_util_uint64_scale_int_round((guint64)size, numerator, denominator);
    return (gint)CLAMP(nearest, 1, GST_IDRN_MOST_PX);
}

/* Where downstream leaves the size open, the usual one for this frame; where it leaves one side open, the one
 * that keeps the frame's shape. */
static GstCaps *fixate_caps(GstBaseTransform *transform, GstPadDirection direction, GstCaps *caps,
                            GstCaps *other) {
    GstIdrnSr *self = GST_IDRN_SR(transform);
    GstVideoInfo info;
    uint32_t width, height;

    other = gst_caps_make_writable(gst_caps_truncate(other));
    if (self->mode == MODE_FRAME && direction == GST_PAD_SINK && gst_video_info_from_caps(&info, caps) &&
        idrn_output_size(self->engine, (uint32_t)info.width, (uint32_t)info.height, &width, &height) ==
            IDRN_OK) {
        GstStructure *structure = gst_caps_get_structure(other, 0);
        gint wide = (gint)width, high = (gint)height;
        if (gst_structure_get_int(structure, "width", &wide)) {
            high = side_px(wide, info.height, info.width);
        } else if (gst_structure_get_int(structure, "height", &high)) {
            wide = side_px(high, info.width, info.height);
        }
        gst_structure_fixate_field_nearest_int(structure, "width", wide);
        gst_structure_fixate_field_nearest_int(structure, "height", high);
    }
    return gst_caps_fixate(other);
}

/* Regions of interest go with the picture: scaled with mode=frame, as they are with mode=crops. */
static gboolean transform_meta(GstBaseTransform *transform, GstBuffer *out, GstMeta *meta, GstBuffer *in) {
    GstVideoFilter *filter = GST_VIDEO_FILTER(transform);

    if (meta->info->api != GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE) {
        return GST_BASE_TRANSFORM_CLASS(gst_idrn_sr_parent_class)->transform_meta(transform, out, meta, in);
    }
    GstVideoMetaTransform sizes = {&filter->in_info, &filter->out_info};
    meta->info->transform_func(out, meta, in, gst_video_meta_transform_scale_get_quark(), &sizes);
    return FALSE;
}

static void take_text(gchar **text, const GValue *value) {
    g_free(*text);
    *text = g_value_dup_string(value);
}

static void take_property(GstIdrnSr *self, guint id, const GValue *value) {
    switch (id) {
    case PROP_MODEL: take_text(&self->model, value); break;
    case PROP_MODE: self->mode = g_value_get_enum(value); break;
    case PROP_PRECISION: self->precision = g_value_get_enum(value); break;
    case PROP_THREADS: self->threads = g_value_get_uint(value); break;
    case PROP_ROI_TYPE: take_text(&self->roi_type, value); break;
    case PROP_POST_MESSAGES: self->post_messages = g_value_get_boolean(value); break;
    case PROP_CASCADE: take_text(&self->cascade_file, value); break;
    case PROP_MIN_FACE: self->min_face_px = g_value_get_uint(value); break;
    default: break;
    }
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec) {
    GstIdrnSr *self = GST_IDRN_SR(object);

    GST_OBJECT_LOCK(self);
    const gboolean running = self->running;
    if (!running) {
        take_property(self, id, value);
    }
    GST_OBJECT_UNLOCK(self);
    if (running) {
        GST_ELEMENT_WARNING(self, LIBRARY, SETTINGS, ("The property \"%s\" stays as it is.", spec->name),
                            ("it can be set in the states NULL and READY only"));
    }
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec) {
    GstIdrnSr *self = GST_IDRN_SR(object);

    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_MODEL: g_value_set_string(value, self->model); break;
    case PROP_MODE: g_value_set_enum(value, self->mode); break;
    case PROP_PRECISION: g_value_set_enum(value, self->precision); break;
    case PROP_THREADS: g_value_set_uint(value, self->threads); break;
    case PROP_ROI_TYPE: g_value_set_string(value, self->roi_type); break;
    case PROP_POST_MESSAGES: g_value_set_boolean(value, self->post_messages); break;
    case PROP_CASCADE: g_value_set_string(value, self->cascade_file); break;
    case PROP_MIN_FACE: g_value_set_uint(value, self->min_face_px); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
    GST_OBJECT_UNLOCK(self);
}

static void finalize(GObject *object) {
    GstIdrnSr *self = GST_IDRN_SR(object);

    g_free(self->model);
    g_free(self->roi_type);
    g_free(self->cascade_file);
    g_array_unref(self->boxes);
    g_array_unref(self->crops);
    g_array_unref(self->windows);
    g_array_unref(self->images);
    G_OBJECT_CLASS(gst_idrn_sr_parent_class)->finalize(object);
}

static void gst_idrn_sr_init(GstIdrnSr *self) {
    self->mode = DEFAULT_MODE;
    self->precision = DEFAULT_PRECISION;
    self->threads = DEFAULT_THREADS;
    self->post_messages = DEFAULT_POST_MESSAGES;
    self->min_face_px = DEFAULT_MIN_FACE_PX;
    self->boxes = g_array_new(FALSE, FALSE, sizeof(idrn_box));
    self->crops = g_array_new(FALSE, FALSE, sizeof(Crop));
    self->windows = g_array_new(FALSE, FALSE, sizeof(idrn_window));
    self->images = g_array_new(FALSE, FALSE, sizeof(idrn_image));
    g_array_set_clear_func(self->crops, clear_crop);
}

static void install_properties(GObjectClass *object_class) {
    const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

    g_object_class_install_property(
        object_class, PROP_MODEL,
        g_param_spec_string("model", "Model", "Folder of the model, with its manifest.json", NULL, flags));
    g_object_class_install_property(
        object_class, PROP_MODE,
        g_param_spec_enum("mode", "Mode", "What comes out", mode_type(), DEFAULT_MODE, flags));
    g_object_class_install_property(
        object_class, PROP_PRECISION,
        g_param_spec_enum("precision", "Precision", "What the network computes in", precision_type(),
                          DEFAULT_PRECISION, flags));
    g_object_class_install_property(
        object_class, PROP_THREADS,
        g_param_spec_uint("threads", "Threads", "Threads of the computation; 0: every processor", 0, 1024,
                          DEFAULT_THREADS, flags));
    g_object_class_install_property(
        object_class, PROP_ROI_TYPE,
        g_param_spec_string("roi-type", "Region of interest type",
                            "Take only regions of interest of this type, such as face; by default all", NULL,
                            flags));
    g_object_class_install_property(
        object_class, PROP_POST_MESSAGES,
        g_param_spec_boolean("post-messages", "Post messages",
                             "With mode=crops, post a message idrn-faces for every frame with faces",
                             DEFAULT_POST_MESSAGES, flags));
    g_object_class_install_property(
        object_class, PROP_CASCADE,
        g_param_spec_string(
            "cascade", "Cascade",
            "File of an OpenCV cascade that finds the faces; by default they are regions of interest", NULL,
            flags));
    g_object_class_install_property(
        object_class, PROP_MIN_FACE,
        g_param_spec_uint("min-face-px", "Least face", "With a cascade, the smallest face to find, in pixels",
                          8, GST_IDRN_MOST_PX, DEFAULT_MIN_FACE_PX, flags));
}

static void gst_idrn_sr_class_init(GstIdrnSrClass *klass) {
    GObjectClass *object_class = G_OBJECT_CLASS(klass);
    GstElementClass *element_class = GST_ELEMENT_CLASS(klass);
    GstBaseTransformClass *transform_class = GST_BASE_TRANSFORM_CLASS(klass);

    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->finalize = finalize;
    install_properties(object_class);

    gst_element_class_set_static_metadata(
        element_class, "IDRN face super-resolution", "Filter/Effect/Video",
        "Makes small faces in video clear, where regions of interest say they are", "The idrn_trt authors");
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_type_mark_as_plugin_api(mode_type(), 0);
    gst_type_mark_as_plugin_api(precision_type(), 0);

    transform_class->start = start;
    transform_class->stop = stop;
    transform_class->transform_caps = transform_caps;
    transform_class->fixate_caps = fixate_caps;
    transform_class->transform_meta = transform_meta;
    transform_class->transform_ip = transform_ip;
    transform_class->passthrough_on_same_caps = FALSE;
    GST_VIDEO_FILTER_CLASS(klass)->transform_frame = transform_frame;

    GST_DEBUG_CATEGORY_INIT(gst_idrn_sr_debug, "idrnsr", 0, "IDRN face super-resolution");
}

static gboolean plugin_init(GstPlugin *plugin) {
    return gst_element_register(plugin, "idrnsr", GST_RANK_NONE, GST_TYPE_IDRN_SR);
}

/* GStreamer knows no name for the Apache-2.0 licence. */
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, idrnsr, "Face super-resolution (Apache-2.0)",
                  plugin_init, IDRN_VERSION, GST_LICENSE_UNKNOWN, "idrn_trt", "Unknown package origin")
