/* In the place of cascade.cpp where OpenCV is not there. */
#include "cascade.h"

idrn_cascade *idrn_cascade_open(const char *file) {
    (void)file;
    return NULL;
}

void idrn_cascade_close(idrn_cascade *cascade) {
    (void)cascade;
}

int idrn_cascade_find(idrn_cascade *cascade, const idrn_image *frame, unsigned min_face_px, idrn_box *boxes) {
    (void)cascade, (void)frame, (void)min_face_px, (void)boxes;
    return -1;
}
