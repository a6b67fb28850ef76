/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-invocation.h"
#include "afrpc-worker.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_HOST (afrpc_host_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (AfrpcHost, afrpc_host, AFRPC, HOST, GObject)

/**
 * AfrpcHostClass:
 * @parent_class: the parent class
 * @require: loads a module; see [vfunc@Afrpc.Host.require]
 * @eval: evaluates code; see [vfunc@Afrpc.Host.eval]
 * @resolve: finds a function; see [vfunc@Afrpc.Host.resolve]
 * @call: calls a synchronous function; see [vfunc@Afrpc.Host.call]
 * @invoke: starts an asynchronous function; see [vfunc@Afrpc.Host.invoke]
 * @init: calls an init function; see [vfunc@Afrpc.Host.init]
 * @done: calls a done function; see [vfunc@Afrpc.Host.done]
 * @run: hands the process over; see [vfunc@Afrpc.Host.run]
 * @can_fork: says whether the process can be forked; see [vfunc@Afrpc.Host.can_fork]
 * @fork: forks the process; see [vfunc@Afrpc.Host.fork]
 * @end: ends the process; see [vfunc@Afrpc.Host.end]
 * @cancelled: takes notice of a call that was cancelled; see [vfunc@Afrpc.Host.cancelled]
 * @wait: waits for a call; see [vfunc@Afrpc.Host.wait]
 * @get_args_type: says what a function takes; see [vfunc@Afrpc.Host.get_args_type]
 * @orphan_signal: the signal that the process gets when the program dies that it serves, if it is to end with
 *   that: SIGKILL, or one whose handler ends the process soon in the way of the language
 *
 * The virtual functions of a host.
 *
 * Since: 1.0
 */
struct _AfrpcHostClass
{
  GObjectClass parent_class;

  gboolean  (*require) (AfrpcHost         *self,
                        const char        *module,
                        GError           **error);
  gboolean  (*eval)    (AfrpcHost         *self,
                        const char        *code,
                        GVariant          *args,
                        GError           **error);
  guint     (*resolve) (AfrpcHost         *self,
                        const char        *function,
                        AfrpcFunctionKind  kind,
                        GError           **error);
  GVariant *(*call)    (AfrpcHost         *self,
                        guint              function,
                        AfrpcWorker       *worker,
                        GVariant          *args,
                        GError           **error);
  void      (*invoke)  (AfrpcHost         *self,
                        guint              function,
                        AfrpcInvocation   *invocation);
  gboolean  (*init)    (AfrpcHost         *self,
                        guint              function,
                        AfrpcWorker       *worker,
                        GError           **error);
  void      (*done)    (AfrpcHost         *self,
                        guint              function,
                        AfrpcWorker       *worker);
  void      (*run)     (AfrpcHost         *self,
                        guint              function,
                        AfrpcWorker       *worker,
                        int                fd);
  gboolean  (*can_fork) (AfrpcHost        *self,
                         GError          **error);
  int       (*fork)    (AfrpcHost         *self,
                        GError           **error);
  int       (*end)     (AfrpcHost         *self,
                        int                status);
  void      (*cancelled) (AfrpcHost       *self,
                          AfrpcInvocation *invocation);
  void      (*wait)    (AfrpcHost         *self,
                        int                fd);
  const char *(*get_args_type) (AfrpcHost *self,
                                guint      function);
  int       orphan_signal;

  /*< private >*/
  gpointer padding[1];
};

AFRPC_AVAILABLE_IN_1_0
int          afrpc_host_serve      (AfrpcHost *self);
AFRPC_AVAILABLE_IN_1_0
const char  *afrpc_host_get_name   (AfrpcHost *self);
AFRPC_AVAILABLE_IN_1_0
AfrpcWorker *afrpc_host_get_worker (AfrpcHost *self);

G_END_DECLS
