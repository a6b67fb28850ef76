/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "odd-serialiser.h"

#include <string.h>

static void odd_serialiser_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (OddSerialiser, odd_serialiser, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, odd_serialiser_serialiser_init))

static void
odd_serialiser_finalize (GObject *object)
{
  OddSerialiser *self = ODD_SERIALISER (object);

  g_free (self->name);
  g_free (self->side);

  G_OBJECT_CLASS (odd_serialiser_parent_class)->finalize (object);
}

static void
odd_serialiser_class_init (OddSerialiserClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = odd_serialiser_finalize;
}

static void
odd_serialiser_init (OddSerialiser *self)
{
}

OddSerialiser *
odd_serialiser_new (const char *name,
                    const char *side)
{
  OddSerialiser *self = g_object_new (ODD_TYPE_SERIALISER, NULL);

  self->name = g_strdup (name);
  self->side = g_strdup (side);

  return self;
}

static char *
dup_name (AfrpcSerialiser *self)
{
  return g_strdup (ODD_SERIALISER (self)->name);
}

static GBytes *
turn_over (const char *text,
           gsize       size)
{
  g_autofree guint8 *turned = g_malloc (size);

  for (gsize i = 0; i < size; i++)
    turned[i] = ~text[i];

  return g_bytes_new_take (g_steal_pointer (&turned), size);
}

/* Returns: (nullable): what to do now, if it is something odd */
static const char *
get_trick (OddSerialiser *self,
           GVariant      *value,
           const char    *function)
{
  const char *trick, *where, *side;

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE ("(sss)")))
    return NULL;
  g_variant_get (value, "(&s&s&s)", &trick, &where, &side);

  return strcmp (where, function) == 0 && strcmp (side, self->side) == 0 ? trick : NULL;
}

static void
count_call (OddSerialiser *self)
{
  self->n_calls++;
  if (self->thread != NULL)
    g_assert_true (self->thread == g_thread_self ());
}

static GBytes *
serialise (AfrpcSerialiser  *serialiser,
           GVariant         *value,
           GError          **error)
{
  OddSerialiser *self = ODD_SERIALISER (serialiser);
  const char *trick = get_trick (self, value, "serialise");
  g_autofree char *text = g_variant_print (value, TRUE);

  count_call (self);
  g_assert_false (g_variant_is_floating (value));
  if (self->hook != NULL)
    self->hook (self->hook_data);

  if (g_strcmp0 (trick, "silence") == 0)
    return NULL;
  if (trick != NULL)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "no ink left");
  if (g_strcmp0 (trick, "error") == 0)
    return NULL;

  /* An error besides, which is a mistake, if that is the trick. */
  return turn_over (text, strlen (text));
}

static GVariant *
deserialise (AfrpcSerialiser  *serialiser,
             GBytes           *bytes,
             GError          **error)
{
  OddSerialiser *self = ODD_SERIALISER (serialiser);
  gsize size;
  const char *data = g_bytes_get_data (bytes, &size);
  g_autoptr(GBytes) turned = turn_over (data, size);
  const char *text = g_bytes_get_data (turned, NULL);
  g_autoptr(GVariant) value = NULL;
  const char *trick;

  count_call (self);
  if (self->back_hook != NULL)
    self->back_hook (self->hook_data);
  value = g_variant_parse (NULL, text, text + size, NULL, error);
  trick = value != NULL ? get_trick (self, value, "deserialise") : NULL;
  if (trick == NULL)
    return g_steal_pointer (&value);

  if (strcmp (trick, "both") == 0)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "no ink left");
      return g_steal_pointer (&value);
    }
  if (strcmp (trick, "error") == 0)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC, "no ink left");
  if (strcmp (trick, "malformed") == 0)
    return g_variant_new_from_data (G_VARIANT_TYPE ("s"), "\377", 1, FALSE, NULL, NULL);
  if (strcmp (trick, "long") == 0)
    {
      GVariant *members[300];

      for (guint i = 0; i < G_N_ELEMENTS (members); i++)
        members[i] = g_variant_new_boolean (TRUE);
      return g_variant_new_tuple (members, G_N_ELEMENTS (members));
    }
  if (strcmp (trick, "floating") == 0)
    return g_variant_new_string ("floating");
  return NULL;
}

static void
odd_serialiser_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = dup_name;
  iface->serialise = serialise;
  iface->deserialise = deserialise;
}
