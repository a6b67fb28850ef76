/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The main context as one file descriptor and a timeout: what a loop that knows nothing of GLib needs to drive
 * it. The descriptors of its sources are gathered in another one. */
#include "config.h"

#include "afrpc-python-worker.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef struct
{
  PyObject_HEAD
  GMainContext *context;
  int epoll_fd;
  GHashTable *watched; /* (element-type int guint) descriptor, and whether it was seen in the last round */
} MainContextPoller;

static PyTypeObject *poller_type;

static PyObject *
poller_new (PyTypeObject *type,
            PyObject     *args,
            PyObject     *keywords)
{
  MainContextPoller *self = (MainContextPoller *) type->tp_alloc (type, 0);

  if (self == NULL)
    return NULL;

  self->context = g_main_context_ref_thread_default ();
  self->watched = g_hash_table_new (NULL, NULL);
  self->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (self->epoll_fd < 0)
    {
      PyErr_SetFromErrno (PyExc_OSError);
      Py_CLEAR (self);
    }

  return (PyObject *) self;
}

static void
poller_dealloc (MainContextPoller *self)
{
  PyTypeObject *type = Py_TYPE (self);

  if (self->epoll_fd >= 0)
    close (self->epoll_fd);
  g_hash_table_unref (self->watched);
  g_main_context_unref (self->context);
  type->tp_free (self);
  Py_DECREF (type);
}

static PyObject *
poller_fileno (MainContextPoller *self,
               PyObject          *unused)
{
  return PyLong_FromLong (self->epoll_fd);
}

static PyObject *
poller_iterate (MainContextPoller *self,
                PyObject          *unused)
{
  gboolean dispatched;

  Py_BEGIN_ALLOW_THREADS
  dispatched = g_main_context_iteration (self->context, FALSE);
  Py_END_ALLOW_THREADS

  return PyBool_FromLong (dispatched);
}

/* Each is set anew: a descriptor may have been closed, and its number used again. */
static void
watch_fd (MainContextPoller *self,
          int                fd,
          gushort            events)
{
  struct epoll_event event = { .events = events, .data.fd = fd };

  if (epoll_ctl (self->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0)
    epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static gboolean
forget_unseen (gpointer fd,
               gpointer events,
               gpointer self)
{
  if (events != NULL)
    return FALSE;

  epoll_ctl (((MainContextPoller *) self)->epoll_fd, EPOLL_CTL_DEL, GPOINTER_TO_INT (fd), NULL);
  return TRUE;
}

static void
watch_fds (MainContextPoller *self,
           const GPollFD     *fds,
           int                n)
{
  GHashTableIter iter;
  gpointer fd, events;

  g_hash_table_iter_init (&iter, self->watched);
  while (g_hash_table_iter_next (&iter, NULL, NULL))
    g_hash_table_iter_replace (&iter, NULL);
  for (int i = 0; i < n; i++)
    {
      fd = GINT_TO_POINTER (fds[i].fd);
      events = g_hash_table_lookup (self->watched, fd);
      /* A source that waits for nothing still hears of hang-ups: a bit that poll() ignores stands for that. */
      g_hash_table_insert (self->watched, fd,
                           GUINT_TO_POINTER (GPOINTER_TO_UINT (events) | fds[i].events | POLLERR));
    }

  g_hash_table_iter_init (&iter, self->watched);
  while (g_hash_table_iter_next (&iter, &fd, &events))
    if (events != NULL)
      watch_fd (self, GPOINTER_TO_INT (fd), GPOINTER_TO_UINT (events));
  g_hash_table_foreach_remove (self->watched, forget_unseen, self);
}

/* Looks again at what there is to wait for. Returns: milliseconds, or -1; None while another thread has the main context */
static PyObject *
poller_update (MainContextPoller *self,
               PyObject          *unused)
{
  g_autofree GPollFD *fds = NULL;
  int n = 16, n_fds, timeout_ms = -1;

  if (!g_main_context_acquire (self->context))
    Py_RETURN_NONE;

  Py_BEGIN_ALLOW_THREADS
  g_main_context_prepare (self->context, NULL);
  do
    {
      n_fds = n;
      fds = g_renew (GPollFD, fds, n_fds);
      n = g_main_context_query (self->context, G_MAXINT, &timeout_ms, fds, n_fds);
    }
  while (n > n_fds);
  g_main_context_release (self->context);
  Py_END_ALLOW_THREADS
  watch_fds (self, fds, n);

  return PyLong_FromLong (timeout_ms);
}

PyDoc_STRVAR (poller_doc, "The thread's default main context as one file descriptor.");

static PyMethodDef poller_methods[] = {
  { "fileno", (PyCFunction) poller_fileno, METH_NOARGS, "fileno($self, /)\n--\n\nWhat is readable when there is work." },
  { "iterate", (PyCFunction) poller_iterate, METH_NOARGS, "iterate($self, /)\n--\n\nDoes some; returns whether there was any." },
  { "update", (PyCFunction) poller_update, METH_NOARGS,
    "update($self, /)\n--\n\nReturns how long there will be none, in ms; None if another thread has the main context." },
  { NULL },
};

static PyType_Slot poller_slots[] = {
  { Py_tp_doc, (void *) poller_doc },
  { Py_tp_new, poller_new },
  { Py_tp_dealloc, poller_dealloc },
  { Py_tp_methods, poller_methods },
  { 0, NULL },
};

static PyType_Spec poller_spec = {
  .name = "afrpc._afrpc.MainContextPoller",
  .basicsize = sizeof (MainContextPoller),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = poller_slots,
};

/* Gives this thread a main context of its own, unless it has one; the thread has it until it ends. */
PyObject *
afrpc_python_poller_own_context (PyObject *module,
                                 PyObject *unused)
{
  if (g_main_context_get_thread_default () == NULL)
    {
      g_autoptr(GMainContext) context = g_main_context_new ();

      g_main_context_push_thread_default (context);
    }

  Py_RETURN_NONE;
}

int
afrpc_python_poller_register (PyObject *module)
{
  poller_type = (PyTypeObject *) PyType_FromSpec (&poller_spec);

  return poller_type != NULL ? PyModule_AddObjectRef (module, "MainContextPoller", (PyObject *) poller_type) : -1;
}
