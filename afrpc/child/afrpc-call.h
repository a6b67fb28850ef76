/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One call as its caller sees it: the GAsyncResult that the callback gets. Not a GTask, which puts a
 * result off to a later iteration when its call was made in the same one, and so lets younger results
 * overtake it; this one calls back where it is settled, which is always a dispatch of the context.
 * Used objects are used again, which halves what a call costs. */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#include "afrpc-types.h"
#include "afrpc-proxy.h"

G_BEGIN_DECLS

#define AFRPC_CALL_SPARE_MAX 1024u /* calls that wait to be used again, for each child */

#define AFRPC_TYPE_CALL (afrpc_call_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcCall, afrpc_call, AFRPC, CALL, GObject)

AfrpcCall *afrpc_call_new          (GPtrArray           *spare,
                                    gpointer             source,
                                    GAsyncReadyCallback  callback,
                                    gpointer             user_data);
void       afrpc_call_set_progress (AfrpcCall           *self,
                                    AfrpcProgressFunc    func,
                                    gpointer             data,
                                    GDestroyNotify       destroy);
void       afrpc_call_progress     (AfrpcCall           *self,
                                    GVariant            *value);
void       afrpc_call_take_fds     (AfrpcCall           *self,
                                    GUnixFDList         *fds);
GUnixFDList *afrpc_call_steal_fds  (AfrpcCall           *self);
void       afrpc_call_watch        (AfrpcCall           *self,
                                    GCancellable        *cancellable,
                                    GSource             *watch);
void       afrpc_call_settle       (AfrpcCall           *self,
                                    GPtrArray           *spare,
                                    GVariant            *value,
                                    GError              *error);
void       afrpc_call_settle_later (AfrpcCall           *self,
                                    GError              *error);
gboolean   afrpc_call_is           (AfrpcCall           *self,
                                    GAsyncReadyCallback  callback,
                                    gpointer             user_data);
GVariant  *afrpc_call_finish       (AfrpcCall           *self,
                                    GError             **error);

G_END_DECLS
