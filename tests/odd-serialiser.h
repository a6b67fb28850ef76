/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A serialiser of nobody's: GVariant's text format, with all bits turned over. Values of the type (sss) have it
 * misbehave: what it is to do, in which function, and on which side. Used by the tests and by their worker. */
#pragma once

#include <afrpc/afrpc.h>

G_BEGIN_DECLS

#define ODD_NAME "odd"

#define ODD_TYPE_SERIALISER (odd_serialiser_get_type ())
G_DECLARE_FINAL_TYPE (OddSerialiser, odd_serialiser, ODD, SERIALISER, GObject)

struct _OddSerialiser
{
  GObject parent_instance;

  char *name;     /* (nullable) */
  char *side;
  GThread *thread; /* the only one that may call it, or NULL */
  guint n_calls;
  void (*hook) (gpointer data); /* (nullable): called in the middle of serialising */
  void (*back_hook) (gpointer data); /* (nullable): called in the middle of deserialising */
  gpointer hook_data;
};

OddSerialiser *odd_serialiser_new (const char *name,
                                   const char *side);

G_END_DECLS
