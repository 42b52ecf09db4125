/* The element idrnsr: faces in raw video made clear by libidrn. */
#ifndef GST_IDRN_SR_H
#define GST_IDRN_SR_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_IDRN_SR (gst_idrn_sr_get_type())
GType gst_idrn_sr_get_type(void);

G_END_DECLS

#endif
