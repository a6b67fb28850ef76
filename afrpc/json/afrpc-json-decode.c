/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json.h"

#include <string.h>

#include "afrpc-json-basic.h"
#include "afrpc-json-place.h"
#include "afrpc-json-private.h"
#include "afrpc-json-scan.h"
#include "afrpc-json-tree.h"

/* Returns a floating reference, like all below. @depth is how many values are around this one. */
static GVariant *decode_value (JsonNode              *node,
                               const GVariantType    *type,
                               AfrpcJsonFlags         flags,
                               guint                  depth,
                               const AfrpcJsonPlace  *place,
                               GError               **error);

static GVariant *
refuse (const AfrpcJsonPlace  *place,
        AfrpcError             code,
        const char            *message,
        GError               **error)
{
  afrpc_json_place_set_error (place, code, message, error);
  return NULL;
}

static GVariant *
refuse_data (const AfrpcJsonPlace  *place,
             const char            *message,
             GError               **error)
{
  return refuse (place, AFRPC_ERROR_INVALID_DATA, message, error);
}

/* The array in @node, or NULL with an error if it holds none of that length. */
static JsonArray *
get_array (JsonNode              *node,
           gsize                  length,
           const AfrpcJsonPlace  *place,
           GError               **error)
{
  JsonArray *array = JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  g_autofree char *message = NULL;

  if (array != NULL && json_array_get_length (array) == length)
    return array;
  message = g_strdup_printf ("expected an array of %" G_GSIZE_FORMAT, length);
  refuse_data (place, message, error);
  return NULL;
}

static GVariant *
decode_maybe (JsonNode              *node,
              const GVariantType    *type,
              AfrpcJsonFlags         flags,
              guint                  depth,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  const GVariantType *element = g_variant_type_element (type);
  JsonArray *array;
  GVariant *child;

  if (JSON_NODE_HOLDS_NULL (node))
    return g_variant_new_maybe (element, NULL);
  if (!JSON_NODE_HOLDS_ARRAY (node) || json_array_get_length (json_node_get_array (node)) != 1)
    return refuse_data (place, "expected null or an array of 1", error);

  array = json_node_get_array (node);
  child = decode_value (json_array_get_element (array, 0), element, flags, depth + 1,
                        AFRPC_JSON_ELEMENT (place, 0), error);
  return child != NULL ? g_variant_new_maybe (element, child) : NULL;
}

static void
add_compact (GVariantBuilder *builder,
             GVariant        *child)
{
  /* One block of memory instead of several for each value in it. */
  if (strchr ("v({", *g_variant_get_type_string (child)) != NULL)
    (void) g_variant_get_data (child);
  g_variant_builder_add_value (builder, child);
}

/* An array of values that are not fixed in size, or of entries. */
static GVariant *
decode_list (JsonArray             *array,
             const GVariantType    *type,
             AfrpcJsonFlags         flags,
             guint                  depth,
             const AfrpcJsonPlace  *place,
             GError               **error)
{
  const GVariantType *element = g_variant_type_element (type);
  guint length = json_array_get_length (array);
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (type);

  for (guint i = 0; i < length; i++)
    {
      GVariant *child = decode_value (json_array_get_element (array, i), element, flags, depth + 1,
                                      AFRPC_JSON_ELEMENT (place, i), error);

      if (child == NULL)
        return NULL;
      add_compact (&builder, child);
    }
  return g_variant_builder_end (&builder);
}

/* FALSE with an error if a name occurs twice. */
static gboolean
check_names (JsonArray             *members,
             const AfrpcJsonPlace  *place,
             GError               **error)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new ();
  const char *duplicate;

  for (guint i = 0; i < json_array_get_length (members); i += 2)
    g_ptr_array_add (names, (char *) json_array_get_string_element (members, i));
  duplicate = afrpc_json_find_duplicate (names);
  if (duplicate == NULL)
    return TRUE;
  refuse_data (AFRPC_JSON_MEMBER (place, duplicate), "the name occurs twice", error);
  return FALSE;
}

static GVariant *
decode_member (JsonArray             *members,
               guint                  i,
               const GVariantType    *entry,
               AfrpcJsonFlags         flags,
               guint                  depth,
               const AfrpcJsonPlace  *place,
               GError               **error)
{
  const char *name = json_array_get_string_element (members, i);
  const AfrpcJsonPlace *member = AFRPC_JSON_MEMBER (place, name);
  g_autoptr(GVariant) key = NULL;
  GVariant *value;

  key = afrpc_json_decode_string (name, g_variant_type_key (entry), member, error);
  if (key == NULL)
    return NULL;
  g_variant_ref_sink (key);
  value = decode_value (json_array_get_element (members, i + 1), g_variant_type_value (entry),
                        flags, depth + 1, member, error);
  return value != NULL ? g_variant_new_dict_entry (key, value) : NULL;
}

static GVariant *
decode_members (JsonNode              *node,
                const GVariantType    *type,
                AfrpcJsonFlags         flags,
                guint                  depth,
                const AfrpcJsonPlace  *place,
                GError               **error)
{
  const GVariantType *entry = g_variant_type_element (type);
  JsonArray *members = afrpc_json_tree_get_members (node);
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (type);

  if (!check_names (members, place, error))
    return NULL;
  for (guint i = 0; i < json_array_get_length (members); i += 2)
    {
      GVariant *child = decode_member (members, i, entry, flags, depth + 1, place, error);

      if (child == NULL)
        return NULL;
      add_compact (&builder, child);
    }
  return g_variant_builder_end (&builder);
}

static GVariant *
decode_array (JsonNode              *node,
              const GVariantType    *type,
              AfrpcJsonFlags         flags,
              guint                  depth,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  gboolean has_names = afrpc_json_type_has_names (type);

  if (g_variant_type_equal (type, G_VARIANT_TYPE_BYTESTRING))
    return afrpc_json_decode_bytes (node, place, error);
  if (has_names && JSON_NODE_HOLDS_OBJECT (node))
    return decode_members (node, type, flags, depth, place, error);
  if (!JSON_NODE_HOLDS_ARRAY (node))
    return refuse_data (place, has_names ? "expected an object" : "expected an array", error);
  if (afrpc_json_scalar_size (g_variant_type_element (type)) > 0)
    return afrpc_json_decode_fixed (json_node_get_array (node), type, place, error);
  return decode_list (json_node_get_array (node), type, flags, depth, place, error);
}

/* A tuple or a dictionary entry. */
static GVariant *
decode_tuple (JsonNode              *node,
              const GVariantType    *type,
              AfrpcJsonFlags         flags,
              guint                  depth,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  JsonArray *array = get_array (node, g_variant_type_n_items (type), place, error);
  const GVariantType *item = g_variant_type_first (type);
  g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT (type);

  if (array == NULL)
    return NULL;
  for (guint i = 0; item != NULL; i++, item = g_variant_type_next (item))
    {
      GVariant *child = decode_value (json_array_get_element (array, i), item, flags, depth + 1,
                                      AFRPC_JSON_ELEMENT (place, i), error);

      if (child == NULL)
        return NULL;
      g_variant_builder_add_value (&builder, child);
    }
  return g_variant_builder_end (&builder);
}

/* How many values of that type are in each other, as GLib counts: basic types and () are one. */
static guint
get_type_depth (const GVariantType *type)
{
  guint depth = 0;

  if (g_variant_type_is_array (type) || g_variant_type_is_maybe (type))
    return get_type_depth (g_variant_type_element (type)) + 1;
  if (!g_variant_type_is_tuple (type) && !g_variant_type_is_dict_entry (type))
    return 1;
  for (type = g_variant_type_first (type); type != NULL; type = g_variant_type_next (type))
    depth = MAX (depth, get_type_depth (type));
  return depth + 1;
}

/* Takes {"type":…,"data":…} apart; returns its data. */
static JsonNode *
unwrap (JsonNode              *node,
        const GVariantType   **type,
        const AfrpcJsonPlace  *place,
        GError               **error)
{
  JsonArray *members = JSON_NODE_HOLDS_OBJECT (node) ? afrpc_json_tree_get_members (node) : NULL;
  JsonNode *type_node = NULL;
  JsonNode *data = NULL;
  const char *string;

  for (guint i = 0; members != NULL && i < json_array_get_length (members); i += 2)
    {
      const char *name = json_array_get_string_element (members, i);

      if (strcmp (name, "type") == 0)
        type_node = json_array_get_element (members, i + 1);
      else if (strcmp (name, "data") == 0)
        data = json_array_get_element (members, i + 1);
    }
  if (type_node == NULL || data == NULL || json_array_get_length (members) != 4)
    {
      refuse_data (place, "expected an object with the members \"type\" and \"data\"", error);
      return NULL;
    }

  place = AFRPC_JSON_MEMBER (place, "type");
  string = json_node_get_value_type (type_node) == G_TYPE_STRING
             ? json_node_get_string (type_node)
             : "";
  if (strlen (string) > AFRPC_JSON_TYPE_SIZE_MAX)
    refuse (place, AFRPC_ERROR_TOO_LARGE, "the type string is too long", error);
  else if (!g_variant_type_string_is_valid (string)
           || !g_variant_type_is_definite ((const GVariantType *) string))
    refuse_data (place, "not the type string of a value", error);
  else
    {
      *type = (const GVariantType *) string;
      return data;
    }
  return NULL;
}

/* What plain JSON in a `v` is taken for. */
static const GVariantType *
guess_type (JsonNode *node)
{
  switch (json_node_get_node_type (node))
    {
    case JSON_NODE_NULL:
      return G_VARIANT_TYPE ("mv");
    case JSON_NODE_OBJECT:
      return G_VARIANT_TYPE_VARDICT;
    case JSON_NODE_ARRAY:
      return G_VARIANT_TYPE ("av");
    case JSON_NODE_VALUE:
    default:
      switch (json_node_get_value_type (node))
        {
        case G_TYPE_BOOLEAN:
          return G_VARIANT_TYPE_BOOLEAN;
        case G_TYPE_INT64:
          return G_VARIANT_TYPE_INT64;
        case G_TYPE_DOUBLE:
          return G_VARIANT_TYPE_DOUBLE;
        default:
          return G_VARIANT_TYPE_STRING;
        }
    }
}

static GVariant *
decode_variant (JsonNode              *node,
                AfrpcJsonFlags         flags,
                guint                  depth,
                const AfrpcJsonPlace  *place,
                GError               **error)
{
  const AfrpcJsonPlace data = { .up = place, .name = "data" };
  const AfrpcJsonPlace *inside = place;
  const GVariantType *type;
  GVariant *child;

  if ((flags & AFRPC_JSON_TYPED) != 0)
    {
      node = unwrap (node, &type, place, error);
      if (node == NULL)
        return NULL;
      inside = &data;
    }
  else
    type = guess_type (node);

  if (depth + get_type_depth (type) >= AFRPC_JSON_DEPTH_MAX)
    return refuse (place, AFRPC_ERROR_TOO_LARGE, "too many values in each other", error);
  child = decode_value (node, type, flags, depth + 1, inside, error);
  return child != NULL ? g_variant_new_variant (child) : NULL;
}

static GVariant *
decode_value (JsonNode              *node,
              const GVariantType    *type,
              AfrpcJsonFlags         flags,
              guint                  depth,
              const AfrpcJsonPlace  *place,
              GError               **error)
{
  switch (*g_variant_type_peek_string (type))
    {
    case 'v':
      return decode_variant (node, flags, depth, place, error);
    case 'm':
      return decode_maybe (node, type, flags, depth, place, error);
    case 'a':
      return decode_array (node, type, flags, depth, place, error);
    case '(':
    case '{':
      return decode_tuple (node, type, flags, depth, place, error);
    default:
      return afrpc_json_decode_basic (node, type, place, error);
    }
}

static JsonNode *
parse (const char  *text,
       gsize        length,
       gsize        size_max,
       GError     **error)
{
  guint64 memory_max;
  GString *mended;
  JsonNode *root;

  size_max = MIN (size_max, AFRPC_JSON_SIZE_MAX);
  if (length > size_max)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "JSON: %" G_GSIZE_FORMAT " bytes are over the limit of %" G_GSIZE_FORMAT,
                   length, size_max);
      return NULL;
    }
  memory_max = AFRPC_JSON_MEMORY_MIN + (guint64) size_max * AFRPC_JSON_EXPANSION_MAX;
  if (!afrpc_json_scan (text, length, memory_max, &mended, error))
    return NULL;
  if (mended == NULL)
    return afrpc_json_tree_parse (text, length, error);

  root = afrpc_json_tree_parse (mended->str, mended->len, error);
  g_string_free (mended, TRUE);
  return root;
}

GVariant *
afrpc_json_decode (const char          *text,
                   gssize               length,
                   const GVariantType  *expected,
                   gsize                size_max,
                   GError             **error)
{
  static const AfrpcJsonPlace top = { NULL };
  AfrpcJsonFlags flags = expected != NULL ? AFRPC_JSON_PLAIN : AFRPC_JSON_TYPED;
  const AfrpcJsonPlace *place = expected != NULL ? &top : AFRPC_JSON_MEMBER (&top, "data");
  g_autoptr(JsonNode) root = NULL;
  JsonNode *node;
  GVariant *value;

  g_return_val_if_fail (text != NULL, NULL);
  g_return_val_if_fail (expected == NULL || g_variant_type_is_definite (expected), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  root = parse (text, length >= 0 ? (gsize) length : strlen (text), size_max, error);
  if (root == NULL)
    return NULL;
  node = expected != NULL ? root : unwrap (root, &expected, &top, error);
  if (node == NULL)
    return NULL;
  value = decode_value (node, expected, flags, 0, place, error);
  return value != NULL ? g_variant_ref_sink (value) : NULL;
}
