/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What test-value-cost.py has valgrind count: each call of measured () is one measurement, whose name and size are
 * printed before it. */
#include "config.h"

#include <string.h>

#include <afrpc/afrpc.h>

#include "afrpc-serialiser-values.h"
#include "random-variant.h"
#include "serialise/afrpc-unpacking.h"
#include "wire/afrpc-value.h"

#define N 100

/* Different elements, which are repeated. */
#define N_DIFFERENT 25

#define FOREIGN (AFRPC_FRAME_FLAGS_NATIVE ^ AFRPC_FRAME_FLAG_BIG_ENDIAN)

typedef int (*Work) (gpointer data);

/* Not static, and not inline: valgrind knows it by name. */
int measured (Work     work,
              gpointer data);

/* So that what is called returns to who is measured. */
static volatile guint n_measured;

G_NO_INLINE int
measured (Work     work,
          gpointer data)
{
  const int result = work (data);

  n_measured++;
  return result;
}

static guint
walk (GVariant *value)
{
  GVariantIter iter;
  GVariant *child;
  guint n = 1;

  if (!g_variant_is_container (value))
    return g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) ? strlen (g_variant_get_string (value, NULL)) > 0 : 1;

  g_variant_iter_init (&iter, value);
  while ((child = g_variant_iter_next_value (&iter)) != NULL)
    {
      n += walk (child);
      g_variant_unref (child);
    }

  return n;
}

static int
walk_cb (gpointer value)
{
  return walk (value);
}

/* A serialiser that leaves it to others to look at what it makes. */

#define DISTRUSTFUL_TYPE (distrustful_get_type ())
G_DECLARE_FINAL_TYPE (Distrustful, distrustful, DISTRUSTFUL, SERIALISER, GObject)

struct _Distrustful
{
  GObject parent_instance;
};

static void distrustful_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (Distrustful, distrustful, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, distrustful_serialiser_init))

static void
distrustful_class_init (DistrustfulClass *klass)
{
}

static void
distrustful_init (Distrustful *self)
{
}

static char *
distrustful_dup_name (AfrpcSerialiser *self)
{
  return g_strdup ("distrustful");
}

/* The type, a NUL, and zeros up to what any value can begin at. */
static gsize
get_data_place (const char *type)
{
  return (strlen (type) + 8) & ~(gsize) 7;
}

static GBytes *
distrustful_serialise (AfrpcSerialiser  *self,
                       GVariant         *value,
                       GError          **error)
{
  const char *type = g_variant_get_type_string (value);
  const gsize place = get_data_place (type), size = g_variant_get_size (value);
  guint8 *data = g_malloc0 (place + size);

  strcpy ((char *) data, type);
  g_variant_store (value, data + place);
  return g_bytes_new_take (data, place + size);
}

static GVariant *
distrustful_deserialise (AfrpcSerialiser  *self,
                         GBytes           *bytes,
                         GError          **error)
{
  const char *type = g_bytes_get_data (bytes, NULL);
  const gsize place = get_data_place (type);
  g_autoptr(GBytes) data = g_bytes_new_from_bytes (bytes, place, g_bytes_get_size (bytes) - place);

  return g_variant_new_from_bytes (G_VARIANT_TYPE (type), data, FALSE);
}

static void
distrustful_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = distrustful_dup_name;
  iface->serialise = distrustful_serialise;
  iface->deserialise = distrustful_deserialise;
}

/* Ways in which a value arrives. */

static GVariant *
arrive_in_frame (GVariant *value,
                 gboolean  is_foreign,
                 gboolean  is_large)
{
  g_autoptr(GVariant) sent = is_foreign ? g_variant_byteswap (value) : g_variant_ref (value);
  g_autoptr(GBytes) payload = g_bytes_new (g_variant_get_data (sent), g_variant_get_size (sent));
  const char *type_string = g_variant_get_type_string (value);
  const AfrpcFrameHeader header = {
    .flags = is_foreign ? FOREIGN : AFRPC_FRAME_FLAGS_NATIVE,
    .type_length = strlen (type_string),
    .size = g_bytes_get_size (payload),
  };
  AfrpcValueType type = { 0 };

  return afrpc_value_parse (&type, &header, type_string, g_bytes_get_data (payload, NULL), is_large ? payload : NULL,
                            NULL);
}

static GVariant *
arrive_serialised (GVariant        *value,
                   AfrpcSerialiser *serialiser)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) packed = afrpc_serialiser_pack (serialiser, value, &error);
  GVariant *back = packed != NULL ? afrpc_serialiser_unpack (serialiser, packed, &error) : NULL;

  g_assert_no_error (error);
  return back;
}

static GVariant *
arrive (GVariant   *value,
        const char *way)
{
  g_autoptr(AfrpcSerialiser) serialiser = NULL;

  if (g_str_has_prefix (way, "frame"))
    return arrive_in_frame (value, strstr (way, "foreign") != NULL, strstr (way, "large") != NULL);

  if (strcmp (way, "json-plain") == 0)
    serialiser = AFRPC_SERIALISER (afrpc_json_serialiser_new (g_variant_get_type (value)));
  else if (strcmp (way, "other") == 0)
    serialiser = g_object_new (DISTRUSTFUL_TYPE, NULL);
  else
    serialiser = afrpc_serialiser_lookup (way);

  return arrive_serialised (value, serialiser);
}

/* An array of so many elements, a few over and over. */
static GVariant *
make_array (const char *type,
            gsize       n)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (n % N);
  g_autoptr(GVariant) few = random_variant_array (rand, type, N_DIFFERENT);
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE (type));

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr(GVariant) element = g_variant_get_child_value (few, i % N_DIFFERENT);

      g_variant_builder_add_value (&builder, element);
    }

  return g_variant_builder_end (&builder);
}

/* In a container, or not: what a call is made with is in a tuple. */
static GVariant *
wrap (GVariant *array,
      guint     how)
{
  if (how % 3 == 1)
    array = g_variant_new_tuple (&array, 1);
  else if (how % 3 == 2)
    array = g_variant_new_variant (array);

  return g_variant_ref_sink (array);
}

static const char *const wraps[] = { "", " in a tuple", " in a v" };

static void
count_walk (const char *type,
            const char *way,
            guint       how)
{
  for (gsize n = N; n <= 4 * N; n *= 4)
    {
      g_autoptr(GVariant) value = wrap (make_array (type, n), how);
      g_autoptr(GVariant) back = arrive (value, way);

      g_print ("walk\t%s %s%s\t%" G_GSIZE_FORMAT "\n", way, type, wraps[how % G_N_ELEMENTS (wraps)], n);
      measured (walk_cb, back);
    }
}

static void
count_walks (void)
{
  static const char *const types[] = {
    "as", "ao", "ag", "av", "aay", "aas", "aan", "aax", "aab", "ams", "ami", "amv", "amms", "am(si)", "a(s)", "a(sx)",
    "a(isd)", "a(ss)", "a(ayay)", "a(vv)", "a(yv)", "a(asas)", "a(i)", "a{sv}", "a{ss}", "a{us}", "a{s(ii)}", "a(msy)",
    "aav", "aa{sv}", "aaas", "aaay", "a{sas}", "am(v)",
  };
  static const char *const ways[] = {
    "frame", "frame large", "frame foreign", "frame large foreign", "variant", "json", "json-plain", "other",
  };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    count_walk (types[i], ways[i % 5], i);
  /* What has no `v` comes back as it was from all of them. */
  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      count_walk ("as", ways[i], 0);
      count_walk ("a(sx)", ways[i], 1);
    }
  count_walk ("as", "bytes", 0);
  count_walk ("aay", "bytes", 0);
}

/* Slices */

typedef struct
{
  AfrpcUnpacking *unpacking; /* (nullable): or */
  AfrpcValueParser *parser;
  GVariant *value;           /* (nullable): what has come out */
} Slices;

static int
step_cb (gpointer data)
{
  Slices *slices = data;

  return slices->unpacking != NULL
           ? afrpc_unpacking_step (slices->unpacking, AFRPC_VALUE_CHECK_SLICE, &slices->value, NULL)
           : afrpc_value_parser_step (slices->parser, AFRPC_VALUE_CHECK_SLICE, &slices->value, NULL);
}

/* JSON of so many bytes that takes the longest. */
static const struct
{
  const char *before;
  const char *item;
  const char *after;
  gsize size;
} texts[] = {
  { "[", "{},", "0]", 25000 },
  { "[", "1,", "0]", 25000 },
  { "[", "[[]],", "0]", 25000 },
  { "{\"", "\\u00e9", "\":1}", 120000 },
  { "[", "0.1234567890123456789,", "0]", 50000 },
  { "[", "{\"a\":1,\"b\":2},", "0]", 25000 },
  { "\"", "text", "\"", 1000000 },
};

static void
count_json_steps (guint i)
{
  g_autoptr(AfrpcJsonSerialiser) serialiser = afrpc_json_serialiser_new (G_VARIANT_TYPE_VARIANT);
  g_autoptr(AfrpcUnpacking) unpacking = NULL;
  g_autoptr(GString) text = g_string_new (texts[i].before);
  g_autoptr(GVariant) packed = NULL;
  Slices slices = { NULL };
  int step = 0;

  while (text->len < texts[i].size)
    g_string_append (text, texts[i].item);
  g_string_append (text, texts[i].after);
  packed = g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, text->str, text->len, 1));
  unpacking = slices.unpacking = afrpc_unpacking_new (AFRPC_SERIALISER (serialiser), packed);
  while (step == 0)
    {
      g_print ("step\tjson %s\t%" G_GSIZE_FORMAT "\n", texts[i].item, text->len);
      step = measured (step_cb, &slices);
    }
  g_assert_cmpint (step, ==, 1);
  g_variant_unref (slices.value);
}

/* The same of values in frames. */
static const struct
{
  const char *type;
  const char *element; /* in GVariant's text format */
  guint n;
} values[] = {
  { "as", "''", 30000 },
  { "as", "'\\u20ac\\u20ac'", 30000 },
  { "ao", "objectpath '/a/b'", 20000 },
  { "ag", "signature 'a{sv}'", 20000 },
  { "aas", "['']", 20000 },
  { "aan", "@an []", 30000 },
  { "ab", "true", 1200000 },
  { "a(yn)", "(byte 1, int16 2)", 300000 },
  { "av", "<@as ['a']>", 10000 },
  { "av", "<<<<<1>>>>>", 10000 },
  { "a(b(yx)s)", "(true, (byte 1, int64 2), 'a')", 10000 },
  { "a{sv}", "{'a', <1>}", 10000 },
  { "am(ss)", "@m(ss) ('a', 'b')", 10000 },
};

static void
count_value_steps (guint i,
                   guint flags)
{
  g_autoptr(GVariant) element = g_variant_ref_sink (g_variant_new_parsed (values[i].element));
  g_autofree GVariant **elements = g_new (GVariant *, values[i].n);
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GBytes) payload = NULL;
  AfrpcFrameHeader header = { .flags = flags, .type_length = strlen (values[i].type) };
  AfrpcValueType type = { 0 };
  AfrpcValueParser parser;
  Slices slices = { NULL, &parser, NULL };
  int step;

  for (guint j = 0; j < values[i].n; j++)
    elements[j] = element;
  value = g_variant_ref_sink (g_variant_new_array (NULL, elements, values[i].n));
  payload = g_bytes_new (g_variant_get_data (value), g_variant_get_size (value));
  header.size = g_bytes_get_size (payload);
  step = afrpc_value_parser_begin (&parser, &type, &header, values[i].type, g_bytes_get_data (payload, NULL), payload,
                                   &slices.value, NULL);
  while (step == 0)
    {
      g_print ("step\t%s of %s\t%" G_GSIZE_FORMAT "\n", values[i].type, values[i].element, g_variant_get_size (value));
      step = measured (step_cb, &slices);
    }
  g_assert_cmpint (step, ==, 1);
  g_variant_unref (slices.value);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(GVariant) warm = wrap (make_array ("as", N), 0);

  measured (walk_cb, warm);
  g_print ("warm\tup\t%u\n", N);
  count_walks ();
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    count_json_steps (i);
  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    {
      count_value_steps (i, AFRPC_FRAME_FLAGS_NATIVE);
      count_value_steps (i, FOREIGN);
    }

  return 0;
}
