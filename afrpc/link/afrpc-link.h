/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parent's side of one conversation with one worker: the greeting, what prepares the worker, calls and their
 * outcomes, cancelling, the half-close, and who is owed what at the end. Owns the transport; knows calls only by an
 * owner's pointer. Frames in, items out: the caller owns the loop. No GObject, no main loop.
 *
 * A call has a place, its slot, until the worker sends its outcome, or it is taken back before it was written. Whether
 * the worker has started it is known
 *   - if nothing of it was written: it has not;
 *   - by shared memory, where there is some: exactly, see afrpc-shared-state.h;
 *   - otherwise by frames, which are worth something only if none can be lost: over a socket those have arrived that
 *     the worker sent before its end, once the link has read to the end; over a command a goodbye says so.
 *
 * A process that is being forked is told everything before the template has answered. If afrpc_link_keep () was called
 * first, the link keeps the calls that it writes until afrpc_link_confirm (), and afrpc_link_restart () lets them
 * follow on another connection. */
#pragma once

#include <glib.h>

#include "afrpc-types.h"
#include "os/afrpc-spawn.h"
#include "transport/afrpc-transport.h"

G_BEGIN_DECLS

#define AFRPC_LINK_RUN_FDS_MAX 3u /* descriptors that go with the options */
#define AFRPC_LINK_NO_SLOT G_MAXUINT32

typedef enum
{
  AFRPC_LINK_GREETING,  /* nothing has arrived yet */
  AFRPC_LINK_PREPARING, /* the worker has said who it is */
  AFRPC_LINK_READY,     /* the worker runs the function */
  AFRPC_LINK_FAILED,    /* the worker has said that it cannot be prepared: what is left for it is to end */
  AFRPC_LINK_ENDED,     /* nothing arrives any more */
} AfrpcLinkState;

typedef enum
{
  AFRPC_LINK_ITEM_GREETED, /* who is at the other end has said that it is a host */
  AFRPC_LINK_ITEM_READY,
  AFRPC_LINK_ITEM_FAILED, /* preparing failed: error */
  AFRPC_LINK_ITEM_RESULT, /* of the call: value or error */
  AFRPC_LINK_ITEM_STARTED, /* of a timed call, once: serial and start_us */
  AFRPC_LINK_ITEM_PROGRESS, /* of the call, which goes on: value, or, once a call, error */
  AFRPC_LINK_ITEM_EVENT,  /* value or error */
  AFRPC_LINK_ITEM_RETIRE, /* once: the worker wants no new calls */
  AFRPC_LINK_ITEM_LOG,    /* value, maybe of a call: serial */
  AFRPC_LINK_ITEM_FORKED, /* the oldest request to fork: pid, pidfd and direct, or error */
  AFRPC_LINK_ITEM_EXITED, /* one that was forked and is not direct: pid and status */
  AFRPC_LINK_ITEM_NONE,   /* nothing for the caller; never returned */
} AfrpcLinkItemKind;

/* Whose call it is. */
typedef struct
{
  gpointer owner; /* (nullable): NULL once nobody waits for the outcome */
} AfrpcLinkCall;

/* What only has a meaning for some kinds comes last, and is not set for others. */
typedef struct
{
  AfrpcLinkItemKind kind;
  gboolean is_serialised; /* the value is, and for the caller to unpack */
  AfrpcLinkCall call;
  guint64 serial;
  GVariant *value; /* (nullable) (transfer full) */
  GError *error;   /* (nullable) (transfer full) */
  gboolean is_refused;    /* the error says that the call was not started */
  gboolean is_nameless;   /* the error is of what has come, and does not say from whom */
  gboolean is_long;       /* the value was received into memory of its own */
  int *fds;        /* (nullable) (transfer full): that came with the value */
  guint n_fds;
  int pid;         /* of FORKED and EXITED */

  gint64 start_us; /* CLOCK_MONOTONIC, not in the future; 0: the worker did not say, or has another clock */
  int pidfd;       /* (transfer full), of a forked process; -1: there was no descriptor to be had for it */
  gboolean direct; /* it is this program's own child */
  AfrpcSpawnStatus status; /* of an exited one */
} AfrpcLinkItem;

typedef enum
{
  AFRPC_LINK_SLOT_PROGRESS = 1 << 0,      /* its progress is wanted */
  AFRPC_LINK_SLOT_TIMED = 1 << 1,         /* a frame is to say that it starts */
  AFRPC_LINK_SLOT_STARTED = 1 << 2,       /* and has */
  AFRPC_LINK_SLOT_CANCELLED = 1 << 3,
  AFRPC_LINK_SLOT_LOST_PROGRESS = 1 << 4, /* that has been told */
  AFRPC_LINK_SLOT_REVOKED = 1 << 5,       /* it was taken back, or the rest of its parts was */
} AfrpcLinkSlotFlags;

typedef struct
{
  guint64 serial;       /* 0: free */
  guint64 position;     /* of its frame in the stream */
  AfrpcLinkCall call;
  guint32 next;         /* of the call that was made next, or the next free one */
  guint32 previous;     /* of the call that was made before */
  guint8 flags;         /* AfrpcLinkSlotFlags */
  AfrpcStarted started; /* set for those who are given back the slot at the end */
} AfrpcLinkSlot;

typedef struct
{
  AfrpcTransport transport;
  guint64 unwritten_from;   /* serial of the first call that was not written, of those that were given back */
  gboolean is_gone;         /* the transport is; what it knew at its end: */
  guint64 written_to;       /* 0: also where it was kept, and nobody knows */
  guint64 started_last;
  guint64 n_parts_begun;    /* of that call */
  GBytes *saved;            /* (nullable): of that call's parts */
  gboolean knows_started;
  gboolean is_async;        /* the worker is: it wants frames of what is cancelled */
  AfrpcLinkState state;
  gboolean was_ready;
  gboolean runs_nothing;    /* ever: the worker has said that it cannot be prepared, or there never was one */
  gboolean has_retired;
  char *host;               /* (nullable): the name that the host must give */
  gboolean adopted;         /* somebody else may have been greeted before */
  gboolean holds_back;      /* until it has said that it is the host that it has to be, it is told nothing but the greeting */
  guint greetings_left;     /* that may still come: of an adopted one those to others, and the answer to ours */

  AfrpcLinkSlot *slots;
  guint32 n_slots;
  guint32 first_free;       /* n_slots: none */
  guint32 oldest, newest;   /* AFRPC_LINK_NO_SLOT: none */
  guint64 n_calls_made;
  guint n_pending;          /* calls that the worker owes an answer */

  guint n_pending_max;
  guint64 n_bytes_max;      /* that wait to be written */
  guint64 message_size_max; /* bytes, of a payload in either direction */

  gboolean has_parts;       /* there have been calls that consist of many */
  gboolean wants_log;
  gboolean wants_ring;
  gboolean is_serialised;   /* arguments, results and events are, by a serialiser that the caller has */
  gboolean announces_close; /* tells the worker that it closes */
  gboolean closing;         /* no calls any more; half-close once everything is written, and nothing left to cancel */
  gboolean sending_ended;   /* half-closed, or said over a command that it closes, or the worker does not read */
  gboolean is_deaf;         /* the worker does not read, and there was something to be written */

  gboolean keeps;           /* the calls that it writes */
  AfrpcWriter *rest;        /* (nullable): what it has kept, while the next worker is not prepared */
} AfrpcLink;

void           afrpc_link_init          (AfrpcLink            *self,
                                         const char           *host);
void           afrpc_link_set_command   (AfrpcLink            *self);
void           afrpc_link_connect       (AfrpcLink            *self,
                                         int                   fd);
void           afrpc_link_ask_sender    (AfrpcLink            *self);
void           afrpc_link_adopt         (AfrpcLink            *self,
                                         int                   fd);
int            afrpc_link_steal_fd      (AfrpcLink            *self);
void           afrpc_link_take_over     (AfrpcLink            *self,
                                         AfrpcLink            *other);
void           afrpc_link_clear         (AfrpcLink            *self);

void           afrpc_link_prepare       (AfrpcLink            *self,
                                         AfrpcFrameKind        kind,
                                         GVariant             *value,
                                         const int            *fds,
                                         guint                 n_fds);
void           afrpc_link_run           (AfrpcLink            *self,
                                         GVariant             *options,
                                         const int            *option_fds,
                                         guint                 n_fds,
                                         gboolean              ends_with_us);
void           afrpc_link_declare       (AfrpcLink            *self,
                                         guint16               number,
                                         const char           *name);
void           afrpc_link_keep          (AfrpcLink            *self);
void           afrpc_link_confirm       (AfrpcLink            *self);
void           afrpc_link_rule_out      (AfrpcLink            *self);
GArray        *afrpc_link_restart       (AfrpcLink            *self,
                                         gboolean              may_exist);
guint64        afrpc_link_call          (AfrpcLink            *self,
                                         const AfrpcPayload   *args,
                                         const AfrpcLinkCall  *call,
                                         GError              **error);
AfrpcLinkCall *afrpc_link_find          (AfrpcLink            *self,
                                         guint64               serial);
gboolean       afrpc_link_take_back     (AfrpcLink            *self,
                                         guint64               serial);
AfrpcStarted   afrpc_link_cancel        (AfrpcLink            *self,
                                         guint64               serial);
guint64        afrpc_link_get_position  (const AfrpcLink      *self);
gboolean       afrpc_link_is_unwritten  (const AfrpcLink      *self,
                                         guint64               position);
AfrpcStarted   afrpc_link_get_started   (const AfrpcLink      *self,
                                         guint64               serial);
gboolean       afrpc_link_is_oldest     (const AfrpcLink      *self,
                                         guint64               serial);
gboolean       afrpc_link_runs_nothing  (const AfrpcLink      *self);
void           afrpc_link_expect_parts  (AfrpcLink            *self);
gboolean       afrpc_link_cut           (AfrpcLink            *self,
                                         guint64               serial);
GBytes        *afrpc_link_get_parts     (const AfrpcLink      *self,
                                         guint64               serial,
                                         guint64              *n_begun);
void           afrpc_link_close         (AfrpcLink            *self);

void           afrpc_link_end_sending   (AfrpcLink            *self);
AfrpcStep      afrpc_link_flush         (AfrpcLink            *self,
                                         GError              **error);
AfrpcStep      afrpc_link_read          (AfrpcLink            *self,
                                         GError              **error);
AfrpcStep      afrpc_link_next          (AfrpcLink            *self,
                                         AfrpcLinkItem        *item,
                                         GError              **error);
void           afrpc_link_process_ended (AfrpcLink            *self);
void           afrpc_link_end           (AfrpcLink            *self);
gboolean       afrpc_link_is_waited_for (AfrpcLink            *self);
gboolean       afrpc_link_give_back     (AfrpcLink            *self,
                                         AfrpcLinkSlot        *slot);
gboolean       afrpc_link_give_back_one (AfrpcLink            *self,
                                         guint64               serial,
                                         gboolean              keeps,
                                         AfrpcLinkSlot        *slot);
void           afrpc_link_let_go        (AfrpcLink            *self,
                                         gboolean              has_ended);

/* A worker that has shut its reading side, and may live on: of what is queued nothing is going to be written any more,
 * and what it still says is read. That of one that has died is at its end soon; any other has to be ended. */
static inline gboolean
afrpc_link_is_deaf (const AfrpcLink *self)
{
  return self->is_deaf;
}

/* Whether the worker may yet have to be told by a frame that a call is cancelled. */
static inline gboolean
afrpc_link_may_cancel (const AfrpcLink *self)
{
  return self->n_pending > 0 &&
         (self->is_async || !self->was_ready || !afrpc_transport_shares_state (&self->transport));
}

/* Whether nothing follows once everything is written. */
static inline gboolean
afrpc_link_is_to_end_sending (const AfrpcLink *self)
{
  return self->closing && !self->sending_ended && !afrpc_link_may_cancel (self);
}

/* Returns: the process that has sent the greeting, as the kernel says if it was asked before; 0: nobody knows */
static inline int
afrpc_link_get_sender (const AfrpcLink *self)
{
  return self->transport.sender_pid;
}

/* Between the files of this folder. */
gboolean        afrpc_link_has_written  (const AfrpcLink *self,
                                         guint64          position);
AfrpcLinkSlot  *afrpc_link_find_slot    (AfrpcLink       *self,
                                         guint64          serial);
void            afrpc_link_free_slot    (AfrpcLink       *self,
                                         AfrpcLinkSlot   *slot);
AfrpcStarted    afrpc_link_revoke       (AfrpcLink       *self,
                                         AfrpcLinkSlot   *slot);
void            afrpc_link_clear_connection (AfrpcLink   *self);
void            afrpc_link_greet        (AfrpcLink       *self);
void            afrpc_link_put_rest     (AfrpcLink       *self);

void            afrpc_link_item_clear   (AfrpcLinkItem   *item);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcLinkItem, afrpc_link_item_clear)

G_END_DECLS
