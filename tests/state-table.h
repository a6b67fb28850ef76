/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A table of what each input does in each state: a letter a cell, the state that follows; "." for the same one; and "X"
 * where the input cannot come: whoever gives it all the same is stopped by an assertion. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  const char *letters;       /* a state each, in their order */
  const char *const *rows;   /* a state each; spaces are passed over */
  guint n_inputs;
  gpointer data;

  gpointer (* reach)     (guint    state,  /* (transfer full): something that is in it */
                          gpointer data);
  void     (* give)      (gpointer thing,
                          guint    state,  /* that it was in */
                          guint    input);
  guint    (* get_state) (gpointer thing);
  void     (* free)      (gpointer thing);
} StateTable;

void state_table_check (const StateTable *self);

G_END_DECLS
