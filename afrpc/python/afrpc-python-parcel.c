/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-python-parcel.h"

AfrpcPythonParcel *
afrpc_python_parcel_new (guint64  number,
                         guint    n,
                         gboolean is_chunk)
{
  static guint64 last_id; /* guarded by the GIL */
  AfrpcPythonParcel *self = g_new0 (AfrpcPythonParcel, 1);

  self->id = ++last_id;
  self->number = number;
  self->n = n;
  self->is_chunk = is_chunk;

  return self;
}

void
afrpc_python_parcel_free (AfrpcPythonParcel *self)
{
  g_clear_pointer (&self->args, g_variant_unref);
  g_clear_pointer (&self->value, g_variant_unref);
  if (self->call != NULL)
    afrpc_map_release_call (self->call);
  g_clear_object (&self->running);
  g_clear_error (&self->error);
  g_free (self);
}

guint64
afrpc_python_parcel_get_id (const AfrpcPythonParcel *self)
{
  return self->id;
}

/* Returns: (nullable): it has its outcome, or what came with it was there before */
AfrpcCall *
afrpc_python_parcel_get_call (AfrpcPythonParcel *self)
{
  return self->call != NULL ? self->call : self->running;
}

/* Returns: (transfer none) (nullable): what its records lie in */
GVariant *
afrpc_python_parcel_get_value (AfrpcPythonParcel *self)
{
  return self->value;
}

const GError *
afrpc_python_parcel_get_error (AfrpcPythonParcel *self)
{
  return self->error;
}
