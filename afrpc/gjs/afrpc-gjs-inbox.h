/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <afrpc/afrpc.h>

G_BEGIN_DECLS

/**
 * AfrpcGjsNews:
 * @AFRPC_GJS_NEWS_RESULT: a call or another asynchronous method has come to its end
 * @AFRPC_GJS_NEWS_PROGRESS: a call has come this far
 * @AFRPC_GJS_NEWS_EVENT: a caller that is watched has an event
 * @AFRPC_GJS_NEWS_ERROR: a caller that is watched has an error
 * @AFRPC_GJS_NEWS_DESTROYED: a caller that is watched is destroyed
 * @AFRPC_GJS_NEWS_INPUT: a map wants an input
 * @AFRPC_GJS_NEWS_BROUGHT: a map has brought what there is
 * @AFRPC_GJS_NEWS_OVER: a map has brought everything, or the error is why it has not
 *
 * What a turn of an inbox is about.
 */
typedef enum
{
  AFRPC_GJS_NEWS_RESULT,
  AFRPC_GJS_NEWS_PROGRESS,
  AFRPC_GJS_NEWS_EVENT,
  AFRPC_GJS_NEWS_ERROR,
  AFRPC_GJS_NEWS_DESTROYED,
  AFRPC_GJS_NEWS_INPUT,
  AFRPC_GJS_NEWS_BROUGHT,
  AFRPC_GJS_NEWS_OVER,
} AfrpcGjsNews;

#define AFRPC_GJS_TYPE_INBOX (afrpc_gjs_inbox_get_type ())
G_DECLARE_DERIVABLE_TYPE (AfrpcGjsInbox, afrpc_gjs_inbox, AFRPC_GJS, INBOX, GObject)

/**
 * AfrpcGjsInboxClass:
 * @parent_class: the parent class
 */
struct _AfrpcGjsInboxClass
{
  GObjectClass parent_class;
};

void          afrpc_gjs_inbox_call         (AfrpcGjsInbox    *self,
                                            guint             id,
                                            AfrpcCaller      *caller,
                                            const char       *type,
                                            guint8           *data,
                                            gsize             size,
                                            AfrpcCallOptions *options,
                                            int               progress_mode,
                                            GCancellable     *cancellable);
void          afrpc_gjs_inbox_call_sync    (AfrpcGjsInbox    *self,
                                            guint             id,
                                            AfrpcCaller      *caller,
                                            const char       *type,
                                            guint8           *data,
                                            gsize             size,
                                            AfrpcCallOptions *options,
                                            int               progress_mode,
                                            GCancellable     *cancellable);
void          afrpc_gjs_inbox_call_full    (AfrpcGjsInbox    *self,
                                            guint             id,
                                            AfrpcCaller      *caller,
                                            GVariant         *args,
                                            AfrpcCallOptions *options,
                                            GCancellable     *cancellable);
void          afrpc_gjs_inbox_close        (AfrpcGjsInbox    *self,
                                            guint             id,
                                            AfrpcCaller      *caller,
                                            GCancellable     *cancellable);
void          afrpc_gjs_inbox_run          (AfrpcGjsInbox *self,
                                            guint          id,
                                            AfrpcProcess  *process,
                                            const char    *function,
                                            GCancellable  *cancellable);
void          afrpc_gjs_inbox_to_fd        (AfrpcGjsInbox *self,
                                            guint          id,
                                            AfrpcProcess  *process,
                                            GCancellable  *cancellable);
void          afrpc_gjs_inbox_wait         (AfrpcGjsInbox *self,
                                            guint          id,
                                            AfrpcProcess  *process,
                                            GCancellable  *cancellable);
void          afrpc_gjs_inbox_wait_for_room (AfrpcGjsInbox *self,
                                             guint          id,
                                             AfrpcPool     *pool,
                                             GCancellable  *cancellable);
void          afrpc_gjs_inbox_wait_call    (AfrpcGjsInbox *self,
                                            guint          id,
                                            AfrpcCall     *call,
                                            GCancellable  *cancellable);
gboolean      afrpc_gjs_inbox_begin        (AfrpcGjsInbox    *self,
                                            guint             id,
                                            GObject          *object,
                                            const char       *function,
                                            GCancellable     *cancellable,
                                            GError          **error);

AfrpcMap     *afrpc_gjs_inbox_map          (AfrpcGjsInbox    *self,
                                            AfrpcPool        *pool,
                                            AfrpcCallOptions *options,
                                            GCancellable     *cancellable,
                                            gboolean          is_ordered);
void          afrpc_gjs_inbox_put_input    (AfrpcGjsInbox    *self,
                                            const char       *type,
                                            guint8           *data,
                                            gsize             size);
void          afrpc_gjs_inbox_map_next     (AfrpcGjsInbox    *self,
                                            AfrpcMap         *map,
                                            guint             n_max);
void          afrpc_gjs_inbox_call_all     (AfrpcGjsInbox    *self,
                                            guint             id,
                                            AfrpcPool        *pool,
                                            GVariant         *args,
                                            AfrpcCallOptions *options,
                                            GCancellable     *cancellable);

void          afrpc_gjs_inbox_watch        (AfrpcGjsInbox *self,
                                            AfrpcCaller   *caller);
void          afrpc_gjs_inbox_unwatch      (AfrpcGjsInbox *self,
                                            AfrpcCaller   *caller);
gboolean      afrpc_gjs_inbox_is_destroyed (AfrpcGjsInbox *self,
                                            AfrpcCaller   *caller);

AfrpcGjsNews  afrpc_gjs_inbox_get_news     (AfrpcGjsInbox *self);
AfrpcCaller  *afrpc_gjs_inbox_get_caller   (AfrpcGjsInbox *self);
AfrpcMap     *afrpc_gjs_inbox_get_map      (AfrpcGjsInbox *self);
const char   *afrpc_gjs_inbox_get_value    (AfrpcGjsInbox *self,
                                            const guint8 **data,
                                            gsize         *size,
                                            GError       **error);
GVariant     *afrpc_gjs_inbox_get_variant  (AfrpcGjsInbox *self,
                                            GError       **error);
GUnixFDList  *afrpc_gjs_inbox_get_fds      (AfrpcGjsInbox *self);
AfrpcStarted  afrpc_gjs_inbox_get_started  (AfrpcGjsInbox *self);
AfrpcProcess *afrpc_gjs_inbox_get_process  (AfrpcGjsInbox *self);
AfrpcExit    *afrpc_gjs_inbox_get_exit     (AfrpcGjsInbox *self);
GAsyncResult *afrpc_gjs_inbox_get_result   (AfrpcGjsInbox *self);

GVariant     *afrpc_gjs_new_value          (const char    *type,
                                            guint8        *data,
                                            gsize          size);
const char   *afrpc_gjs_get_value          (GVariant      *value,
                                            const guint8 **data,
                                            gsize         *size);

G_END_DECLS
