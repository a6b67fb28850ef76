/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What words and lines of JSON say as values. */
#include "config.h"

#include "afrpc-tool.h"

#include <glib/gi18n.h>
#include <string.h>

#include "afrpc/json/afrpc-json.h"

static gboolean
check_utf8 (const char  *word,
            GError     **error)
{
  g_autofree char *printable = NULL;

  if (g_utf8_validate (word, -1, NULL))
    return TRUE;

  printable = afrpc_tool_printable (word, strlen (word), "");
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, _("The argument “%s” is not valid UTF-8"), printable);

  return FALSE;
}

static gboolean
is_lone_sign (const char *word)
{
  const gsize n_signs = strspn (word, "+-");

  return n_signs > 0 && word[n_signs + strspn (word + n_signs, " ")] == '\0';
}

/* GVariant's own reader takes a lone sign for zero, and integers for 32 bits unless they say otherwise.
 * Returns: (transfer full) (nullable): not floating; NULL if the word is no value */
static GVariant *
read_value (const char *word)
{
  static const char *const types[] = { NULL, "x", "t" };
  GVariant *value = NULL;

  if (is_lone_sign (word))
    return NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (types) && value == NULL; i++)
    value = g_variant_parse ((const GVariantType *) types[i], word, NULL, NULL, NULL);

  return value;
}

/* Returns: (transfer full): not floating; what the word looks like, which is a string if it is no value */
static GVariant *
look_at (const char *word)
{
  GVariant *value = read_value (word);

  return value != NULL ? value : g_variant_ref_sink (g_variant_new_string (word));
}

static GVariantType *
new_type (const char *text,
          const char *end)
{
  g_autofree char *string = g_strndup (text, end - text);

  return g_variant_type_new (string);
}

/* Returns: (transfer full) (nullable): the type of arguments that a function has declared, which has refused others */
GVariantType *
afrpc_tool_find_declared_type (const GError *error)
{
  static const char words[] = " takes ";
  const char *type, *end;

  if (!g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_INVALID_ARGUMENTS))
    return NULL;
  type = strstr (error->message, words);
  if (type == NULL || !g_variant_type_string_scan (type + strlen (words), NULL, &end) || !g_str_has_prefix (end, ", not "))
    return NULL;
  type += strlen (words);

  return *type == '(' ? new_type (type, end) : NULL;
}

/* Where anything may stand, and where nothing may, a word that is in no format is a string.
 * Returns: (transfer full) (nullable): not floating; NULL if the word is no value of that type. Of a variant and a maybe, it may be
 * what is in it, which the worker makes fit */
static GVariant *
read_as (const char         *word,
         const GVariantType *type)
{
  GVariant *value = NULL;

  if (g_variant_type_equal (type, G_VARIANT_TYPE_STRING))
    return g_variant_ref_sink (g_variant_new_string (word));
  if (!g_variant_type_is_definite (type))
    return NULL;
  if (!is_lone_sign (word))
    value = g_variant_parse (type, word, NULL, NULL, NULL);
  if (value == NULL && g_variant_type_equal (type, G_VARIANT_TYPE_VARIANT))
    return look_at (word);
  if (value == NULL && g_variant_type_is_maybe (type))
    return read_as (word, g_variant_type_element (type));

  return value;
}

/* Words as what a function has declared. What is no value of its type stays what it looks like: the worker may still make it
 * fit, and says what is wrong otherwise.
 * @kind: in JSON a string of digits may be an integer, and a string bytes; @type: a tuple; @values: (element-type GVariant): what
 * they look like
 * Returns: (transfer floating): a tuple */
GVariant *
afrpc_tool_make_declared (char               **words,
                          GPtrArray           *values,
                          AfrpcToolWords       kind,
                          const GVariantType  *type)
{
  g_autoptr(GPtrArray) args = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  const GVariantType *member = NULL;

  /* Where there are more, or fewer, than it takes, nothing is to be done about them. */
  if (g_variant_type_is_definite (type) && g_variant_type_n_items (type) == values->len)
    member = g_variant_type_first (type);
  for (guint i = 0; i < values->len; i++)
    {
      GVariant *value = values->pdata[i];
      GVariant *read = NULL;

      if (member != NULL && !g_variant_is_of_type (value, member))
        read = kind == AFRPC_TOOL_WORDS_JSON ? afrpc_json_decode (words[i], -1, member, NULL) : read_as (words[i], member);
      g_ptr_array_add (args, read != NULL ? read : g_variant_ref (value));
      if (member != NULL)
        member = g_variant_type_next (member);
    }

  return g_variant_new_tuple ((GVariant **) args->pdata, args->len);
}

static GVariant *
dup_floating (GVariant *tuple)
{
  g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);

  for (gsize i = 0; i < g_variant_n_children (tuple); i++)
    g_ptr_array_add (members, g_variant_get_child_value (tuple, i));

  return g_variant_new_tuple ((GVariant **) members->pdata, members->len);
}

/* The same of a line of JSON.
 * Returns: (transfer floating) (nullable): a tuple; NULL if it says nothing of that type */
GVariant *
afrpc_tool_parse_declared_line (const char         *line,
                                const GVariantType *type)
{
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GVariant) args = NULL;

  if (!g_variant_type_is_definite (type))
    return NULL;
  args = afrpc_json_decode (line, -1, type, NULL);
  if (args == NULL && g_variant_type_n_items (type) == 1)
    value = afrpc_json_decode (line, -1, g_variant_type_first (type), NULL);
  if (value != NULL)
    return g_variant_new_tuple (&value, 1);

  return args != NULL ? dup_floating (args) : NULL;
}

/* A word as JSON, with the type that it looks like.
 * Returns: (transfer full) (nullable): not floating; NULL with @error set */
static GVariant *
read_json (const char  *text,
           GError     **error)
{
  g_autoptr(GVariant) boxed = afrpc_json_decode (text, -1, G_VARIANT_TYPE_VARIANT, error);

  return boxed != NULL ? g_variant_get_variant (boxed) : NULL;
}

/* A word as an argument: GVariant text if it is that, otherwise a string.
 * Returns: (transfer full) (nullable): not floating; NULL with @error set */
GVariant *
afrpc_tool_parse_word (const char      *word,
                       AfrpcToolWords   words,
                       GError         **error)
{
  if (!check_utf8 (word, error))
    return NULL;
  if (words == AFRPC_TOOL_WORDS_JSON)
    return read_json (word, error);

  return words == AFRPC_TOOL_WORDS_STRINGS ? g_variant_ref_sink (g_variant_new_string (word)) : look_at (word);
}

/* Returns: (transfer floating): metadata of a call whose function is to refuse what is not of the very type that it has declared:
 * a string would be taken for a variant, or a maybe, without anybody having said what it is */
GVariant *
afrpc_tool_new_exact (void)
{
  return g_variant_new_parsed ("{'afrpc.exact': <true>}");
}

/* Returns: (transfer full) (nullable) (element-type GVariant): NULL with @error set */
GPtrArray *
afrpc_tool_parse_words (char           **words, /* (nullable) */
                        AfrpcToolWords   kind,
                        GError         **error)
{
  g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);

  for (gsize i = 0; words != NULL && words[i] != NULL; i++)
    {
      GVariant *value = afrpc_tool_parse_word (words[i], kind, error);

      if (value == NULL)
        return NULL;
      g_ptr_array_add (values, value);
    }

  return g_steal_pointer (&values);
}

/* The arguments that a line of JSON says: the elements of an array, or else what it is.
 * Returns: (transfer floating) (nullable): a tuple; NULL with @error set */
GVariant *
afrpc_tool_parse_json_line (const char  *line,
                            GError     **error)
{
  g_autoptr(GVariant) value = read_json (line, error);
  g_autoptr(GPtrArray) args = NULL;
  GVariantIter iter;
  GVariant *element;

  if (value == NULL)
    return NULL;
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("av")))
    return g_variant_new_tuple (&value, 1);

  args = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  g_variant_iter_init (&iter, value);
  while (g_variant_iter_next (&iter, "v", &element))
    g_ptr_array_add (args, element);

  return g_variant_new_tuple ((GVariant **) args->pdata, args->len);
}
