/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What calls by themselves and those of maps have in common. All functions need the GIL; what fails has set an exception. */
#pragma once

#include "afrpc-python-call.h"

G_BEGIN_DECLS

/* What a call is made with besides its arguments. */
typedef struct
{
  PyObject *timeout_ms;    /* None, or a number */
  PyObject *progress;      /* None, or a function */
  PyObject *fds;           /* None, or a Gio.UnixFDList */
  PyObject *more;          /* None, or a dict */
  int progress_mode;
  GCancellable *cancellable; /* (nullable) */
  AfrpcProcess *process;   /* (nullable): of the proxy, or the one that those of the pool are forked from */
  gboolean is_pool;
} AfrpcPythonOptions;

/* A call, or something else, that this thread waits for, and what a handler of a signal raised meanwhile. */
typedef struct _AfrpcPythonBlocked AfrpcPythonBlocked;

struct _AfrpcPythonBlocked
{
  AfrpcCall *call;    /* (nullable): which is cancelled then */
  GCancellable *stop; /* (nullable) (owned): or what stops the waiting */
  GCancellable *cancellable; /* (nullable) (owned): which was given, and stops that by the handler below */
  gulong id;
  guint generation;   /* of processes: it began to wait in this one */
  AfrpcPythonBlocked *outer; /* (nullable): which made this one from such a handler */
  PyObject *type, *value, *traceback; /* (nullable) */
};

extern __thread AfrpcPythonBlocked *afrpc_python_blocked; /* (nullable) */
extern PyObject *afrpc_python_str_hooks; /* the name of the attribute */

void         afrpc_python_block_begin   (AfrpcPythonBlocked       *self,
                                         AfrpcCall                *call,
                                         GCancellable             *cancellable);
gboolean     afrpc_python_block_end     (AfrpcPythonBlocked       *self);
void         afrpc_python_raise_error   (GError                   *error);
PyObject    *afrpc_python_convert       (GVariant                 *value,
                                         GError                   *error,
                                         gboolean                  raw,
                                         PyObject                 *hooks);
GVariant    *afrpc_python_pack_call     (PyObject                 *args,
                                         PyObject                 *signature,
                                         PyObject                 *hooks);
gboolean     afrpc_python_make_options  (const AfrpcPythonOptions *options,
                                         PyObject                 *hooks,
                                         AfrpcCallOptions        **made);
AfrpcCaller *afrpc_python_get_caller    (PyObject *const          *args,
                                         PyObject                 *more,
                                         AfrpcPythonOptions       *options);
gpointer     afrpc_python_get_object    (PyObject                 *wrapper,
                                         GType                     type);
gpointer     afrpc_python_peek_object   (PyObject                 *wrapper,
                                         GType                     type);
gboolean     afrpc_python_option_get_cancellable
                                        (PyObject                 *object,
                                         GCancellable            **cancellable);
gboolean     afrpc_python_enter         (AfrpcProcess             *process,
                                         gboolean                  is_awaited,
                                         GMainContext            **entered);
void         afrpc_python_leave         (GMainContext             *entered);
void         afrpc_python_tell_call     (AfrpcCall                *call);

int          afrpc_python_map_register  (PyObject                 *module);
int          afrpc_python_all_register  (PyObject                 *module);
int          afrpc_python_block_register (PyObject                *module);

G_END_DECLS
