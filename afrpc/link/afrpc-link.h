/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parent's side of one conversation with one worker: the greeting, what prepares the worker,
 * calls and their outcomes, cancelling, the half-close, and who is owed what at the end. Owns the
 * stream and the shared page; knows calls only by an owner's pointer. Frames in, items out: the
 * caller owns the loop. No GObject, no main loop. */
#pragma once

#include <glib.h>

#include "spawn/afrpc-spawn.h"
#include "wire/afrpc-page.h"
#include "wire/afrpc-stream.h"

G_BEGIN_DECLS

#define AFRPC_LINK_RUN_FDS_MAX 3u /* descriptors that go with the options */

typedef enum
{
  AFRPC_LINK_GREETING,  /* nothing has arrived yet */
  AFRPC_LINK_PREPARING, /* the worker has said who it is */
  AFRPC_LINK_READY,     /* the worker runs the function */
  AFRPC_LINK_ENDED,     /* nothing arrives any more */
} AfrpcLinkState;

typedef enum
{
  AFRPC_LINK_ITEM_READY,
  AFRPC_LINK_ITEM_FAILED, /* preparing failed: error */
  AFRPC_LINK_ITEM_RESULT, /* of the call: value or error */
  AFRPC_LINK_ITEM_PROGRESS, /* of the call, which goes on: value or error */
  AFRPC_LINK_ITEM_EVENT,  /* value or error */
  AFRPC_LINK_ITEM_LOG,    /* value, maybe of a call: serial */
  AFRPC_LINK_ITEM_FORKED, /* the oldest request to fork: pid, pidfd and direct, or error */
  AFRPC_LINK_ITEM_EXITED, /* one that was forked and is not direct: pid and status */
  AFRPC_LINK_ITEM_NONE,   /* nothing for the caller; never returned */
} AfrpcLinkItemKind;

/* Whose call it is. */
typedef struct
{
  gpointer owner;  /* (nullable): NULL once nobody waits for the outcome */
  gboolean wants_progress;
} AfrpcLinkCall;

typedef struct
{
  AfrpcLinkItemKind kind;
  AfrpcLinkCall call;
  guint64 serial;
  GVariant *value; /* (nullable) (transfer full) */
  gboolean is_serialised; /* the value is, and for the caller to unpack */
  GError *error;   /* (nullable) (transfer full) */
  int *fds;        /* (nullable) (transfer full): that came with the value */
  guint n_fds;
  int pid;
  int pidfd;       /* (transfer full), of a forked process; -1: there was no descriptor to be had for it */
  gboolean direct; /* it is this program's own child */
  AfrpcSpawnStatus status; /* of an exited one */
} AfrpcLinkItem;

typedef struct
{
  guint64 serial;    /* 0: free */
  AfrpcLinkCall call;
  guint32 next_free;
} AfrpcLinkSlot;

typedef struct
{
  AfrpcStream stream;
  AfrpcPage *page;          /* (nullable) */
  guint64 started;          /* without a page: serial of the call started last, as far as is known */
  gboolean is_command;      /* no descriptors can be passed, and a goodbye tells how the worker ended */
  guint64 goodbye_serial;   /* 0: none is going to come */
  gboolean has_goodbye;
  AfrpcGoodbye goodbye;
  AfrpcLinkState state;
  gboolean was_ready;
  char *host;               /* (nullable): the name that the host must give */
  gboolean adopted;         /* somebody else may have been greeted */

  AfrpcLinkSlot *slots;
  guint32 n_slots;
  guint32 first_free;       /* n_slots: none */
  guint64 n_calls_made;
  guint n_pending;          /* calls that the worker owes an answer */

  guint n_pending_max;
  guint64 n_bytes_max;      /* that wait to be written */
  guint64 message_size_max; /* bytes, of a payload in either direction */

  gboolean wants_log;
  gboolean is_serialised;   /* arguments, results and events are, by a serialiser that the caller has */
  gboolean dismisses;       /* tells the worker that it closes */
  gboolean closing;         /* no calls any more; half-close once everything is written */
  gboolean shut;            /* half-closed, or the worker does not read */
} AfrpcLink;

void            afrpc_link_init         (AfrpcLink       *self,
                                         const char      *host);
void            afrpc_link_set_command  (AfrpcLink       *self);
void            afrpc_link_connect      (AfrpcLink       *self,
                                         int              fd);
void            afrpc_link_adopt        (AfrpcLink       *self,
                                         int              fd);
int             afrpc_link_steal_fd     (AfrpcLink       *self);
void            afrpc_link_clear        (AfrpcLink       *self);

void            afrpc_link_prepare      (AfrpcLink       *self,
                                         AfrpcFrameKind   kind,
                                         GVariant        *value,
                                         const int       *fds,
                                         guint            n_fds);
void            afrpc_link_run          (AfrpcLink       *self,
                                         GVariant        *options,
                                         const int       *option_fds,
                                         guint            n_fds,
                                         gboolean         ends_with_us);
void            afrpc_link_replay       (AfrpcLink       *self,
                                         int              peer_fd,
                                         void           (*insert) (AfrpcLink *self, gpointer data),
                                         gpointer         data);
guint64         afrpc_link_call         (AfrpcLink       *self,
                                         const AfrpcPayload *args,
                                         const AfrpcLinkCall *call,
                                         GError         **error);
AfrpcLinkCall  *afrpc_link_find         (AfrpcLink       *self,
                                         guint64          serial);
void            afrpc_link_cancel       (AfrpcLink       *self,
                                         guint64          serial);
void            afrpc_link_close        (AfrpcLink       *self);

void            afrpc_link_shut         (AfrpcLink       *self);
AfrpcStreamStep afrpc_link_flush        (AfrpcLink       *self,
                                         GError         **error);
AfrpcStreamStep afrpc_link_read         (AfrpcLink       *self,
                                         GError         **error);
AfrpcStreamStep afrpc_link_next         (AfrpcLink       *self,
                                         AfrpcLinkItem   *item,
                                         GError         **error);
GArray         *afrpc_link_end          (AfrpcLink       *self);
gboolean        afrpc_link_was_started  (const AfrpcLink *self,
                                         guint64          serial);

/* Between the files of this folder. */
AfrpcLinkSlot  *afrpc_link_find_slot    (AfrpcLink       *self,
                                         guint64          serial);

void            afrpc_link_item_clear   (AfrpcLinkItem   *item);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcLinkItem, afrpc_link_item_clear)

G_END_DECLS
