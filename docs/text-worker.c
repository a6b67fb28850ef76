/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker whose values travel as GVariant's text: what docs/text.py talks to. */
#include <afrpc/afrpc.h>
#include <string.h>

#define TEXT_TYPE_SERIALISER (text_serialiser_get_type ())
G_DECLARE_FINAL_TYPE (TextSerialiser, text_serialiser, TEXT, SERIALISER, GObject)

struct _TextSerialiser
{
  GObject parent_instance;
};

static void text_serialiser_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (TextSerialiser, text_serialiser, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, text_serialiser_serialiser_init))

static char *
text_serialiser_dup_name (AfrpcSerialiser *self)
{
  return g_strdup ("text");
}

static GBytes *
text_serialiser_serialise (AfrpcSerialiser  *self,
                           GVariant         *value,
                           GError          **error)
{
  char *text = g_variant_print (value, TRUE);

  return g_bytes_new_take (text, strlen (text));
}

static GVariant *
text_serialiser_deserialise (AfrpcSerialiser  *self,
                             GBytes           *bytes,
                             GError          **error)
{
  gsize size;
  const char *text = g_bytes_get_data (bytes, &size);

  return g_variant_parse (NULL, text, text + size, NULL, error);
}

static void
text_serialiser_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = text_serialiser_dup_name;
  iface->serialise = text_serialiser_serialise;
  iface->deserialise = text_serialiser_deserialise;
}

static void
text_serialiser_class_init (TextSerialiserClass *klass)
{
}

static void
text_serialiser_init (TextSerialiser *self)
{
}

AFRPC_EXPORT gboolean init (AfrpcWorker *worker, GVariant *args, GError **error);

gboolean
init (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  g_autoptr(AfrpcSerialiser) text = g_object_new (TEXT_TYPE_SERIALISER, NULL);

  return afrpc_serialiser_register (text, error);
}

AFRPC_FUNCTION (add, "(ii)")

GVariant *
add (AfrpcWorker  *worker,
     GVariant     *args,
     GError      **error)
{
  int a, b;

  g_variant_get (args, "(ii)", &a, &b);

  return g_variant_new_int32 (a + b);
}
