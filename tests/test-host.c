/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host of C against parents that lie: whatever they send, it answers with an error or ends by itself,
 * and never by a signal. */
#include "config.h"

#include "raw-parent.h"
#include "transport/afrpc-socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void
assert_refused (RawParent  *host,
                const char *words)
{
  g_autofree char *text = raw_wait_text (host, AFRPC_FRAME_FAILED, NULL);

  if (strstr (text, words) == NULL)
    g_error ("'%s' is not in %s", words, text);
  g_assert_cmpint (raw_end (host, NULL), ==, 0);
}

static void
test_host_version (void)
{
  RawParent host;

  g_test_summary ("A parent of another version is told so");
  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_text (&host, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, "{'version': <uint32 2>}", -1);
  assert_refused (&host, "speaks version 2");
}

static void
test_host_bad_frames (void)
{
  RawParent host;
  int fd;

  g_test_summary ("Frames that do not belong there, or are malformed, end the preparation with the reason");

  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_module (&host, TEST_WORKER);
  assert_refused (&host, "no greeting");

  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_text (&host, AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, "{'version': <'x'>}", -1);
  assert_refused (&host, "without version");

  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_hello (&host);
  raw_put_text (&host, AFRPC_FRAME_REQUIRE, 0, "{'a': <1>}", -1);
  assert_refused (&host, "unexpected frame 2");

  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_hello (&host);
  raw_put_text (&host, AFRPC_FRAME_RESULT, 0, "{'a': <1>}", -1);
  assert_refused (&host, "unexpected frame 11");

  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_hello (&host);
  raw_put_text (&host, AFRPC_FRAME_RUN, 0, "{'function': <1>}", -1);
  assert_refused (&host, "no function");

  /* Memory that could be cut off under the worker. */
  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_hello (&host);
  fd = memfd_create ("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_assert_cmpint (ftruncate (fd, AFRPC_SHARED_STATE_SIZE), ==, 0);
  raw_put_text (&host, AFRPC_FRAME_RUN, 0, "{'function': <'echo'>, 'shared-state': <true>}", fd);
  assert_refused (&host, "not sealed");

  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_hello (&host);
  raw_put_text (&host, AFRPC_FRAME_RUN, 0, "{'function': <'echo'>, 'shared-state': <true>}", -1);
  assert_refused (&host, "not sealed");

  /* It would be lost. */
  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_hello (&host);
  raw_put_module (&host, TEST_WORKER);
  raw_put_text (&host, AFRPC_FRAME_RUN, 0, "{'function': <'run_echo'>, 'run': <true>}", -1);
  raw_put_text (&host, AFRPC_FRAME_CALL, 1, "{'too': <'early'>}", -1);
  assert_refused (&host, "more was sent");
}

static void
test_host_orphan_policy (void)
{
  const struct
  {
    AfrpcFrameKind kind;
    const char *text;
  } requests[] = {
    { AFRPC_FRAME_SURROUNDINGS, "{'orphan': <byte 77>}" },
    { AFRPC_FRAME_RUN, "{'function': <'echo'>, 'orphan': <byte 77>}" },
  };

  g_test_summary ("A policy for orphans that there is none is refused, whatever it comes with");
  for (guint i = 0; i < G_N_ELEMENTS (requests); i++)
    {
      RawParent host;

      raw_start (&host, RAW_SOCKET, NULL);
      raw_put_hello (&host);
      raw_put_text (&host, requests[i].kind, 0, requests[i].text, -1);
      /* What is said next would be refused, too, and is not come to. */
      raw_put_text (&host, AFRPC_FRAME_RESULT, 0, "{'a': <1>}", -1);
      assert_refused (&host, "an unknown policy for orphans, 77");
    }
}

static void
test_host_bad_call (void)
{
  static const guint8 malformed[] = { 0xff, 0xff, 'x' };
  AfrpcFrameHeader header = { .kind = AFRPC_FRAME_CALL, .type_length = 1, .serial = 1 << 24, .size = sizeof malformed };
  g_autoptr(GVariant) fine = g_variant_ref_sink (g_variant_new_string ("fine"));
  AfrpcFrame frame;
  RawParent host;

  g_test_summary ("A malformed call fails alone");
  for (guint async = 0; async <= 1; async++)
    {
      raw_start (&host, RAW_SOCKET, NULL);
      raw_put_hello (&host);
      raw_put_module (&host, TEST_WORKER);
      raw_put_text (&host, AFRPC_FRAME_RUN, 0,
                async ? "{'function': <'act_async'>, 'async': <true>}" : "{'function': <'echo'>}", -1);
      memcpy (afrpc_transport_put (&host.transport, &header, "s"), malformed, sizeof malformed);
      afrpc_transport_put_value (&host.transport, AFRPC_FRAME_CALL, 2 << 24, fine);
      /* Of calls that were never made. */
      afrpc_transport_put_value (&host.transport, AFRPC_FRAME_CANCEL, 77, NULL);
      afrpc_transport_put_value (&host.transport, AFRPC_FRAME_CANCEL, G_MAXUINT64, NULL);
      raw_flush (&host);
      g_assert_true (raw_wait (&host, AFRPC_FRAME_ERROR, &frame));
      g_assert_cmpuint (frame.header.serial, ==, 1 << 24);
      g_assert_true (raw_wait (&host, async ? AFRPC_FRAME_ERROR : AFRPC_FRAME_RESULT, &frame));
      g_assert_cmpuint (frame.header.serial, ==, 2 << 24);
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

static void
put_call (RawParent  *host,
          guint       number,
          gboolean    is_serialised,
          const char *text)
{
  /* JSON, or GVariant's text. */
  GVariant *args = *text == '{' || *text == '\0' ? g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, text, strlen (text), 1)
                                                  : g_variant_new_parsed (text);

  raw_put_call (host, (guint64) number << 24, 0, is_serialised ? AFRPC_FRAME_FLAG_SERIALISED : 0, args);
}

static void
test_host_serialised (void)
{
  static const struct
  {
    const char *serialiser; /* (nullable): what was agreed */
    gboolean is_serialised; /* what is sent */
    const char *args;
    const char *answer;     /* words of it */
  } calls[] = {
    { "json", TRUE, "{\"type\":\"i\",\"data\":7}", "{\"type\":\"i\",\"data\":7}" },
    { "json", FALSE, "'a'", "not serialised" },
    { "json", TRUE, "'{}'", "a serialised value of type s" },
    { "json", TRUE, "{", "JSON" },
    { "json", TRUE, "", "JSON" },
    { NULL, TRUE, "{}", "that is serialised" },
    { NULL, FALSE, "'a'", "'a'" },
  };

  g_test_summary ("A call that is not serialised as agreed, or is malformed, fails alone");
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    for (guint async = 0; async <= 1; async++)
      {
        g_autofree char *serialiser =
          calls[i].serialiser != NULL ? g_strdup_printf (", 'serialiser': <'%s'>", calls[i].serialiser) : g_strdup ("");
        g_autofree char *run = g_strdup_printf ("{'function': <'%s'>, 'async': <%s>%s}", async ? "echo_async" : "echo",
                                                async ? "true" : "false", serialiser);
        const char *fine = calls[i].serialiser != NULL ? "{\"type\":\"s\",\"data\":\"fine\"}" : "'fine'";
        g_autofree char *answer = NULL;
        g_autofree char *other = NULL;
        AfrpcFrame frame;
        RawParent host;

        raw_start (&host, RAW_SOCKET, NULL);
        raw_put_hello (&host);
        raw_put_module (&host, g_getenv ("AFRPC_TEST_SERIALISER_WORKER"));
        raw_put_text (&host, AFRPC_FRAME_RUN, 0, run, -1);
        raw_flush (&host);
        g_assert_true (raw_wait (&host, AFRPC_FRAME_READY, &frame));
        g_assert_cmpint ((frame.header.flags & AFRPC_FRAME_FLAG_SERIALISED) != 0, ==, calls[i].serialiser != NULL);
        put_call (&host, 1, calls[i].is_serialised, calls[i].args);
        put_call (&host, 2, calls[i].serialiser != NULL, fine);
        raw_flush (&host);
        answer = raw_wait_answer (&host, 1 << 24);
        if (strstr (answer, calls[i].answer) == NULL)
          g_error ("'%s' is not in %s", calls[i].answer, answer);
        other = raw_wait_answer (&host, 2 << 24);
        g_assert_cmpstr (other, ==, fine);
        g_assert_cmpint (raw_end (&host, NULL), ==, 0);
      }
}

static void
put_job (RawParent  *host,
         gboolean    async,
         const char *text)
{
  g_autoptr(GVariant) args = g_variant_ref_sink (
    async ? g_variant_new ("(sv)", "return", g_variant_new_string (text)) : g_variant_new_string (text));

  raw_put_text (host, AFRPC_FRAME_RUN, 0, async ? "{'function': <'act_async'>, 'async': <true>}" : "{'function': <'echo'>}",
            -1);
  afrpc_transport_put_value (&host->transport, AFRPC_FRAME_CALL, 1 << 24, args);
}

static void
assert_job_done (RawParent  *host,
                 const char *text)
{
  g_autoptr(GVariant) value = NULL;
  AfrpcFrame frame;

  g_assert_true (raw_wait (host, AFRPC_FRAME_RESULT, &frame));
  value = afrpc_transport_parse_value (&host->transport, &frame, NULL);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, text);
  g_assert_false (raw_wait (host, AFRPC_FRAME_RESULT, &frame));
}

static void
test_host_read_ahead (void)
{
  g_test_summary ("What a template has read already is its own, and what a worker has read before it runs is done");
  for (guint async = 0; async <= 1; async++)
    {
      RawParent host, children[2] = { 0 };

      raw_start (&host, RAW_SOCKET, NULL);
      raw_put_hello (&host);
      raw_put_module (&host, TEST_WORKER);
      for (guint i = 0; i < 2; i++)
        {
          int sockets[2];

          g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
          afrpc_transport_init (&children[i].transport, &afrpc_socket_funcs, AFRPC_TRANSPORT_PROGRAM);
          afrpc_transport_connect (&children[i].transport, sockets[0], sockets[0]);
          raw_put_hello (&children[i]);
          put_job (&children[i], async, i == 0 ? "first" : "second");
          raw_flush (&children[i]);
          shutdown (sockets[0], SHUT_WR);
          afrpc_transport_put_fd (&host.transport, AFRPC_FRAME_FORK, NULL, sockets[1]);
        }
      /* These go with the last descriptor, and are read with it. */
      put_job (&host, async, "template");
      raw_flush (&host);
      shutdown (host.transport.in_fd, SHUT_WR);

      assert_job_done (&host, "template");
      assert_job_done (&children[0], "first");
      assert_job_done (&children[1], "second");
      for (guint i = 0; i < 2; i++)
        afrpc_transport_clear (&children[i].transport);
      g_assert_cmpint (raw_end (&host, NULL), ==, 0);
    }
}

/* A whole conversation, cut off at every byte, and with every byte changed. */
static void
test_host_every_byte (void)
{
  AfrpcTransport good;
  RawParent host = { 0 };
  g_autoptr(GVariant) fine = g_variant_ref_sink (g_variant_new_string ("fine"));
  g_autofree guint8 *bytes = NULL;
  const guint step = g_test_slow () ? 1 : 7;
  gsize size;

  g_test_summary ("A conversation that breaks off, or is damaged, at any byte does not crash a host");
  afrpc_transport_init (&host.transport, &afrpc_socket_funcs, AFRPC_TRANSPORT_PROGRAM);
  raw_put_hello (&host);
  raw_put_module (&host, TEST_WORKER);
  raw_put_text (&host, AFRPC_FRAME_RUN, 0, "{'function': <'echo'>}", -1);
  afrpc_transport_put_value (&host.transport, AFRPC_FRAME_CALL, 1 << 24, fine);
  good = host.transport;
  size = afrpc_transport_get_queued (&good);
  bytes = g_memdup2 (good.writer.data + good.writer.head, size);
  afrpc_transport_clear (&good);

  for (gsize i = 0; i < size; i += step)
    for (guint damage = 0; damage <= 2; damage++)
      {
        g_autofree guint8 *copy = g_memdup2 (bytes, size);

        copy[i] ^= damage == 1 ? 0x01 : damage == 2 ? 0xff : 0;
        raw_start (&host, RAW_SOCKET, NULL);
        g_assert_cmpint (send (host.transport.in_fd, copy, damage == 0 ? i : size, MSG_NOSIGNAL), >=, 0);
        g_assert_cmpint (raw_end (&host, NULL), ==, 0);
      }
}

static void
test_host_parts (void)
{
  RawParent host;
  g_autofree char *answer = NULL;

  g_test_summary ("A module that calls what nobody has is refused before it ends the worker; another one may have it");
  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_hello (&host);
  raw_put_module (&host, g_getenv ("AFRPC_TEST_WHOLE_WORKER"));
  raw_put_run (&host, RAW_SOCKET, "whole", NULL);
  assert_refused (&host, "calls 'get_part', which it is not linked with");

  raw_start (&host, RAW_SOCKET, NULL);
  raw_put_hello (&host);
  raw_put_module (&host, g_getenv ("AFRPC_TEST_WHOLE_WORKER"));
  raw_put_module (&host, g_getenv ("AFRPC_TEST_PART_WORKER"));
  raw_put_run (&host, RAW_SOCKET, "whole", NULL);
  put_call (&host, 1, FALSE, "'a'");
  answer = raw_wait_answer (&host, 1 << 24);
  g_assert_cmpstr (answer, ==, "'the part'");
  g_assert_cmpint (raw_end (&host, NULL), ==, 0);
}

static void
test_host_cxx (void)
{
  static const char *const modules[] = { "AFRPC_TEST_CXX_WORKER", "AFRPC_TEST_CXX_EXTERN_C_WORKER" };

  g_test_summary ("A module in C++ is one like any other");
  if (g_getenv (modules[0]) == NULL)
    {
      g_test_skip ("there is no compiler for C++");
      return;
    }

  for (guint i = 0; i < G_N_ELEMENTS (modules); i++)
    for (guint async = 0; async <= 1; async++)
      {
        RawParent host;
        g_autofree char *answer = NULL;
        g_autofree char *refusal = NULL;

        raw_start (&host, RAW_SOCKET, NULL);
        raw_put_hello (&host);
        raw_put_module (&host, g_getenv (modules[i]));
        raw_put_run (&host, async ? RAW_ASYNC : RAW_SOCKET, async ? "greet_async" : "greet", "'init': <'set_up'>");
        put_call (&host, 1, FALSE, "('world',)");
        put_call (&host, 2, FALSE, "'world'");
        answer = raw_wait_answer (&host, 1 << 24);
        g_assert_cmpstr (answer, ==, "'Hello, world!'");
        refusal = raw_wait_answer (&host, 2 << 24);
        g_assert_nonnull (strstr (refusal, "takes (s), not s"));
        g_assert_cmpint (raw_end (&host, NULL), ==, 0);
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
  g_test_add_func ("/host/orphan-policy", test_host_orphan_policy);
  g_test_add_func ("/host/bad-call", test_host_bad_call);
  g_test_add_func ("/host/serialised", test_host_serialised);
  g_test_add_func ("/host/read-ahead", test_host_read_ahead);
  g_test_add_func ("/host/every-byte", test_host_every_byte);
  g_test_add_func ("/host/parts", test_host_parts);
  g_test_add_func ("/host/cxx", test_host_cxx);
  g_test_add_func ("/host/by-hand", test_host_by_hand);

  return g_test_run ();
}
