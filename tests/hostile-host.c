/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host that gets ready like any other, and then does what AFRPC_TEST_HOSTILE says, without end. */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transport/afrpc-socket.h"

#define SOCKET 3
#define LARGE (100u << 20) /* bytes */
#define N_LOST 20000u
#define STRAY_SIZE (64u << 10) /* bytes of an event; of a stray */
#define STRAY_N 4096u

static AfrpcTransport transport;
static gboolean is_stray;

/* Writes what is queued; whoever cannot, has nothing more to do, and stays there: but a stray, whom nobody would end. */
static void
flush (void)
{
  struct pollfd place = { SOCKET, POLLOUT, 0 };

  for (;;)
    switch (afrpc_transport_flush (&transport, NULL))
      {
      case AFRPC_STEP_DONE:
        return;

      case AFRPC_STEP_AGAIN:
        poll (&place, 1, -1);
        break;

      default:
        if (is_stray)
          _exit (0);
        for (;;)
          pause ();
      }
}

/* A text that does not end. */
static void
put_malformed (AfrpcFrameKind kind,
               guint64        serial)
{
  static const guint8 bytes[] = { 'n', 'o' };
  const AfrpcFrameHeader header = {
    .kind = kind, .type_length = 1, .serial = serial, .size = sizeof bytes, .flags = AFRPC_FRAME_FLAGS_NATIVE,
  };

  memcpy (afrpc_transport_put (&transport, &header, "s"), bytes, sizeof bytes);
}

static void
flood (const char *with)
{
  const gboolean is_large = strcmp (with, "large") == 0;
  g_autofree guint8 *bytes = g_malloc0 (LARGE);
  g_autoptr(GVariant) large = NULL;
  g_autoptr(GVariant) small = g_variant_ref_sink (g_variant_new_byte (1));

  large = g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, LARGE, 1));
  for (;;)
    {
      for (guint i = 0; i < (is_large ? 1 : 100); i++)
        if (strcmp (with, "errors") == 0)
          put_malformed (AFRPC_FRAME_EVENT, 0);
        else if (strcmp (with, "fds") == 0)
          afrpc_transport_put_fd (&transport, AFRPC_FRAME_EVENT, small, fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
        else
          afrpc_transport_put_value (&transport, AFRPC_FRAME_EVENT, 0, is_large ? large : small);
      flush ();
    }
}

/* Ends, and leaves a process behind that writes from then on, as much as STRAY_N events. */
static G_NORETURN void
leave_stray (void)
{
  struct pollfd place = { syscall (SYS_pidfd_open, getpid (), 0), POLLIN, 0 };
  g_autofree guint8 *bytes = g_malloc0 (STRAY_SIZE);
  g_autoptr(GVariant) event = NULL;

  if (place.fd < 0)
    g_error ("pidfd_open: %m");
  if (fork () != 0)
    _exit (0);

  is_stray = TRUE;
  poll (&place, 1, -1);
  event = g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, STRAY_SIZE, 1));
  for (guint i = 0; i < STRAY_N; i++)
    {
      afrpc_transport_put_value (&transport, AFRPC_FRAME_EVENT, 0, event);
      flush ();
    }
  _exit (0);
}

static void
act (const AfrpcFrame *frame,
     const char       *how)
{
  g_autoptr(GVariant) failure = g_variant_ref_sink (g_variant_new ("(sis)", "nobody", 1, "no"));
  g_autoptr(GVariant) result = g_variant_ref_sink (g_variant_new_boolean (TRUE));

  if (frame->header.kind == AFRPC_FRAME_RUN && strcmp (how, "failed") == 0)
    for (;;)
      {
        afrpc_transport_put_value (&transport, AFRPC_FRAME_FAILED, 0, failure);
        flush ();
      }
  if (frame->header.kind == AFRPC_FRAME_RUN)
    {
      afrpc_transport_put_value (&transport, AFRPC_FRAME_READY, 0, NULL);
      flush ();
      if (strcmp (how, "deaf") == 0)
        shutdown (SOCKET, SHUT_RD);
      while (strcmp (how, "deaf") == 0)
        pause ();
    }
  /* It is executed instead. */
  if (frame->header.kind == AFRPC_FRAME_FORK)
    afrpc_transport_put_value (&transport, AFRPC_FRAME_REFUSED, 0, failure);
  if (frame->header.kind != AFRPC_FRAME_CALL)
    return;

  if (strcmp (how, "stray") == 0)
    leave_stray ();
  if (strcmp (how, "progress") != 0)
    flood (how);
  for (guint i = 0; i < N_LOST; i++)
    put_malformed (AFRPC_FRAME_PROGRESS, frame->header.serial);
  afrpc_transport_put_value (&transport, AFRPC_FRAME_RESULT, frame->header.serial, result);
  flush ();
}

int
main (void)
{
  g_autoptr(GVariant) hello = g_variant_ref_sink (g_variant_new_parsed ("{'version': <uint32 1>, 'host': <'hostile'>}"));
  AfrpcFrame frame;

  /* It stays for as long as it is let: until its program ends, if that fails. */
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  afrpc_transport_init (&transport, &afrpc_socket_funcs, AFRPC_TRANSPORT_WORKER);
  afrpc_transport_connect (&transport, SOCKET, SOCKET);
  afrpc_transport_put_value (&transport, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hello);
  do
    {
      flush ();
      while (afrpc_transport_next (&transport, &frame, NULL) == AFRPC_STEP_DONE)
        act (&frame, g_getenv ("AFRPC_TEST_HOSTILE"));
      flush ();
    }
  while (afrpc_transport_read (&transport, NULL) != AFRPC_STEP_EOF);

  afrpc_transport_clear (&transport);
  return 0;
}
