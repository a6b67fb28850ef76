/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <string.h>

#include "afrpc-error.h"
#include "fake-worker.h"
#include "afrpc-serialiser-values.h"

/* Conversations with a serialiser, and workers that do not keep to that, or pretend to. */

static void
say_flagged (Fake           *fake,
             AfrpcFrameKind  kind,
             guint64         serial,
             GVariant       *value)
{
  g_autoptr(GVariant) sunk = value != NULL ? g_variant_ref_sink (value) : NULL;
  AfrpcPayload payload = afrpc_payload (sunk);

  payload.flags |= AFRPC_FRAME_FLAG_SERIALISED;
  afrpc_transport_put_payload (&fake->worker, kind, serial, &payload);
  g_assert_cmpint (afrpc_transport_flush (&fake->worker, NULL), !=, AFRPC_STEP_ERROR);
}

static GVariant *
packed (const char *text)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, text, strlen (text), 1);
}

/* Greets, and asks the worker to run something, serialised or not. */
static void
prepare (Fake     *fake,
         gboolean  is_serialised)
{
  AfrpcFrame frame;

  fake_init (fake);
  fake->link.is_serialised = is_serialised;
  afrpc_link_run (&fake->link, NULL, NULL, 0, FALSE);
  fake_hear (fake, AFRPC_FRAME_HELLO, &frame);
  fake_hear (fake, AFRPC_FRAME_RUN, &frame);
  fake_greet (fake);
}

static void
start (Fake     *fake,
       gboolean  is_serialised)
{
  g_auto(AfrpcLinkItem) item = { 0 };

  prepare (fake, is_serialised);
  if (is_serialised)
    say_flagged (fake, AFRPC_FRAME_READY, 0, NULL);
  else
    fake_say (fake, AFRPC_FRAME_READY, 0, NULL);
  fake_take (fake, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_READY);
}

static void
test_link_serialised_ready (void)
{
  g_auto(Fake) ignorant = { 0 };
  g_auto(Fake) eager = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };

  g_test_summary ("A host that knows no serialisers is found out before the first call");
  prepare (&ignorant, TRUE);
  fake_say (&ignorant, AFRPC_FRAME_READY, 0, NULL);
  fake_take (&ignorant, &item);
  g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_FAILED);
  g_assert_error (item.error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (ignorant.link.state, ==, AFRPC_LINK_FAILED);

  prepare (&eager, FALSE);
  say_flagged (&eager, AFRPC_FRAME_READY, 0, NULL);
  fake_refused (&eager, AFRPC_ERROR_PROTOCOL);
}

static void
test_link_serialised_values (void)
{
  static const AfrpcFrameKind kinds[] = { AFRPC_FRAME_RESULT, AFRPC_FRAME_EVENT, AFRPC_FRAME_PROGRESS };

  g_test_summary ("What is serialised is told from what is not, and to be unpacked by the caller");
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    for (guint is_serialised = 0; is_serialised <= 1; is_serialised++)
      {
        const AfrpcLinkCall call = { .owner = GUINT_TO_POINTER (1) };
        g_auto(Fake) fake = { 0 };
        g_auto(AfrpcLinkItem) item = { 0 };
        g_autoptr(GVariant) args = g_variant_ref_sink (packed ("args"));
        AfrpcPayload payload = afrpc_payload (args);
        AfrpcFrame frame;
        guint64 serial;

        start (&fake, is_serialised);
        payload.flags |= AFRPC_FRAME_FLAG_PROGRESS | (is_serialised ? AFRPC_FRAME_FLAG_SERIALISED : 0);
        serial = afrpc_link_call (&fake.link, &payload, &call, NULL);
        fake_hear (&fake, AFRPC_FRAME_CALL, &frame);
        g_assert_cmpint ((frame.header.flags & AFRPC_FRAME_FLAG_SERIALISED) != 0, ==, is_serialised);
        if (is_serialised)
          say_flagged (&fake, kinds[i], serial, packed ("value"));
        else
          fake_say (&fake, kinds[i], serial, packed ("value"));
        fake_take (&fake, &item);
        g_assert_no_error (item.error);
        g_assert_cmpint (item.is_serialised, ==, is_serialised);
      }
}

static void
test_link_serialised_error (void)
{
  g_auto(Fake) fake = { 0 };
  g_auto(AfrpcLinkItem) item = { 0 };
  guint64 serial;

  g_test_summary ("Errors are not serialised");
  start (&fake, TRUE);
  serial = fake_call (&fake, 1);
  fake_say (&fake, AFRPC_FRAME_ERROR, serial, g_variant_new ("(sis)", "g-file-error-quark", 1, "plain words"));
  fake_take (&fake, &item);
  g_assert_cmpstr (item.error->message, ==, "plain words");
  g_assert_false (item.is_serialised);
}

static void
test_link_serialised_violations (void)
{
  static const struct
  {
    AfrpcFrameKind kind;
    gboolean is_serialised; /* the conversation */
  } violations[] = {
    { AFRPC_FRAME_RESULT, TRUE },   { AFRPC_FRAME_RESULT, FALSE }, { AFRPC_FRAME_EVENT, TRUE },
    { AFRPC_FRAME_EVENT, FALSE },   { AFRPC_FRAME_PROGRESS, TRUE }, { AFRPC_FRAME_PROGRESS, FALSE },
    { AFRPC_FRAME_ERROR, FALSE },   { AFRPC_FRAME_STARTED, FALSE },
  };

  g_test_summary ("A worker that leaves the flag out, or sets it unasked, breaks the protocol");
  for (guint i = 0; i < G_N_ELEMENTS (violations); i++)
    {
      g_auto(Fake) fake = { 0 };
      guint64 serial;

      start (&fake, violations[i].is_serialised);
      serial = fake_call (&fake, 1);
      if (violations[i].is_serialised)
        fake_say (&fake, violations[i].kind, serial, packed ("value"));
      else
        say_flagged (&fake, violations[i].kind, serial, packed ("value"));
      fake_refused (&fake, AFRPC_ERROR_PROTOCOL);
    }
}

static void
test_link_serialised_type (void)
{
  g_autoptr(AfrpcSerialiser) json = afrpc_serialiser_lookup ("json");
  g_auto(Fake) fake = { 0 };

  g_test_summary ("A payload of another type, or that is no JSON, is an error of its call");
  start (&fake, TRUE);
  for (guint i = 0; i < 2; i++)
    {
      g_auto(AfrpcLinkItem) item = { 0 };
      g_autoptr(GError) error = NULL;
      guint64 serial = fake_call (&fake, i + 1);

      say_flagged (&fake, AFRPC_FRAME_RESULT, serial, i == 0 ? g_variant_new_string ("{}") : packed ("{"));
      fake_take (&fake, &item);
      g_assert_cmpint (item.kind, ==, AFRPC_LINK_ITEM_RESULT);
      g_assert_null (afrpc_serialiser_unpack (json, item.value, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/link-serialised/ready", test_link_serialised_ready);
  g_test_add_func ("/link-serialised/values", test_link_serialised_values);
  g_test_add_func ("/link-serialised/error", test_link_serialised_error);
  g_test_add_func ("/link-serialised/violations", test_link_serialised_violations);
  g_test_add_func ("/link-serialised/type", test_link_serialised_type);

  return g_test_run ();
}
