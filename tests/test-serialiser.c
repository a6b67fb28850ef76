/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values that travel through serialisers, afrpc's own and others: through whole workers. */
#include "test-util.h"

#include <string.h>

#include "odd-serialiser.h"
#include "random-variant.h"

#define MODULE (g_getenv ("AFRPC_TEST_SERIALISER_WORKER"))

static AfrpcProxy *
proxy_new (const char      *function,
           AfrpcBackend     backend,
           const char      *init,
           AfrpcSerialiser *serialiser)
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autofree char *name = g_strconcat (function, backend == AFRPC_BACKEND_ASYNC ? "_async" : NULL, NULL);

  afrpc_process_require (process, MODULE);
  afrpc_process_set_stderr (process, AFRPC_STDIO_CAPTURE);
  if (g_strcmp0 (init, "init_plain") == 0)
    afrpc_process_send_arg (process, g_variant_new_string ("(si)"));

  return g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", name, "backend", backend, "init", init,
                       "serialiser", serialiser, NULL);
}

static AfrpcProxy *
named_proxy_new (const char   *function,
                 AfrpcBackend  backend,
                 const char   *name)
{
  g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (name);

  g_assert_nonnull (serialiser);
  return proxy_new (function, backend, NULL, serialiser);
}

static AfrpcProxy *
odd_proxy_new (const char    *function,
               AfrpcBackend   backend,
               OddSerialiser *odd)
{
  odd->thread = g_thread_self ();
  return proxy_new (function, backend, "init_odd", AFRPC_SERIALISER (odd));
}

static void
end (AfrpcProxy *proxy)
{
  g_auto(Watched) watched = { 0 };

  watch_init (&watched, proxy);
  watch_end (&watched);
  g_assert_no_error (watched.error);
}

static void
assert_same (GVariant *a,
             GVariant *b)
{
  g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes (a);
  g_autoptr(GBytes) other = g_variant_get_data_as_bytes (b);

  g_assert_cmpstr (g_variant_get_type_string (a), ==, g_variant_get_type_string (b));
  g_assert_true (g_bytes_equal (bytes, other));
}

/* What "bytes" takes: strings and byte strings, in arrays and tuples. */
static GVariant *
random_bytes (GRand *rand)
{
  static const char *const elements[] = { "s", "ay" };
  g_autoptr(GString) type = g_string_new (NULL);
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("aay"));
  guint n = g_rand_int_range (rand, 0, 6);
  GVariant *members[6];

  for (guint i = 0; i < n; i++)
    {
      gsize length = g_rand_int_range (rand, 0, g_rand_boolean (rand) ? 8 : 300);
      g_autofree char *octets = g_malloc (length + 1);

      for (gsize j = 0; j <= length; j++)
        octets[j] = j < length ? g_rand_int_range (rand, 0, 256) : '\0';
      if (g_rand_boolean (rand))
        {
          g_autofree char *text = g_utf8_make_valid (octets, strlen (octets));

          members[i] = g_variant_new_string (text);
        }
      else
        members[i] = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, octets, length, 1);
    }
  switch (n > 0 ? g_rand_int_range (rand, 0, 3) : 0)
    {
    case 0:
      return g_variant_ref_sink (g_variant_new_tuple (members, n));
    case 1:
      for (guint i = 1; i < n; i++)
        g_variant_unref (g_variant_ref_sink (members[i]));
      return g_variant_ref_sink (members[0]);
    default:
      g_string_printf (type, "a%s", elements[g_variant_is_of_type (members[0], G_VARIANT_TYPE_STRING) ? 0 : 1]);
      for (guint i = 1; i < n; i++)
        g_variant_unref (g_variant_ref_sink (members[i]));
      g_variant_ref_sink (members[0]);
      g_variant_builder_clear (&builder);
      g_variant_builder_init (&builder, G_VARIANT_TYPE (type->str));
      for (guint i = g_rand_int_range (rand, 0, 4); i > 0; i--)
        g_variant_builder_add_value (&builder, members[0]);
      g_variant_unref (members[0]);
      return g_variant_ref_sink (g_variant_builder_end (&builder));
    }
}

static GVariant *
random_value (GRand      *rand,
              const char *name)
{
  return strcmp (name, "bytes") == 0 ? random_bytes (rand) : random_variant (rand, RANDOM_VARIANT_DEFAULT);
}

/* Alone */

static void
test_serialiser_registry (void)
{
  static const char *const own[] = { "variant", "bytes", "json" };
  g_autoptr(OddSerialiser) one = odd_serialiser_new (ODD_NAME, "one");
  g_autoptr(OddSerialiser) other = odd_serialiser_new (ODD_NAME, "other");
  g_autoptr(OddSerialiser) nameless = odd_serialiser_new (NULL, "one");
  g_autoptr(OddSerialiser) empty = odd_serialiser_new ("", "one");
  g_autoptr(OddSerialiser) false_json = odd_serialiser_new ("json", "one");
  g_autoptr(OddSerialiser) false_plain = odd_serialiser_new ("json-plain", "one");
  g_autofree char *long_name = g_strnfill (256, 'n');
  g_autoptr(OddSerialiser) too_long = odd_serialiser_new (long_name, "one");
  OddSerialiser *refused[] = { nameless, empty, false_json, false_plain, too_long };
  g_autoptr(AfrpcJsonSerialiser) plain = afrpc_json_serialiser_new (G_VARIANT_TYPE ("s"));
  g_autoptr(GError) error = NULL;
  g_autoptr(AfrpcSerialiser) found = NULL;

  g_test_summary ("Serialisers are found by their names; those of afrpc are nobody else's");
  for (guint i = 0; i < G_N_ELEMENTS (own); i++)
    {
      g_autoptr(AfrpcSerialiser) first = afrpc_serialiser_lookup (own[i]);
      g_autoptr(AfrpcSerialiser) again = afrpc_serialiser_lookup (own[i]);

      g_assert_cmpstr (afrpc_serialiser_get_name (first), ==, own[i]);
      g_assert_true (first == again);
    }
  g_assert_null (afrpc_serialiser_lookup (ODD_NAME));
  g_assert_null (afrpc_serialiser_lookup ("json-plain"));
  g_assert_null (afrpc_serialiser_lookup (""));

  g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (one), &error));
  g_assert_no_error (error);
  found = afrpc_serialiser_lookup (ODD_NAME);
  g_assert_true (found == AFRPC_SERIALISER (one));
  g_clear_object (&found);
  g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (other), NULL));
  found = afrpc_serialiser_lookup (ODD_NAME);
  g_assert_true (found == AFRPC_SERIALISER (other));
  g_assert_finalize_object (g_steal_pointer (&one));
  g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (plain), NULL));

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_assert_false (afrpc_serialiser_register (AFRPC_SERIALISER (refused[i]), &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER);
      g_clear_error (&error);
    }
  g_assert_null (afrpc_serialiser_get_name (AFRPC_SERIALISER (nameless)));
}

static gpointer
register_thread (gpointer data)
{
  for (guint i = 0; i < 1000; i++)
    {
      g_autoptr(OddSerialiser) odd = odd_serialiser_new (data, "thread");
      g_autoptr(AfrpcSerialiser) found = NULL;
      g_autoptr(AfrpcSerialiser) json = afrpc_serialiser_lookup ("json");

      g_assert_true (afrpc_serialiser_register (AFRPC_SERIALISER (odd), NULL));
      found = afrpc_serialiser_lookup (data);
      g_assert_cmpstr (afrpc_serialiser_get_name (found), ==, data);
      g_assert_cmpstr (afrpc_serialiser_get_name (json), ==, "json");
    }
  return NULL;
}

static void
test_serialiser_threads (void)
{
  GThread *threads[4];

  g_test_summary ("Threads may register and look up at once");
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new (NULL, register_thread, (gpointer) (i % 2 == 0 ? "even" : "uneven"));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static void
test_serialiser_random (gconstpointer name)
{
  g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (name);

  g_test_summary ("100000 random values come back exactly");
  for (guint i = 0; i < 100000; i++)
    {
      guint32 seed = g_test_rand_int ();
      g_autoptr(GRand) rand = g_rand_new_with_seed (seed);
      g_autoptr(GVariant) value = random_value (rand, name);
      g_autoptr(GError) error = NULL;
      g_autoptr(GBytes) bytes = afrpc_serialiser_serialise (serialiser, value, &error);
      g_autoptr(GVariant) back = bytes != NULL ? afrpc_serialiser_deserialise (serialiser, bytes, &error) : NULL;
      g_autoptr(GBytes) data = NULL;
      g_autoptr(GVariant) foreign = NULL;

      if (error != NULL)
        {
          g_autofree char *text = g_variant_print (value, TRUE);

          g_test_fail_printf ("seed %u: %s\n%s", seed, error->message, text);
          return;
        }
      assert_same (value, back);
      /* What says that it is in normal form, is. */
      data = g_variant_get_data_as_bytes (back);
      foreign = g_variant_ref_sink (g_variant_new_from_bytes (g_variant_get_type (back), data, FALSE));
      g_assert_true (g_variant_is_normal_form (foreign));
    }
}

static void
test_serialiser_damaged (gconstpointer name)
{
  g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (name);
  guint n_refused = 0;

  g_test_summary ("Damaged bytes are refused, or another value in normal form");
  for (guint i = 0; i < 20000; i++)
    {
      g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
      g_autoptr(GVariant) value = random_value (rand, name);
      g_autoptr(GBytes) bytes = afrpc_serialiser_serialise (serialiser, value, NULL);
      gsize size = g_bytes_get_size (bytes);
      g_autofree guint8 *copy = g_memdup2 (g_bytes_get_data (bytes, NULL), size);
      gsize end_at = size;
      g_autoptr(GBytes) damaged = NULL;
      g_autoptr(GVariant) back = NULL;
      g_autoptr(GError) error = NULL;

      if (size > 0 && i % 2 == 0)
        copy[g_rand_int_range (rand, 0, size)] ^= 1 << g_rand_int_range (rand, 0, 8);
      else
        end_at = g_rand_int_range (rand, 0, size + 1);
      damaged = g_bytes_new (copy, end_at);
      back = afrpc_serialiser_deserialise (serialiser, damaged, &error);
      g_assert_true ((back != NULL) != (error != NULL));
      if (error != NULL)
        {
          n_refused++;
          g_assert_cmpint (error->domain, ==, AFRPC_ERROR);
        }
      else
        {
          g_autoptr(GBytes) data = g_variant_get_data_as_bytes (back);
          g_autoptr(GVariant) foreign =
            g_variant_ref_sink (g_variant_new_from_bytes (g_variant_get_type (back), data, FALSE));

          g_assert_true (g_variant_is_normal_form (foreign));
        }
    }
  g_assert_cmpuint (n_refused, >, 1000);
}

static const struct
{
  const char *value;
  const char *bytes;
  gsize size;
} byte_formats[] = {
  { "'abc'", "s\0\003abc", 6 },
  { "b'abc'", "ay\0\004abc\0", 8 },
  { "@ay []", "ay\0\0", 4 },
  { "@aay []", "aay\0", 4 },
  { "[b'', b'a']", "aay\0\001\0\002a\0", 9 },
  { "['', 'a']", "as\0\0\001a", 6 },
  { "()", "()\0", 3 },
  { "('a', b'', '')", "(says)\0\001a\001\0\0", 12 },
};

static void
test_serialiser_bytes_format (void)
{
  g_autoptr(AfrpcSerialiser) bytes = afrpc_serialiser_lookup ("bytes");
  g_autofree char *long_text = g_strnfill (300, 'a');
  g_autoptr(GVariant) long_value = g_variant_ref_sink (g_variant_new_string (long_text));
  g_autoptr(GBytes) long_bytes = afrpc_serialiser_serialise (bytes, long_value, NULL);

  g_test_summary ("The format of “bytes” is what is documented, to the byte");
  for (guint i = 0; i < G_N_ELEMENTS (byte_formats); i++)
    {
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (byte_formats[i].value));
      g_autoptr(GBytes) made = afrpc_serialiser_serialise (bytes, value, NULL);

      g_assert_cmpmem (g_bytes_get_data (made, NULL), g_bytes_get_size (made), byte_formats[i].bytes,
                       byte_formats[i].size);
    }
  /* 300 is 2 * 128 + 44. */
  g_assert_cmpmem (g_bytes_get_data (long_bytes, NULL), 5, "s\0\202\054a", 5);
}

static void
test_serialiser_bytes_refuses (void)
{
  static const char *const values[] = { "1", "('a', 1)", "[['a']]", "('a', ['b'])", "<'a'>", "@ms 'a'", "{'a': 'b'}",
                                        "objectpath '/'", "(('a',),)" };
  static const struct { const char *bytes; gsize size; } malformed[] = {
    { "", 0 },           { "s", 1 },          { "s\0", 2 },           { "s\0\002a", 4 },   { "s\0\001ab", 5 },
    { "i\0\001a", 4 },   { "(s\0\001a", 5 },  { "ss\0\001a\001a", 7 }, { "s\0\001\377", 4 }, { "s\0\001\0", 4 },
    { "s\0\200\001a", 5 }, { "s\0\201", 3 },  { "aay\0\001", 5 },     { "(ss)\0\001a", 7 }, { "()\0\001a", 5 },
    { "s\0\377\377\377\377\377\377\377\377\377\177a", 13 },           { "ay\0\377\377\377\377\377\377\377\377\377\377\377\177", 15 },
    { "aaay\0", 5 },
  };
  g_autoptr(AfrpcSerialiser) bytes = afrpc_serialiser_lookup ("bytes");
  g_autofree char *no_nul = g_strnfill (1000, 's');
  g_autoptr(GBytes) long_type = g_bytes_new (no_nul, 1000);
  g_autoptr(GError) error = NULL;

  g_test_summary ("“bytes” takes nothing but strings, and says so; malformed bytes are refused");
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed (values[i]));

      g_assert_null (afrpc_serialiser_serialise (bytes, value, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER);
      g_assert_nonnull (strstr (error->message, g_variant_get_type_string (value)));
      g_clear_error (&error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (malformed); i++)
    {
      /* To the byte, for the sanitizer to see a step too far. */
      g_autoptr(GBytes) data = g_bytes_new (malformed[i].bytes, malformed[i].size);

      if (afrpc_serialiser_deserialise (bytes, data, &error) != NULL)
        g_error ("malformed %u was accepted", i);
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      g_clear_error (&error);
    }
  g_assert_null (afrpc_serialiser_deserialise (bytes, long_type, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
}

static void
test_serialiser_limits (void)
{
  static const char *const names[] = { "variant", "json" };
  GVariant *members[300];
  g_autoptr(GVariant) wide = NULL;
  g_autoptr(GVariant) deep = g_variant_ref_sink (g_variant_new_boolean (TRUE));
  g_autoptr(GVariant) malformed = g_variant_ref_sink (
    g_variant_new_from_data (G_VARIANT_TYPE_STRING, "\377", 1, FALSE, NULL, NULL));

  g_test_summary ("A value that no worker would take is refused by its serialiser");
  for (guint i = 0; i < G_N_ELEMENTS (members); i++)
    members[i] = g_variant_new_boolean (TRUE);
  wide = g_variant_ref_sink (g_variant_new_tuple (members, G_N_ELEMENTS (members)));
  for (guint i = 0; i < 200; i++)
    {
      GVariant *boxed = g_variant_ref_sink (g_variant_new_variant (deep));

      g_variant_unref (deep);
      deep = boxed;
    }

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (names[i]);
      g_autoptr(GError) error = NULL;

      g_assert_null (afrpc_serialiser_serialise (serialiser, wide, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
      g_clear_error (&error);
      g_assert_null (afrpc_serialiser_serialise (serialiser, malformed, &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      g_clear_error (&error);
      if (strcmp (names[i], "json") == 0)
        {
          g_assert_null (afrpc_serialiser_serialise (serialiser, deep, &error));
          g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
        }
    }
}

/* Through workers */

typedef struct
{
  guint n_made;
  guint n_done;
  guint n_calls;
  gboolean all_done;
  const char *name;
  AfrpcProxy *proxy;
} Flood;

typedef struct
{
  Flood *flood;
  GVariant *value;
} FloodCall;

static void flood_call (Flood *flood);

static void
flood_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      data)
{
  FloodCall *call = data;
  Flood *flood = call->flood;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) back = afrpc_proxy_call_finish (AFRPC_PROXY (source), result, &error);

  g_assert_no_error (error);
  assert_same (call->value, back);
  g_variant_unref (call->value);
  g_free (call);

  flood->all_done = ++flood->n_done == flood->n_calls;
  if (flood->n_made < flood->n_calls)
    flood_call (flood);
}

static void
flood_call (Flood *flood)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());
  FloodCall *call = g_new (FloodCall, 1);

  flood->n_made++;
  call->flood = flood;
  call->value = random_value (rand, flood->name);
  afrpc_proxy_call (flood->proxy, call->value, NULL, flood_cb, call);
}

static void
test_serialiser_worker_random (gconstpointer name)
{
  Flood flood = { .name = name, .n_calls = g_test_slow () ? 100000 : 10000 };

  g_test_summary ("Random values go to a worker and come back exactly, in both backends");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      flood.n_made = flood.n_done = 0;
      flood.all_done = FALSE;
      flood.proxy = named_proxy_new ("echo", backend, name);
      while (flood.n_made < 256)
        flood_call (&flood);
      test_iterate_until (&flood.all_done);
      end (flood.proxy);
    }
}

static void
test_serialiser_call_sync (gconstpointer name)
{
  g_autoptr(AfrpcSerialiser) serialiser = afrpc_serialiser_lookup (name);

  g_test_summary ("A blocking call is serialised like any other");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      g_autoptr(AfrpcProxy) proxy = named_proxy_new ("echo", backend, name);
      g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_parsed ("('a', b'\\377')"));
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) back = afrpc_proxy_call_sync (proxy, value, NULL, &error);

      g_assert_no_error (error);
      assert_same (value, back);
      g_assert_true (afrpc_proxy_get_serialiser (proxy) == serialiser);
      end (g_steal_pointer (&proxy));
    }
}

static void
test_serialiser_odd (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  guint n_calls = 0;

  g_test_summary ("One that the init function registers is used on both sides, and in the proxy's thread alone");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      AfrpcProxy *proxy = odd_proxy_new ("echo", backend, odd);
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value = test_call (proxy, g_variant_new_parsed ("(1, <'b'>)"), &error);
      g_autofree char *text = NULL;

      g_assert_no_error (error);
      text = g_variant_print (value, FALSE);
      g_assert_cmpstr (text, ==, "(1, <'b'>)");
      n_calls += 2;
      g_assert_cmpuint (odd->n_calls, ==, n_calls);
      end (proxy);
    }
}

static gpointer
thread_main (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  test_serialiser_odd ();
  g_main_context_pop_thread_default (context);

  return NULL;
}

static void
test_serialiser_other_thread (void)
{
  g_test_summary ("A proxy in another thread, with a context of its own, has its values serialised there");
  g_thread_join (g_thread_new (NULL, thread_main, NULL));
}

static void
check_refused (AfrpcProxy *proxy,
               int         code,
               const char *words)
{
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;

  watch_init (&watched, proxy);
  watch_events (&watched);
  value = test_call (proxy, g_variant_new_string ("a"), &error);
  g_assert_error (error, AFRPC_ERROR, code);
  g_assert_nonnull (strstr (error->message, words));
  watch_end (&watched);
  g_assert_error (watched.error, AFRPC_ERROR, code);
  g_assert_cmpuint (watched.n_events, ==, 0);
}

static void
test_serialiser_unknown (void)
{
  g_autoptr(OddSerialiser) unknown = odd_serialiser_new ("unheard-of", "parent");
  g_autoptr(OddSerialiser) nameless = odd_serialiser_new (NULL, "parent");
  g_autoptr(OddSerialiser) false_json = odd_serialiser_new ("json", "parent");

  g_test_summary ("A name that the worker does not know fails before anything runs; one that cannot be, at once");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      check_refused (proxy_new ("tell", backend, "init_odd", AFRPC_SERIALISER (unknown)), AFRPC_ERROR_SERIALISER,
                     "“unheard-of”");
      check_refused (proxy_new ("tell", backend, NULL, AFRPC_SERIALISER (nameless)), AFRPC_ERROR_SERIALISER, "no name");
      check_refused (proxy_new ("tell", backend, NULL, AFRPC_SERIALISER (false_json)), AFRPC_ERROR_SERIALISER,
                     "afrpc's own");
    }
}

static const struct
{
  const char *trick;
  const char *where;
  gboolean is_ours;   /* the domain of the error is that of afrpc */
  int code;
} tricks[] = {
  { "silence", "serialise", TRUE, AFRPC_ERROR_SERIALISER },
  { "error", "serialise", FALSE, G_FILE_ERROR_NOSPC },
  { "both", "serialise", FALSE, G_FILE_ERROR_NOSPC },
  { "silence", "deserialise", TRUE, AFRPC_ERROR_SERIALISER },
  { "error", "deserialise", FALSE, G_FILE_ERROR_NOSPC },
  { "both", "deserialise", FALSE, G_FILE_ERROR_NOSPC },
  { "malformed", "deserialise", TRUE, AFRPC_ERROR_INVALID_DATA },
  { "long", "deserialise", TRUE, AFRPC_ERROR_TOO_LARGE },
};

static void
check_trick (AfrpcProxy *proxy,
             guint       i,
             const char *side)
{
  GQuark domain = tricks[i].is_ours ? AFRPC_ERROR : G_FILE_ERROR;

  for (guint sync = 0; sync <= 1; sync++)
    {
      g_autoptr(GVariant) args = g_variant_ref_sink (g_variant_new ("(sss)", tricks[i].trick, tricks[i].where, side));
      Outcome before = { 0 }, after = { 0 };
      g_autoptr(GVariant) value = NULL;
      g_autoptr(GError) error = NULL;

      afrpc_proxy_call (proxy, g_variant_new_int32 (1), NULL, outcome_cb, &before);
      if (sync)
        value = afrpc_proxy_call_sync (proxy, args, NULL, &error);
      else
        value = test_call (proxy, args, &error);
      afrpc_proxy_call (proxy, g_variant_new_int32 (2), NULL, outcome_cb, &after);
      outcome_wait (&before);
      outcome_wait (&after);

      if (!g_error_matches (error, domain, tricks[i].code))
        g_error ("%s in %s of the %s: %s", tricks[i].trick, tricks[i].where, side,
                 error != NULL ? error->message : "no error");
      g_assert_null (value);
      g_assert_cmpint (g_variant_get_int32 (before.value), ==, 1);
      g_assert_cmpint (g_variant_get_int32 (after.value), ==, 2);
      outcome_clear (&before);
      outcome_clear (&after);
    }
}

static void
test_serialiser_tricks (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");

  g_test_summary ("Whatever a serialiser does with one value, on either side, that call fails and no other");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      AfrpcProxy *proxy = odd_proxy_new ("echo", backend, odd);

      for (guint i = 0; i < G_N_ELEMENTS (tricks); i++)
        {
          check_trick (proxy, i, "parent");
          check_trick (proxy, i, "worker");
        }
      end (proxy);
    }
}

static void
test_serialiser_floating (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  AfrpcProxy *proxy = odd_proxy_new ("echo", AFRPC_BACKEND_SYNC, odd);
  static const char *const sides[] = { "parent", "worker" };

  g_test_summary ("A serialiser may give a floating value");
  for (guint i = 0; i < G_N_ELEMENTS (sides); i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(GVariant) value =
        test_call (proxy, g_variant_new ("(sss)", "floating", "deserialise", sides[i]), &error);

      g_assert_no_error (error);
      g_assert_false (g_variant_is_floating (value));
      g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "floating");
    }
  end (proxy);
}

static void
test_serialiser_events (gconstpointer name)
{
  g_test_summary ("Events travel through the serialiser, in order with results; errors do not");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      g_auto(Watched) watched = { 0 };
      Outcome outcome = { 0 }, failing = { 0 };

      watch_init (&watched, named_proxy_new ("tell", backend, name));
      watch_events (&watched);
      outcome.log = failing.log = watched.log;
      afrpc_proxy_call (watched.proxy, g_variant_new_parsed ("b'a'"), NULL, outcome_cb, &outcome);
      afrpc_proxy_call (watched.proxy, g_variant_new_string ("fail"), NULL, outcome_cb, &failing);
      outcome_wait (&failing);
      g_assert_cmpstr (watched.log->str, ==,
                       "event 'before'; event b'a'; event 'after'; result 'told'; "
                       "event 'before'; event 'fail'; event 'after'; result as you like; ");
      g_assert_error (failing.error, G_FILE_ERROR, G_FILE_ERROR_NOENT);
      outcome_clear (&outcome);
      outcome_clear (&failing);
    }
}

static void
test_serialiser_bad_event (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");

  g_test_summary ("An event that the program cannot read is an error of its own; one that the worker cannot send "
                  "is left out");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      g_auto(Watched) watched = { 0 };
      g_autoptr(GError) error = NULL;
      GVariant *value;

      watch_init (&watched, odd_proxy_new ("tell", backend, odd));
      watch_events (&watched);
      value = test_call (watched.proxy, g_variant_new ("(sss)", "silence", "deserialise", "parent"), &error);
      g_assert_no_error (error);
      g_variant_unref (value);
      g_assert_error (watched.error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER);
      g_assert_cmpstr (watched.log->str, ==, "event 'before'; error; event 'after'; ");

      g_string_truncate (watched.log, 0);
      value = test_call (watched.proxy, g_variant_new ("(sss)", "error", "serialise", "worker"), &error);
      g_assert_no_error (error);
      g_variant_unref (value);
      g_assert_cmpstr (watched.log->str, ==, "event 'before'; event 'after'; ");
      watch_end (&watched);
      g_assert_nonnull (strstr (afrpc_exit_get_stderr (watched.exit), "an event was not sent: no ink left"));
    }
}

static void
test_serialiser_stash (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  g_auto(Watched) watched = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  Outcome outcome = { 0 };
  guint n_calls;

  g_test_summary ("What arrives during a blocking call is deserialised when it is delivered, in order");
  watch_init (&watched, odd_proxy_new ("tell", AFRPC_BACKEND_SYNC, odd));
  watch_events (&watched);
  outcome.log = watched.log;
  afrpc_proxy_call (watched.proxy, g_variant_new_int32 (1), NULL, outcome_cb, &outcome);
  value = afrpc_proxy_call_sync (watched.proxy, g_variant_new_int32 (2), NULL, &error);
  g_assert_no_error (error);
  n_calls = odd->n_calls;
  g_assert_cmpuint (n_calls, ==, 3);
  outcome_wait (&outcome);
  while (watched.n_events < 6)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (odd->n_calls, ==, n_calls + 7);
  g_assert_cmpstr (watched.log->str, ==, "event 'before'; event 1; event 'after'; result 'told'; "
                                         "event 'before'; event 2; event 'after'; ");
  outcome_clear (&outcome);
}

static void
progress_cb (AfrpcProxy *proxy,
             GVariant   *progress,
             gpointer    log)
{
  g_autofree char *text = g_variant_print (progress, FALSE);

  g_string_append_printf (log, "progress %s; ", text);
}

static void
test_serialiser_progress (gconstpointer name)
{
  g_test_summary ("Progress travels through the serialiser");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      g_autoptr(GString) log = g_string_new (NULL);
      AfrpcProxy *proxy = named_proxy_new ("report", backend, name);
      Outcome outcome = { .log = log };

      afrpc_proxy_call_with_progress (proxy, g_variant_new_string ("a"), AFRPC_PROGRESS_ALL, progress_cb, log, NULL,
                                      NULL, outcome_cb, &outcome);
      outcome_wait (&outcome);
      g_assert_cmpstr (log->str, ==, "progress 'half'; progress 'a'; result 'a'; ");
      outcome_clear (&outcome);
      end (proxy);
    }
}

static void
test_serialiser_size (void)
{
  g_autoptr(AfrpcProcess) process = test_bare_process_new ();
  g_autoptr(AfrpcSerialiser) json = afrpc_serialiser_lookup ("json");
  g_autofree char *quotes = g_strnfill (600, '"');
  AfrpcProxy *proxy;
  g_autoptr(GError) error = NULL;
  GVariant *value;

  g_test_summary ("A message's size is what it has when it travels; over the limit, a call fails alone");
  afrpc_process_require (process, MODULE);
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "grow", "serialiser", json,
                        "max-message-size", (guint64) 1000, NULL);

  /* Each takes two in JSON. */
  g_assert_null (test_call (proxy, g_variant_new ("(su)", quotes, 1), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_clear_error (&error);
  quotes[400] = '\0';
  value = test_call (proxy, g_variant_new ("(su)", quotes, 1), &error);
  g_assert_no_error (error);
  g_variant_unref (value);
  g_assert_null (test_call (proxy, g_variant_new ("(su)", quotes, 2), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE);
  g_assert_nonnull (strstr (error->message, "the result cannot be sent"));
  g_clear_error (&error);
  value = test_call (proxy, g_variant_new ("(su)", quotes, 1), &error);
  g_assert_no_error (error);
  g_variant_unref (value);
  end (proxy);
}

static void
close_hook (gpointer proxy)
{
  afrpc_proxy_close (proxy);
}

static void
call_hook (gpointer data)
{
  OddSerialiser *odd = g_object_get_data (data, "odd");

  odd->hook = NULL;
  afrpc_proxy_call (data, g_variant_new_string ("inner"), NULL, outcome_cb, g_object_get_data (data, "outcome"));
}

static void
test_serialiser_reentrant (void)
{
  g_autoptr(OddSerialiser) odd = odd_serialiser_new (ODD_NAME, "parent");
  AfrpcProxy *proxy = odd_proxy_new ("echo", AFRPC_BACKEND_SYNC, odd);
  Outcome inner = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;

  g_test_summary ("A serialiser may make calls, and close the proxy, in the middle of a call");
  g_object_set_data (G_OBJECT (proxy), "odd", odd);
  g_object_set_data (G_OBJECT (proxy), "outcome", &inner);
  odd->hook = call_hook;
  odd->hook_data = proxy;
  value = test_call (proxy, g_variant_new_string ("outer"), &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, "outer");
  outcome_wait (&inner);
  g_assert_cmpstr (g_variant_get_string (inner.value, NULL), ==, "inner");
  outcome_clear (&inner);

  odd->hook = close_hook;
  g_assert_null (test_call (proxy, g_variant_new_string ("late"), &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_null (afrpc_proxy_call_sync (proxy, g_variant_new_string ("late"), NULL, &error));
  g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_CLOSED);
  odd->hook = NULL;
  end (proxy);
}

static void
test_serialiser_plain (void)
{
  g_autoptr(AfrpcJsonSerialiser) plain = afrpc_json_serialiser_new (G_VARIANT_TYPE ("(xs)"));

  g_test_summary ("With plain JSON each side expects a type: the worker's function gets and gives other ones");
  g_assert_cmpstr (afrpc_serialiser_get_name (AFRPC_SERIALISER (plain)), ==, "json-plain");
  for (AfrpcBackend backend = AFRPC_BACKEND_SYNC; backend <= AFRPC_BACKEND_ASYNC; backend++)
    {
      AfrpcProxy *proxy = proxy_new ("swap", backend, "init_plain", AFRPC_SERIALISER (plain));
      g_autoptr(GError) error = NULL;
      GVariant *value;
      g_autofree char *text = NULL;

      /* In JSON there is no difference between a tuple and an array of variants. */
      value = test_call (proxy, g_variant_new_parsed ("[<'a'>, <byte 7>]"), &error);
      g_assert_no_error (error);
      text = g_variant_print (value, TRUE);
      g_assert_cmpstr (text, ==, "(int64 7, 'a')");
      g_variant_unref (value);
      g_assert_null (test_call (proxy, g_variant_new ("(ss)", "a", "b"), &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      g_assert_nonnull (strstr (error->message, "JSON at /1: expected an integer"));
      g_clear_error (&error);
      g_assert_null (test_call (proxy, g_variant_new ("(si)", "wrong", 1), &error));
      g_assert_error (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_DATA);
      end (proxy);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/serialiser/registry", test_serialiser_registry);
  g_test_add_func ("/serialiser/threads", test_serialiser_threads);
  g_test_add_data_func ("/serialiser/random/variant", "variant", test_serialiser_random);
  g_test_add_data_func ("/serialiser/random/bytes", "bytes", test_serialiser_random);
  g_test_add_data_func ("/serialiser/random/json", "json", test_serialiser_random);
  g_test_add_data_func ("/serialiser/damaged/variant", "variant", test_serialiser_damaged);
  g_test_add_data_func ("/serialiser/damaged/bytes", "bytes", test_serialiser_damaged);
  g_test_add_data_func ("/serialiser/damaged/json", "json", test_serialiser_damaged);
  g_test_add_func ("/serialiser/bytes/format", test_serialiser_bytes_format);
  g_test_add_func ("/serialiser/bytes/refuses", test_serialiser_bytes_refuses);
  g_test_add_func ("/serialiser/limits", test_serialiser_limits);
  g_test_add_data_func ("/serialiser/worker-random/variant", "variant", test_serialiser_worker_random);
  g_test_add_data_func ("/serialiser/worker-random/bytes", "bytes", test_serialiser_worker_random);
  g_test_add_data_func ("/serialiser/worker-random/json", "json", test_serialiser_worker_random);
  g_test_add_data_func ("/serialiser/call-sync/variant", "variant", test_serialiser_call_sync);
  g_test_add_data_func ("/serialiser/call-sync/bytes", "bytes", test_serialiser_call_sync);
  g_test_add_data_func ("/serialiser/call-sync/json", "json", test_serialiser_call_sync);
  g_test_add_func ("/serialiser/odd", test_serialiser_odd);
  g_test_add_func ("/serialiser/other-thread", test_serialiser_other_thread);
  g_test_add_func ("/serialiser/unknown", test_serialiser_unknown);
  g_test_add_func ("/serialiser/tricks", test_serialiser_tricks);
  g_test_add_func ("/serialiser/floating", test_serialiser_floating);
  g_test_add_data_func ("/serialiser/events/bytes", "bytes", test_serialiser_events);
  g_test_add_data_func ("/serialiser/events/json", "json", test_serialiser_events);
  g_test_add_func ("/serialiser/bad-event", test_serialiser_bad_event);
  g_test_add_func ("/serialiser/stash", test_serialiser_stash);
  g_test_add_data_func ("/serialiser/progress/bytes", "bytes", test_serialiser_progress);
  g_test_add_data_func ("/serialiser/progress/json", "json", test_serialiser_progress);
  g_test_add_func ("/serialiser/size", test_serialiser_size);
  g_test_add_func ("/serialiser/reentrant", test_serialiser_reentrant);
  g_test_add_func ("/serialiser/plain", test_serialiser_plain);

  return g_test_run ();
}
