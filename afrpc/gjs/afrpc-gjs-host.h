/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <afrpc/afrpc.h>

G_BEGIN_DECLS

/**
 * AfrpcGjsTask:
 * @AFRPC_GJS_TASK_REQUIRE: load the module of that name
 * @AFRPC_GJS_TASK_EVAL: evaluate that text, with those arguments
 * @AFRPC_GJS_TASK_RESOLVE: find the function of that name, and give it a number
 * @AFRPC_GJS_TASK_INIT: call an init function
 * @AFRPC_GJS_TASK_CALL: call a function of the sync backend, with those arguments
 * @AFRPC_GJS_TASK_INVOKE: call a function of the async backend, with those arguments
 * @AFRPC_GJS_TASK_DONE: call a done function
 * @AFRPC_GJS_TASK_RUN: call a function that takes the process over
 * @AFRPC_GJS_TASK_COLLECT: collect garbage: there may be calls among it
 *
 * What a turn of a host asks for.
 */
typedef enum
{
  AFRPC_GJS_TASK_REQUIRE,
  AFRPC_GJS_TASK_EVAL,
  AFRPC_GJS_TASK_RESOLVE,
  AFRPC_GJS_TASK_INIT,
  AFRPC_GJS_TASK_CALL,
  AFRPC_GJS_TASK_INVOKE,
  AFRPC_GJS_TASK_DONE,
  AFRPC_GJS_TASK_RUN,
  AFRPC_GJS_TASK_COLLECT,
} AfrpcGjsTask;

#define AFRPC_GJS_TYPE_HOST (afrpc_gjs_host_get_type ())
G_DECLARE_DERIVABLE_TYPE (AfrpcGjsHost, afrpc_gjs_host, AFRPC_GJS, HOST, AfrpcHost)

/**
 * AfrpcGjsHostClass:
 * @parent_class: the parent class
 */
struct _AfrpcGjsHostClass
{
  AfrpcHostClass parent_class;
};

const char        *afrpc_gjs_host_get_text       (AfrpcGjsHost  *self);
AfrpcFunctionKind  afrpc_gjs_host_get_kind       (AfrpcGjsHost  *self);
guint              afrpc_gjs_host_get_function   (AfrpcGjsHost  *self);
AfrpcInvocation   *afrpc_gjs_host_get_invocation (AfrpcGjsHost  *self);
int                afrpc_gjs_host_get_fd         (AfrpcGjsHost  *self);
const char        *afrpc_gjs_host_get_args       (AfrpcGjsHost  *self,
                                                  const guint8 **data,
                                                  gsize         *size);

void               afrpc_gjs_host_succeed        (AfrpcGjsHost  *self,
                                                  guint          function);
void               afrpc_gjs_host_declare        (AfrpcGjsHost  *self,
                                                  guint          function,
                                                  const char    *args_type);
void               afrpc_gjs_host_answer         (AfrpcGjsHost  *self,
                                                  const char    *type,
                                                  guint8        *data,
                                                  gsize          size);
void               afrpc_gjs_host_fail           (AfrpcGjsHost  *self,
                                                  const GError  *error);

void               afrpc_gjs_host_settled        (AfrpcGjsHost  *self,
                                                  AfrpcInvocation *invocation);

void               afrpc_gjs_answer              (AfrpcInvocation *invocation,
                                                  const char    *type,
                                                  guint8        *data,
                                                  gsize          size);
void               afrpc_gjs_event               (AfrpcWorker   *worker,
                                                  const char    *type,
                                                  guint8        *data,
                                                  gsize          size);
void               afrpc_gjs_progress            (AfrpcWorker   *worker,
                                                  AfrpcInvocation *invocation,
                                                  const char    *type,
                                                  guint8        *data,
                                                  gsize          size);
void               afrpc_gjs_exit                (int            status);

G_END_DECLS
