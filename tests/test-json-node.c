/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Values as trees of json-glib, and back. */
#include "config.h"

#include <afrpc/afrpc-json-node.h>
#include <math.h>

#include "random-variant.h"

#define N_VALUES 2000

static GVariant *
parse (const char *text)
{
  return g_variant_ref_sink (g_variant_new_parsed (text));
}

static void
test_json_node_typed (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

  g_test_summary ("Every value comes back from a tree that says its types, bit for bit");
  for (guint i = 0; i < N_VALUES; i++)
    {
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_DEFAULT);
      g_autoptr(JsonNode) node = afrpc_json_from_variant_typed (value);
      g_autoptr(GVariant) back = NULL;
      g_autoptr(GError) error = NULL;

      g_assert_cmpstr (json_object_get_string_member (json_node_get_object (node), "type"), ==,
                       g_variant_get_type_string (value));
      back = afrpc_json_to_variant (node, NULL, &error);
      g_assert_no_error (error);
      g_assert_false (g_variant_is_floating (back));
      if (!g_variant_equal (value, back))
        {
          g_autofree char *text = g_variant_print (value, TRUE);

          g_error ("%.2000s is not the same any more", text);
        }
    }
}

static void
test_json_node_plain (void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed (g_test_rand_int ());

  g_test_summary ("Without types, it is the same to who knows them, but for what is in variants");
  for (guint i = 0; i < N_VALUES; i++)
    {
      g_autoptr(GVariant) value = random_variant (rand, RANDOM_VARIANT_NO_ODD_NAN);
      g_autoptr(JsonNode) node = NULL;
      g_autoptr(GVariant) back = NULL;
      g_autoptr(GError) error = NULL;

      if (strchr (g_variant_get_type_string (value), 'v') != NULL)
        continue;
      node = afrpc_json_from_variant (value);
      back = afrpc_json_to_variant (node, g_variant_get_type (value), &error);
      g_assert_no_error (error);
      g_assert_true (g_variant_equal (value, back));
    }
}

/* Reads what people walk. */
static void
test_json_node_walk (void)
{
  g_autoptr(GVariant) value = parse ("{'id': <int64 9007199254740993>, 'most': <uint64 9223372036854775807>, 'big': <uint64 18446744073709551615>,"
                                     " 'price': <5.0>, 'tags': <['a', 'b']>, 'none': <@mi nothing>, 'one': <@mi 7>,"
                                     " 'raw': <b'AB'>, 'pair': <(true, 'x')>}");
  g_autoptr(JsonNode) node = afrpc_json_from_variant (value);
  JsonObject *object = json_node_get_object (node);
  g_autoptr(GList) names = json_object_get_members (object);

  g_test_summary ("Numbers are numbers of their kind, to the last digit; the order stays");
  g_assert_cmpstr (names->data, ==, "id");
  g_assert_cmpstr (g_list_last (names)->data, ==, "pair");
  g_assert_cmpint (json_object_get_int_member (object, "id"), ==, G_GINT64_CONSTANT (9007199254740993));
  g_assert_cmpint (json_object_get_int_member (object, "most"), ==, G_MAXINT64);
  g_assert_cmpstr (json_object_get_string_member (object, "big"), ==, "18446744073709551615");
  g_assert_true (json_node_get_value_type (json_object_get_member (object, "price")) == G_TYPE_DOUBLE);
  g_assert_cmpuint (json_array_get_length (json_object_get_array_member (object, "tags")), ==, 2);
  g_assert_true (json_object_get_null_member (object, "none"));
  g_assert_cmpint (json_array_get_int_element (json_object_get_array_member (object, "one"), 0), ==, 7);
  g_assert_cmpstr (json_object_get_string_member (object, "raw"), ==, "QUIA"); /* with its NUL */
  g_assert_true (json_array_get_boolean_element (json_object_get_array_member (object, "pair"), 0));
}

static void
test_json_node_odd (void)
{
  static const struct
  {
    const char *value;
    const char *json;
  } cases[] = {
    { "@a{si} {}", "{}" },
    { "()", "[]" },
    { "<<'in two'>>", "\"in two\"" },
    { "[nan, inf, -inf]", "[\"NaN\",\"Infinity\",\"-Infinity\"]" },
    { "@mmi just nothing", "[null]" },
    { "{1: 'a'}", "[[1,\"a\"]]" },
    { "@ay []", "\"\"" },
  };
  GVariantBuilder builder;
  g_autoptr(GVariant) twice = NULL;
  g_autoptr(JsonNode) node = NULL;

  g_test_summary ("What JSON has no word for");
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(GVariant) value = parse (cases[i].value);
      g_autoptr(JsonNode) of_value = afrpc_json_from_variant (value);
      g_autofree char *text = json_to_string (of_value, FALSE);

      g_assert_cmpstr (text, ==, cases[i].json);
    }

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{si}"));
  g_variant_builder_add (&builder, "{si}", "key", 1);
  g_variant_builder_add (&builder, "{si}", "key", 2);
  twice = g_variant_ref_sink (g_variant_builder_end (&builder));
  node = afrpc_json_from_variant (twice);
  g_assert_cmpuint (json_array_get_length (json_node_get_array (node)), ==, 2);
}

/* An answer that somebody has built, and what it is to be. */
static void
test_json_node_built (void)
{
  g_autoptr(JsonBuilder) builder = json_builder_new ();
  g_autoptr(JsonNode) node = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) guessed = NULL;
  g_autoptr(GVariant) expected = parse ("('ä\"\\n\x1f', {'k': 1e300}, @mi nothing, [true])");
  g_autoptr(GVariant) as_it_looks = parse ("<[<'ä\"\\n\x1f'>, <{'k': <1e300>}>, <@mv nothing>, <[<true>]>]>");
  g_autoptr(GError) error = NULL;

  g_test_summary ("What JsonBuilder has built is a value of the expected type");
  json_builder_begin_array (builder);
  json_builder_add_string_value (builder, "ä\"\n\x1f");
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "k");
  json_builder_add_double_value (builder, 1e300);
  json_builder_end_object (builder);
  json_builder_add_null_value (builder);
  json_builder_begin_array (builder);
  json_builder_add_boolean_value (builder, TRUE);
  json_builder_end_array (builder);
  json_builder_end_array (builder);
  node = json_builder_get_root (builder);

  value = afrpc_json_to_variant (node, G_VARIANT_TYPE ("(sa{sd}miab)"), &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_equal (value, expected));
  guessed = afrpc_json_to_variant (node, G_VARIANT_TYPE_VARIANT, &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_equal (guessed, as_it_looks));
}

static void
assert_refused (JsonNode   *node,
                const char *type, /* (nullable) */
                AfrpcError  code,
                const char *pointer)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (afrpc_json_to_variant (node, (const GVariantType *) type, &error));
  g_assert_error (error, AFRPC_ERROR, (int) code);
  if (strstr (error->message, pointer) == NULL)
    g_error ("'%s' has no '%s'", error->message, pointer);
}

static void
test_json_node_refused (void)
{
  g_autoptr(JsonNode) node = json_from_string ("{\"a\":[1,{\"b\":\"x\"}]}", NULL);
  g_autoptr(JsonNode) large = json_node_init_double (json_node_alloc (), 9007199254740993.0 * 4);
  g_autoptr(JsonNode) foreign = json_node_init_string (json_node_alloc (), "\xff");
  g_autoptr(JsonNode) deep = json_node_init_null (json_node_alloc ());
  g_autoptr(JsonNode) nothing = json_node_alloc ();
  g_autoptr(GVariant) guessed = NULL;
  g_autoptr(GError) error = NULL;

  g_test_summary ("What is no such value is refused with its place, and nothing is trusted");
  assert_refused (node, "a{sa(ii)}", AFRPC_ERROR_INVALID_DATA, "/a/0");
  assert_refused (node, "a{s(ia{si})}", AFRPC_ERROR_INVALID_DATA, "/a/1/b");
  assert_refused (node, NULL, AFRPC_ERROR_INVALID_DATA, "type");
  assert_refused (large, "x", AFRPC_ERROR_INVALID_DATA, "64 bits"); /* which digits were meant nobody knows */
  assert_refused (foreign, "s", AFRPC_ERROR_INVALID_DATA, "UTF-8");
  json_node_init_object (nothing, NULL);
  guessed = afrpc_json_to_variant (nothing, G_VARIANT_TYPE ("mi"), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_variant_n_children (guessed), ==, 0);

  for (guint i = 0; i <= 300; i++)
    {
      JsonArray *array = json_array_new ();

      json_array_add_element (array, g_steal_pointer (&deep));
      deep = json_node_init_array (json_node_alloc (), array);
      json_array_unref (array);
      if (i == 60)
        {
          g_autoptr(GVariant) fits = afrpc_json_to_variant (deep, G_VARIANT_TYPE_VARIANT, &error);

          g_assert_no_error (error);
          g_assert_nonnull (fits);
        }
    }
  assert_refused (deep, "v", AFRPC_ERROR_TOO_LARGE, "128");
  assert_refused (deep, NULL, AFRPC_ERROR_TOO_LARGE, "128");
}

static void
test_json_node_deep (void)
{
  GVariant *value = g_variant_new_string ("deep");
  g_autoptr(GVariant) owned = NULL;
  g_autoptr(JsonNode) node = NULL;

  g_test_summary ("Variants in each other, deeper than anybody may send, make a tree that ends");
  for (guint i = 0; i < 1000; i++)
    value = g_variant_new_variant (value);
  owned = g_variant_ref_sink (value);
  node = afrpc_json_from_variant_typed (owned);
  g_assert_true (JSON_NODE_HOLDS_OBJECT (node));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/json-node/typed", test_json_node_typed);
  g_test_add_func ("/json-node/plain", test_json_node_plain);
  g_test_add_func ("/json-node/walk", test_json_node_walk);
  g_test_add_func ("/json-node/odd", test_json_node_odd);
  g_test_add_func ("/json-node/built", test_json_node_built);
  g_test_add_func ("/json-node/refused", test_json_node_refused);
  g_test_add_func ("/json-node/deep", test_json_node_deep);

  return g_test_run ();
}
