/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A parent that says whatever a test wants to say to a worker's host, in frames. Everything asserts; what is put is
 * sent with raw_flush() or by waiting for something. */
#pragma once

#include "os/afrpc-spawn.h"
#include "transport/afrpc-shared-state.h"
#include "transport/afrpc-transport.h"

G_BEGIN_DECLS

#define TEST_WORKER (g_getenv ("AFRPC_TEST_WORKER"))

typedef struct
{
  AfrpcSpawned spawned;  /* pid 0: the process was forked by another */
  AfrpcTransport transport;    /* the parent's end; blocks */
  AfrpcSharedState *page;       /* (nullable) */
} RawParent;

/* Which of a worker's kinds to be. */
typedef enum
{
  RAW_SOCKET = 0,
  RAW_SHARED = 1 << 0,  /* with shared memory */
  RAW_COMMAND = 1 << 1, /* over pipes */
  RAW_ASYNC = 1 << 2,
} RawKind;

/* A serial that no other number has. */
#define RAW_SERIAL(number) ((guint64) (number) << AFRPC_SERIAL_SLOT_BITS | (number))

/* @host: (nullable): its program; or that of C */
void      raw_start        (RawParent            *self,
                            RawKind               kind,
                            const char           *host);
void      raw_adopt        (RawParent            *self,
                            int                   fd);

/* Half-closes, and waits for the end; returns the signal that ended it, or 0. @exit_status: (nullable) */
int       raw_end          (RawParent            *self,
                            int                  *exit_status);

void      raw_flush        (RawParent            *self);
void      raw_put          (RawParent            *self,
                            AfrpcFrameKind        kind,
                            guint64               serial,
                            GVariant             *value);
void      raw_put_text     (RawParent            *self,
                            AfrpcFrameKind        kind,
                            guint64               serial,
                            const char           *text,
                            int                   fd);
void      raw_put_hello    (RawParent            *self);
void      raw_put_module   (RawParent            *self,
                            const char           *path);
/* With a page, if it is to have one; @options: (nullable): of the dictionary's text, more */
void      raw_put_run      (RawParent            *self,
                            RawKind               kind,
                            const char           *function,
                            const char           *options);
void      raw_put_call     (RawParent            *self,
                            guint64               serial,
                            guint16               function,
                            guint8                flags,
                            GVariant             *args);

/* The next frame of @kind; others are passed over. FALSE: the end came before. */
gboolean  raw_wait         (RawParent            *self,
                            AfrpcFrameKind        kind,
                            AfrpcFrame           *frame);
/* The next frame, whatever it is. */
gboolean  raw_wait_any     (RawParent            *self,
                            AfrpcFrame           *frame);
/* (transfer full): its value */
GVariant *raw_parse        (RawParent            *self,
                            const AfrpcFrame     *frame);
/* (transfer full): the value of the next frame of @kind, which must come and have it, as text */
char     *raw_wait_text    (RawParent            *self,
                            AfrpcFrameKind        kind,
                            guint64              *serial);
/* (transfer full): the value of the answer to a call, as text */
char     *raw_wait_answer  (RawParent            *self,
                            guint64               serial);

G_END_DECLS
