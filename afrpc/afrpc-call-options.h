/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-types.h"

#include <gio/gunixfdlist.h>

G_BEGIN_DECLS

/* Here, and not in headers of their own, because what follows needs it. */
#define AFRPC_TYPE_CALLER (afrpc_caller_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_INTERFACE (AfrpcCaller, afrpc_caller, AFRPC, CALLER, GObject)

#define AFRPC_TYPE_CALL (afrpc_call_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcCall, afrpc_call, AFRPC, CALL, GObject)

/**
 * AfrpcProgressFunc:
 * @call: the call, of whom [method@Afrpc.Call.get_caller] tells who made it; whoever keeps it takes a reference
 * @progress: how far the call has come, as the worker says it
 * @data: (closure): what was given with the function
 *
 * Is called with the progress of one call; see [method@Afrpc.CallOptions.set_progress].
 *
 * Since: 1.0
 */
typedef void (*AfrpcProgressFunc) (AfrpcCall *call,
                                   GVariant  *progress,
                                   gpointer   data);

#define AFRPC_TYPE_CALL_OPTIONS (afrpc_call_options_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcCallOptions, afrpc_call_options, AFRPC, CALL_OPTIONS, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcCallOptions *afrpc_call_options_new          (void) G_GNUC_WARN_UNUSED_RESULT;

AFRPC_AVAILABLE_IN_1_0
int               afrpc_call_options_get_timeout_ms (AfrpcCallOptions  *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_timeout_ms (AfrpcCallOptions  *self,
                                                     int                timeout_ms);
AFRPC_AVAILABLE_IN_1_0
guint             afrpc_call_options_get_execution_timeout_ms (AfrpcCallOptions *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_execution_timeout_ms (AfrpcCallOptions *self,
                                                               guint             timeout_ms);
AFRPC_AVAILABLE_IN_1_0
GUnixFDList      *afrpc_call_options_get_fds      (AfrpcCallOptions    *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_fds      (AfrpcCallOptions    *self,
                                                   GUnixFDList         *fds);
AFRPC_AVAILABLE_IN_1_0
const char       *afrpc_call_options_get_function (AfrpcCallOptions    *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_function (AfrpcCallOptions    *self,
                                                   const char          *function);
AFRPC_AVAILABLE_IN_1_0
gboolean          afrpc_call_options_get_idempotent (AfrpcCallOptions  *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_idempotent (AfrpcCallOptions  *self,
                                                     gboolean           idempotent);
AFRPC_AVAILABLE_IN_1_0
int               afrpc_call_options_get_priority (AfrpcCallOptions    *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_priority (AfrpcCallOptions    *self,
                                                   int                  priority);
AFRPC_AVAILABLE_IN_1_0
const char       *afrpc_call_options_get_affinity (AfrpcCallOptions    *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_affinity (AfrpcCallOptions    *self,
                                                   const char          *key);
AFRPC_AVAILABLE_IN_1_0
gboolean          afrpc_call_options_get_wait_for_room (AfrpcCallOptions *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_wait_for_room (AfrpcCallOptions *self,
                                                        gboolean          wait_for_room);
AFRPC_AVAILABLE_IN_1_0
const char       *afrpc_call_options_get_label    (AfrpcCallOptions    *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_label    (AfrpcCallOptions    *self,
                                                   const char          *label);
AFRPC_AVAILABLE_IN_1_0
GVariant         *afrpc_call_options_get_metadata (AfrpcCallOptions    *self);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_metadata (AfrpcCallOptions    *self,
                                                   GVariant            *metadata);
AFRPC_AVAILABLE_IN_1_0
void              afrpc_call_options_set_progress (AfrpcCallOptions    *self,
                                                   AfrpcProgressMode    mode,
                                                   AfrpcProgressFunc    func,
                                                   gpointer             data,
                                                   GDestroyNotify       destroy);
AFRPC_AVAILABLE_IN_1_0
gboolean          afrpc_call_options_wants_progress (AfrpcCallOptions   *self,
                                                     AfrpcProgressMode  *out_mode);

G_END_DECLS
