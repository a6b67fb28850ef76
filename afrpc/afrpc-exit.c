/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-exit.h"

#include <string.h>

#include "peer/afrpc-exit-private.h"

/**
 * AfrpcExit:
 *
 * Why a process ended, as the operating system reported it.
 *
 * It is never made before the process was reaped. It does not change and may be used from any
 * thread.
 *
 * Since: 1.0
 */
struct _AfrpcExit
{
  gatomicrefcount ref_count;

  int pid;
  gboolean killed; /* by this program */
  AfrpcSpawnStatus status;
  AfrpcLimit limit; /* that ended it */
  char *stderr_tail;
  char *recent;    /* what of it was written by what the process did last */
  gboolean is_recent_unclear; /* or before that */
  char *failure;   /* (nullable): what the worker has said that it cannot go on for */
  gboolean is_greetless; /* it has not said that it is a host */
};

G_DEFINE_BOXED_TYPE (AfrpcExit, afrpc_exit, afrpc_exit_ref, afrpc_exit_unref)

/* The tail of a process that was not told to write UTF-8. */
AfrpcExit *
afrpc_exit_new (int                     pid,
                const AfrpcSpawnStatus *status,
                gboolean                killed,
                const AfrpcLimits      *limits,
                const char             *stderr_tail,
                gsize                   n_recent)
{
  const gsize length = strlen (stderr_tail);
  AfrpcExit *self = g_new0 (AfrpcExit, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->pid = pid;
  self->killed = killed;
  self->status = *status;
  self->limit = afrpc_limits_explain (limits, status, killed, stderr_tail);
  self->stderr_tail = g_utf8_make_valid (stderr_tail, length);
  self->recent = g_utf8_make_valid (stderr_tail + length - MIN (n_recent, length), -1);

  return self;
}

/* Of one that nobody has yet: what it wrote may be of an earlier call than that which it ended in. */
void
afrpc_exit_set_unclear (AfrpcExit *self)
{
  self->is_recent_unclear = TRUE;
}

/* Of one that nobody has yet: why the worker has given up, and the limit that is in its way, or none. */
void
afrpc_exit_set_failure (AfrpcExit  *self,
                        const char *failure,
                        AfrpcLimit  limit)
{
  if (self->failure != NULL || self->is_greetless)
    return;

  self->failure = g_strdup (failure);
  if (self->limit == AFRPC_LIMIT_NONE)
    self->limit = limit;
}

/* Of one that nobody has yet: it has ended before it said that it is a host. */
void
afrpc_exit_set_greetless (AfrpcExit *self)
{
  self->is_greetless = TRUE;
}

/**
 * afrpc_exit_ref:
 * @self: an exit
 *
 * Adds a reference.
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
AfrpcExit *
afrpc_exit_ref (AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_ref_count_inc (&self->ref_count);

  return self;
}

/**
 * afrpc_exit_unref:
 * @self: (transfer full): an exit
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
afrpc_exit_unref (AfrpcExit *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;

  g_free (self->stderr_tail);
  g_free (self->recent);
  g_free (self->failure);
  g_free (self);
}

/**
 * afrpc_exit_get_pid:
 * @self: an exit
 *
 * Gets the process ID that the process had.
 *
 * Returns: the process ID
 *
 * Since: 1.0
 */
int
afrpc_exit_get_pid (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->pid;
}

/**
 * afrpc_exit_is_known:
 * @self: an exit
 *
 * Whether it is known how the process ended.
 *
 * It is not if another part of the program reaped the process, for instance by `waitpid (-1)` or by
 * ignoring `SIGCHLD`; nor of a process that [another program has prepared][ctor@Afrpc.Process.new_from_fd]. Then the status
 * is -1, the signal 0, and times and memory are 0.
 *
 * Returns: %TRUE if status and signal are known
 *
 * Since: 1.0
 */
gboolean
afrpc_exit_is_known (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->status.known;
}

/**
 * afrpc_exit_is_success:
 * @self: an exit
 *
 * Whether the process ended by itself with status 0.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_exit_is_success (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->status.known && self->status.status == 0;
}

/**
 * afrpc_exit_get_status:
 * @self: an exit
 *
 * Gets the exit status.
 *
 * Returns: the status that the process gave to exit(), or -1 if a signal ended it
 *
 * Since: 1.0
 */
int
afrpc_exit_get_status (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return self->status.status;
}

/**
 * afrpc_exit_get_signal:
 * @self: an exit
 *
 * Gets the signal that ended the process.
 *
 * Returns: the signal's number, or 0 if the process ended by itself
 *
 * Since: 1.0
 */
int
afrpc_exit_get_signal (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->status.signum;
}

/**
 * afrpc_exit_dumped_core:
 * @self: an exit
 *
 * Whether the process left a core dump.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_exit_dumped_core (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->status.core;
}

/**
 * afrpc_exit_was_killed:
 * @self: an exit
 *
 * Whether this program sent the signal that ended the process: by [method@Afrpc.Process.kill],
 * [method@Afrpc.Caller.kill], or because the worker broke the protocol.
 *
 * Returns: %TRUE if so
 *
 * Since: 1.0
 */
gboolean
afrpc_exit_was_killed (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->killed && self->status.signum != 0;
}

/**
 * afrpc_exit_get_limit:
 * @self: an exit
 *
 * Gets the limit that ended the process, as far as it can be known.
 *
 * Known are processor time and file size; address space, if the worker could not be prepared within it, or if GLib or
 * the C++ library ended the process and said so on a captured standard error. See [method@Afrpc.Process.set_limit]. Over a
 * [command][ctor@Afrpc.Process.new_command] the exit is that of the command: only that the worker could not be prepared is known.
 *
 * Returns: the limit, or %AFRPC_LIMIT_NONE
 *
 * Since: 1.0
 */
AfrpcLimit
afrpc_exit_get_limit (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, AFRPC_LIMIT_NONE);

  return self->limit;
}

/**
 * afrpc_exit_get_stderr:
 * @self: an exit
 *
 * Gets what the process wrote last to its standard error, 4 KiB at most: whole lines, and behind them what it may have
 * written of another one before it ended. Each byte that is no UTF-8 is replaced by U+FFFD, which takes three.
 *
 * Returns: the lines, or an empty string if there were none or they were not captured; see
 *   [method@Afrpc.Process.set_stderr]
 *
 * Since: 1.0
 */
const char *
afrpc_exit_get_stderr (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->stderr_tail;
}

static gint64
to_us (const struct timeval *time)
{
  return time->tv_sec * G_USEC_PER_SEC + time->tv_usec;
}

/**
 * afrpc_exit_get_user_time:
 * @self: an exit
 *
 * Gets the processor time that the process spent in its own code: `ru_utime` of getrusage(2).
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
gint64
afrpc_exit_get_user_time (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return to_us (&self->status.usage.ru_utime);
}

/**
 * afrpc_exit_get_system_time:
 * @self: an exit
 *
 * Gets the processor time that the process spent in the kernel: `ru_stime` of getrusage(2).
 *
 * Returns: microseconds
 *
 * Since: 1.0
 */
gint64
afrpc_exit_get_system_time (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return to_us (&self->status.usage.ru_stime);
}

/**
 * afrpc_exit_get_max_rss:
 * @self: an exit
 *
 * Gets the largest amount of memory that the process had resident: `ru_maxrss` of getrusage(2).
 *
 * For Linux, that of a process that was executed, and not forked, is at least what the program itself had when
 * it started the process.
 *
 * Returns: bytes
 *
 * Since: 1.0
 */
gint64
afrpc_exit_get_max_rss (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return (gint64) self->status.usage.ru_maxrss * 1024;
}

static const char *
get_limit_words (AfrpcLimit limit)
{
  switch (limit)
    {
    case AFRPC_LIMIT_ADDRESS_SPACE:
      return "address space";

    case AFRPC_LIMIT_CPU:
      return "processor time";

    case AFRPC_LIMIT_FILE_SIZE:
      return "file size";

    default:
      return NULL;
    }
}

static void
append_end (const AfrpcExit *self,
            GString         *text)
{
  if (!self->status.known)
    {
      g_string_append (text, "ended, nobody knows how");
      return;
    }

  if (self->limit != AFRPC_LIMIT_NONE)
    g_string_append_printf (text, "exceeded its limit of %s and ", get_limit_words (self->limit));
  if (self->status.signum != 0)
    g_string_append_printf (text, "was killed by signal %d (%s)%s%s", self->status.signum,
                            strsignal (self->status.signum), self->killed ? " that its program sent" : "",
                            self->status.core ? ", core dumped" : "");
  else
    g_string_append_printf (text, "exited with status %d", self->status.status);
}

static const char *
find_last_line (const char *text)
{
  const char *end = strrchr (text, '\n');

  return end != NULL ? end + 1 : text;
}

/* "NAME (pid 12) exited with status 3: last line of standard error"; the pid only if there is one. Where the worker has said
 * why it ends, that is told instead. */
char *
afrpc_exit_describe (const AfrpcExit *self,
                     const char      *name)
{
  const gboolean has_failed = self->status.known && self->status.signum == 0 && self->status.status != 0;
  gboolean is_unclear = self->is_recent_unclear;
  GString *text = g_string_new (NULL);
  const char *last_line;

  g_string_printf (text, "%s ", name);
  if (self->pid > 0)
    g_string_append_printf (text, "(pid %d) ", self->pid);
  append_end (self, text);
  if (self->failure != NULL)
    {
      g_string_append_printf (text, ": %s", self->failure);
      return g_string_free (text, FALSE);
    }

  /* What it said of earlier work says nothing of its end, as a rule; but who was idle may have said why it goes. */
  last_line = find_last_line (self->recent);
  if (*last_line == '\0' && has_failed)
    {
      last_line = find_last_line (self->stderr_tail);
      is_unclear = TRUE;
    }
  if (*last_line != '\0')
    g_string_append_printf (text, is_unclear ? "; the last of its standard error, maybe of an earlier call: %s" : ": %s",
                            last_line);

  return g_string_free (text, FALSE);
}

/**
 * afrpc_exit_to_string:
 * @self: an exit
 *
 * Says in words how the process ended, and why, as far as that is known.
 *
 * That is, of what never said that it is a host, just that; of a worker that could not be prepared, whose init function
 * has failed, or that was ended because it broke the protocol, what calls fail with; of any other the last line that it has
 * written to its standard error since it had nothing to do. If it has begun several calls meanwhile, the line may be of one
 * before the last, and so it may where it has written nothing since and exits with a failure: then
 * `the last of its standard error, maybe of an earlier call:` stands before it.
 *
 * Returns: (transfer full): a sentence for a log or a bug report
 *
 * Since: 1.0
 */
char *
afrpc_exit_to_string (const AfrpcExit *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return afrpc_exit_describe (self, self->is_greetless ? "before it said that it is a host, the process" : "process");
}
