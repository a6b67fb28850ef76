/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a map calls for: inputs, which are pulled from an iterator of Python and travel one by one or in chunks, and their
 * outcomes, in the order of the inputs or as they are there, until they are taken. Whether there is one to take may be
 * asked without the GIL, in the thread of the map. */
#pragma once

#include "afrpc-python-chunk.h"
#include "afrpc-python-parcel.h"
#include "afrpc-python-proxy.h"

G_BEGIN_DECLS

typedef struct _AfrpcPythonItems AfrpcPythonItems;

typedef struct
{
  PyObject *iterable;
  PyObject *signature; /* None, or a str */
  PyObject *hooks;
  gboolean is_star;    /* each input is all arguments */
  gboolean is_ordered;
  gboolean may_chunk;
  gboolean is_idempotent;
} AfrpcPythonItemsConfig;

/* What became of one. */
typedef struct
{
  AfrpcPythonParcel *parcel; /* (nullable): NULL if it is not there yet: what it came with */
  const guint8 *record;      /* (nullable): its part of an answer; NULL: the outcome is that of the call */
  AfrpcStarted started;      /* if it failed with others */
} AfrpcPythonOutcome;

extern const AfrpcMapFuncs afrpc_python_items_funcs;

AfrpcPythonItems *afrpc_python_items_new      (const AfrpcPythonItemsConfig *config);
PyObject         *afrpc_python_items_get_hooks (const AfrpcPythonItems      *self);
AfrpcPythonItems *afrpc_python_items_ref      (AfrpcPythonItems             *self);
void              afrpc_python_items_unref    (AfrpcPythonItems             *self);
int               afrpc_python_items_traverse (AfrpcPythonItems             *self,
                                               visitproc                     visit,
                                               void                         *arg);
void              afrpc_python_items_clear    (AfrpcPythonItems             *self);
void              afrpc_python_items_abandon  (AfrpcPythonItems             *self);
gboolean          afrpc_python_items_has_next (const AfrpcPythonItems       *self);
gboolean          afrpc_python_items_are_over (const AfrpcPythonItems       *self);
gboolean          afrpc_python_items_raise    (AfrpcPythonItems             *self);
gboolean          afrpc_python_items_take     (AfrpcPythonItems             *self,
                                               AfrpcPythonOutcome           *outcome);
gboolean          afrpc_python_items_release  (AfrpcPythonItems             *self,
                                               AfrpcPythonOutcome           *outcome);

G_END_DECLS
