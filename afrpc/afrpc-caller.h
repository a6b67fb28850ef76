/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-call.h"

G_BEGIN_DECLS

/**
 * AfrpcCallerInterface:
 * @parent_iface: the parent interface
 * @begin: begins a call, see [vfunc@Afrpc.Caller.begin]
 * @cancel: (nullable): nobody waits for the call any more, see [vfunc@Afrpc.Caller.cancel]
 * @wait: (nullable): blocks until the call is settled, see [vfunc@Afrpc.Caller.wait]
 * @get_process: (nullable): the process, if there is one for all calls
 * @close: (nullable): makes no more calls, and ends once those that were made are settled
 * @close_async: (nullable): the same, and waits for the end; by default for [signal@Afrpc.Caller::destroyed]
 * @close_finish: (nullable): gets the result of @close_async
 * @close_sync: (nullable): the same, and blocks until the end; by default it runs the main context
 * @kill: (nullable): ends at once; by default it closes
 * @get_started: (nullable): whether a call is known to have been begun, see [vfunc@Afrpc.Caller.get_started]
 *
 * What an implementation of [iface@Afrpc.Caller] has. Only @begin is needed.
 *
 * Since: 1.0
 */
struct _AfrpcCallerInterface
{
  GTypeInterface parent_iface;

  void          (* begin)        (AfrpcCaller          *self,
                                  AfrpcCall            *call,
                                  GVariant             *args,
                                  AfrpcCallOptions     *options);
  void          (* cancel)       (AfrpcCaller          *self,
                                  AfrpcCall            *call);
  void          (* wait)         (AfrpcCaller          *self,
                                  AfrpcCall            *call);
  AfrpcProcess *(* get_process)  (AfrpcCaller          *self);
  void          (* close)        (AfrpcCaller          *self);
  void          (* close_async)  (AfrpcCaller          *self,
                                  GCancellable         *cancellable,
                                  GAsyncReadyCallback   callback,
                                  gpointer              user_data);
  gboolean      (* close_finish) (AfrpcCaller          *self,
                                  GAsyncResult         *result,
                                  GError              **error);
  gboolean      (* close_sync)   (AfrpcCaller          *self,
                                  GCancellable         *cancellable,
                                  GError              **error);
  void          (* kill)         (AfrpcCaller          *self);
  AfrpcStarted  (* get_started)  (AfrpcCaller          *self,
                                  AfrpcCall            *call);

  /*< private >*/
  gpointer own;
  gpointer padding[5];
};

AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_call             (AfrpcCaller          *self,
                                          GVariant             *args,
                                          GCancellable         *cancellable,
                                          GAsyncReadyCallback   callback,
                                          gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GVariant  *afrpc_caller_call_finish      (AfrpcCaller          *self,
                                          GAsyncResult         *result,
                                          GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
GVariant  *afrpc_caller_call_sync        (AfrpcCaller          *self,
                                          GVariant             *args,
                                          GCancellable         *cancellable,
                                          GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_call_full        (AfrpcCaller          *self,
                                          GVariant             *args,
                                          AfrpcCallOptions     *options,
                                          GCancellable         *cancellable,
                                          GAsyncReadyCallback   callback,
                                          gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GVariant  *afrpc_caller_call_full_finish (AfrpcCaller          *self,
                                          GAsyncResult         *result,
                                          GUnixFDList         **out_fds,
                                          GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
GVariant  *afrpc_caller_call_full_sync   (AfrpcCaller          *self,
                                          GVariant             *args,
                                          AfrpcCallOptions     *options,
                                          GUnixFDList         **out_fds,
                                          GCancellable         *cancellable,
                                          GError              **error) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcCall *afrpc_caller_start            (AfrpcCaller          *self,
                                          GVariant             *args,
                                          AfrpcCallOptions     *options) G_GNUC_WARN_UNUSED_RESULT;
#ifndef __GI_SCANNER__ /* which takes it for a function that some other one finishes */
AFRPC_AVAILABLE_IN_1_0
AfrpcCall *afrpc_caller_start_with_callback (AfrpcCaller       *self,
                                             GVariant          *args,
                                             AfrpcCallOptions  *options,
                                             GCancellable      *cancellable,
                                             GAsyncReadyCallback callback,
                                             gpointer           user_data);
#endif

AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_close            (AfrpcCaller          *self);
AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_close_async      (AfrpcCaller          *self,
                                          GCancellable         *cancellable,
                                          GAsyncReadyCallback   callback,
                                          gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
gboolean   afrpc_caller_close_finish     (AfrpcCaller          *self,
                                          GAsyncResult         *result,
                                          GError              **error);
AFRPC_AVAILABLE_IN_1_0
gboolean   afrpc_caller_close_sync       (AfrpcCaller          *self,
                                          GCancellable         *cancellable,
                                          GError              **error);
AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_close_and_unref  (gpointer              caller);
AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_kill             (AfrpcCaller          *self);

/* For implementers. */
AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_emit_event       (AfrpcCaller          *self,
                                          GVariant             *event,
                                          AfrpcProcess         *from,
                                          GUnixFDList          *fds);
AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_emit_error       (AfrpcCaller          *self,
                                          const GError         *error);
AFRPC_AVAILABLE_IN_1_0
void       afrpc_caller_emit_destroyed   (AfrpcCaller          *self);

G_END_DECLS
