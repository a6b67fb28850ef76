/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a caller tells without being asked. */
#include "config.h"

#include "afrpc-caller.h"

#include "afrpc-call-private.h"
#include "afrpc-caller-private.h"
#include "afrpc-error.h"
#include "afrpc-marshal.h"
#include "afrpc-process-private.h"
#include "peer/afrpc-peer.h"

enum
{
  SIGNAL_EVENT,
  SIGNAL_ERROR,
  SIGNAL_DESTROYED,
  N_SIGNALS,
};

static guint signals[N_SIGNALS];

void
afrpc_caller_init_signals (GType type)
{
  /**
   * AfrpcCaller::event:
   * @self: the caller
   * @event: what the worker's function gave to [method@Afrpc.Worker.event]
   * @from: (nullable): the process whose event it is
   * @fds: (nullable): file descriptors that came with the event; a handle (type `h`) in it is an index into them
   *
   * A worker emitted an event.
   *
   * Events come in the order in which the worker made them, among each other and relative to results. File
   * descriptors that no handler takes are closed afterwards.
   *
   * As in Perl, an error that [signal@Afrpc.Caller::error] has no handler for comes as an event, too: `("error", message)`,
   * of type `(ss)`. Whoever does not expect that connects to both.
   *
   * Since: 1.0
   */
  signals[SIGNAL_EVENT] =
    g_signal_new ("event", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, _afrpc_marshal_VOID__VARIANT_OBJECT_OBJECT,
                  G_TYPE_NONE, 3, G_TYPE_VARIANT | G_SIGNAL_TYPE_STATIC_SCOPE, AFRPC_TYPE_PROCESS | G_SIGNAL_TYPE_STATIC_SCOPE,
                  G_TYPE_UNIX_FD_LIST | G_SIGNAL_TYPE_STATIC_SCOPE);
  g_signal_set_va_marshaller (signals[SIGNAL_EVENT], type, _afrpc_marshal_VOID__VARIANT_OBJECT_OBJECTv);

  /**
   * AfrpcCaller::error:
   * @self: the caller
   * @error: what happened
   *
   * Something went wrong that ends a worker, or that no call can be blamed for.
   *
   * Calls that were waiting have been settled with their errors before. A proxy that is [killed][method@Afrpc.Caller.kill]
   * emits it if calls were waiting, or the worker was not ready; not for a worker that had nothing to do. See the
   * description of the interface for what happens without a handler.
   *
   * Since: 1.0
   */
  signals[SIGNAL_ERROR] =
    g_signal_new ("error", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);

  /**
   * AfrpcCaller::destroyed:
   * @self: the caller
   *
   * Every call was settled, and workers have ended: nothing comes any more.
   *
   * Emitted once, after [method@Afrpc.Caller.close] was called and everything was finished, or after the worker died.
   * It is what a program waits for before it exits. Processes have been reaped, unless a
   * [property@Afrpc.Proxy:done] function keeps one working.
   *
   * Since: 1.0
   */
  signals[SIGNAL_DESTROYED] =
    g_signal_new_class_handler ("destroyed", type, G_SIGNAL_RUN_FIRST, G_CALLBACK (afrpc_caller_mark_destroyed), NULL, NULL, NULL,
                                G_TYPE_NONE, 0);
}

/* In turn. A caller that somebody else has implemented is told the outcomes of its calls later, and so is what it emits
 * behind them. */

typedef struct
{
  AfrpcCaller *caller;
  GVariant *event;    /* (nullable) */
  AfrpcProcess *from; /* (nullable) */
  GUnixFDList *fds;   /* (nullable) */
  GError *error;      /* (nullable): without it, and without an event, it is destroyed */
  gboolean is_put_off; /* for somebody who waits for that: once, as somebody may come in each iteration */
} Emission;

static gint *
get_n_untold (AfrpcCaller *self)
{
  static GQuark quark;
  gint *n_untold;

  if (G_UNLIKELY (quark == 0))
    quark = g_quark_from_static_string ("afrpc-caller-untold");
  n_untold = g_object_get_qdata (G_OBJECT (self), quark);
  if (n_untold == NULL)
    {
      n_untold = g_new0 (gint, 1);
      g_object_set_qdata_full (G_OBJECT (self), quark, n_untold, g_free);
    }

  return n_untold;
}

/* There is news of a caller that is none of ours, which is told later, and has been then: @change is 1, and -1. */
void
afrpc_caller_count_untold (AfrpcCaller *self,
                           gint         change)
{
  if (AFRPC_CALLER_GET_IFACE (self)->own == NULL)
    g_atomic_int_add (get_n_untold (self), change);
}

static gboolean
has_untold (AfrpcCaller *self)
{
  return AFRPC_CALLER_GET_IFACE (self)->own == NULL && g_atomic_int_get (get_n_untold (self)) > 0;
}

/* The same of those that are not told yet by a caller of our own, which emits everything else at once. */
static gboolean
is_owing (AfrpcCaller *self)
{
  const AfrpcCallerOwn *own = AFRPC_CALLER_GET_IFACE (self)->own;

  return own != NULL && own->is_owing != NULL && own->is_owing (self);
}

static void
emission_free (gpointer data)
{
  Emission *self = data;

  g_object_unref (self->caller);
  g_clear_pointer (&self->event, g_variant_unref);
  g_clear_object (&self->from);
  g_clear_object (&self->fds);
  g_clear_error (&self->error);
  g_free (self);
}

static void emit_event     (AfrpcCaller  *self,
                            GVariant     *event,
                            AfrpcProcess *from,
                            GUnixFDList  *fds);
static void emit_destroyed (AfrpcCaller  *self);
static Emission *emit_later (AfrpcCaller  *self,
                             GVariant     *event,
                             AfrpcProcess *from,
                             GUnixFDList  *fds,
                             const GError *error);

static gboolean
emit_cb (gpointer data)
{
  Emission *emission = data;
  AfrpcCaller *self = emission->caller;
  GMainContext *context = g_source_get_context (g_main_current_source ());

  afrpc_caller_count_untold (self, -1);
  g_main_context_push_thread_default (context);
  if (emission->event != NULL)
    emit_event (self, emission->event, emission->from, emission->fds);
  else if (emission->error != NULL)
    afrpc_caller_emit_known_error (self, emission->error, FALSE);
  /* Somebody has begun to wait for that meanwhile, or has made another call. */
  else if ((!emission->is_put_off && afrpc_caller_tell_closed (self)) || is_owing (self))
    emit_later (self, NULL, NULL, NULL, NULL)->is_put_off = TRUE;
  else
    emit_destroyed (self);
  g_main_context_pop_thread_default (context);

  return G_SOURCE_REMOVE;
}

/* Returns: (transfer none): what is to be emitted, from the main context */
static Emission *
emit_later (AfrpcCaller  *self,
            GVariant     *event, /* (nullable) */
            AfrpcProcess *from,  /* (nullable) */
            GUnixFDList  *fds,   /* (nullable) */
            const GError *error) /* (nullable) */
{
  Emission *emission = g_new0 (Emission, 1);

  emission->caller = g_object_ref (self);
  emission->event = event != NULL ? g_variant_ref (event) : NULL;
  g_set_object (&emission->from, from);
  g_set_object (&emission->fds, fds);
  emission->error = error != NULL ? g_error_copy (error) : NULL;
  afrpc_caller_count_untold (self, 1);
  afrpc_call_attach_news (g_main_context_get_thread_default (), "[afrpc] caller emits", emit_cb, emission, emission_free);

  return emission;
}

/* Emission */

static gboolean
has_handler (AfrpcCaller *self,
             guint        signal)
{
  return g_signal_has_handler_pending (self, signals[signal], 0, FALSE);
}

/* Makes @values, which are zeroed, for events that are emitted one after the other, and unset afterwards. The signal is
 * that of an interface, for which GLib has no way without values; to make them anew each time costs more than all else.
 * FALSE: nobody handles events. */
gboolean
afrpc_caller_begin_events (AfrpcCaller  *self,
                           AfrpcProcess *from,
                           GValue        values[AFRPC_CALLER_EVENT_VALUES])
{
  if (!has_handler (self, SIGNAL_EVENT))
    return FALSE;

  g_value_init_from_instance (&values[0], self);
  g_value_init (&values[1], G_TYPE_VARIANT);
  g_value_init (&values[2], AFRPC_TYPE_PROCESS);
  g_value_set_object (&values[2], from);
  g_value_init (&values[3], G_TYPE_UNIX_FD_LIST);

  return TRUE;
}

/* @event: (transfer full), not floating; @fds: (transfer full) (nullable) */
void
afrpc_caller_emit_next_event (GValue       values[AFRPC_CALLER_EVENT_VALUES],
                              GVariant    *event,
                              GUnixFDList *fds)
{
  g_value_take_variant (&values[1], event);
  if (fds != NULL)
    g_value_take_object (&values[3], fds);

  g_signal_emitv (values, signals[SIGNAL_EVENT], 0, NULL);

  /* What no handler has kept is let go now: descriptors are closed, and a value may be large. */
  g_value_take_variant (&values[1], NULL);
  if (fds != NULL)
    g_value_take_object (&values[3], NULL);
}

static GQuark
plain_quark (void)
{
  return g_quark_from_static_string ("afrpc-caller-plain-events");
}

/**
 * afrpc_caller_set_plain_events: (skip)
 * @self: a caller
 *
 * Has an error that nobody handles be no event, but a warning, if no call has got it: who handles events wants what
 * functions have sent, and nothing else.
 *
 * For the bindings that belong to afrpc.
 *
 * Since: 1.0
 */
void
afrpc_caller_set_plain_events (AfrpcCaller *self)
{
  g_object_set_qdata (G_OBJECT (self), plain_quark (), self);
}

/**
 * afrpc_caller_tell_tagged_events: (skip)
 * @process: a process, whose main context is this thread's
 * @tag: what they are tagged with: the key of a dictionary entry
 *
 * Has events that have a tag, and wait for the main context to be iterated, be emitted at once: those of all callers of that
 * main context, in their order, and before everything else that waits.
 *
 * For the bindings that belong to afrpc.
 *
 * Since: 1.0
 */
void
afrpc_caller_tell_tagged_events (AfrpcProcess *process,
                                 const char   *tag)
{
  g_return_if_fail (AFRPC_IS_PROCESS (process));

  afrpc_peer_tell_tagged (afrpc_process_get_peer (process), tag);
}

/* @is_known: a call has got it, or another that says why: nobody has to be warned */
void
afrpc_caller_emit_known_error (AfrpcCaller  *self,
                              const GError *error,
                              gboolean      is_known)
{
  if (has_handler (self, SIGNAL_ERROR))
    g_signal_emit (self, signals[SIGNAL_ERROR], 0, error);
  else if (has_handler (self, SIGNAL_EVENT) && g_object_get_qdata (G_OBJECT (self), plain_quark ()) == NULL)
    {
      g_autoptr(GVariant) event = g_variant_ref_sink (g_variant_new ("(ss)", "error", error->message));

      g_signal_emit (self, signals[SIGNAL_EVENT], 0, event, NULL, NULL);
    }
  else if (is_known)
    g_debug ("%s", error->message);
  else
    g_warning ("%s", error->message);
}

static void
emit_event (AfrpcCaller  *self,
            GVariant     *event,
            AfrpcProcess *from, /* (nullable) */
            GUnixFDList  *fds)  /* (nullable) */
{
  g_autoptr(GError) error = NULL;
  g_autofree char *name = NULL;

  if (has_handler (self, SIGNAL_EVENT))
    {
      g_signal_emit (self, signals[SIGNAL_EVENT], 0, event, from, fds);
      return;
    }

  name = from != NULL ? afrpc_peer_describe (afrpc_process_get_peer (from)) : NULL;
  error = g_error_new (AFRPC_ERROR, AFRPC_ERROR_UNHANDLED_EVENT, "%s sent an event, and no handler is connected",
                       name != NULL ? name : "the worker");
  afrpc_caller_emit_known_error (self, error, FALSE);
}

static void
emit_destroyed (AfrpcCaller *self)
{
  if (!afrpc_caller_is_marked_destroyed (self))
    g_signal_emit (self, signals[SIGNAL_DESTROYED], 0);
}

/**
 * afrpc_caller_emit_event:
 * @self: a caller
 * @event: the event; a floating reference is consumed
 * @from: (nullable): the process whose event it is
 * @fds: (nullable): file descriptors that came with it
 *
 * Emits [signal@Afrpc.Caller::event], or the error that there is no handler. For implementers of the interface.
 *
 * Whoever waits for a call that was settled before is told first: then it is emitted later, from the main context.
 *
 * Since: 1.0
 */
void
afrpc_caller_emit_event (AfrpcCaller  *self,
                         GVariant     *event,
                         AfrpcProcess *from,
                         GUnixFDList  *fds)
{
  g_autoptr(GVariant) sunk = NULL;

  g_return_if_fail (AFRPC_IS_CALLER (self));
  g_return_if_fail (event != NULL);

  sunk = g_variant_ref_sink (event);
  if (has_untold (self))
    emit_later (self, sunk, from, fds, NULL);
  else
    emit_event (self, sunk, from, fds);
}

/**
 * afrpc_caller_emit_error:
 * @self: a caller
 * @error: what happened
 *
 * Emits [signal@Afrpc.Caller::error], or what stands for it without a handler. For implementers of the interface; in turn
 * with outcomes, as by [method@Afrpc.Caller.emit_event].
 *
 * Since: 1.0
 */
void
afrpc_caller_emit_error (AfrpcCaller  *self,
                         const GError *error)
{
  g_return_if_fail (AFRPC_IS_CALLER (self));
  g_return_if_fail (error != NULL);

  if (has_untold (self))
    emit_later (self, NULL, NULL, NULL, error);
  else
    afrpc_caller_emit_known_error (self, error, FALSE);
}

/**
 * afrpc_caller_emit_destroyed:
 * @self: a caller
 *
 * Emits [signal@Afrpc.Caller::destroyed], once. For implementers of the interface; in turn with outcomes, as by
 * [method@Afrpc.Caller.emit_event].
 *
 * Since: 1.0
 */
void
afrpc_caller_emit_destroyed (AfrpcCaller *self)
{
  g_return_if_fail (AFRPC_IS_CALLER (self));

  if (afrpc_caller_tell_closed (self) || has_untold (self) || is_owing (self))
    emit_later (self, NULL, NULL, NULL, NULL);
  else
    emit_destroyed (self);
}
