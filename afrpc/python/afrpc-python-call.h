/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Afrpc.PendingCall: a call, or what else is waited for, in the form of what asyncio takes for a future, whoever drives
 * its loop. All functions need the GIL. */
#pragma once

#include <Python.h>

#include <gio/gunixfdlist.h>

#include "afrpc/afrpc.h"

G_BEGIN_DECLS

typedef enum
{
  AFRPC_PYTHON_CALL_PENDING,
  AFRPC_PYTHON_CALL_DONE,
  AFRPC_PYTHON_CALL_FAILED,
  AFRPC_PYTHON_CALL_CANCELLED,
} AfrpcPythonCallState;

typedef struct _AfrpcPythonCall AfrpcPythonCall;

struct _AfrpcPythonCall
{
  PyObject_HEAD
  AfrpcPythonCallState state;
  PyObject *outcome;     /* (nullable): the result, the exception, or what was said when it was cancelled */
  PyObject *loop;        /* (nullable): of asyncio, that it was made or is awaited in */
  PyObject *callbacks;   /* (nullable) (element-type tuple): function, context */
  PyObject *canceller;   /* (nullable): called to cancel what is no call */
  gboolean blocking;     /* a task waits for it: the protocol of asyncio */
  gboolean retrieved;    /* somebody has seen the exception */

  /* Of one of those that take things from somebody in turn, until it is known that whoever has asked has got it. */
  PyObject *giver;       /* (nullable): who has given the outcome */
  void (*give_back) (AfrpcPythonCall *self); /* it was not got, and is the giver's again */
  guint64 number;        /* of what was given */
  gboolean was_asked;    /* somebody has seen the outcome */

  /* Of a call, until it is settled */
  AfrpcCall *started;    /* (nullable): until it is settled, whose it is */
  void (*cancel) (AfrpcPythonCall *self); /* (nullable) */
  gboolean raw;          /* the result is wanted as GLib.Variant */
  PyObject *hooks;       /* (nullable): for the result */

  gboolean is_call;
  AfrpcStarted was_started; /* whether its worker had started it, once that is known */

  AfrpcProcess *process; /* (nullable): of a proxy, or that of a pool's workers which had it, once it is settled */
  AfrpcExit *exit;       /* (nullable): how that ended, which it failed with */
  GUnixFDList *fds;      /* (nullable): that came with the result */
};

int              afrpc_python_waker_register (PyObject *module);
int              afrpc_python_call_register      (PyObject             *module);
AfrpcPythonCall *afrpc_python_call_new           (void);
gboolean         afrpc_python_call_poke          (AfrpcPythonCall      *self);
void             afrpc_python_call_settle        (AfrpcPythonCall      *self,
                                                  AfrpcPythonCallState  state,
                                                  PyObject             *outcome);
void             afrpc_python_call_settle_failed (AfrpcPythonCall      *self);
void             afrpc_python_loop_set_hook      (PyObject             *hook);
gboolean         afrpc_python_loop_poke_running  (void);
gboolean         afrpc_python_loop_is_elsewhere  (GMainContext         *context);
void             afrpc_python_refuse_thread      (void);
char            *afrpc_python_dup_function       (gpointer              caller);
char            *afrpc_python_dup_called         (AfrpcCall            *call);
PyObject        *afrpc_python_call_in            (PyObject             *context,
                                                  PyObject             *function,
                                                  PyObject             *argument);

PyObject        *afrpc_python_take_refusal       (PyObject             *signature,
                                                  PyObject             *hooks);
void             afrpc_python_call_refuse        (AfrpcPythonCall      *self,
                                                  PyObject             *exception,
                                                  GMainContext         *context);

gboolean         afrpc_python_option_refuse      (const char           *name,
                                                  const char           *wanted,
                                                  PyObject             *object);
gboolean         afrpc_python_option_get_number  (const char           *name,
                                                  PyObject             *object,
                                                  gint64                min,
                                                  gint64                max,
                                                  gint64               *number);
PyObject        *afrpc_python_make_started       (AfrpcStarted          started);
PyObject        *afrpc_python_make_process       (AfrpcProcess         *process);
PyObject        *afrpc_python_make_exit          (AfrpcExit            *exit);
void             afrpc_python_tell_started       (PyObject             *exception,
                                                  AfrpcStarted          started);

gboolean         afrpc_python_options_apply      (AfrpcCallOptions     *options,
                                                  PyObject             *dict);

G_END_DECLS
