/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A call, for what is awaited of it. */
#pragma once

#include "afrpc-python-call.h"

G_BEGIN_DECLS

gboolean  afrpc_python_call_ensure_loop  (AfrpcPythonCall *self);
PyObject *afrpc_python_call_get_result   (AfrpcPythonCall *self,
                                          PyObject        *unused);
void      afrpc_python_call_leave        (AfrpcPythonCall *self,
                                          gboolean         is_got);

gboolean  afrpc_python_loop_register     (PyObject        *module);
PyObject *afrpc_python_loop_peek         (void);
gboolean  afrpc_python_loop_poke         (PyObject        *loop);

PyObject *afrpc_python_awaiting_new      (AfrpcPythonCall *call);
gboolean  afrpc_python_awaiting_register (void);

G_END_DECLS
