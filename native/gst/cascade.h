/* Finding faces with one of OpenCV's cascades, for pipelines without a detector. */
#ifndef GST_IDRN_CASCADE_H
#define GST_IDRN_CASCADE_H

#include <idrn.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct idrn_cascade idrn_cascade;

/* Null when the file is no cascade, or always where OpenCV was not found when this was built. */
idrn_cascade *idrn_cascade_open(const char *file);
void idrn_cascade_close(idrn_cascade *cascade);

/* Writes at most IDRN_MAX_FACES boxes of faces of at least min_face_px and returns how many; -1 on failure.
 */
int idrn_cascade_find(idrn_cascade *cascade, const idrn_image *frame, unsigned min_face_px, idrn_box *boxes);

#ifdef __cplusplus
}
#endif

#endif
