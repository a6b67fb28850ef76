/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* "unsafe-pickle": what Python has pickled. That is done where other values are packed, because only there they are
 * values of Python: here bytes are passed on, and everything else is refused. */
#include "config.h"

#include "afrpc-python-worker.h"

#define AFRPC_TYPE_PYTHON_PICKLE_SERIALISER (afrpc_python_pickle_serialiser_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcPythonPickleSerialiser, afrpc_python_pickle_serialiser, AFRPC, PYTHON_PICKLE_SERIALISER, GObject)

struct _AfrpcPythonPickleSerialiser
{
  GObject parent_instance;
};

static void afrpc_python_pickle_serialiser_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcPythonPickleSerialiser, afrpc_python_pickle_serialiser, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, afrpc_python_pickle_serialiser_serialiser_init))

static void
afrpc_python_pickle_serialiser_class_init (AfrpcPythonPickleSerialiserClass *klass)
{
}

static void
afrpc_python_pickle_serialiser_init (AfrpcPythonPickleSerialiser *self)
{
}

static char *
afrpc_python_pickle_serialiser_dup_name (AfrpcSerialiser *serialiser)
{
  return g_strdup (AFRPC_PYTHON_UNSAFE_PICKLE);
}

static GBytes *
afrpc_python_pickle_serialiser_serialise (AfrpcSerialiser  *serialiser,
                                          GVariant         *value,
                                          GError          **error)
{
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER,
                   "a GVariant of type %s cannot be sent as '" AFRPC_PYTHON_UNSAFE_PICKLE "': only values of Python can",
                   g_variant_get_type_string (value));
      return NULL;
    }

  return g_variant_get_data_as_bytes (value);
}

static GVariant *
afrpc_python_pickle_serialiser_deserialise (AfrpcSerialiser  *serialiser,
                                            GBytes           *bytes,
                                            GError          **error)
{
  return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE);
}

static void
afrpc_python_pickle_serialiser_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = afrpc_python_pickle_serialiser_dup_name;
  iface->serialise = afrpc_python_pickle_serialiser_serialise;
  iface->deserialise = afrpc_python_pickle_serialiser_deserialise;
  iface->host = AFRPC_PYTHON_HOST_NAME;
}

/* Makes it known in this process. FALSE: an exception is set. */
gboolean
afrpc_python_pickle_serialiser_register (void)
{
  AfrpcPythonPickleSerialiser *self = g_object_new (AFRPC_TYPE_PYTHON_PICKLE_SERIALISER, NULL);
  GError *error = NULL;

  if (!afrpc_serialiser_register (AFRPC_SERIALISER (self), &error))
    {
      PyErr_SetString (PyExc_RuntimeError, error->message);
      g_error_free (error);
    }
  g_object_unref (self);

  return !PyErr_Occurred ();
}

/* Returns: (nullable): what the values of the worker's calls are packed with */
PyObject *
afrpc_python_host_get_hooks (AfrpcWorker *worker) /* (nullable) */
{
  AfrpcSerialiser *serialiser = worker != NULL ? afrpc_worker_get_serialiser (worker) : NULL;

  if (G_UNLIKELY (serialiser != NULL && AFRPC_IS_PYTHON_PICKLE_SERIALISER (serialiser)))
    return AFRPC_PYTHON_PICKLED;

  return afrpc_python_host_hooks;
}
