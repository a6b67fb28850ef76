/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A link, and at the other end of its socket a worker that says what a test wants it to say.
 * Nothing here blocks, and everything asserts. */
#pragma once

#include <sys/stat.h>

#include "link/afrpc-link.h"

G_BEGIN_DECLS

#define FAKE_HOST "c"

typedef struct
{
  AfrpcLink link;
  AfrpcTransport worker;
} Fake;

void     fake_init     (Fake           *self);
void     fake_clear    (Fake           *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fake, fake_clear)

/* What the worker says; floating values are taken. */
GVariant *fake_new_hello (guint32         version,
                          const char     *host);
void      fake_greet     (Fake           *self);
void      fake_say       (Fake           *self,
                          AfrpcFrameKind  kind,
                          guint64         serial,
                          GVariant       *value);
void      fake_say_raw   (Fake           *self,
                          AfrpcFrameKind  kind,
                          guint64         serial,
                          const char     *type,
                          const char     *payload,
                          gsize           size);

/* Bytes as they are, with a descriptor, or -1. */
void      fake_send      (Fake           *self,
                          const guint8   *bytes,
                          gsize           size,
                          int             fd);

/* Both greet each other, and the worker is ready. */
void      fake_start     (Fake           *self);

/* What the worker hears: the next frame, which must be of that kind. */
void      fake_hear      (Fake           *self,
                          AfrpcFrameKind  kind,
                          AfrpcFrame     *frame);
void      fake_hear_none (Fake           *self);

/* What the link makes of it: an item, nothing, or an error. */
void      fake_take      (Fake           *self,
                          AfrpcLinkItem  *item);
void      fake_take_none (Fake           *self);
void      fake_refused   (Fake           *self,
                          int             code);

/* Nothing arrives any more. Returns: (element-type AfrpcLinkSlot) (transfer full): what is given back then */
GArray   *fake_end       (Fake           *self);

/* A file of its own, and whether it is what the worker hears of. */
int       fake_new_fd    (struct stat    *st);
void      fake_check_fd  (Fake           *self,
                          const struct stat *st);

/* A call with a number as its arguments and, in disguise, its owner. */
guint64   fake_call      (Fake           *self,
                          guint           number);

G_END_DECLS
