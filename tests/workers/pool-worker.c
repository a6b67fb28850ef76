/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the test of pools at random calls: functions that write down that they were called, and how they were configured by
 * then, and then do what they were told. */
#include <afrpc/afrpc.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define EXPORT __attribute__ ((visibility ("default")))

AFRPC_FUNCTION (work, "(uu)")
AFRPC_ASYNC_FUNCTION (work_async, "(uu)")
AFRPC_FUNCTION (carry, "(uuay)")
AFRPC_FUNCTION (configure, "(uu)")
AFRPC_ASYNC_FUNCTION (configure_async, "(uu)")

EXPORT gboolean init_log (AfrpcWorker *worker, GVariant *args, GError **error);

static int log_fd = -1;
static guint32 settings[2]; /* the latest of each, 0: there was none */

/* @args: where to write */
gboolean
init_log (AfrpcWorker  *worker,
          GVariant     *args,
          GError      **error)
{
  const char *path;

  g_variant_get_child (args, 0, "&s", &path);
  log_fd = open (path, O_WRONLY | O_APPEND | O_CLOEXEC);

  return TRUE;
}

static void
write_down (guint32 id)
{
  const guint32 record[] = { id, settings[0], settings[1] };

  if (write (log_fd, record, sizeof record) != sizeof record)
    _exit (97);
}

static void
set (GVariant *args)
{
  guint32 which, version;

  g_variant_get (args, "(uu)", &which, &version);
  /* What was said earlier comes earlier. */
  if (version < settings[which])
    write_down (G_MAXUINT32);
  settings[which] = version;
}

GVariant *
configure (AfrpcWorker  *worker,
           GVariant     *args,
           GError      **error)
{
  set (args);

  return g_variant_new_boolean (TRUE);
}

static gboolean
configure_cb (gpointer data)
{
  AfrpcInvocation *invocation = data;

  set (afrpc_invocation_get_args (invocation));
  afrpc_invocation_return_value (invocation, g_variant_new_boolean (TRUE));

  return G_SOURCE_REMOVE;
}

/* Who is called meanwhile does not know it. */
void
configure_async (AfrpcInvocation *invocation)
{
  g_timeout_add_full (G_PRIORITY_DEFAULT, 1, configure_cb, g_object_ref (invocation), g_object_unref);
}

static void
wait_until_cancelled (AfrpcWorker *worker,
                      int          n_ms)
{
  for (int i = 0; i != n_ms && !afrpc_worker_is_cancelled (worker) && getppid () != 1; i++)
    poll (NULL, 0, 1);
}

static gboolean
act (AfrpcWorker  *worker,
     guint32       id,
     guint32       what,
     GError      **error)
{
  write_down (id);
  switch (what)
    {
    case 1:
      _exit (3);

    case 2:
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "no such thing");
      return FALSE;

    case 3:
      afrpc_worker_retire (worker);
      break;

    case 4:
      afrpc_worker_event (worker, g_variant_new_uint32 (id));
      break;

    case 5:
      wait_until_cancelled (worker, -1);
      break;

    case 6:
      poll (NULL, 0, 2);
      break;

    case 7:
      while (getppid () != 1)
        poll (NULL, 0, 1);
      break;

    case 8:
      wait_until_cancelled (worker, 300);
      break;

    case 9:
      for (guint32 i = 0; i < 5; i++)
        afrpc_worker_progress (worker, g_variant_new ("(uu)", id, i));
      break;

    default:
      break;
    }

  return TRUE;
}

GVariant *
work (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  guint32 id, what;

  g_variant_get (args, "(uu)", &id, &what);

  return act (worker, id, what, error) ? g_variant_new_uint32 (id) : NULL;
}

/* The same with bytes, which go back. */
GVariant *
carry (AfrpcWorker  *worker,
       GVariant     *args,
       GError      **error)
{
  g_autoptr(GVariant) bytes = g_variant_get_child_value (args, 2);
  guint32 id, what;

  g_variant_get (args, "(uu@ay)", &id, &what, NULL);

  return act (worker, id, what, error) ? g_variant_new ("(u@ay)", id, bytes) : NULL;
}

static gboolean
answer_cb (gpointer data)
{
  AfrpcInvocation *invocation = data;
  guint32 id;

  g_variant_get_child (afrpc_invocation_get_args (invocation), 0, "u", &id);
  afrpc_invocation_return_value (invocation, g_variant_new_uint32 (id));

  return G_SOURCE_REMOVE;
}

void
work_async (AfrpcInvocation *invocation)
{
  AfrpcWorker *worker = afrpc_invocation_get_worker (invocation);
  g_autoptr(GError) error = NULL;
  guint32 id, what;

  g_variant_get (afrpc_invocation_get_args (invocation), "(uu)", &id, &what);
  write_down (id);
  switch (what)
    {
    case 1:
      _exit (3);

    case 2:
      error = g_error_new (G_FILE_ERROR, G_FILE_ERROR_NOENT, "no such thing");
      afrpc_invocation_return_error (invocation, error);
      return;

    case 3:
      afrpc_worker_retire (worker);
      break;

    case 4:
      afrpc_worker_event (worker, g_variant_new_uint32 (id));
      break;

    case 7:
      g_object_ref (invocation);
      return;

    default:
      break;
    }
  g_timeout_add_full (G_PRIORITY_DEFAULT, what == 6 ? 2 : 0, answer_cb, g_object_ref (invocation), g_object_unref);
}
