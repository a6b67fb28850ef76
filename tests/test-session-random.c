/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parents that say anything, in any order: a worker ends by itself, with a status, and never by a signal. What a seed
 * has done, -p and --seed do again. */
#include "config.h"

#include "raw-parent.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static guint
pick (guint n)
{
  return g_test_rand_int_range (0, n);
}

static const char *
pick_text (const char *const *texts,
           guint              n)
{
  return texts[pick (n)];
}

#define PICK(...) \
  pick_text ((const char *const[]) { __VA_ARGS__ }, G_N_ELEMENTS (((const char *const[]) { __VA_ARGS__ })))

/* Calls' serials: near each other, in one bucket of a table, and impossible. */
static guint64
pick_serial (void)
{
  switch (pick (4))
    {
    case 0:
      return RAW_SERIAL (pick (8));

    case 1:
      return (guint64) pick (8) << AFRPC_SERIAL_SLOT_BITS | 64 * pick (8);

    case 2:
      return pick (2) ? 0 : G_MAXUINT64;

    default:
      return (guint64) g_test_rand_int () << 32 | (guint32) g_test_rand_int ();
    }
}

static int
pick_fd (void)
{
  int fds[2];

  switch (pick (3))
    {
    case 0:
      return open ("/dev/null", O_RDWR | O_CLOEXEC);

    case 1:
      return memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    default:
      g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
      close (fds[1]);
      return fds[0];
    }
}

/* A worker that finishes its calls after its parent's death never ends if it never answers one. */
static gboolean answers_all;
/* It may be one that tells more than a parent that does not read has room for, and waits for it as long as it is there. */
static gboolean floods;

static GVariant *
pick_value (void)
{
  const char *text = PICK ("('return', <'x'>)", "('keep', <1>)", "('nothing', <1>)", "('wait-signal', <1>)",
                           "('wait-cancelled', <1>)", "'x'", "()", "[<1>]", "{'function': <'act'>}", "{'a': <1>}",
                           "<'x'>", "@ay []", "('event', <'x'>)", "('retire', <1>)", "('forget', <1>)", "uint32 1", "'echo'", "'nowhere'",
                           "{'limits': <[(byte 9, uint64 1)]>}", "{'stdio': <byte 5>}", "{'cwd': <b'/nowhere'>}",
                           "{'version': <uint32 1>}", "handle 7");

  if (answers_all && (strstr (text, "keep") != NULL || strstr (text, "wait-") != NULL))
    text = "('return', <'x'>)";

  return g_variant_ref_sink (g_variant_new_parsed (text));
}

/* Any frame at all, with any flags, and sometimes with what a descriptor is. */
static void
put_random (RawParent *host,
            gboolean   has_fds)
{
  g_autoptr(GVariant) value = pick (6) == 0 ? NULL : pick_value ();
  const AfrpcPayload payload = afrpc_payload (value);
  const guint n_fds = has_fds && pick (8) == 0 ? 1 + pick (3) : 0;
  AfrpcFrameHeader header = {
    .kind = pick (2) ? AFRPC_FRAME_CALL : 1 + pick (AFRPC_FRAME_LAST),
    .flags = pick (4) == 0 ? pick (AFRPC_FRAME_FLAGS_KNOWN + 1) : AFRPC_FRAME_FLAGS_NATIVE,
    .n_fds = n_fds,
    .type_length = payload.type_length,
    .serial = pick_serial (),
    .size = payload.size,
  };
  int fds[4];
  guint8 *start;

  if (header.kind == AFRPC_FRAME_CALL)
    header.function = pick (6) == 0 ? pick (5) : 0;
  if (header.kind == AFRPC_FRAME_FUNCTION && pick (2))
    header.serial = 1 + pick (4);
  if (pick (40) == 0)
    header.size ^= 1u << pick (32);
  for (guint i = 0; i < n_fds; i++)
    fds[i] = pick_fd ();

  if (n_fds > 0 && header.size == payload.size)
    {
      AfrpcPayload with_fds = payload;

      with_fds.fds = fds;
      with_fds.n_fds = n_fds;
      afrpc_transport_put_payload (&host->transport, header.kind, header.serial, &with_fds);
      return;
    }
  for (guint i = 0; i < n_fds; i++)
    close (fds[i]);
  header.n_fds = pick (40) == 0 ? 1 : 0;

  /* A size that is a lie has no payload of that size behind it. */
  if (header.size != payload.size)
    {
      guint64 size = header.size;

      header.size = payload.size;
      start = afrpc_transport_put (&host->transport, &header, payload.type) - AFRPC_FRAME_HEADER_SIZE -
              afrpc_frame_pad (payload.type_length);
      size = GUINT64_TO_LE (size);
      memcpy (start + 16, &size, sizeof size);
      start += AFRPC_FRAME_HEADER_SIZE + afrpc_frame_pad (payload.type_length);
    }
  else
    start = afrpc_transport_put (&host->transport, &header, payload.type);
  if (value != NULL)
    g_variant_store (value, start);
  if (payload.size > 0 && pick (20) == 0)
    start[pick (payload.size)] ^= 1 << pick (8);
}

static void
put_random_run (RawParent *host,
                RawKind    kind)
{
  static const char *const options[] = {
    NULL, "'orphan': <byte 1>", "'orphan': <byte 9>", "'serialiser': <'json'>", "'serialiser': <'none'>",
    "'log': <true>",
    "'max-message-size': <uint64 0>", "'max-message-size': <uint64 18446744073709551615>", "'init': <'init_ok'>",
    "'init': <'init_error'>", "'done': <'nowhere'>", "'run': <true>",
  };
  const char *async = PICK ("act_async", "act_async", "act", "nowhere");
  const char *sync = PICK ("echo", "act", "act_async", "count");
  const char *option = pick (2) ? options[pick (G_N_ELEMENTS (options))] : NULL;

  floods = (kind & RAW_ASYNC) == 0 && g_str_equal (sync, "count");
  answers_all = option != NULL && strstr (option, "orphan") != NULL;
  raw_put_run (host, kind, (kind & RAW_ASYNC) != 0 ? async : sync, option);
}

/* Sends all, or breaks off somewhere, behind which nothing can be put any more: FALSE. Never waits for a worker that
 * does not read. */
static gboolean
send_some (RawParent *host)
{
  gboolean is_whole = TRUE;
  AfrpcWriter *writer = &host->transport.writer;
  const int out_fd = host->transport.out_fd;
  AfrpcFrame frame;

  fcntl (out_fd, F_SETFL, O_NONBLOCK);
  if (host->transport.in_fd != out_fd)
    fcntl (host->transport.in_fd, F_SETFL, O_NONBLOCK);
  if (pick (10) == 0 && afrpc_transport_get_queued (&host->transport) > 0 &&
      writer->attachments_head == writer->attachments_end)
    {
      is_whole = FALSE;
      writer->tail -= pick (writer->tail - writer->head);
    }
  raw_flush (host);
  if (pick (2))
    while (afrpc_transport_next (&host->transport, &frame, NULL) == AFRPC_STEP_DONE ||
           afrpc_transport_read (&host->transport, NULL) == AFRPC_STEP_DONE)
      ;

  return is_whole;
}

static void
converse (RawKind kind)
{
  const gboolean has_fds = (kind & RAW_COMMAND) == 0;
  RawParent host;
  int status;

  answers_all = TRUE;
  floods = FALSE;
  raw_start (&host, kind, NULL);
  if (pick (20) != 0)
    raw_put_hello (&host);
  while (pick (3) == 0)
    put_random (&host, has_fds);
  if (pick (20) != 0)
    raw_put_module (&host, TEST_WORKER);
  if (pick (20) != 0)
    put_random_run (&host, kind);
  for (guint i = pick (30); i > 0; i--)
    {
      put_random (&host, has_fds);
      if (pick (8) == 0 && !send_some (&host))
        break;
      if (host.page != NULL && pick (8) == 0)
        afrpc_shared_state_cancel (host.page, pick_serial ());
    }
  if (afrpc_transport_get_queued (&host.transport) > 0)
    send_some (&host);
  if (((kind & RAW_ASYNC) != 0 && !answers_all) || floods || pick (3) == 0)
    {
      if (host.transport.in_fd != host.transport.out_fd)
        close (host.transport.out_fd);
      close (host.transport.in_fd);
      host.transport.in_fd = host.transport.out_fd = -1;
    }

  g_assert_cmpint (raw_end (&host, &status), ==, 0);
  /* Over a command, who waits for the worker tells of it; and ends one whose parent vanishes. */
  if ((kind & RAW_COMMAND) == 0 || status != 128 + SIGKILL)
    g_assert_cmpint (status, <=, 1);
}

static void
test_session_random (gconstpointer data)
{
  const RawKind kind = GPOINTER_TO_UINT (data);
  const guint n = g_test_slow () ? 5000 : 60;

  g_test_summary ("Whatever a parent says, its worker ends by itself");
  for (guint i = 0; i < n; i++)
    converse (kind);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint kind = 0; kind <= (RAW_SHARED | RAW_COMMAND | RAW_ASYNC); kind++)
    {
      g_autofree char *path = NULL;

      if ((kind & RAW_SHARED) != 0 && (kind & RAW_COMMAND) != 0)
        continue;
      path = g_strdup_printf ("/session-random/%s/%s", (kind & RAW_ASYNC) != 0 ? "async" : "sync",
                              (kind & RAW_COMMAND) != 0 ? "command" : (kind & RAW_SHARED) != 0 ? "page" : "socket");
      g_test_add_data_func (path, GUINT_TO_POINTER (kind), test_session_random);
    }

  return g_test_run ();
}
