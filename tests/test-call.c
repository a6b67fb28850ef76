/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls, and what they carry. */
#include "test-util.h"

#include <string.h>

#define LIMIT 65536u /* bytes, of metadata */

/* A call with @options (transfer full), which blocks or not. */
static GVariant *
call_full (AfrpcProxy        *proxy,
           GVariant          *args,
           AfrpcCallOptions  *options,
           gboolean           blocks,
           GError           **error)
{
  g_autoptr(AfrpcCallOptions) owned = options;
  g_auto(Outcome) outcome = { 0 };

  if (blocks)
    return afrpc_caller_call_full_sync (AFRPC_CALLER (proxy), args, options, NULL, NULL, error);

  afrpc_caller_call_full (AFRPC_CALLER (proxy), args, options, NULL, outcome_cb, &outcome);
  outcome_wait (&outcome);
  if (outcome.error != NULL)
    g_propagate_error (error, g_steal_pointer (&outcome.error));

  return g_steal_pointer (&outcome.value);
}

static AfrpcCallOptions *
new_metadata (GVariant *metadata)
{
  AfrpcCallOptions *options = afrpc_call_options_new ();
  g_autoptr(GVariant) owned = metadata != NULL ? g_variant_take_ref (metadata) : NULL;

  afrpc_call_options_set_metadata (options, owned);

  return options;
}

static void
assert_metadata (AfrpcProxy *proxy,
                 const char *metadata, /* (nullable) */
                 gboolean    blocks,
                 const char *expected)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree char *text = NULL;

  result = call_full (proxy, test_act ("metadata", g_variant_new_int32 (1)),
                      new_metadata (metadata != NULL ? g_variant_new_parsed (metadata) : NULL), blocks, &error);
  g_assert_no_error (error);
  text = g_variant_print (result, FALSE);
  g_assert_cmpstr (text, ==, expected);
}

static void
test_call_metadata (void)
{
  g_test_summary ("Metadata reaches the function beside its arguments, of that call alone, whatever the backend is");
  for (guint i = 0; i < 8; i++)
    {
      g_autoptr(AfrpcProcess) process = test_process_new ();
      g_autoptr(AfrpcSerialiser) serialiser = i / 4 == 1 ? afrpc_serialiser_lookup ("json") : NULL;
      const gboolean is_async = i % 2, blocks = i / 2 % 2;
      g_auto(Watched) watched = { 0 };

      watch_init (&watched, g_object_new (AFRPC_TYPE_PROXY, "process", process, "function",
                                          is_async ? "act_async" : "act", "backend",
                                          is_async ? AFRPC_BACKEND_ASYNC : AFRPC_BACKEND_SYNC, "serialiser",
                                          serialiser, NULL));
      assert_metadata (watched.proxy, "{'trace': <'a'>, 'n': <@t 7>}", blocks,
                       "(<{'trace': <'a'>, 'n': <uint64 7>}>, <('metadata', <1>)>)");
      assert_metadata (watched.proxy, NULL, blocks, "(<'none'>, <('metadata', <1>)>)");
      assert_metadata (watched.proxy, "@a{sv} {}", blocks, "(<@a{sv} {}>, <('metadata', <1>)>)");
    }
}

/* The largest within the limit, or the smallest that is not: not every size can be had. */
static GVariant *
new_large_metadata (gboolean is_too_large)
{
  g_autoptr(GVariant) larger = NULL;

  for (gsize length = LIMIT;; length--)
    {
      g_autofree char *text = g_strnfill (length, 'x');
      g_autoptr(GVariant) metadata = g_variant_ref_sink (g_variant_new_parsed ("{'a': <%s>}", text));

      if (g_variant_get_size (metadata) <= LIMIT)
        return is_too_large ? g_steal_pointer (&larger) : g_steal_pointer (&metadata);
      g_clear_pointer (&larger, g_variant_unref);
      larger = g_steal_pointer (&metadata);
    }
}

static void
test_call_metadata_limits (void)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;
  g_autofree char *types = g_strnfill (254, 'y');
  g_autofree char *type = g_strdup_printf ("(%s)", types);

  g_test_summary ("Metadata over its limit fails the call before it is sent, as arguments of too long a type do");
  watch_init (&watched, test_proxy_new ("act", AFRPC_BACKEND_SYNC));
  result = call_full (watched.proxy, test_act ("metadata", NULL), new_metadata (new_large_metadata (FALSE)), FALSE,
                      &error);
  g_assert_no_error (error);

  g_assert_null (call_full (watched.proxy, test_act ("metadata", NULL), new_metadata (new_large_metadata (TRUE)),
                            FALSE, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_nonnull (strstr (error->message, "65536"));
  g_clear_error (&error);

  g_assert_null (call_full (watched.proxy,
                            g_variant_new_from_data (G_VARIANT_TYPE (type), types, 254, TRUE, NULL, NULL),
                            new_metadata (new_large_metadata (FALSE)), FALSE, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_nonnull (strstr (error->message, "type"));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/call/metadata", test_call_metadata);
  g_test_add_func ("/call/metadata-limits", test_call_metadata_limits);

  return g_test_run ();
}
