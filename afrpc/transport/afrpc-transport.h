/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How frames travel between a program and a worker: over a socket of one machine, or the pipes of a command, which may
 * lead to another. Both sides use the same. Owns the connection, a reader and a writer, and what both sides know of
 * calls without a system call. Each step makes at most one system call that can block; the caller owns the loop, and
 * whether the descriptors block. No GObject, no main loop.
 *
 * What differs is behind a table of functions. Queueing and parsing, which is done for each frame, is not: a transport
 * only gets bytes from the writer's batches and fills the reader's room.
 *
 * Who waits polls in_fd, and out_fd if afrpc_transport_is_stuck (), but asks afrpc_transport_may_wait () first; or has
 * the transport wait. */
#pragma once

#include <glib.h>

#include "transport/afrpc-reader.h"
#include "transport/afrpc-ring.h"
#include "transport/afrpc-shared-state.h"
#include "transport/afrpc-writer.h"

G_BEGIN_DECLS

#define AFRPC_TRANSPORT_CROWDED_MS 5 /* until a writer that is crowded is flushed again: no event tells when */

typedef struct _AfrpcTransport AfrpcTransport;

typedef struct
{
  const char *name;
  gboolean is_local; /* both sides are of one machine: descriptors and memory can be passed, and clocks are the same */
  guint guard_size;  /* bytes behind each frame from the worker */

  /* Receives once, if what was received before has been taken. EOF: nothing more comes. */
  AfrpcStep (* read)            (AfrpcTransport  *self,
                                 GError         **error);

  /* Sends until everything is out (DONE), the other side does not take more now, or has had enough of it for once (AGAIN), or does not read any more
   * (EOF). If it is crowded it is not writable that tells when to flush again, see AFRPC_TRANSPORT_CROWDED_MS. */
  AfrpcStep (* flush)           (AfrpcTransport  *self,
                                 GError         **error);

  /* (nullable): Before in_fd is polled: FALSE: there is something to read now, whatever that says. */
  gboolean  (* may_wait)        (AfrpcTransport  *self);

  /* (nullable): Waits until there may be something to read; or room to go on flushing. By default, polls. */
  void      (* wait_readable)   (AfrpcTransport  *self);
  void      (* wait_writable)   (AfrpcTransport  *self);

  /* (nullable): Whether the other side keeps up with what is written. By default, polls. */
  gboolean  (* has_room)        (AfrpcTransport  *self);

  /* (nullable): How many bytes there are to be read now. By default, asks the kernel. */
  guint64   (* count_arrived)   (AfrpcTransport  *self);

  /* Lets the other side see that nothing more comes. */
  void      (* end_sending)     (AfrpcTransport  *self);

  /* For whoever may not be held up. */
  void      (* set_nonblocking) (AfrpcTransport  *self);

  /* (nullable): Whether what has been received, and is no frame (@step), says that the worker has ended. */
  AfrpcStep (* look_for_end)    (AfrpcTransport  *self,
                                 AfrpcStep        step,
                                 GError         **error);
} AfrpcTransportFuncs;

typedef enum
{
  AFRPC_TRANSPORT_PROGRAM,
  AFRPC_TRANSPORT_WORKER,
} AfrpcTransportSide;

struct _AfrpcTransport
{
  const AfrpcTransportFuncs *funcs; /* (nullable): NULL before init */
  AfrpcTransportSide side;
  int in_fd;                /* -1: none; maybe the same as out_fd */
  int out_fd;
  AfrpcReader reader;
  AfrpcWriter writer;

  gboolean asks_sender;     /* see afrpc_socket_ask_sender () */
  int sender_pid;           /* what the kernel has said of that; 0: nothing */

  AfrpcRing *ring;          /* (nullable): beside the socket, see afrpc-socket-ring.h */
  gboolean sends_by_ring;   /* the other side has been told so */
  gboolean reads_by_ring;   /* it has said so */

  /* What is known of calls. */
  AfrpcSharedState *state;  /* (nullable): none can be had */
  guint64 started;          /* without one: serial of the call started last, as far as frames have told */
  gboolean peer_ended;      /* the process at the other end; somebody else may have its descriptors */
  gboolean is_complete;     /* all has been received that the other side sent, which is not going to send more */

  /* In the program, of a worker behind pipes: what may be the beginning of a goodbye. */
  guint64 goodbye_serial;   /* 0: none is going to come */
  gboolean has_goodbye;
  AfrpcGoodbye goodbye;
  guint8 last_bytes[AFRPC_FRAME_GOODBYE_SIZE];
  guint n_last_bytes;
};

void afrpc_transport_init       (AfrpcTransport            *self,
                                 const AfrpcTransportFuncs *funcs,
                                 AfrpcTransportSide         side);
void afrpc_transport_set_funcs  (AfrpcTransport            *self,
                                 const AfrpcTransportFuncs *funcs);
void afrpc_transport_connect    (AfrpcTransport            *self,
                                 int                        in_fd,
                                 int                        out_fd);
void afrpc_transport_disconnect (AfrpcTransport            *self);
void afrpc_transport_restart    (AfrpcTransport            *self,
                                 int                        fd);
int  afrpc_transport_steal_fd   (AfrpcTransport            *self);
void afrpc_transport_clear      (AfrpcTransport            *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcTransport, afrpc_transport_clear)

/* Whether both sides are of one machine. */
static inline gboolean
afrpc_transport_is_local (const AfrpcTransport *self)
{
  return self->funcs->is_local;
}

/* Receiving: read, then take frames until there are no more. */
static inline AfrpcStep
afrpc_transport_read (AfrpcTransport  *self,
                      GError         **error)
{
  return self->funcs->read (self, error);
}

/* Parses one frame: DONE, AGAIN if its end has not been read yet, SLICE if a large one is to be gone on with later, EOF
 * if the worker said that it has ended, ERROR if the other side is no afrpc. */
static inline AfrpcStep
afrpc_transport_next (AfrpcTransport  *self,
                      AfrpcFrame      *frame,
                      GError         **error)
{
  /* What is there is taken until there is no more: the last time costs nothing. */
  AfrpcStep step =
    afrpc_reader_is_empty (&self->reader) ? AFRPC_STEP_AGAIN : afrpc_reader_next (&self->reader, frame, error);

  if (step != AFRPC_STEP_DONE && step != AFRPC_STEP_SLICE && self->funcs->look_for_end != NULL)
    return self->funcs->look_for_end (self, step, error);

  return step;
}

/* Whether afrpc_transport_next () would find nothing, for certain. */
static inline gboolean
afrpc_transport_is_empty (const AfrpcTransport *self)
{
  return afrpc_reader_is_empty (&self->reader) && self->funcs->look_for_end == NULL;
}

/* Everything has been taken, and it may be long until something is read again. */
static inline void
afrpc_transport_rest (AfrpcTransport *self)
{
  afrpc_reader_rest (&self->reader);
}

static inline GVariant *
afrpc_transport_parse_value (AfrpcTransport    *self,
                             const AfrpcFrame  *frame,
                             GError           **error)
{
  return afrpc_reader_parse_value (&self->reader, frame, error);
}

static inline int
afrpc_transport_take_fd (AfrpcTransport *self)
{
  return afrpc_reader_take_fd (&self->reader);
}

static inline gboolean
afrpc_transport_has_read (const AfrpcTransport *self)
{
  return afrpc_reader_has_read (&self->reader);
}

/* Sending: queue, then flush. */
static inline guint8 *
afrpc_transport_put (AfrpcTransport         *self,
                     const AfrpcFrameHeader *header,
                     const char             *type)
{
  return afrpc_writer_put (&self->writer, header, type);
}

static inline void
afrpc_transport_put_payload (AfrpcTransport     *self,
                             AfrpcFrameKind      kind,
                             guint64             serial,
                             const AfrpcPayload *payload)
{
  afrpc_writer_put_payload (&self->writer, kind, serial, payload);
}

static inline void
afrpc_transport_put_value (AfrpcTransport *self,
                           AfrpcFrameKind  kind,
                           guint64         serial,
                           GVariant       *value)
{
  afrpc_writer_put_value (&self->writer, kind, serial, value);
}

static inline void
afrpc_transport_put_fds (AfrpcTransport *self,
                         AfrpcFrameKind  kind,
                         GVariant       *value,
                         const int      *fds,
                         guint           n_fds)
{
  afrpc_writer_put_fds (&self->writer, kind, value, fds, n_fds);
}

static inline void
afrpc_transport_put_fd (AfrpcTransport *self,
                        AfrpcFrameKind  kind,
                        GVariant       *value,
                        int             fd)
{
  afrpc_writer_put_fd (&self->writer, kind, value, fd);
}

static inline gsize
afrpc_transport_get_queued (const AfrpcTransport *self)
{
  return afrpc_writer_get_queued (&self->writer);
}

static inline AfrpcStep
afrpc_transport_flush (AfrpcTransport  *self,
                       GError         **error)
{
  return self->funcs->flush (self, error);
}

/* Whether what is queued waits for out_fd to be writable. */
static inline gboolean
afrpc_transport_is_stuck (const AfrpcTransport *self)
{
  return afrpc_writer_get_queued (&self->writer) > 0 && !self->writer.crowded &&
         !(self->ring != NULL && self->ring->is_full);
}

/* Before in_fd is polled. FALSE: there is something to read now. */
static inline gboolean
afrpc_transport_may_wait (AfrpcTransport *self)
{
  return self->funcs->may_wait == NULL || self->funcs->may_wait (self);
}

void     afrpc_transport_wait_readable (AfrpcTransport *self);
void     afrpc_transport_wait_writable (AfrpcTransport *self);
gboolean afrpc_transport_has_room      (AfrpcTransport *self);
guint64  afrpc_transport_count_arrived (AfrpcTransport *self);

static inline void
afrpc_transport_end_sending (AfrpcTransport *self)
{
  if (self->out_fd >= 0)
    self->funcs->end_sending (self);
}

static inline void
afrpc_transport_set_nonblocking (AfrpcTransport *self)
{
  self->funcs->set_nonblocking (self);
}

/* What is known of calls. Where memory can be shared it says which were started, and which are cancelled, at once and
 * exactly; where it cannot, frames do. */

int      afrpc_transport_share_state (AfrpcTransport  *self);
gboolean afrpc_transport_take_state  (AfrpcTransport  *self,
                                      int              fd,
                                      GError         **error);
void     afrpc_transport_offer_ring  (AfrpcTransport  *self);

static inline gboolean
afrpc_transport_shares_state (const AfrpcTransport *self)
{
  return self->state != NULL;
}

/* In the worker. */
static inline void
afrpc_transport_mark_started (AfrpcTransport *self,
                              guint64         serial)
{
  if (self->state != NULL)
    afrpc_shared_state_start (self->state, serial);
}

static inline gboolean
afrpc_transport_is_cancelled (const AfrpcTransport *self,
                              guint64               serial)
{
  return afrpc_shared_state_is_cancelled (self->state, serial);
}

/* Whether a call is not to be started. */
static inline gboolean
afrpc_transport_is_unwanted (const AfrpcTransport *self,
                             guint64               serial)
{
  return afrpc_shared_state_is_cancelled (self->state, serial) || afrpc_shared_state_is_revoked (self->state, serial);
}

/* In the program. */
static inline void
afrpc_transport_mark_cancelled (AfrpcTransport *self,
                                guint64         serial)
{
  if (self->state != NULL)
    afrpc_shared_state_cancel (self->state, serial);
}

/* Has the worker not start a call that it has not started. FALSE: it has, or may have, and goes on with it. */
static inline gboolean
afrpc_transport_revoke (AfrpcTransport *self,
                        guint64         serial)
{
  if (self->state == NULL || serial <= afrpc_shared_state_get_started (self->state))
    return FALSE;

  afrpc_shared_state_revoke (self->state, serial);
  if (serial > afrpc_shared_state_get_started (self->state))
    return TRUE;

  afrpc_shared_state_unrevoke (self->state, serial);
  return FALSE;
}

/* Has it begin no more of those that a call consists of. */
static inline void
afrpc_transport_stop_parts (AfrpcTransport *self,
                            guint64         serial)
{
  afrpc_shared_state_revoke (self->state, serial);
}

static inline void
afrpc_transport_unrevoke (AfrpcTransport *self,
                          guint64         serial)
{
  if (self->state != NULL)
    afrpc_shared_state_unrevoke (self->state, serial);
}

/* In the worker: it begins a part of a call, the first one if it has begun none of that. */
static inline void
afrpc_transport_mark_part (AfrpcTransport *self,
                           guint64         serial)
{
  if (self->state == NULL)
    return;
  if (self->state->parts_serial != serial)
    afrpc_shared_state_begin_parts (self->state, serial);
  afrpc_shared_state_begin_part (self->state);
}

/* Likewise: keeps something of it for the program, should the worker die. FALSE: that cannot be. */
static inline gboolean
afrpc_transport_save (AfrpcTransport *self,
                      guint64         serial,
                      gconstpointer   data,
                      gsize           size)
{
  return self->state != NULL && afrpc_shared_state_save (self->state, serial, data, size);
}

/* In the program. Returns: (nullable) (transfer full): what was kept */
static inline GBytes *
afrpc_transport_copy_parts (const AfrpcTransport *self,
                            guint64               serial,
                            guint64              *n_begun)
{
  *n_begun = 0;

  return self->state != NULL ? afrpc_shared_state_copy_parts (self->state, serial, n_begun) : NULL;
}

/* The call's outcome is here: its place is free for another. */
static inline void
afrpc_transport_unmark_cancelled (AfrpcTransport *self,
                                  guint64         serial)
{
  if (self->state != NULL)
    afrpc_shared_state_forget (self->state, serial);
}

/* A frame says that the call was started. */
static inline void
afrpc_transport_note_started (AfrpcTransport *self,
                              guint64         serial)
{
  self->started = MAX (self->started, serial);
}

/* Returns: the serial of the call that was started last */
static inline guint64
afrpc_transport_get_started (const AfrpcTransport *self)
{
  return self->state != NULL ? afrpc_shared_state_get_started (self->state) : self->started;
}

/* Whether nothing is missing in that: if there was a frame that says more, it would be here. */
static inline gboolean
afrpc_transport_knows_started (const AfrpcTransport *self)
{
  return self->state != NULL || self->is_complete;
}

/* What a process sent that is known to have ended is all there, also if others hold the connection open: nothing to be
 * read is the end. */
static inline void
afrpc_transport_peer_has_ended (AfrpcTransport *self)
{
  self->peer_ended = TRUE;
}

G_END_DECLS
