/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a map calls for, for those who pull inputs, who call again for what was not begun, and who take answers apart. */
#pragma once

#include "afrpc-python-items.h"

G_BEGIN_DECLS

/* Records of inputs that were not begun. */
typedef struct
{
  GVariant *args;   /* (owned): in which they are */
  AfrpcPythonRecords records;
  guint64 number;   /* of the first one */
  guint n;
  guint n_deaths;   /* of workers that have begun the first one */
  gboolean is_single; /* they are called for one by one */
} AfrpcPythonRest;

/* How much of outcomes was not taken, and how much is going to be. */
typedef struct
{
  gsize untaken;    /* bytes */
  gsize each;       /* bytes of one, as those before have had; 0: there were none */
} AfrpcPythonSizes;

struct _AfrpcPythonItems
{
  guint ref_count;
  AfrpcPythonItemsConfig config;
  PyObject *iterator; /* (nullable): NULL at the end, and when nothing more is wanted */
  GBytes *held;       /* (nullable): the record of an input that had no room behind those before it */
  PyObject *type, *exception, *traceback; /* (nullable): what was raised instead of another input */
  gboolean is_over;   /* the iterator is */
  gboolean is_abandoned; /* nobody takes outcomes any more */
  gboolean is_refused; /* workers do not take chunks */
  guint max_repeats;

  double each_us;     /* how long a call takes; 0: nobody knows */
  guint size;         /* of the next chunk, at most */

  /* By their number, if they are ordered, else as they came; each at its number modulo the size. */
  AfrpcPythonOutcome *outcomes;
  guint n_outcomes;
  guint64 n_pulled;
  guint64 n_come;
  guint64 n_taken;
  AfrpcPythonSizes sizes;
  GQueue rest;        /* (element-type AfrpcPythonRest) */
};

void      afrpc_python_items_put        (AfrpcPythonItems        *self,
                                         AfrpcPythonParcel       *parcel,
                                         guint64                  number,
                                         const guint8            *record,
                                         AfrpcStarted             started);
void      afrpc_python_items_put_failed (AfrpcPythonItems        *self,
                                         AfrpcPythonParcel       *parcel,
                                         guint                    from,
                                         guint                    to,
                                         AfrpcStarted             started);

AfrpcMapPulled
          afrpc_python_inputs_pull      (gpointer                 data,
                                         const AfrpcMapRoom      *room,
                                         AfrpcMapInput           *input);
void      afrpc_python_inputs_forget    (gpointer                 data);
void      afrpc_python_inputs_measure   (AfrpcPythonItems        *self,
                                         const AfrpcPythonParcel *parcel,
                                         guint                    n,
                                         guint64                  elapsed_us);
void      afrpc_python_inputs_add_size  (AfrpcPythonItems        *self,
                                         gsize                    size,
                                         guint64                  n);

void      afrpc_python_rest_free        (gpointer                 data);
GVariant *afrpc_python_rest_make_single (const AfrpcPythonRecord *record,
                                         GBytes                  *bytes);
void      afrpc_python_rest_add         (AfrpcPythonItems        *self,
                                         AfrpcPythonParcel       *parcel,
                                         guint                    from,
                                         guint                    to,
                                         guint                    n_deaths,
                                         gboolean                 is_single);
gboolean  afrpc_python_rest_pull        (gpointer                 data,
                                         AfrpcMapInput           *input);
void      afrpc_python_rest_fail        (gpointer                 data,
                                         const GError            *error);

void      afrpc_python_sort             (gpointer                 data,
                                         gpointer                 data_parcel,
                                         AfrpcCall               *call);
void      afrpc_python_sort_cut         (gpointer                 data,
                                         gpointer                 data_parcel,
                                         AfrpcCall               *call,
                                         guint64                  n_begun,
                                         GBytes                  *saved);

G_END_DECLS
