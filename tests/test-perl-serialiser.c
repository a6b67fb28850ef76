/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Serialisers that a worker has in Perl, against one of the same name in the program. */
#include "perl-util.h"

#include <string.h>

/* Strings, each behind its length in 32 bits. */
#define TEST_TYPE_PACKED (test_packed_get_type ())
G_DECLARE_FINAL_TYPE (TestPacked, test_packed, TEST, PACKED, GObject)

struct _TestPacked
{
  GObject parent_instance;
};

static void test_packed_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (TestPacked, test_packed, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, test_packed_serialiser_init))

static void
test_packed_class_init (TestPackedClass *klass)
{
}

static void
test_packed_init (TestPacked *self)
{
}

static char *
dup_name (AfrpcSerialiser *self)
{
  return g_strdup ("packed");
}

static GBytes *
serialise (AfrpcSerialiser  *self,
           GVariant         *value,
           GError          **error)
{
  g_autofree const char **strings = g_variant_get_strv (value, NULL);
  GByteArray *bytes = g_byte_array_new ();

  for (guint i = 0; strings[i] != NULL; i++)
    {
      const guint32 length = GUINT32_TO_BE (strlen (strings[i]));

      g_byte_array_append (bytes, (const guint8 *) &length, sizeof length);
      g_byte_array_append (bytes, (const guint8 *) strings[i], strlen (strings[i]));
    }

  return g_byte_array_free_to_bytes (bytes);
}

static GVariant *
deserialise (AfrpcSerialiser  *self,
             GBytes           *bytes,
             GError          **error)
{
  GVariantBuilder builder;
  gsize size;
  const char *data = g_bytes_get_data (bytes, &size);

  g_variant_builder_init (&builder, G_VARIANT_TYPE_BYTESTRING_ARRAY);
  while (size >= sizeof (guint32))
    {
      guint32 length;

      memcpy (&length, data, sizeof length);
      length = GUINT32_FROM_BE (length);
      data += sizeof length;
      size -= sizeof length;
      g_assert_cmpuint (length, <=, size);
      g_variant_builder_add_value (&builder, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, data, length, 1));
      data += length;
      size -= length;
    }
  g_assert_cmpuint (size, ==, 0);

  return g_variant_builder_end (&builder);
}

static void
test_packed_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = dup_name;
  iface->serialise = serialise;
  iface->deserialise = deserialise;
}

static void
watch_frozen (Watched      *watched,
              AfrpcBackend  backend,
              const char   *init)
{
  g_autoptr(AfrpcProcess) process = new_process ("Frozen");
  const PerlOptions options = { .init = init, .serialiser = "packed" };

  watch_function (watched, process, backend == AFRPC_BACKEND_SYNC ? "Frozen::run" : "Frozen::run_async", backend, &options);
}

static void
test_perl_serialiser (void)
{
  g_test_summary ("Arguments, results, events and progress go through the two functions");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };
      g_auto(Outcome) outcome = { 0 };

      watch_frozen (&watched, backends[b], "Frozen::init");
      check_call (watched.proxy, "['echo', 'a', '', 'ä']", "(a, , \\c3\\a4)");
      check_call (watched.proxy, "['echo']", "()");
      check_call (watched.proxy, "['count', 'a', 'b']", "(2)");
      check_call (watched.proxy, "['event', 'x', 'y']", "(sent)");
      g_assert_cmpstr (watched.log->str, ==, "event (x, y); ");
      if (backends[b] == AFRPC_BACKEND_ASYNC)
        continue;
      begin_progress (&watched, g_variant_new_parsed ("['progress', 'half']"), NULL, &outcome);
      outcome_wait (&outcome);
      g_assert_no_error (outcome.error);
      g_assert_cmpstr (watched.log->str, ==, "event (x, y); progress (half); ");
    }
}

static void
test_perl_serialiser_odd (void)
{
  static const char *const pairs[][2] = {
    { "['one', 'nothing']", "the serialiser 'packed' has not made octets of it" },
    { "['one', 'reference']", "the serialiser 'packed' has not made octets of it" },
    { "['one', 'wide']", "the serialiser 'packed' has not made octets of it" },
  };

  g_test_summary ("What a serialiser cannot do is an error of that call, or of that event, and of nothing else");
  for (guint b = 0; b < G_N_ELEMENTS (backends); b++)
    {
      g_auto(Watched) watched = { 0 };

      watch_frozen (&watched, backends[b], "Frozen::init_odd");
      check_call (watched.proxy, "['echo', 'fine']", "(fine)");
      check_call (watched.proxy, "['context']", "(scalar)");
      check_error (watched.proxy, "['one', 'freeze']", AFRPC_ERROR_REMOTE, "cannot freeze that");
      check_error (watched.proxy, "['one', 'thaw']", AFRPC_ERROR_REMOTE, "cannot thaw that");
      for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
        check_error (watched.proxy, pairs[i][0], AFRPC_ERROR_SERIALISER, pairs[i][1]);
      check_call (watched.proxy, "['events', 'freeze', 'x', 'freeze']", "(cannot freeze that, sent, cannot freeze that)");
      g_assert_cmpstr (watched.log->str, ==, "event (x); ");
      check_call (watched.proxy, "['echo', 'fine']", "(fine)");
      check_error (watched.proxy, "['one', 'exit']", AFRPC_ERROR_DIED, "status 5");
    }
}

static void
check_init (const char *init,
            int         code,
            const char *words)
{
  g_auto(Watched) watched = { 0 };

  watch_frozen (&watched, AFRPC_BACKEND_SYNC, init);
  check_error (watched.proxy, "['echo']", code, words);
}

static void
test_perl_serialiser_wrong (void)
{
  g_test_summary ("A serialiser that is none keeps the worker from starting");
  check_init ("Frozen::init_none", AFRPC_ERROR_SERIALISER, "no serialiser 'packed' in the worker");
  check_init ("Frozen::init_wrong_name", AFRPC_ERROR_INIT, "'json' is afrpc's own serialiser");
  check_init ("Frozen::init_wrong_code", AFRPC_ERROR_INIT, "Missing right curly");
  check_init ("Frozen::init_one", AFRPC_ERROR_INIT, "a serialiser is two functions");
}

int
main (int   argc,
      char *argv[])
{
  g_autoptr(AfrpcSerialiser) packed = g_object_new (TEST_TYPE_PACKED, NULL);

  g_test_init (&argc, &argv, NULL);
  g_assert_true (afrpc_serialiser_register (packed, NULL));

  g_test_add_func ("/perl/serialiser", test_perl_serialiser);
  g_test_add_func ("/perl/serialiser-odd", test_perl_serialiser_odd);
  g_test_add_func ("/perl/serialiser-wrong", test_perl_serialiser_wrong);

  return g_test_run ();
}
