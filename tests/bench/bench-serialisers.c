/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What it costs to serialise values and make them again, in processor time: a small tuple in rounds that take
 * turns, so that a slow minute hits all, and JSON of up to 100 MB. The rival is what happens without a
 * serialiser: GVariant's own bytes, checked. Fails if another value comes back, never because of a figure. */
#include <afrpc/afrpc.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 101
#define BATCH 500 /* values a round */

typedef struct
{
  const char *label;
  AfrpcSerialiser *serialiser; /* (nullable): GVariant alone */
  double times[ROUNDS];        /* seconds of processor time for a batch */
} Contender;

static double
get_cpu_time (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static int
compare_doubles (const void *a,
                 const void *b)
{
  const double left = *(const double *) a, right = *(const double *) b;

  return left < right ? -1 : left > right;
}

static double
get_median (double *times)
{
  qsort (times, ROUNDS, sizeof *times, compare_doubles);
  return times[ROUNDS / 2];
}

static GVariant *
make_tuple (guint i)
{
  return g_variant_ref_sink (g_variant_new ("(sixd)", "hello world", i, (gint64) i * 123456789, i * 0.1));
}

static GBytes *
serialise (AfrpcSerialiser *serialiser,
           GVariant        *value)
{
  g_autoptr(GError) error = NULL;
  GBytes *bytes;

  if (serialiser == NULL)
    return g_variant_get_data_as_bytes (value);
  bytes = afrpc_serialiser_serialise (serialiser, value, &error);
  if (bytes == NULL)
    g_error ("%s", error->message);
  return bytes;
}

static GVariant *
deserialise (AfrpcSerialiser    *serialiser,
             const GVariantType *type,
             GBytes             *bytes)
{
  g_autoptr(GError) error = NULL;
  GVariant *value;

  if (serialiser == NULL)
    {
      value = g_variant_ref_sink (g_variant_new_from_bytes (type, bytes, FALSE));
      if (!g_variant_is_normal_form (value))
        g_error ("a malformed value");
      return value;
    }
  value = afrpc_serialiser_deserialise (serialiser, bytes, &error);
  if (value == NULL)
    g_error ("%s", error->message);
  return value;
}

static void
check_same (GVariant *value,
            GVariant *back)
{
  g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes (value);
  g_autoptr(GBytes) other = g_variant_get_data_as_bytes (back);

  if (!g_variant_type_equal (g_variant_get_type (value), g_variant_get_type (back)) || !g_bytes_equal (bytes, other))
    g_error ("another value came back");
}

/* Values that have not been serialised yet, because GLib keeps what it has made. */
static double
time_batch (AfrpcSerialiser *serialiser)
{
  static GVariant *values[BATCH];
  double start, end;

  for (guint i = 0; i < BATCH; i++)
    values[i] = make_tuple (i);

  start = get_cpu_time ();
  for (guint i = 0; i < BATCH; i++)
    {
      GBytes *bytes = serialise (serialiser, values[i]);
      GVariant *back = deserialise (serialiser, G_VARIANT_TYPE ("(sixd)"), bytes);

      if (i == BATCH / 2)
        check_same (values[i], back);
      g_variant_unref (back);
      g_bytes_unref (bytes);
    }
  end = get_cpu_time ();

  for (guint i = 0; i < BATCH; i++)
    g_variant_unref (values[i]);
  return end - start;
}

static void
measure_tuples (void)
{
  Contender contenders[] = {
    { "none: GVariant, checked", NULL, { 0 } },
    { "variant", afrpc_serialiser_lookup ("variant"), { 0 } },
    { "json-plain", AFRPC_SERIALISER (afrpc_json_serialiser_new (G_VARIANT_TYPE ("(sixd)"))), { 0 } },
    { "json", afrpc_serialiser_lookup ("json"), { 0 } },
  };
  double base = 0;

  for (guint round = 0; round < ROUNDS; round++)
    for (guint i = 0; i < G_N_ELEMENTS (contenders); i++)
      contenders[i].times[round] = time_batch (contenders[i].serialiser);

  g_print ("(sixd), there and back, median of %u rounds\n", ROUNDS);
  for (guint i = 0; i < G_N_ELEMENTS (contenders); i++)
    {
      double time = get_median (contenders[i].times);

      if (i == 0)
        base = time;
      g_print ("  %-24s %6.2f us  x%.1f\n", contenders[i].label, time * 1e6 / BATCH, time / base);
      g_clear_object (&contenders[i].serialiser);
    }
}

static void
measure_array (AfrpcSerialiser *json,
               gsize            n)
{
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a(sixd)"));
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) back = NULL;
  g_autoptr(GBytes) bytes = NULL;
  double start, middle, end, mb;

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) tuple = make_tuple (i);

      g_variant_builder_add_value (&builder, tuple);
    }
  value = g_variant_ref_sink (g_variant_builder_end (&builder));
  (void) g_variant_get_data (value);

  start = get_cpu_time ();
  bytes = serialise (json, value);
  middle = get_cpu_time ();
  back = deserialise (json, NULL, bytes);
  end = get_cpu_time ();
  check_same (value, back);

  mb = g_bytes_get_size (bytes) / 1e6;
  g_print ("  %6.1f MB: %7.1f ms to JSON, %7.1f ms back: %5.1f ns and %5.1f ns a byte\n", mb, (middle - start) * 1e3,
           (end - middle) * 1e3, (middle - start) * 1e3 / mb, (end - middle) * 1e3 / mb);
}

int
main (void)
{
  g_autoptr(AfrpcSerialiser) json = afrpc_serialiser_lookup ("json");

  measure_tuples ();
  g_print ("a(sixd) as JSON\n");
  for (gsize n = 20000; n <= 2000000; n *= 10)
    measure_array (json, n);

  return 0;
}
