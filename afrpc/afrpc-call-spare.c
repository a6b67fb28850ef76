/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls are made, and those that nobody has kept wait to be used again. */
#include "config.h"

#include "afrpc-call-options-private.h"
#include "afrpc-call-private.h"

/* Objects that are used again, in each thread: making one costs half of what a call costs. What there are more of at a time
 * is made and freed: to know of one whether somebody has kept it costs as much again, and memory. */
#define SPARE_MAX 1024u

typedef struct
{
  AfrpcCall *first; /* (nullable) (owned): the others by next_spare */
  guint n;
} Spare;

static AfrpcCall *
spare_pop (Spare *self)
{
  AfrpcCall *call = self->first;

  self->first = call->next_spare;
  self->n--;

  return call;
}

static __thread Spare *spare_of_thread;
static __thread guint n_recycled; /* that there are */

static void
spare_free (gpointer data)
{
  Spare *self = data;

  spare_of_thread = NULL;
  while (self->n > 0)
    afrpc_call_free_spare (spare_pop (self));
  g_free (self);
}

static GPrivate spare_calls = G_PRIVATE_INIT (spare_free); /* at the end of the thread */

static void
take_options (AfrpcCall        *self,
              AfrpcCallOptions *options)
{
  self->options = g_object_ref (options);
  self->pending.execution_timeout_ms = options->execution_timeout_ms;
  afrpc_call_options_freeze (options);
}

/* Makes a call that somebody is going to have. */
AfrpcCall *
afrpc_call_new (AfrpcCaller      *caller,
                AfrpcCallOptions *options)
{
  AfrpcCall *self = g_object_new (AFRPC_TYPE_CALL, NULL);

  self->caller = g_object_ref (caller);
  if (options != NULL)
    take_options (self, options);

  return self;
}

/* The process stays as long as the call does. */
void
afrpc_call_keep_process (AfrpcCall *self)
{
  if (self->is_process_lent)
    g_object_ref (self->process);
  self->is_process_lent = FALSE;
}

/* Tells whether the reference that is used again is the only one. */
static void
toggled_cb (gpointer  data,
            GObject  *object,
            gboolean  is_last_ref)
{
  AfrpcCall *self = AFRPC_CALL (object);

  self->is_shared = !is_last_ref;
  if (self->is_shared)
    afrpc_call_keep_process (self);
}

/* Makes a call that nobody but its callback sees, usually. Returns: (transfer full): free with
 * afrpc_call_free_spare () what is not given to a caller. */
AfrpcCall *
afrpc_call_new_spare (AfrpcCaller         *caller,
                      AfrpcCallOptions    *options,
                      gpointer             tag,
                      GAsyncReadyCallback  callback,
                      gpointer             user_data)
{
  Spare *spare = spare_of_thread;
  AfrpcCall *self;

  if (spare != NULL && spare->n > 0)
    self = spare_pop (spare);
  else
    {
      self = g_object_new (AFRPC_TYPE_CALL, NULL);
      if (n_recycled < SPARE_MAX)
        {
          n_recycled++;
          self->is_recycled = TRUE;
          g_object_add_toggle_ref (G_OBJECT (self), toggled_cb, NULL);
          g_object_unref (self);
        }
    }

  self->caller = g_object_ref (caller);
  self->tag = tag;
  self->callback = callback;
  self->user_data = user_data;
  if (options != NULL)
    take_options (self, options);

  return self;
}

void
afrpc_call_free_spare (AfrpcCall *self)
{
  if (!self->is_recycled)
    {
      g_object_unref (self);
      return;
    }

  self->is_recycled = FALSE;
  /* It may be another thread that gives back the last one: that is no more than a guess. */
  if (n_recycled > 0)
    n_recycled--;
  g_object_remove_toggle_ref (G_OBJECT (self), toggled_cb, NULL);
}

void
afrpc_call_release (AfrpcCall *self)
{
  Spare *spare;

  if (!self->is_recycled)
    {
      g_object_unref (self);
      return;
    }
  /* Who was given it may have put something on it. */
  if (self->is_shared || self->is_given)
    {
      afrpc_call_free_spare (self);
      return;
    }

  spare = spare_of_thread;
  if (spare == NULL)
    {
      spare = spare_of_thread = g_new0 (Spare, 1);
      g_private_set (&spare_calls, spare);
    }
  if (spare->n >= SPARE_MAX)
    {
      afrpc_call_free_spare (self);
      return;
    }
  afrpc_call_clear (self);
  self->pending = (AfrpcPending) { .funcs = self->pending.funcs };
  self->is_cancelled = self->is_told = self->is_taken = self->is_finished = self->is_given_up = FALSE;
  self->n_parts = self->n_parts_begun = 0;
  self->next_spare = spare->first;
  spare->first = self;
  spare->n++;
}
