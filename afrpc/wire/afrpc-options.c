/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-options.h"

#include <string.h>

#include "wire/afrpc-offset.h"

#define ALIGNMENT 8u /* bytes: of an option, because of the variant in it */

static gsize
align (gsize size)
{
  return (size + ALIGNMENT - 1) & ~(gsize) (ALIGNMENT - 1);
}

/* Writing */

static void
pad (AfrpcOptionsWriter *self)
{
  static const guint8 zeros[ALIGNMENT];

  g_byte_array_append (self->bytes, zeros, align (self->bytes->len) - self->bytes->len);
}

static void
append_offset (AfrpcOptionsWriter *self,
               gsize               offset,
               guint               size)
{
  const guint64 word = GUINT64_TO_LE (offset);

  g_byte_array_append (self->bytes, (const guint8 *) &word, size);
}

/* Returns: where its value is to be */
static gsize
begin_option (AfrpcOptionsWriter *self,
              const char         *name)
{
  pad (self);
  g_byte_array_append (self->bytes, (const guint8 *) name, strlen (name) + 1);
  pad (self);

  return self->bytes->len;
}

/* An option is its name, its value, a zero, the type of that, and where the name ends. */
static void
end_option (AfrpcOptionsWriter *self,
            const char         *name,
            const char         *type)
{
  const gsize before = self->ends->len > 0 ? g_array_index (self->ends, gsize, self->ends->len - 1) : 0;
  gsize end;

  g_byte_array_append (self->bytes, (const guint8 *) "", 1);
  g_byte_array_append (self->bytes, (const guint8 *) type, strlen (type));
  append_offset (self, strlen (name) + 1, afrpc_offset_choose_size (self->bytes->len - align (before), 1));
  end = self->bytes->len;
  g_array_append_val (self->ends, end);
}

static void
add_bytes (AfrpcOptionsWriter *self,
           const char         *name,
           const char         *type,
           gconstpointer       value,
           gsize               size)
{
  begin_option (self, name);
  g_byte_array_append (self->bytes, value, size);
  end_option (self, name, type);
}

/* @others: (nullable): what they begin with, a dictionary of options in normal form */
void
afrpc_options_begin (AfrpcOptionsWriter *self,
                     GVariant           *others)
{
  AfrpcOptions options;

  self->bytes = g_byte_array_sized_new (256);
  self->ends = g_array_sized_new (FALSE, FALSE, sizeof (gsize), 16);
  if (others == NULL || !afrpc_options_init (&options, others))
    return;

  g_byte_array_append (self->bytes, options.bytes, options.size);
  for (gsize i = 0; i < options.n; i++)
    {
      const gsize end = afrpc_offset_read (options.bytes, options.size + i * options.offset_size, options.offset_size);

      g_array_append_val (self->ends, end);
    }
}

/* @value: a floating one is taken */
void
afrpc_options_add (AfrpcOptionsWriter *self,
                   const char         *name,
                   GVariant           *value)
{
  g_autoptr(GVariant) own = g_variant_ref_sink (value);
  const gsize size = g_variant_get_size (own);
  const gsize place = begin_option (self, name);

  g_byte_array_set_size (self->bytes, place + size);
  g_variant_store (own, self->bytes->data + place);
  end_option (self, name, g_variant_get_type_string (own));
}

void
afrpc_options_add_boolean (AfrpcOptionsWriter *self,
                           const char         *name,
                           gboolean            value)
{
  const guint8 byte = value != FALSE;

  add_bytes (self, name, "b", &byte, sizeof byte);
}

void
afrpc_options_add_byte (AfrpcOptionsWriter *self,
                        const char         *name,
                        guint8              value)
{
  add_bytes (self, name, "y", &value, sizeof value);
}

void
afrpc_options_add_int32 (AfrpcOptionsWriter *self,
                         const char         *name,
                         gint32              value)
{
  add_bytes (self, name, "i", &value, sizeof value);
}

void
afrpc_options_add_uint32 (AfrpcOptionsWriter *self,
                          const char         *name,
                          guint32             value)
{
  add_bytes (self, name, "u", &value, sizeof value);
}

void
afrpc_options_add_uint64 (AfrpcOptionsWriter *self,
                          const char         *name,
                          guint64             value)
{
  add_bytes (self, name, "t", &value, sizeof value);
}

/* @value: valid UTF-8 */
void
afrpc_options_add_string (AfrpcOptionsWriter *self,
                          const char         *name,
                          const char         *value)
{
  add_bytes (self, name, "s", value, strlen (value) + 1);
}

/* Returns: (transfer full) */
GVariant *
afrpc_options_end (AfrpcOptionsWriter *self)
{
  const guint offset_size = afrpc_offset_choose_size (self->bytes->len, self->ends->len);
  g_autoptr(GBytes) bytes = NULL;

  for (guint i = 0; i < self->ends->len; i++)
    append_offset (self, g_array_index (self->ends, gsize, i), offset_size);
  g_clear_pointer (&self->ends, g_array_unref);
  bytes = g_byte_array_free_to_bytes (g_steal_pointer (&self->bytes));

  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARDICT, bytes, TRUE));
}

/* Reading */

/* FALSE: it is something else, and as if there were none. */
gboolean
afrpc_options_init (AfrpcOptions *self,
                    GVariant     *dict)
{
  gsize size, end;

  *self = (AfrpcOptions) { .dict = dict };
  if (strcmp (g_variant_get_type_string (dict), "a{sv}") != 0)
    return FALSE;

  self->bytes = g_variant_get_data (dict);
  size = g_variant_get_size (dict);
  if (size == 0)
    return TRUE;

  /* Where the last one ends, the offsets begin. */
  self->offset_size = afrpc_offset_get_size (size);
  end = size >= self->offset_size ? afrpc_offset_read (self->bytes, size - self->offset_size, self->offset_size) : size;
  if (end < size && (size - end) % self->offset_size == 0)
    {
      self->size = end;
      self->n = (size - end) / self->offset_size;
    }

  return TRUE;
}

/* Returns: (nullable): the bytes of the option, if it has such a value, with nothing in front of where it would be */
static const guint8 *
find (const AfrpcOptions *self,
      const char         *name,
      const char         *type,
      gsize              *size)
{
  const gsize name_size = strlen (name) + 1, type_length = strlen (type);
  gsize begin = 0;

  for (gsize i = 0; i < self->n; i++)
    {
      const gsize end = afrpc_offset_read (self->bytes, self->size + i * self->offset_size, self->offset_size);

      if (end > self->size || end <= begin)
        return NULL;

      /* Most of them differ in the first letter. */
      if (self->bytes[begin] == (guint8) *name)
        {
          /* Behind the value: a zero, its type, where the name ends. */
          const gsize value = begin + align (name_size);
          const gsize rest = 1 + type_length + afrpc_offset_get_size (end - begin);

          if (end - begin >= align (name_size) + rest && memcmp (self->bytes + begin, name, name_size) == 0)
            {
              if (self->bytes[end - rest] != 0 || memcmp (self->bytes + end - rest + 1, type, type_length) != 0)
                return NULL;
              *size = end - rest - value;
              return self->bytes + value;
            }
        }
      begin = align (end);
    }

  return NULL;
}

static gboolean
get_bytes (const AfrpcOptions *self,
           const char         *name,
           const char         *type,
           gpointer            value,
           gsize               size)
{
  gsize found_size;
  const guint8 *found = find (self, name, type, &found_size);

  if (found == NULL || found_size != size)
    return FALSE;

  memcpy (value, found, size);

  return TRUE;
}

gboolean
afrpc_options_get_boolean (const AfrpcOptions *self,
                           const char         *name,
                           gboolean           *value)
{
  guint8 byte;

  if (!get_bytes (self, name, "b", &byte, sizeof byte))
    return FALSE;

  *value = byte != 0;

  return TRUE;
}

gboolean
afrpc_options_get_byte (const AfrpcOptions *self,
                        const char         *name,
                        guint8             *value)
{
  return get_bytes (self, name, "y", value, sizeof *value);
}

gboolean
afrpc_options_get_int32 (const AfrpcOptions *self,
                         const char         *name,
                         gint32             *value)
{
  return get_bytes (self, name, "i", value, sizeof *value);
}

gboolean
afrpc_options_get_uint32 (const AfrpcOptions *self,
                          const char         *name,
                          guint32            *value)
{
  return get_bytes (self, name, "u", value, sizeof *value);
}

gboolean
afrpc_options_get_uint64 (const AfrpcOptions *self,
                          const char         *name,
                          guint64            *value)
{
  return get_bytes (self, name, "t", value, sizeof *value);
}

static const char *
get_text (const AfrpcOptions *self,
          const char         *name,
          const char         *type)
{
  gsize size;
  const guint8 *found = find (self, name, type, &size);

  return found != NULL && size > 0 && found[size - 1] == '\0' ? (const char *) found : NULL;
}

/* Returns: (nullable) (transfer none) */
const char *
afrpc_options_get_string (const AfrpcOptions *self,
                          const char         *name)
{
  return get_text (self, name, "s");
}

/* Returns: (nullable) (transfer none): a byte string */
const char *
afrpc_options_get_path (const AfrpcOptions *self,
                        const char         *name)
{
  return get_text (self, name, "ay");
}

/* Returns: (nullable) (transfer full) */
GVariant *
afrpc_options_dup_value (const AfrpcOptions *self,
                         const char         *name,
                         const char         *type)
{
  gsize size;

  return find (self, name, type, &size) != NULL ?
    g_variant_lookup_value (self->dict, name, G_VARIANT_TYPE (type)) : NULL;
}
