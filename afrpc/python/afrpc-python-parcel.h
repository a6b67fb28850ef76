/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <Python.h>

#include "afrpc/pool/afrpc-map-parcels.h"

G_BEGIN_DECLS

typedef struct _AfrpcPythonParcel AfrpcPythonParcel;

/* What travels in one call, and what that has brought: one input, or many. */
struct _AfrpcPythonParcel
{
  guint64 id;       /* no other one has, or had, the same */
  guint64 number;   /* of the first input */
  guint n;
  gboolean is_chunk;
  GVariant *args;   /* (nullable): of a chunk, until it has its outcome */
  AfrpcCall *call;  /* (nullable): that has its outcome */
  AfrpcCall *running; /* (nullable): of outcomes that have come before that */
  guint n_early;    /* of the first ones, those that were there before */
  gboolean is_cut;  /* the worker was told to begin no more */
  GVariant *value;  /* (nullable): what has records of outcomes */
  GError *error;    /* (nullable): what those have failed with that have none, and no call */
  gsize size;       /* bytes of outcomes */
  guint n_left;     /* outcomes that are kept, or being looked at */
};

AfrpcPythonParcel *afrpc_python_parcel_new       (guint64                  number,
                                                  guint                    n,
                                                  gboolean                 is_chunk);
void               afrpc_python_parcel_free      (AfrpcPythonParcel       *self);
guint64            afrpc_python_parcel_get_id    (const AfrpcPythonParcel *self);
AfrpcCall         *afrpc_python_parcel_get_call  (AfrpcPythonParcel       *self);
GVariant          *afrpc_python_parcel_get_value (AfrpcPythonParcel       *self);
const GError      *afrpc_python_parcel_get_error (AfrpcPythonParcel       *self);

G_END_DECLS
