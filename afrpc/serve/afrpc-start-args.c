/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-start-args.h"

#include <unistd.h>

void
afrpc_start_args_init (AfrpcStartArgs *self)
{
  self->list = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  self->tuple = NULL;
  self->fds = g_array_new (FALSE, FALSE, sizeof (int));
  self->positions = g_array_new (FALSE, FALSE, sizeof (guint));
}

void
afrpc_start_args_clear (AfrpcStartArgs *self)
{
  for (guint i = 0; self->fds != NULL && i < self->fds->len; i++)
    if (g_array_index (self->fds, int, i) >= 0)
      close (g_array_index (self->fds, int, i));
  g_clear_pointer (&self->list, g_ptr_array_unref);
  g_clear_pointer (&self->tuple, g_variant_unref);
  g_clear_pointer (&self->fds, g_array_unref);
  g_clear_pointer (&self->positions, g_array_unref);
}

void
afrpc_start_args_add (AfrpcStartArgs *self,
                      GVariant       *arg) /* (transfer full) */
{
  for (gsize i = 0; self->tuple != NULL && i < g_variant_n_children (self->tuple); i++)
    g_ptr_array_add (self->list, g_variant_get_child_value (self->tuple, i));
  g_clear_pointer (&self->tuple, g_variant_unref);
  g_ptr_array_add (self->list, arg);
}

void
afrpc_start_args_add_fd (AfrpcStartArgs *self,
                         int             fd) /* (transfer full) */
{
  const guint position = self->tuple != NULL ? g_variant_n_children (self->tuple) : self->list->len;

  g_array_append_val (self->fds, fd);
  g_array_append_val (self->positions, position);
}

/* Returns: (transfer none): valid until something is added */
GVariant *
afrpc_start_args_get_tuple (AfrpcStartArgs *self)
{
  if (self->tuple == NULL)
    {
      self->tuple = g_variant_ref_sink (g_variant_new_tuple ((GVariant **) self->list->pdata, self->list->len));
      g_ptr_array_set_size (self->list, 0);
    }

  return self->tuple;
}

int
afrpc_start_args_steal_fd (AfrpcStartArgs *self,
                           guint           index)
{
  const int fd = g_array_index (self->fds, int, index);

  g_array_index (self->fds, int, index) = -1;

  return fd;
}
