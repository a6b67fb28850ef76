/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker's side in Python: the host, and what the module afrpc gives to the functions that it calls. All
 * functions need the GIL. */
#pragma once

#include <Python.h>

#include "afrpc/afrpc.h"
#include "afrpc-python-codec.h"

G_BEGIN_DECLS

/* The host */

extern PyObject *afrpc_python_host_hooks; /* (nullable): for all values of the worker */

PyObject        *afrpc_python_host_serve       (PyObject        *module,
                                                PyObject        *backend);
AfrpcWorker     *afrpc_python_host_get_worker  (void);
void             afrpc_python_host_add         (AfrpcInvocation *invocation,
                                                PyObject        *object);
void             afrpc_python_host_remove      (AfrpcInvocation *invocation);
gboolean         afrpc_python_host_is_serving  (void);
AfrpcWorker     *afrpc_python_host_peek_worker (void);
PyObject        *afrpc_python_host_get_backend (gboolean        *is_forked);

/* Pickles */

gboolean         afrpc_python_pickle_serialiser_register (void);
PyObject        *afrpc_python_host_get_hooks   (AfrpcWorker     *worker);

/* Errors, and the end */

GError          *afrpc_python_host_take_error    (int            code,
                                                  const char    *prefix);
void             afrpc_python_host_check_exit    (void);
void             afrpc_python_host_check_signals (void);
void             afrpc_python_host_finish        (PyObject      *backend);

/* Many calls in one */

PyObject        *afrpc_python_host_vectorcall    (PyObject      *function,
                                                  PyObject     **objects,
                                                  Py_ssize_t     n);
void             afrpc_python_host_end_chunk     (void);
GVariant        *afrpc_python_host_run_chunk     (PyObject      *function,
                                                  GVariant      *args,
                                                  AfrpcWorker   *worker);

/* An invocation */

/* What the module's functions are about: the invocation that the running code works for, or the worker. */
typedef struct
{
  AfrpcWorker *worker;
  AfrpcInvocation *invocation; /* (nullable): in a sync worker */
} AfrpcPythonCurrent;

int              afrpc_python_invocation_register (PyObject        *module);
gboolean         afrpc_python_current             (AfrpcPythonCurrent *current);
void             afrpc_python_progress            (const AfrpcPythonCurrent *current,
                                                   GVariant        *value);
PyObject        *afrpc_python_metadata            (const AfrpcPythonCurrent *current);
Py_ssize_t       afrpc_python_get_handle          (PyObject        *object);
PyObject        *afrpc_python_steal_fd            (const AfrpcPythonCurrent *current,
                                                   Py_ssize_t       handle);
PyObject        *afrpc_python_append_fd           (const AfrpcPythonCurrent *current,
                                                   int              fd);
PyObject        *afrpc_python_invocation_enter    (PyObject        *self);
void             afrpc_python_invocation_leave    (PyObject        *token);
PyObject        *afrpc_python_invocation_new      (AfrpcInvocation *invocation);
int              afrpc_python_invocation_watch    (PyObject        *self,
                                                   PyObject        *task);
void             afrpc_python_invocation_cancel   (PyObject        *self);
void             afrpc_python_invocation_fail     (PyObject        *self);
void             afrpc_python_invocation_look_dropped (PyObject   *self,
                                                       const char *name);

/* Shared memory */

int              afrpc_python_buffer_register (PyObject *module);

/* A source of a main context that drives a loop of asyncio, and what a loop needs to drive a main context */

int              afrpc_python_source_register (PyObject *module);
int              afrpc_python_poller_register (PyObject *module);

PyObject        *afrpc_python_poller_own_context  (PyObject        *module,
                                                   PyObject        *unused);

/* Of an executor */

PyObject        *afrpc_python_task_call_each  (PyObject        *module,
                                               PyObject *const *args,
                                               Py_ssize_t       n_args);

G_END_DECLS
