/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "raw-parent.h"
#include "transport/afrpc-pipes.h"
#include "transport/afrpc-socket.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define END_MAX_MS 60000

/* Of a worker in which a sanitizer finds something. */
#define EXIT_SANITIZER 99
#define SANITIZER_OPTIONS "exitcode=99"

/* Returns: (transfer full): the environment of a worker, which is taken */
static char **
add_sanitizers (char **envp)
{
  static const char *const variables[] = { "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS" };

  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    {
      const char *old = g_environ_getenv (envp, variables[i]);
      g_autofree char *options = g_strjoin (":", old != NULL ? old : SANITIZER_OPTIONS, SANITIZER_OPTIONS, NULL);

      /* Where interpreters may leak sanitized.py looks at what was said. */
      if (old == NULL || strstr (old, "exitcode=") == NULL)
        envp = g_environ_setenv (envp, variables[i], options, TRUE);
    }

  return envp;
}

/* Both ends of a pair of pipes; those of the worker become the plan's. */
static void
open_pipes (RawParent      *self,
            AfrpcSpawnPlan *plan)
{
  int to[2], from[2];

  g_assert_no_errno (pipe2 (to, O_CLOEXEC));
  g_assert_no_errno (pipe2 (from, O_CLOEXEC));
  plan->stdio[0] = to[0];
  plan->stdio[1] = from[1];
  afrpc_transport_init (&self->transport, &afrpc_pipes_funcs, AFRPC_TRANSPORT_PROGRAM);
  afrpc_transport_connect (&self->transport, from[0], to[1]);
}

static void
open_sockets (RawParent      *self,
              AfrpcSpawnPlan *plan)
{
  int sockets[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
  plan->socket = sockets[1];
  afrpc_transport_init (&self->transport, &afrpc_socket_funcs, AFRPC_TRANSPORT_PROGRAM);
  afrpc_transport_connect (&self->transport, sockets[0], sockets[0]);
  afrpc_socket_ask_sender (&self->transport);
}

void
raw_start (RawParent  *self,
           RawKind     kind,
           const char *host)
{
  g_autofree char *host_c = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  const char *path = host != NULL ? host : host_c;
  const char *argv[] = { path, NULL };
  g_auto(GStrv) envp = add_sanitizers (g_get_environ ());
  AfrpcSpawnPlan plan = { .path = path, .argv = argv, .stdio = { -1, -1, -1 }, .socket = -1 };

  memset (self, 0, sizeof *self);
  if ((kind & RAW_COMMAND) != 0)
    open_pipes (self, &plan);
  else
    {
      open_sockets (self, &plan);
      envp = g_environ_setenv (envp, AFRPC_SPAWN_SOCKET_ENV, "3", TRUE);
    }
  plan.envp = (const char *const *) envp;
  plan.stdio[2] = g_test_verbose () ? -1 : open ("/dev/null", O_WRONLY | O_CLOEXEC);

  g_assert_true (afrpc_spawn (&plan, &self->spawned, NULL));
  for (guint i = 0; i < 3; i++)
    if (plan.stdio[i] >= 0)
      close (plan.stdio[i]);
  if (plan.socket >= 0)
    close (plan.socket);
}

/* Of a process that is going to be forked. */
void
raw_adopt (RawParent *self,
           int        fd)
{
  memset (self, 0, sizeof *self);
  self->spawned.pidfd = -1;
  afrpc_transport_init (&self->transport, &afrpc_socket_funcs, AFRPC_TRANSPORT_PROGRAM);
  afrpc_transport_connect (&self->transport, fd, fd);
  afrpc_socket_ask_sender (&self->transport);
}

int
raw_end (RawParent *self,
         int       *exit_status)
{
  struct pollfd poller = { self->spawned.pidfd, POLLIN, 0 };
  AfrpcSpawnStatus status = { 0 };

  if (self->transport.in_fd != self->transport.out_fd)
    {
      close (self->transport.out_fd);
      self->transport.out_fd = -1;
    }
  else if (self->transport.in_fd >= 0)
    shutdown (self->transport.in_fd, SHUT_WR);
  if (self->spawned.pid > 0)
    {
      g_assert_cmpint (poll (&poller, 1, END_MAX_MS), ==, 1);
      g_assert_true (afrpc_spawn_reap (&self->spawned, &status));
      g_assert_cmpint (status.status, !=, EXIT_SANITIZER);
    }
  afrpc_transport_clear (&self->transport);
  g_clear_pointer (&self->page, afrpc_shared_state_unmap);
  if (exit_status != NULL)
    *exit_status = status.status;

  return status.signum;
}

void
raw_flush (RawParent *self)
{
  afrpc_transport_flush (&self->transport, NULL);
}

void
raw_put (RawParent      *self,
         AfrpcFrameKind  kind,
         guint64         serial,
         GVariant       *value)
{
  g_autoptr(GVariant) sunk = value != NULL ? g_variant_ref_sink (value) : NULL;

  afrpc_transport_put_value (&self->transport, kind, serial, sunk);
}

void
raw_put_text (RawParent      *self,
              AfrpcFrameKind  kind,
              guint64         serial,
              const char     *text,
              int             fd)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (text));

  if (fd >= 0)
    afrpc_transport_put_fd (&self->transport, kind, value, fd);
  else
    afrpc_transport_put_value (&self->transport, kind, serial, value);
}

void
raw_put_hello (RawParent *self)
{
  raw_put_text (self, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, "{'version': <uint32 1>}", -1);
}

void
raw_put_module (RawParent  *self,
                const char *path)
{
  raw_put (self, AFRPC_FRAME_REQUIRE, 0, g_variant_new_string (path));
}

void
raw_put_run (RawParent  *self,
             RawKind     kind,
             const char *function,
             const char *options)
{
  const gboolean has_page = (kind & RAW_SHARED) != 0;
  /* Over a command it hangs on whoever waits for it. */
  g_autofree char *text =
    g_strdup_printf ("{'function': <'%s'>, 'async': <%s>, 'shared-state': <%s>, 'lifeline': <%s>%s%s}", function,
                     (kind & RAW_ASYNC) != 0 ? "true" : "false", has_page ? "true" : "false",
                     (kind & RAW_COMMAND) != 0 ? "true" : "false", options != NULL ? ", " : "",
                     options != NULL ? options : "");
  int fd = -1;

  if (has_page)
    {
      self->page = afrpc_shared_state_create (&fd, NULL);
      g_assert_nonnull (self->page);
    }
  raw_put_text (self, AFRPC_FRAME_RUN, 0, text, fd);
}

void
raw_put_call (RawParent *self,
              guint64    serial,
              guint16    function,
              guint8     flags,
              GVariant  *args)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (args);
  const AfrpcPayload payload = afrpc_payload (value);
  const AfrpcFrameHeader header = {
    .kind = AFRPC_FRAME_CALL, .flags = AFRPC_FRAME_FLAGS_NATIVE | flags, .type_length = payload.type_length,
    .function = function, .serial = serial, .size = payload.size,
  };

  g_variant_store (value, afrpc_transport_put (&self->transport, &header, payload.type));
}

gboolean
raw_wait_any (RawParent  *self,
              AfrpcFrame *frame)
{
  for (;;)
    {
      AfrpcStep step = afrpc_transport_next (&self->transport, frame, NULL);

      if (step == AFRPC_STEP_AGAIN)
        {
          raw_flush (self);
          step = afrpc_transport_read (&self->transport, NULL) == AFRPC_STEP_DONE ? AFRPC_STEP_AGAIN : AFRPC_STEP_EOF;
        }
      if (step != AFRPC_STEP_AGAIN)
        return step == AFRPC_STEP_DONE;
    }
}

gboolean
raw_wait (RawParent      *self,
          AfrpcFrameKind  kind,
          AfrpcFrame     *frame)
{
  while (raw_wait_any (self, frame))
    if (frame->header.kind == kind)
      return TRUE;

  return FALSE;
}

GVariant *
raw_parse (RawParent        *self,
           const AfrpcFrame *frame)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = afrpc_transport_parse_value (&self->transport, frame, &error);

  g_assert_no_error (error);

  return value;
}

static char *
parse_text (RawParent        *self,
            const AfrpcFrame *frame)
{
  g_autoptr(GVariant) value = raw_parse (self, frame);

  /* JSON, perhaps. */
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return g_strndup (g_variant_get_data (value), g_variant_get_size (value));

  return g_variant_print (value, FALSE);
}

char *
raw_wait_text (RawParent      *self,
               AfrpcFrameKind  kind,
               guint64        *serial)
{
  AfrpcFrame frame;

  g_assert_true (raw_wait (self, kind, &frame));
  if (serial != NULL)
    *serial = frame.header.serial;

  return parse_text (self, &frame);
}

char *
raw_wait_answer (RawParent *self,
                 guint64    serial)
{
  AfrpcFrame frame;

  do
    g_assert_true (raw_wait_any (self, &frame));
  while (frame.header.serial != serial ||
         (frame.header.kind != AFRPC_FRAME_RESULT && frame.header.kind != AFRPC_FRAME_ERROR));

  return parse_text (self, &frame);
}
