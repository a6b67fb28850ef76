/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "fake-worker.h"
#include "os/afrpc-lifeline.h"

static GVariant *
new_number (guint32 number)
{
  return g_variant_new_uint32 (number);
}

/* The next item is the outcome of the call with that number. */
static void
take_result (Fake  *fake,
             guint  number)
{
  g_auto(AfrpcLinkItem) item = { 0 };

  fake_take (fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_RESULT);
  g_assert_cmpuint (GPOINTER_TO_UINT (item.call.owner), ==, number);
  g_assert_no_error (item.error);
  g_assert_cmpuint (g_variant_get_uint32 (item.value), ==, number);
}

static void
test_link_greeting (gconstpointer data)
{
  const char *host = data;
  g_auto(Fake) fake = { 0 };
  AfrpcFrame frame;
  g_autoptr(GVariant) hello = NULL;
  guint32 version;
  gint32 pid;

  g_test_summary ("Each says who it is; then the worker is prepared");
  fake_init (&fake);
  g_clear_pointer (&fake.link.host, g_free);
  fake.link.host = g_strdup (host);
  g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_GREETING);
  fake_hear (&fake, AFRPC_FRAME_HELLO, &frame);
  g_assert_cmpuint (frame.header.serial, ==, AFRPC_FRAME_MAGIC);
  hello = afrpc_transport_parse_value (&fake.worker, &frame, NULL);
  g_assert_true (g_variant_lookup (hello, "version", "u", &version));
  g_assert_cmpuint (version, ==, AFRPC_FRAME_PROTOCOL_VERSION);
  g_assert_true (g_variant_lookup (hello, "pid", "i", &pid));
  g_assert_cmpint (pid, ==, getpid ());
  fake_take_none (&fake);
  g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_GREETING);
  fake_greet (&fake);
  fake_take_none (&fake);
  g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_PREPARING);
}

static void
check_bad_hello (AfrpcFrameKind  kind,
                 guint64         serial,
                 GVariant       *hello,
                 int             code)
{
  g_autoptr(GVariant) sunk = hello != NULL ? g_variant_ref_sink (hello) : NULL;

  /* With somebody who wants to know why, and without. */
  for (guint i = 0; i < 2; i++)
    {
      g_auto(Fake) fake = { 0 };
      AfrpcLinkItem item;

      fake_init (&fake);
      fake_say (&fake, kind, serial, sunk);
      if (i == 0)
        fake_refused (&fake, code);
      else
        {
          g_assert_cmpint (afrpc_link_read (&fake.link, NULL), ==, AFRPC_STEP_DONE);
          while (afrpc_link_next (&fake.link, &item, NULL) == AFRPC_STEP_AGAIN)
            g_assert_cmpint (afrpc_link_read (&fake.link, NULL), ==, AFRPC_STEP_DONE);
        }
      g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_GREETING);
    }
}

static void
test_link_no_greeting (void)
{
  const guint32 version = AFRPC_FRAME_PROTOCOL_VERSION;

  g_test_summary ("Whoever says something else than a greeting is no host");
  check_bad_hello (AFRPC_FRAME_HELLO, 0, fake_new_hello (version, "c"), AFRPC_ERROR_NOT_A_HOST);
  check_bad_hello (AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC + 1, fake_new_hello (version, "c"),
                   AFRPC_ERROR_NOT_A_HOST);
  check_bad_hello (AFRPC_FRAME_READY, AFRPC_FRAME_MAGIC, fake_new_hello (version, "c"),
                   AFRPC_ERROR_NOT_A_HOST);
  check_bad_hello (AFRPC_FRAME_READY, 0, NULL, AFRPC_ERROR_NOT_A_HOST);
  check_bad_hello (AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, NULL, AFRPC_ERROR_NOT_A_HOST);
}

static void
test_link_bad_greeting (void)
{
  const guint32 version = AFRPC_FRAME_PROTOCOL_VERSION;
  /* Too long, and with a character where it is cut. */
  g_autofree char *letters = g_strnfill (63, 'n');
  g_autofree char *odd_name = g_strconcat (letters, "\303\266", NULL);
  GVariant *const hellos[] = {
    fake_new_hello (version, "python"),
    fake_new_hello (version, ""),
    fake_new_hello (version, odd_name),
    g_variant_new_parsed ("@a{sv} {}"),
    g_variant_new_parsed ("{'version': <uint32 1>}"),
    g_variant_new_parsed ("{'host': <'c'>}"),
    g_variant_new_parsed ("{'host': <'c'>, 'version': <1>}"),
    g_variant_new_parsed ("{'host': <3>, 'version': <uint32 1>}"),
    g_variant_new_parsed ("('version', 1)"),
  };

  g_test_summary ("Whoever does not greet as a host of this language and version is refused");
  for (guint i = 0; i < G_N_ELEMENTS (hellos); i++)
    check_bad_hello (AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, hellos[i], AFRPC_ERROR_NOT_A_HOST);
  check_bad_hello (AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, fake_new_hello (version - 1, "c"),
                   AFRPC_ERROR_VERSION);
  check_bad_hello (AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, fake_new_hello (version + 1, "c"),
                   AFRPC_ERROR_VERSION);
  check_bad_hello (AFRPC_FRAME_HELLO, AFRPC_FRAME_MAGIC, fake_new_hello (version + 1, "x"),
                   AFRPC_ERROR_VERSION);
}

static void
test_link_garbage (void)
{
  const char *const texts[] = {
    "Usage: cat [OPTION]... [FILE]...\n", "bash: no such file or directory\n",
    "\1\1\1\1\1\1\1\1 and more to come",
  };

  g_test_summary ("A program that says something else is no host");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_auto(Fake) fake = { 0 };
      const gsize size = strlen (texts[i]);

      fake_init (&fake);
      g_assert_cmpint (write (fake.worker.out_fd, texts[i], size), ==, size);
      fake_refused (&fake, AFRPC_ERROR_NOT_A_HOST);
    }
}

static void
hear_value (Fake           *fake,
            AfrpcFrameKind  kind,
            guint           n_fds,
            const char     *expected)
{
  g_autoptr(GVariant) value = NULL;
  g_autofree char *text = NULL;
  AfrpcFrame frame;

  fake_hear (fake, kind, &frame);
  g_assert_cmpuint (frame.header.n_fds, ==, n_fds);
  g_assert_cmpuint (fake->worker.reader.fds->len, ==, n_fds);
  value = afrpc_transport_parse_value (&fake->worker, &frame, NULL);
  text = value != NULL ? g_variant_print (value, FALSE) : NULL;
  g_assert_cmpstr (text, ==, expected);
}

static void
prepare (Fake           *fake,
         AfrpcFrameKind  kind,
         GVariant       *value)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink (value);

  afrpc_link_prepare (&fake->link, kind, sunk, NULL, 0);
}

static void
test_link_prepare (void)
{
  g_auto(Fake) fake = { 0 };
  struct stat st[3];
  AfrpcFrame frame;
  const int fds[] = { fake_new_fd (&st[0]), fake_new_fd (&st[1]), fake_new_fd (&st[2]) };

  g_test_summary ("The worker hears in order how it is prepared, and gets its descriptors");
  fake_init (&fake);
  fake.worker.reader.frame_by_frame = TRUE;
  prepare (&fake, AFRPC_FRAME_REQUIRE, g_variant_new_string ("module"));
  prepare (&fake, AFRPC_FRAME_EVAL, g_variant_new_parsed ("('code', <(1, 2)>)"));
  afrpc_link_prepare (&fake.link, AFRPC_FRAME_FD, NULL, &fds[0], 1);
  prepare (&fake, AFRPC_FRAME_ARG, g_variant_new_parsed ("<'arg'>"));
  afrpc_link_prepare (&fake.link, AFRPC_FRAME_SURROUNDINGS, NULL, &fds[1], 2);

  fake_hear (&fake, AFRPC_FRAME_HELLO, &frame);
  hear_value (&fake, AFRPC_FRAME_REQUIRE, 0, "'module'");
  hear_value (&fake, AFRPC_FRAME_EVAL, 0, "('code', <(1, 2)>)");
  hear_value (&fake, AFRPC_FRAME_FD, 1, NULL);
  fake_check_fd (&fake, &st[0]);
  hear_value (&fake, AFRPC_FRAME_ARG, 0, "<'arg'>");
  hear_value (&fake, AFRPC_FRAME_SURROUNDINGS, 2, NULL);
  fake_check_fd (&fake, &st[1]);
  fake_check_fd (&fake, &st[2]);
  fake_hear_none (&fake);
}

static void
test_link_run (gconstpointer data)
{
  const gboolean has_lifeline = GPOINTER_TO_INT (data);
  g_auto(Fake) fake = { 0 };
  g_autoptr(GVariant) options = g_variant_ref_sink (g_variant_new_parsed ("{'function': <'run'>}"));
  g_autoptr(GVariant) value = NULL;
  struct stat st;
  AfrpcSharedState *page;
  AfrpcFrame frame;
  const char *function;
  gboolean yes = FALSE;
  int fd;

  g_test_summary ("The worker is told what to run, and gets the page and its lifeline, in this "
                  "order");
  fake_init (&fake);
  afrpc_link_run (&fake.link, options, NULL, 0, has_lifeline);
  fake_hear (&fake, AFRPC_FRAME_HELLO, &frame);
  fake_hear (&fake, AFRPC_FRAME_RUN, &frame);
  g_assert_cmpuint (frame.header.n_fds, ==, has_lifeline ? 2 : 1);
  value = afrpc_transport_parse_value (&fake.worker, &frame, NULL);
  g_assert_true (g_variant_lookup (value, "function", "&s", &function));
  g_assert_cmpstr (function, ==, "run");
  g_assert_true (g_variant_lookup (value, "shared-state", "b", &yes) && yes);
  g_assert_cmpint (g_variant_lookup (value, "lifeline", "b", &yes), ==, has_lifeline);

  fd = afrpc_transport_take_fd (&fake.worker);
  page = afrpc_shared_state_map (fd, NULL);
  close (fd);
  page->started = 17;
  g_assert_cmpuint (fake.link.transport.state->started, ==, 17);
  afrpc_shared_state_unmap (page);
  if (has_lifeline)
    {
      fd = afrpc_lifeline_dup ();
      g_assert_no_errno (fstat (fd, &st));
      close (fd);
      fake_check_fd (&fake, &st);
    }
  g_assert_cmpint (afrpc_transport_take_fd (&fake.worker), ==, -1);
}

static void
test_link_progress (void)
{
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_tuple (NULL, 0));
  AfrpcPayload payload = afrpc_payload (args);
  int owners[2];
  guint64 serial;

  g_test_summary ("Progress belongs to a call that wants it; of any other it breaks the protocol");
  payload.flags = AFRPC_FRAME_FLAG_PROGRESS;
  for (guint i = 0; i < 3; i++)
    {
      g_auto(Fake) fake = { 0 };
      g_auto(AfrpcLinkItem) item = { 0 };
      g_auto(AfrpcLinkItem) result = { 0 };
      AfrpcFrame frame;

      fake_init (&fake);
      fake_start (&fake);
      serial = afrpc_link_call (&fake.link, &payload, &(AfrpcLinkCall) { .owner = &owners[0] }, NULL);
      fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
      g_assert_cmpuint (frame.header.flags & AFRPC_FRAME_FLAG_PROGRESS, !=, 0);
      fake_say (&fake, AFRPC_FRAME_PROGRESS, serial, g_variant_new_uint32 (1));
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_PROGRESS);
      g_assert_true (item.call.owner == &owners[0]);
      g_assert_cmpuint (fake.link.n_pending, ==, 1);

      if (i == 0)
        {
          /* Nobody waits for it any more. */
          afrpc_link_find (&fake.link, serial)->owner = NULL;
          fake_say (&fake, AFRPC_FRAME_PROGRESS, serial, g_variant_new_uint32 (2));
          fake_take_none (&fake);
        }
      else if (i == 1)
        {
          fake_say (&fake, AFRPC_FRAME_RESULT, serial, g_variant_new_uint32 (2));
          fake_take (&fake, &result);
        }
      else
        serial = fake_call (&fake, 5);
      fake_say (&fake, AFRPC_FRAME_PROGRESS, serial, g_variant_new_uint32 (3));
      if (i == 0)
        fake_take_none (&fake);
      else
        fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
    }
}

static void
test_link_failed (void)
{
  g_test_summary ("A worker that cannot be prepared says why, in whatever way");
  for (guint i = 0; i < 3; i++)
    {
      g_auto(Fake) fake = { 0 };
      g_auto(AfrpcLinkItem) item = { 0 };

      fake_init (&fake);
      fake_greet (&fake);
      if (i == 0)
        fake_say (&fake, AFRPC_FRAME_FAILED, 0,
                  g_variant_new ("(sis)", "g-io-error-quark", G_IO_ERROR_NOT_FOUND, "text"));
      else if (i == 1)
        fake_say (&fake, AFRPC_FRAME_FAILED, 0, g_variant_new_string ("text"));
      else
        fake_say (&fake, AFRPC_FRAME_FAILED, 0, NULL);
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_FAILED);
      g_assert_null (item.value);
      if (i == 0)
        {
          g_assert_error (item.error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
          g_assert_cmpstr (item.error->message, ==, "text");
        }
      else
        g_assert_error (item.error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      g_assert_false (fake.link.was_ready);
    }
}

static void
test_link_states (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GArray) pending = NULL;

  g_test_summary ("From the greeting over being prepared to being ready, and to the end");
  fake_init (&fake);
  g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_GREETING);
  fake_start (&fake);
  g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_READY);
  g_assert_true (fake.link.was_ready);
  fake_say (&fake, AFRPC_FRAME_EVENT, 0, new_number (1));
  g_assert_cmpint (afrpc_link_read (&fake.link, NULL), ==, AFRPC_STEP_DONE);
  pending = fake_end (&fake);
  g_assert_cmpuint (pending->len, ==, 0);
  g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_ENDED);
  g_assert_true (fake.link.was_ready);
  fake_take_none (&fake);
}

static void
test_link_calls (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serials[500];
  guint order[G_N_ELEMENTS (serials)];

  g_test_summary ("Results find their calls, in whatever order they come");
  fake_init (&fake);
  fake_start (&fake);
  for (guint i = 0; i < G_N_ELEMENTS (serials); i++)
    {
      serials[i] = fake_call (&fake, i + 1);
      order[i] = i;
      g_assert_cmpuint (fake.link.n_pending, ==, i + 1);
    }
  for (guint i = 0; i < G_N_ELEMENTS (serials); i++)
    {
      g_autoptr(GVariant) args = NULL;
      AfrpcFrame frame;

      fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
      g_assert_cmpuint (frame.header.serial, ==, serials[i]);
      args = afrpc_transport_parse_value (&fake.worker, &frame, NULL);
      g_assert_cmpuint (g_variant_get_uint32 (args), ==, i + 1);
    }
  for (guint i = G_N_ELEMENTS (order) - 1; i > 0; i--)
    {
      const guint j = g_test_rand_int_range (0, i + 1), swapped = order[i];

      order[i] = order[j];
      order[j] = swapped;
    }
  for (guint i = 0; i < G_N_ELEMENTS (order); i++)
    fake_say (&fake, AFRPC_FRAME_RESULT, serials[order[i]], new_number (order[i] + 1));
  for (guint i = 0; i < G_N_ELEMENTS (order); i++)
    {
      g_assert_nonnull (afrpc_link_find (&fake.link, serials[order[i]]));
      take_result (&fake, order[i] + 1);
      g_assert_null (afrpc_link_find (&fake.link, serials[order[i]]));
    }
  g_assert_cmpuint (fake.link.n_pending, ==, 0);
  fake_take_none (&fake);
}

static void
test_link_call_data (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_tuple (NULL, 0));
  const AfrpcPayload payload = afrpc_payload (args);
  const AfrpcLinkCall call = { .owner = &item };
  AfrpcLinkCall *found;
  guint64 serial;

  g_test_summary ("What the owner keeps with a call comes back with the outcome, changes included");
  fake_init (&fake);
  fake_start (&fake);
  serial = afrpc_link_call (&fake.link, &payload, &call, NULL);
  found = afrpc_link_find (&fake.link, serial);
  g_assert_true (found->owner == &item);
  found->owner = &fake;
  fake_say (&fake, AFRPC_FRAME_RESULT, serial, g_variant_new_string ("done"));
  fake_take (&fake, &item);
  g_assert_true (item.call.owner == &fake);

  g_assert_null (afrpc_link_find (&fake.link, 0));
  g_assert_null (afrpc_link_find (&fake.link, G_MAXUINT64));
  g_assert_null (afrpc_link_find (&fake.link, serial + 1));
}

static void
test_link_order (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serial;

  g_test_summary ("Events and results come in the order in which the worker made them");
  fake_init (&fake);
  fake_start (&fake);
  serial = fake_call (&fake, 2);
  fake_say (&fake, AFRPC_FRAME_EVENT, 0, new_number (1));
  fake_say (&fake, AFRPC_FRAME_RESULT, serial, new_number (2));
  fake_say (&fake, AFRPC_FRAME_EVENT, 0, new_number (3));
  for (guint i = 1; i <= 3; i++)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, i == 2 ? AFRPC_LINK_ITEM_RESULT : AFRPC_LINK_ITEM_EVENT);
      g_assert_cmpuint (g_variant_get_uint32 (item.value), ==, i);
    }
}

static void
take_error (Fake              *fake,
            AfrpcLinkItemKind  kind,
            GQuark             domain,
            int                code)
{
  g_auto(AfrpcLinkItem) item = { 0 };

  fake_take (fake, &item);
  g_assert_cmpint (item.kind, ==, kind);
  g_assert_null (item.value);
  g_assert_error (item.error, domain, code);
  /* What the worker says itself is told as it is. */
  g_assert_cmpint (item.is_nameless, ==, domain == AFRPC_ERROR && code == AFRPC_ERROR_INVALID_DATA);
}

static void
check_malformed (Fake       *fake,
                 const char *type,
                 const char *payload,
                 gsize       size)
{
  fake_say_raw (fake, AFRPC_FRAME_RESULT, fake_call (fake, 1), type, payload, size);
  take_error (fake, AFRPC_LINK_ITEM_RESULT, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  fake_say_raw (fake, AFRPC_FRAME_ERROR, fake_call (fake, 1), type, payload, size);
  take_error (fake, AFRPC_LINK_ITEM_RESULT, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
  fake_say_raw (fake, AFRPC_FRAME_EVENT, 0, type, payload, size);
  take_error (fake, AFRPC_LINK_ITEM_EVENT, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
}

static void
test_link_malformed (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serial;

  g_test_summary ("A malformed result, error or event fails alone");
  fake_init (&fake);
  fake_start (&fake);
  serial = fake_call (&fake, 5);
  for (guint i = 0; i < 3; i++)
    {
      check_malformed (&fake, "s", "abc", 3);
      check_malformed (&fake, "u", "abc", 3);
      check_malformed (&fake, "(sis)", "abc", 3);
      check_malformed (&fake, "zzz", "abc", 3);
      check_malformed (&fake, "", "", 0);
      check_malformed (&fake, "", "abc", 3);
      check_malformed (&fake, "", "", 0);
    }
  fake_say (&fake, AFRPC_FRAME_RESULT, serial, new_number (5));
  take_result (&fake, 5);
  g_assert_cmpuint (fake.link.n_pending, ==, 0);
}

static void
test_link_errors (void)
{
  g_auto(Fake) fake = { 0 };

  g_test_summary ("A call that fails has the error of the worker");
  fake_init (&fake);
  fake_start (&fake);
  fake_say (&fake, AFRPC_FRAME_ERROR, fake_call (&fake, 1),
            g_variant_new ("(sis)", "g-io-error-quark", 7, "text"));
  take_error (&fake, AFRPC_LINK_ITEM_RESULT, G_IO_ERROR, 7);
  fake_say (&fake, AFRPC_FRAME_ERROR, fake_call (&fake, 1),
            g_variant_new ("(sis)", "whatever", 7, "text"));
  take_error (&fake, AFRPC_LINK_ITEM_RESULT, AFRPC_ERROR, AFRPC_ERROR_REMOTE);
  fake_say (&fake, AFRPC_FRAME_ERROR, fake_call (&fake, 1), g_variant_new_string ("text"));
  take_error (&fake, AFRPC_LINK_ITEM_RESULT, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
}

static void
test_link_long_words (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  g_autofree char *text = g_strnfill (200000, 't');
  g_autoptr(GVariant) options = g_variant_ref_sink (g_variant_new_parsed ("{'log': <true>}"));

  g_test_summary ("Of errors that go on and on the beginning is kept; no worker sends a log that does");
  fake_init (&fake);
  afrpc_link_run (&fake.link, options, NULL, 0, FALSE);
  fake_start (&fake);
  fake_say (&fake, AFRPC_FRAME_ERROR, fake_call (&fake, 1), g_variant_new ("(sis)", text, 7, text));
  fake_take (&fake, &item);
  g_assert_error (item.error, AFRPC_ERROR, AFRPC_ERROR_REMOTE);
  g_assert_cmpuint (strlen (item.error->message), <, 70000);
  fake_say (&fake, AFRPC_FRAME_LOG, 0, g_variant_new ("(uss)", G_LOG_LEVEL_MESSAGE, "domain", text));
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
}

static void
check_violation (gboolean        is_ready,
                 AfrpcFrameKind  kind,
                 guint64         serial)
{
  g_auto(Fake) fake = { 0 };
  guint64 settled, pending;

  fake_init (&fake);
  if (is_ready)
    {
      fake_start (&fake);
      settled = fake_call (&fake, 1);
      pending = fake_call (&fake, 2);
      fake_say (&fake, AFRPC_FRAME_RESULT, settled, new_number (1));
      take_result (&fake, 1);
      /* The numbers are known: the first two calls, in the first two slots. */
      g_assert_cmpuint (settled, ==, (guint64) 1 << AFRPC_SERIAL_SLOT_BITS);
      g_assert_cmpuint (pending, ==, (guint64) 2 << AFRPC_SERIAL_SLOT_BITS | 1);
    }
  else
    {
      fake_greet (&fake);
      fake_call (&fake, 1);
    }
  fake_say (&fake, kind, serial, new_number (1));
  fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
  g_assert_cmpuint (fake.link.n_pending, ==, 1);
}

static void
test_link_violations (void)
{
  const guint64 one = (guint64) 1 << AFRPC_SERIAL_SLOT_BITS;
  const guint64 no_calls[] = {
    0, 1, one, one | 1, 2 * one, 2 * one | 2, 3 * one, 3 * one | 1, 2 * one | 63, 2 * one | 64,
    2 * one | (AFRPC_SERIAL_SLOTS_MAX - 1), G_MAXUINT64,
    (G_MAXUINT64 << AFRPC_SERIAL_SLOT_BITS) | 1,
  };

  g_test_summary ("Frames that may not come now, and results of no pending call, break the "
                  "protocol");
  for (guint i = 0; i < G_N_ELEMENTS (no_calls); i++)
    {
      check_violation (TRUE, AFRPC_FRAME_RESULT, no_calls[i]);
      check_violation (TRUE, AFRPC_FRAME_ERROR, no_calls[i]);
    }
  for (guint kind = AFRPC_FRAME_HELLO; kind <= AFRPC_FRAME_LAST; kind++)
    {
      if (kind != AFRPC_FRAME_READY && kind != AFRPC_FRAME_FAILED && kind != AFRPC_FRAME_REFUSED)
        check_violation (FALSE, kind, one);
      if (kind != AFRPC_FRAME_EVENT && kind != AFRPC_FRAME_RETIRE)
        check_violation (TRUE, kind, kind == AFRPC_FRAME_HELLO ? AFRPC_FRAME_MAGIC : 0);
    }
}

static void
test_link_failed_for_good (void)
{
  g_test_summary ("Who has said that it cannot be prepared has nothing more to say; of its log nobody minds");
  for (AfrpcFrameKind kind = AFRPC_FRAME_HELLO; kind <= AFRPC_FRAME_LAST; kind++)
    {
      g_auto(Fake) fake = { 0 };
      g_auto(AfrpcLinkItem) item = { 0 };
      g_auto(AfrpcLinkItem) log = { 0 };
      g_autoptr(GVariant) options = g_variant_ref_sink (g_variant_new_parsed ("{'log': <true>}"));
      g_autoptr(GVariant) error = g_variant_ref_sink (g_variant_new ("(sis)", "domain", 1, "text"));

      fake_init (&fake);
      afrpc_link_run (&fake.link, options, NULL, 0, FALSE);
      fake_greet (&fake);
      fake_say (&fake, AFRPC_FRAME_FAILED, 0, error);
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_FAILED);
      g_assert_cmpint (fake.link.state, ==, AFRPC_LINK_FAILED);
      g_assert_false (fake.link.was_ready);

      if (kind == AFRPC_FRAME_LOG)
        {
          fake_say (&fake, kind, 0, g_variant_new ("(uss)", 1, "domain", "text"));
          fake_take (&fake, &log);
          g_assert_cmpint (log.kind, ==, AFRPC_LINK_ITEM_LOG);
          continue;
        }
      fake_say (&fake, kind, 0, kind == AFRPC_FRAME_FAILED || kind == AFRPC_FRAME_REFUSED ? error : NULL);
      fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
    }
}

/* Makes a call, with these flags, of the function with that number. */
static guint64
call_with (Fake    *fake,
           guint8   flags,
           guint16  function)
{
  g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new_tuple (NULL, 0));
  const AfrpcLinkCall call = { .owner = fake };
  g_autoptr(GError) error = NULL;
  AfrpcPayload payload = afrpc_payload (args);
  guint64 serial;

  payload.flags = flags;
  payload.function = function;
  serial = afrpc_link_call (&fake->link, &payload, &call, &error);
  g_assert_no_error (error);

  return serial;
}

static void
test_link_functions (void)
{
  g_auto(Fake) fake = { 0 };
  g_autoptr(GVariant) name = NULL;
  AfrpcFrame frame;

  g_test_summary ("A call says by number which function it is for, and the worker has heard before which that is");
  fake_init (&fake);
  fake_start (&fake);
  fake_call (&fake, 1);
  afrpc_link_declare (&fake.link, 7, "other");
  call_with (&fake, 0, 7);
  call_with (&fake, 0, G_MAXUINT16);

  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  g_assert_cmpuint (frame.header.function, ==, 0);
  fake_hear (&fake, AFRPC_FRAME_FUNCTION, &frame);
  g_assert_cmpuint (frame.header.serial, ==, 7);
  name = afrpc_transport_parse_value (&fake.worker, &frame, NULL);
  g_assert_cmpstr (g_variant_get_string (name, NULL), ==, "other");
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  g_assert_cmpuint (frame.header.function, ==, 7);
  fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
  g_assert_cmpuint (frame.header.function, ==, G_MAXUINT16);
}

static void
test_link_retire (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  g_auto(AfrpcLinkItem) result = { 0 };
  guint64 serial;

  g_test_summary ("A worker that wants no new calls says so, and is heard once; those that it has go on");
  fake_init (&fake);
  fake_start (&fake);
  serial = fake_call (&fake, 1);
  for (guint i = 0; i < 3; i++)
    fake_say (&fake, AFRPC_FRAME_RETIRE, 0, NULL);
  fake_take (&fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_RETIRE);
  fake_take_none (&fake);
  fake_say (&fake, AFRPC_FRAME_RESULT, serial, g_variant_new_string ("last"));
  fake_take (&fake, &result);
  g_assert_cmpint (result.kind, ==, AFRPC_LINK_ITEM_RESULT);
}

static void
test_link_lost_progress (void)
{
  g_auto(Fake) fake = { 0 };
  guint64 serials[2];

  g_test_summary ("Progress that cannot be read is news once a call, however often it comes");
  fake_init (&fake);
  fake_start (&fake);
  for (guint i = 0; i < 2; i++)
    serials[i] = call_with (&fake, AFRPC_FRAME_FLAG_PROGRESS, 0);
  for (guint i = 0; i < 2; i++)
    {
      g_auto(AfrpcLinkItem) lost = { 0 };
      g_auto(AfrpcLinkItem) good = { 0 };

      for (guint j = 0; j < 1000; j++)
        fake_say_raw (&fake, AFRPC_FRAME_PROGRESS, serials[i], "zzz", "abc", 3);
      fake_take (&fake, &lost);
      g_assert_cmpint (lost.kind, ==, AFRPC_LINK_ITEM_PROGRESS);
      g_assert_error (lost.error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      fake_take_none (&fake);
      fake_say (&fake, AFRPC_FRAME_PROGRESS, serials[i], g_variant_new_string ("half"));
      fake_take (&fake, &good);
      g_assert_no_error (good.error);
      g_assert_cmpstr (g_variant_get_string (good.value, NULL), ==, "half");
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/link/greeting/named", FAKE_HOST, test_link_greeting);
  g_test_add_data_func ("/link/greeting/any", NULL, test_link_greeting);
  g_test_add_func ("/link/no-greeting", test_link_no_greeting);
  g_test_add_func ("/link/bad-greeting", test_link_bad_greeting);
  g_test_add_func ("/link/garbage", test_link_garbage);
  g_test_add_func ("/link/prepare", test_link_prepare);
  g_test_add_data_func ("/link/run/lifeline", GINT_TO_POINTER (TRUE), test_link_run);
  g_test_add_data_func ("/link/run/no-lifeline", GINT_TO_POINTER (FALSE), test_link_run);
  g_test_add_func ("/link/failed", test_link_failed);
  g_test_add_func ("/link/states", test_link_states);
  g_test_add_func ("/link/calls", test_link_calls);
  g_test_add_func ("/link/call-data", test_link_call_data);
  g_test_add_func ("/link/order", test_link_order);
  g_test_add_func ("/link/malformed", test_link_malformed);
  g_test_add_func ("/link/errors", test_link_errors);
  g_test_add_func ("/link/long-words", test_link_long_words);
  g_test_add_func ("/link/progress", test_link_progress);
  g_test_add_func ("/link/violations", test_link_violations);
  g_test_add_func ("/link/failed-for-good", test_link_failed_for_good);
  g_test_add_func ("/link/functions", test_link_functions);
  g_test_add_func ("/link/retire", test_link_retire);
  g_test_add_func ("/link/lost-progress", test_link_lost_progress);

  return g_test_run ();
}
