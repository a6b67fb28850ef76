/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host of C against parents that lie: whatever they send, it answers with an error or ends by itself,
 * and never by a signal. */
#include "test-util.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spawn/afrpc-spawn.h"
#include "wire/afrpc-page.h"
#include "wire/afrpc-stream.h"

typedef struct
{
  AfrpcSpawned spawned;
  AfrpcStream stream; /* the parent's end; blocks */
} Host;

static void
host_start (Host *host)
{
  g_autofree char *path = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  g_auto(GStrv) envp = g_environ_setenv (g_get_environ (), AFRPC_SPAWN_SOCKET_ENV, "3", TRUE);
  const char *argv[] = { path, NULL };
  AfrpcSpawnPlan plan = { .path = path, .argv = argv, .envp = (const char *const *) envp, .stdio = { -1, -1, -1 } };
  g_autoptr(GError) error = NULL;
  int sockets[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), ==, 0);
  plan.socket = sockets[1];
  plan.stdio[2] = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  afrpc_spawn (&plan, &host->spawned, &error);
  g_assert_no_error (error);
  close (sockets[1]);
  close (plan.stdio[2]);
  afrpc_stream_init (&host->stream, sockets[0], sockets[0], TRUE);
}

/* Half-closes, and waits for the end; returns the signal that ended it, or 0. */
static int
host_end (Host *host)
{
  struct pollfd poller = { host->spawned.pidfd, POLLIN, 0 };
  AfrpcSpawnStatus status;

  if (host->stream.in_fd >= 0)
    shutdown (host->stream.in_fd, SHUT_WR);
  g_assert_cmpint (poll (&poller, 1, 60000), ==, 1);
  g_assert_true (afrpc_spawn_reap (&host->spawned, &status));
  afrpc_stream_clear (&host->stream);

  return status.signum;
}

static void
put_dict (Host           *host,
          AfrpcFrameKind  kind,
          guint64         serial,
          const char     *text,
          int             fd)
{
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (text));

  if (fd >= 0)
    afrpc_stream_put_fd (&host->stream, kind, value, fd);
  else
    afrpc_stream_put_value (&host->stream, kind, serial, value);
}

static void
put_hello (Host *host)
{
  put_dict (host, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, "{'version': <uint32 1>}", -1);
}

static void
put_require (Host *host)
{
  g_autoptr(GVariant) module = g_variant_ref_sink (g_variant_new_string (TEST_WORKER));

  afrpc_stream_put_value (&host->stream, AFRPC_FRAME_REQUIRE, 0, module);
}

static void
flush (Host *host)
{
  afrpc_stream_flush (&host->stream, NULL);
}

/* The next frame of @kind; others are passed over. FALSE: the end came before. */
static gboolean
wait_frame (Host           *host,
            AfrpcFrameKind  kind,
            AfrpcFrame     *frame)
{
  for (;;)
    {
      AfrpcStreamStep step = afrpc_stream_next (&host->stream, frame, NULL);

      if (step == AFRPC_STREAM_AGAIN)
        step = afrpc_stream_read (&host->stream, NULL) == AFRPC_STREAM_DONE ? AFRPC_STREAM_AGAIN : AFRPC_STREAM_EOF;
      else if (step == AFRPC_STREAM_DONE && frame->header.kind == kind)
        return TRUE;
      if (step != AFRPC_STREAM_AGAIN && step != AFRPC_STREAM_DONE)
        return FALSE;
    }
}

static void
assert_refused (Host       *host,
                const char *words)
{
  g_autoptr(GVariant) value = NULL;
  g_autofree char *text = NULL;
  AfrpcFrame frame;

  flush (host);
  g_assert_true (wait_frame (host, AFRPC_FRAME_FAILED, &frame));
  value = afrpc_stream_parse_value (&host->stream, &frame, NULL);
  text = g_variant_print (value, FALSE);
  if (strstr (text, words) == NULL)
    g_error ("“%s” is not in %s", words, text);
  g_assert_cmpint (host_end (host), ==, 0);
}

static void
test_host_version (void)
{
  Host host;

  g_test_summary ("A parent of another version is told so");
  host_start (&host);
  put_dict (&host, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, "{'version': <uint32 2>}", -1);
  assert_refused (&host, "speaks version 2");
}

static void
test_host_bad_frames (void)
{
  Host host;
  int fd;

  g_test_summary ("Frames that do not belong there, or are malformed, end the preparation with the reason");

  host_start (&host);
  put_require (&host);
  assert_refused (&host, "no greeting");

  host_start (&host);
  put_dict (&host, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, "{'version': <'x'>}", -1);
  assert_refused (&host, "without version");

  host_start (&host);
  put_hello (&host);
  put_dict (&host, AFRPC_FRAME_REQUIRE, 0, "{'a': <1>}", -1);
  assert_refused (&host, "unexpected frame 2");

  host_start (&host);
  put_hello (&host);
  put_dict (&host, AFRPC_FRAME_RESULT, 0, "{'a': <1>}", -1);
  assert_refused (&host, "unexpected frame 11");

  host_start (&host);
  put_hello (&host);
  put_dict (&host, AFRPC_FRAME_RUN, 0, "{'function': <1>}", -1);
  assert_refused (&host, "no function");

  /* Memory that could be cut off under the worker. */
  host_start (&host);
  put_hello (&host);
  fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_assert_cmpint (ftruncate (fd, AFRPC_PAGE_SIZE), ==, 0);
  put_dict (&host, AFRPC_FRAME_RUN, 0, "{'function': <'echo'>, 'page': <true>}", fd);
  assert_refused (&host, "not sealed");

  host_start (&host);
  put_hello (&host);
  put_dict (&host, AFRPC_FRAME_RUN, 0, "{'function': <'echo'>, 'page': <true>}", -1);
  assert_refused (&host, "not sealed");

  /* It would be lost. */
  host_start (&host);
  put_hello (&host);
  put_require (&host);
  put_dict (&host, AFRPC_FRAME_RUN, 0, "{'function': <'run_echo'>, 'run': <true>}", -1);
  put_dict (&host, AFRPC_FRAME_CALL, 1, "{'too': <'early'>}", -1);
  assert_refused (&host, "more was sent");
}

static void
test_host_bad_call (void)
{
  static const guint8 malformed[] = { 0xff, 0xff, 'x' };
  AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CALL, .type_length = 1, .serial = 1 << 24, .size = sizeof malformed };
  g_autoptr(GVariant) fine = g_variant_ref_sink (g_variant_new_string ("fine"));
  AfrpcFrame frame;
  Host host;

  g_test_summary ("A malformed call fails alone");
  for (guint async = 0; async <= 1; async++)
    {
      host_start (&host);
      put_hello (&host);
      put_require (&host);
      put_dict (&host, AFRPC_FRAME_RUN, 0,
                async ? "{'function': <'act_async'>, 'async': <true>}" : "{'function': <'echo'>}", -1);
      memcpy (afrpc_stream_put (&host.stream, &header, "s"), malformed, sizeof malformed);
      afrpc_stream_put_value (&host.stream, AFRPC_FRAME_CALL, 2 << 24, fine);
      /* Of calls that were never made. */
      afrpc_stream_put_value (&host.stream, AFRPC_FRAME_CANCEL, 77, NULL);
      afrpc_stream_put_value (&host.stream, AFRPC_FRAME_CANCEL, G_MAXUINT64, NULL);
      flush (&host);
      g_assert_true (wait_frame (&host, AFRPC_FRAME_ERROR, &frame));
      g_assert_cmpuint (frame.header.serial, ==, 1 << 24);
      g_assert_true (wait_frame (&host, async ? AFRPC_FRAME_ERROR : AFRPC_FRAME_RESULT, &frame));
      g_assert_cmpuint (frame.header.serial, ==, 2 << 24);
      g_assert_cmpint (host_end (&host), ==, 0);
    }
}

static void
put_job (Host       *host,
         gboolean    async,
         const char *text)
{
  g_autoptr(GVariant) args = g_variant_ref_sink (
    async ? g_variant_new ("(sv)", "return", g_variant_new_string (text)) : g_variant_new_string (text));

  put_dict (host, AFRPC_FRAME_RUN, 0, async ? "{'function': <'act_async'>, 'async': <true>}" : "{'function': <'echo'>}",
            -1);
  afrpc_stream_put_value (&host->stream, AFRPC_FRAME_CALL, 1 << 24, args);
}

static void
assert_job_done (Host       *host,
                 const char *text)
{
  g_autoptr(GVariant) value = NULL;
  AfrpcFrame frame;

  g_assert_true (wait_frame (host, AFRPC_FRAME_RESULT, &frame));
  value = afrpc_stream_parse_value (&host->stream, &frame, NULL);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, text);
  g_assert_false (wait_frame (host, AFRPC_FRAME_RESULT, &frame));
}

static void
test_host_read_ahead (void)
{
  g_test_summary ("What a template has read already is its own, and what a worker has read before it runs is done");
  for (guint async = 0; async <= 1; async++)
    {
      Host host, children[2] = { 0 };

      host_start (&host);
      put_hello (&host);
      put_require (&host);
      for (guint i = 0; i < 2; i++)
        {
          int sockets[2];

          g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
          afrpc_stream_init (&children[i].stream, sockets[0], sockets[0], TRUE);
          put_hello (&children[i]);
          put_job (&children[i], async, i == 0 ? "first" : "second");
          flush (&children[i]);
          shutdown (sockets[0], SHUT_WR);
          afrpc_stream_put_fd (&host.stream, AFRPC_FRAME_FORK, NULL, sockets[1]);
        }
      /* These go with the last descriptor, and are read with it. */
      put_job (&host, async, "template");
      flush (&host);
      shutdown (host.stream.in_fd, SHUT_WR);

      assert_job_done (&host, "template");
      assert_job_done (&children[0], "first");
      assert_job_done (&children[1], "second");
      for (guint i = 0; i < 2; i++)
        afrpc_stream_clear (&children[i].stream);
      g_assert_cmpint (host_end (&host), ==, 0);
    }
}

/* A whole conversation, cut off at every byte, and with every byte changed. */
static void
test_host_every_byte (void)
{
  AfrpcStream good;
  Host host = { 0 };
  g_autoptr(GVariant) fine = g_variant_ref_sink (g_variant_new_string ("fine"));
  g_autofree guint8 *bytes = NULL;
  const guint step = g_test_slow () ? 1 : 7;
  gsize size;

  g_test_summary ("A conversation that breaks off, or is damaged, at any byte does not crash a host");
  afrpc_stream_init (&host.stream, -1, -1, TRUE);
  put_hello (&host);
  put_require (&host);
  put_dict (&host, AFRPC_FRAME_RUN, 0, "{'function': <'echo'>}", -1);
  afrpc_stream_put_value (&host.stream, AFRPC_FRAME_CALL, 1 << 24, fine);
  good = host.stream;
  size = afrpc_stream_get_queued (&good);
  bytes = g_memdup2 (good.out + good.out_head, size);
  afrpc_stream_clear (&good);

  for (gsize i = 0; i < size; i += step)
    for (guint damage = 0; damage <= 2; damage++)
      {
        g_autofree guint8 *copy = g_memdup2 (bytes, size);

        copy[i] ^= damage == 1 ? 0x01 : damage == 2 ? 0xff : 0;
        host_start (&host);
        g_assert_cmpint (send (host.stream.in_fd, copy, damage == 0 ? i : size, MSG_NOSIGNAL), >=, 0);
        g_assert_cmpint (host_end (&host), ==, 0);
      }
}

static void
test_host_by_hand (void)
{
  g_autofree char *path = g_build_filename (g_getenv ("AFRPC_HOST_PATH"), "afrpc-host-c", NULL);
  const char *argv[] = { path, NULL };
  const char *envp[] = { "AFRPC_SOCKET=77", NULL };
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  int status;

  g_test_summary ("A host whose socket does not exist says what it is");
  g_assert_true (g_spawn_sync (NULL, (char **) argv, (char **) envp, G_SPAWN_DEFAULT, NULL, NULL, NULL, &text, &status,
                               &error));
  g_assert_no_error (error);
  g_assert_cmpint (WEXITSTATUS (status), ==, 2);
  g_assert_nonnull (strstr (text, "not by hand"));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/host/version", test_host_version);
  g_test_add_func ("/host/bad-frames", test_host_bad_frames);
  g_test_add_func ("/host/bad-call", test_host_bad_call);
  g_test_add_func ("/host/read-ahead", test_host_read_ahead);
  g_test_add_func ("/host/every-byte", test_host_every_byte);
  g_test_add_func ("/host/by-hand", test_host_by_hand);

  return g_test_run ();
}
