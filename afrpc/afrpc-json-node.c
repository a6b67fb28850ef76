/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-node.h"

#include <math.h>

#include "json/afrpc-json-private.h"
#include "json/afrpc-json.h"

/* Values to trees. What the text of JSON needs quotes for and a tree does not, integers that are large, are numbers
 * here; everything else is as it is in the text. */

static JsonNode *new_node (GVariant       *value,
                           AfrpcJsonFlags  flags);

static JsonNode *
new_string (const char *string)
{
  return json_node_init_string (json_node_alloc (), string);
}

static JsonNode *
new_integer (gint64 number)
{
  return json_node_init_int (json_node_alloc (), number);
}

static JsonNode *
new_unsigned (guint64 number)
{
  char digits[24];

  if (number <= G_MAXINT64)
    return new_integer (number);

  g_snprintf (digits, sizeof digits, "%" G_GUINT64_FORMAT, number);
  return new_string (digits);
}

static JsonNode *
new_double (GVariant       *value,
            AfrpcJsonFlags  flags)
{
  g_autoptr(GString) quoted = NULL;
  AfrpcJsonScalar scalar;

  g_variant_store (value, &scalar);
  if (isfinite (scalar.d))
    return json_node_init_double (json_node_alloc (), scalar.d);

  quoted = g_string_new (NULL);
  afrpc_json_write_double (quoted, &scalar, flags);
  g_string_truncate (quoted, quoted->len - 1);
  return new_string (quoted->str + 1);
}

static JsonNode *
new_bytes (GVariant *value)
{
  gsize size;
  const guint8 *bytes = g_variant_get_fixed_array (value, &size, 1);
  g_autofree char *base64 = g_base64_encode (bytes, size);

  return new_string (base64);
}

static JsonNode *
take_object (JsonObject *object)
{
  JsonNode *node = json_node_new (JSON_NODE_OBJECT);

  json_node_take_object (node, object);
  return node;
}

static JsonNode *
new_array (GVariant       *value,
           AfrpcJsonFlags  flags)
{
  JsonNode *node = json_node_new (JSON_NODE_ARRAY);
  JsonArray *array = json_array_sized_new (g_variant_n_children (value));
  GVariantIter iter;
  GVariant *child;

  g_variant_iter_init (&iter, value);
  while ((child = g_variant_iter_next_value (&iter)) != NULL)
    {
      json_array_add_element (array, new_node (child, flags));
      g_variant_unref (child);
    }

  json_node_take_array (node, array);
  return node;
}

/* NULL if a key occurs twice. */
static JsonNode *
new_object (GVariant       *dictionary,
            AfrpcJsonFlags  flags)
{
  JsonObject *object = json_object_new ();
  GVariantIter iter;
  GVariant *entry;

  g_variant_iter_init (&iter, dictionary);
  while ((entry = g_variant_iter_next_value (&iter)) != NULL)
    {
      g_autoptr(GVariant) owned = entry;
      g_autoptr(GVariant) key = g_variant_get_child_value (entry, 0);
      g_autoptr(GVariant) value = g_variant_get_child_value (entry, 1);
      const char *name = g_variant_get_string (key, NULL);

      if (json_object_has_member (object, name))
        {
          json_object_unref (object);
          return NULL;
        }
      json_object_set_member (object, name, new_node (value, flags));
    }

  return take_object (object);
}

static JsonNode *
new_array_or_object (GVariant       *value,
                     AfrpcJsonFlags  flags)
{
  const char *element = g_variant_get_type_string (value) + 1;
  JsonNode *object = NULL;

  if (*element == 'y')
    return new_bytes (value);

  if (element[0] == '{' && afrpc_json_is_name_type (element[1]))
    object = new_object (value, flags);

  return object != NULL ? object : new_array (value, flags);
}

static JsonNode *
new_typed (GVariant *value)
{
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "type", g_variant_get_type_string (value));
  json_object_set_member (object, "data", new_node (value, AFRPC_JSON_TYPED));

  return take_object (object);
}

static JsonNode *
new_variant (GVariant       *value,
             AfrpcJsonFlags  flags)
{
  g_autoptr(GVariant) child = g_variant_get_variant (value);

  return (flags & AFRPC_JSON_TYPED) != 0 ? new_typed (child) : new_node (child, flags);
}

/* The recursion ends: a GVariant in one block gives nothing out below AFRPC_JSON_DEPTH_MAX. */
static JsonNode *
new_node (GVariant       *value,
          AfrpcJsonFlags  flags)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_BOOLEAN:
      return json_node_init_boolean (json_node_alloc (), g_variant_get_boolean (value));
    case G_VARIANT_CLASS_BYTE:
      return new_integer (g_variant_get_byte (value));
    case G_VARIANT_CLASS_INT16:
      return new_integer (g_variant_get_int16 (value));
    case G_VARIANT_CLASS_UINT16:
      return new_integer (g_variant_get_uint16 (value));
    case G_VARIANT_CLASS_INT32:
      return new_integer (g_variant_get_int32 (value));
    case G_VARIANT_CLASS_UINT32:
      return new_integer (g_variant_get_uint32 (value));
    case G_VARIANT_CLASS_HANDLE:
      return new_integer (g_variant_get_handle (value));
    case G_VARIANT_CLASS_INT64:
      return new_integer (g_variant_get_int64 (value));
    case G_VARIANT_CLASS_UINT64:
      return new_unsigned (g_variant_get_uint64 (value));
    case G_VARIANT_CLASS_DOUBLE:
      return new_double (value, flags);
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      return new_string (g_variant_get_string (value, NULL));
    case G_VARIANT_CLASS_VARIANT:
      return new_variant (value, flags);
    case G_VARIANT_CLASS_MAYBE:
      return g_variant_n_children (value) > 0 ? new_array (value, flags) : json_node_init_null (json_node_alloc ());
    case G_VARIANT_CLASS_ARRAY:
      return new_array_or_object (value, flags);
    case G_VARIANT_CLASS_TUPLE:
    case G_VARIANT_CLASS_DICT_ENTRY:
      return new_array (value, flags);
    default:
      g_assert_not_reached ();
    }
}

/* Trees to values, by way of text: json-glib's own has digits that are not those of the number, and characters that are
 * not JSON, and what reads ours trusts nothing. */

typedef struct
{
  GString *out;
  guint depth;
  gboolean is_too_deep;
} Writer;

static void write_node (Writer   *self,
                        JsonNode *node);

static void
write_array (Writer    *self,
             JsonArray *array)
{
  const guint n = json_array_get_length (array);

  g_string_append_c (self->out, '[');
  for (guint i = 0; i < n; i++)
    {
      if (i > 0)
        g_string_append_c (self->out, ',');
      write_node (self, json_array_get_element (array, i));
    }
  g_string_append_c (self->out, ']');
}

static void
write_object (Writer     *self,
              JsonObject *object)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *member;
  const char *comma = "";

  g_string_append_c (self->out, '{');
  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &name, &member))
    {
      g_string_append (self->out, comma);
      afrpc_json_write_string (self->out, name);
      g_string_append_c (self->out, ':');
      write_node (self, member);
      comma = ",";
    }
  g_string_append_c (self->out, '}');
}

/* A node that holds nothing that JSON has is nothing. */
static void
write_scalar (GString  *out,
              JsonNode *node)
{
  const GType type = json_node_get_value_type (node);
  AfrpcJsonScalar scalar;

  if (type == G_TYPE_BOOLEAN)
    g_string_append (out, json_node_get_boolean (node) ? "true" : "false");
  else if (type == G_TYPE_INT64)
    g_string_append_printf (out, "%" G_GINT64_FORMAT, json_node_get_int (node));
  else if (type == G_TYPE_DOUBLE)
    {
      scalar.d = json_node_get_double (node);
      afrpc_json_write_double (out, &scalar, AFRPC_JSON_TYPED);
    }
  else if (type == G_TYPE_STRING && json_node_get_string (node) != NULL)
    afrpc_json_write_string (out, json_node_get_string (node));
  else
    g_string_append (out, "null");
}

static void
write_node (Writer   *self,
            JsonNode *node)
{
  if (self->depth > AFRPC_JSON_DEPTH_MAX)
    {
      self->is_too_deep = TRUE;
      return;
    }

  self->depth++;
  if (JSON_NODE_HOLDS_ARRAY (node) && json_node_get_array (node) != NULL)
    write_array (self, json_node_get_array (node));
  else if (JSON_NODE_HOLDS_OBJECT (node) && json_node_get_object (node) != NULL)
    write_object (self, json_node_get_object (node));
  else if (JSON_NODE_HOLDS_VALUE (node))
    write_scalar (self->out, node);
  else
    g_string_append (self->out, "null");
  self->depth--;
}

/**
 * afrpc_json_from_variant:
 * @value: a value, of any type
 *
 * Makes a tree of a value, to look at it as JSON.
 *
 * It is what the serialiser `json-plain` sends, without the text: an object for a dictionary whose keys are strings,
 * an array for a tuple and any other array, a string of base64 for bytes, an array of one or `null` for a maybe, and of
 * what is in a variant the value alone. Integers are numbers to the last digit; only those above 2^63-1, which json-glib
 * has no room for, are strings. A number that is not finite is one of the strings `NaN`, `Infinity`, `-Infinity`.
 *
 * A floating reference of @value is left alone.
 *
 * Returns: (transfer full): a tree
 *
 * Since: 1.0
 */
JsonNode *
afrpc_json_from_variant (GVariant *value)
{
  g_return_val_if_fail (value != NULL, NULL);

  /* From here on all children are slices of one block, and depth has an end. */
  (void) g_variant_get_data (value);

  return new_node (value, AFRPC_JSON_PLAIN);
}

/**
 * afrpc_json_from_variant_typed:
 * @value: a value, of any type
 *
 * Makes a tree of a value that says its types, so that the value comes back exactly.
 *
 * It is what the serialiser `json` sends, without the text: an object of the members `type` and `data`, and such
 * an object for whatever is in a variant.
 *
 * A floating reference of @value is left alone.
 *
 * Returns: (transfer full): a tree
 *
 * Since: 1.0
 */
JsonNode *
afrpc_json_from_variant_typed (GVariant *value)
{
  g_return_val_if_fail (value != NULL, NULL);

  (void) g_variant_get_data (value);

  return new_typed (value);
}

/**
 * afrpc_json_to_variant:
 * @node: a tree
 * @expected_type: (nullable): the type of the value, a definite one, or %NULL for a tree that says its types
 * @error: return location for an error
 *
 * Makes a value of a tree, whoever built that.
 *
 * With a type it is read as the serialiser `json-plain` reads: an object is a dictionary, an array is a tuple, an array
 * or a list of entries, a number has to be one of the type. What is to be a variant, also as a whole when the type is
 * `v`, is taken for what it looks like. Without one it is read as `json` reads: an object of the members `type` and
 * `data`.
 *
 * Nothing in the tree is trusted. Time and memory are in proportion to its size.
 *
 * Returns: (transfer full): a value that is not floating; or %NULL with %AFRPC_ERROR_TOO_LARGE if there are more than
 *   128 values in each other, or 2 GiB of text, %AFRPC_ERROR_INVALID_DATA if it is no such value, with the place in it
 *   as a JSON pointer
 *
 * Since: 1.0
 */
GVariant *
afrpc_json_to_variant (JsonNode            *node,
                       const GVariantType  *expected_type,
                       GError             **error)
{
  g_autoptr(GString) text = NULL;
  Writer writer = { 0 };

  g_return_val_if_fail (node != NULL, NULL);
  g_return_val_if_fail (expected_type == NULL || g_variant_type_is_definite (expected_type), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  text = g_string_new (NULL);
  writer.out = text;
  write_node (&writer, node);
  if (writer.is_too_deep)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "JSON: more than %d arrays and objects in each other",
                   AFRPC_JSON_DEPTH_MAX);
      return NULL;
    }

  return afrpc_json_decode (text->str, text->len, expected_type, error);
}
