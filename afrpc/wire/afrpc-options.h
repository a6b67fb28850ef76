/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options as they travel, "a{sv}": nobody gives the same one twice. They are written and read in place, since each worker
 * that starts has some, and GVariant makes an object of everything on the way. See the GVariant specification, section 2. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* To be written, one after the other. */
typedef struct
{
  GByteArray *bytes;
  GArray *ends; /* (element-type gsize): of each option */
} AfrpcOptionsWriter;

void      afrpc_options_begin       (AfrpcOptionsWriter *self,
                                     GVariant           *others);
void      afrpc_options_add         (AfrpcOptionsWriter *self,
                                     const char         *name,
                                     GVariant           *value);
void      afrpc_options_add_boolean (AfrpcOptionsWriter *self,
                                     const char         *name,
                                     gboolean            value);
void      afrpc_options_add_byte    (AfrpcOptionsWriter *self,
                                     const char         *name,
                                     guint8              value);
void      afrpc_options_add_int32   (AfrpcOptionsWriter *self,
                                     const char         *name,
                                     gint32              value);
void      afrpc_options_add_uint32  (AfrpcOptionsWriter *self,
                                     const char         *name,
                                     guint32             value);
void      afrpc_options_add_uint64  (AfrpcOptionsWriter *self,
                                     const char         *name,
                                     guint64             value);
void      afrpc_options_add_string  (AfrpcOptionsWriter *self,
                                     const char         *name,
                                     const char         *value);
GVariant *afrpc_options_end         (AfrpcOptionsWriter *self) G_GNUC_WARN_UNUSED_RESULT;

/* To be read, as long as the value that they are is there, which is in normal form. */
typedef struct
{
  GVariant *dict;      /* (transfer none) */
  const guint8 *bytes;
  gsize size;          /* of the options, without the offsets behind them */
  gsize n;
  guint offset_size;
} AfrpcOptions;

gboolean    afrpc_options_init        (AfrpcOptions       *self,
                                       GVariant           *dict);
gboolean    afrpc_options_get_boolean (const AfrpcOptions *self,
                                       const char         *name,
                                       gboolean           *value);
gboolean    afrpc_options_get_byte    (const AfrpcOptions *self,
                                       const char         *name,
                                       guint8             *value);
gboolean    afrpc_options_get_int32   (const AfrpcOptions *self,
                                       const char         *name,
                                       gint32             *value);
gboolean    afrpc_options_get_uint32  (const AfrpcOptions *self,
                                       const char         *name,
                                       guint32            *value);
gboolean    afrpc_options_get_uint64  (const AfrpcOptions *self,
                                       const char         *name,
                                       guint64            *value);
const char *afrpc_options_get_string  (const AfrpcOptions *self,
                                       const char         *name);
const char *afrpc_options_get_path    (const AfrpcOptions *self,
                                       const char         *name);
GVariant   *afrpc_options_dup_value   (const AfrpcOptions *self,
                                       const char         *name,
                                       const char         *type) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
