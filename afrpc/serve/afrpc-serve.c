/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-serve.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "afrpc-serialiser-values.h"
#include "serve/afrpc-functions.h"
#include "serve/afrpc-session-send.h"
#include "serve/afrpc-template.h"
#include "transport/afrpc-socket-ring.h"
#include "wire/afrpc-metadata.h"

/* What arrives is not to be understood any more: what was understood is done. */
static AfrpcStep
give_up (AfrpcSession *self,
         GError       *error) /* (transfer full) */
{
  afrpc_session_fail (self, error);
  afrpc_session_end_input (self);

  return AFRPC_STEP_ERROR;
}

/* Reads once what has arrived. */
AfrpcStep
afrpc_serve_read (AfrpcSession *self)
{
  GError *error = NULL;
  const AfrpcStep step = afrpc_transport_read (&self->transport, &error);

  if (step == AFRPC_STEP_EOF)
    afrpc_session_end_input (self);

  return step == AFRPC_STEP_ERROR ? give_up (self, error) : step;
}

/* Parts the metadata from @packed. */
static gboolean
take_metadata (AfrpcServedCall  *call,
               GVariant        **packed,
               GError          **error)
{
  g_autoptr(GVariant) both = g_steal_pointer (packed);

  return afrpc_metadata_unpack (both, packed, &call->metadata, error);
}

/* Returns: (nullable) (transfer full): the arguments as they were before a serialiser */
static GVariant *
unpack (AfrpcSession     *self,
        AfrpcServedCall  *call,
        GVariant         *args, /* (nullable) (transfer full) */
        GError          **error)
{
  const gboolean is_serialised = (call->flags & AFRPC_FRAME_FLAG_SERIALISED) != 0;
  g_autoptr(GVariant) packed = args;

  if (packed == NULL)
    return NULL;
  if ((call->flags & AFRPC_FRAME_FLAG_METADATA) != 0 && !take_metadata (call, &packed, error))
    return NULL;
  if (is_serialised != (self->serialiser != NULL))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a call that is %s",
                   is_serialised ? "serialised" : "not serialised");
      return NULL;
    }

  return is_serialised ? afrpc_serialiser_unpack (self->serialiser, packed, error) : g_steal_pointer (&packed);
}

/* Takes a call from its frame. Returns: (nullable) (transfer full): its arguments */
static GVariant *
parse_call (AfrpcSession      *self,
            const AfrpcFrame  *frame,
            AfrpcServedCall   *call,
            GError           **error)
{
  afrpc_served_call_init (call, &self->transport, frame);
  if (frame->fds_lost)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED,
                   "the worker has too many open files to receive the call's file descriptors");
      return NULL;
    }

  return afrpc_transport_parse_value (&self->transport, frame, error);
}

/* A process that a function has forked should have left it by exec or exit. */
void
afrpc_serve_end_stray (AfrpcSession *self)
{
  if (G_LIKELY (!self->is_stray))
    return;

  g_printerr ("afrpc worker: a process that a function has forked ends as the function returns\n");
  _exit (EXIT_SUCCESS);
}

static void
run_sync (AfrpcSession    *self,
          guint            function,
          AfrpcServedCall *call,
          GVariant        *args)
{
  g_autoptr(GError) error = NULL;
  GVariant *result;

  self->current = call;
  result = self->funcs->call (self->host, function, args, &error);
  self->current = NULL;
  afrpc_serve_end_stray (self);
  afrpc_session_answer (self, call, result, error);
}

static void
run_async (AfrpcSession    *self,
           guint            function,
           AfrpcServedCall *call,
           GVariant        *args)
{
  const guint64 outer = self->invoked_serial;

  self->invoked_serial = call->serial;
  self->funcs->invoke (self->host, function, call, args);
  self->invoked_serial = outer;
  afrpc_serve_end_stray (self);
}

/* The same for each of many that the call that a sync function runs consists of: FALSE: the rest is not to be begun. */
gboolean
afrpc_serve_begin_part (AfrpcSession *self)
{
  if (self->current == NULL)
    return FALSE;

  afrpc_serve_end_stray (self);
  self->current->has_parts = TRUE;
  afrpc_transport_mark_part (&self->transport, self->current->serial);

  return !afrpc_transport_is_unwanted (&self->transport, self->current->serial);
}

/* Keeps something of such a call for the program, should the worker die. FALSE: that cannot be. */
gboolean
afrpc_serve_save (AfrpcSession  *self,
                  gconstpointer  data,
                  gsize          size)
{
  /* The memory is shared with a process that a function has forked, too. */
  afrpc_serve_end_stray (self);

  return self->current != NULL && afrpc_transport_save (&self->transport, self->current->serial, data, size);
}

/* Lets the parent know, whatever happens next, that a call is started; and then, in this order, looks whether the
 * parent has cancelled it: so one of them sees what the other one said. */
static gboolean
start (AfrpcSession    *self,
       AfrpcServedCall *call)
{
  if (afrpc_transport_shares_state (&self->transport))
    {
      afrpc_transport_mark_started (&self->transport, call->serial);
      if (afrpc_transport_is_unwanted (&self->transport, call->serial))
        return FALSE;
      if (G_LIKELY ((call->flags & AFRPC_FRAME_FLAG_TIMED) == 0))
        return TRUE;
    }
  else if (call->is_cancelled)
    return FALSE;

  /* At once: a function may hold up what is queued, in either backend, and that for ever. */
  afrpc_session_send_started (self, call);
  afrpc_session_flush (self);

  return TRUE;
}

/* Runs a call, if it is to be run, or answers it. @call: its contents are taken */
static void
run (AfrpcSession    *self,
     AfrpcServedCall *call,
     GVariant        *unpacked, /* (nullable) (transfer full): or @error */
     GError         **error)
{
  g_autoptr(GVariant) args = unpacked;
  const guint function = afrpc_functions_find (self, call->function);

  if (args == NULL || (function == 0 && !afrpc_functions_check (self, call->function, error)) ||
      !afrpc_functions_fit (self, call, &args, error))
    afrpc_session_refuse (self, call, *error);
  else if (!start (self, call))
    afrpc_session_refuse_cancelled (self, call);
  else if (self->job.backend == AFRPC_BACKEND_SYNC)
    run_sync (self, function, call, args);
  else
    run_async (self, function, call, args);
}

/* The same, if its arguments are unpacked, or can be at once. */
static void
begin (AfrpcSession    *self,
       AfrpcServedCall *call,
       GVariant        *parsed, /* (nullable) (transfer full): or @error */
       GError         **error)
{
  run (self, call, unpack (self, call, parsed, error), error);
}

/* Whether the arguments of the call are to be unpacked in slices: other sources of the worker have their turn. */
static gboolean
is_large (AfrpcSession          *self,
          const AfrpcServedCall *call,
          GVariant              *args) /* (nullable) */
{
  return args != NULL && self->transport.reader.slices && (call->flags & AFRPC_FRAME_FLAG_SERIALISED) != 0 &&
         self->serialiser != NULL && afrpc_unpacking_is_large (args);
}

/* Goes on unpacking the arguments of what has been begun, and runs it then. */
static AfrpcStep
go_on_unpacking (AfrpcSession *self)
{
  AfrpcBacklogItem *item = self->unpacked;
  GVariant *args = NULL;

  if (afrpc_unpacking_step (item->unpacking, AFRPC_VALUE_CHECK_SLICE, &args, &item->error) == 0)
    return AFRPC_STEP_SLICE;

  /* A function may run the main loop, which then goes on with what is next. */
  self->unpacked = NULL;
  self->was_long = TRUE;
  afrpc_call_table_remove (&self->calls, &item->call);
  run (self, &item->call, args, &item->error);
  afrpc_backlog_item_free (item);

  return AFRPC_STEP_DONE;
}

/* Takes the item, whose call stays in the table, if it is there, until it is run. FALSE: that has to be done at once. */
static gboolean
begin_unpacking (AfrpcSession     *self,
                 AfrpcBacklogItem *item)
{
  if (item->is_function || !is_large (self, &item->call, item->args))
    return FALSE;

  self->was_long = TRUE;
  item->unpacking = afrpc_unpacking_new (self->serialiser, item->args);
  if (item->unpacking == NULL)
    return FALSE;

  self->unpacked = item;
  return TRUE;
}

/* Takes the contents of the call, whose arguments are large. */
static void
begin_large (AfrpcSession    *self,
             AfrpcServedCall *call,
             GVariant        *args) /* (transfer full) */
{
  AfrpcBacklogItem *item = afrpc_backlog_item_new ();

  item->call = *call;
  item->args = args;
  if (begin_unpacking (self, item))
    return;

  begin (self, &item->call, g_steal_pointer (&item->args), &item->error);
  afrpc_backlog_item_free (item);
}

static gboolean
take_call (AfrpcSession      *self,
           const AfrpcFrame  *frame,
           GError           **error)
{
  /* No parent has places for more. */
  if (self->calls.n == AFRPC_SERIAL_SLOTS_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "more than %u calls at once", AFRPC_SERIAL_SLOTS_MAX);
      return FALSE;
    }

  if (afrpc_transport_shares_state (&self->transport))
    {
      g_autoptr(GError) call_error = NULL;
      AfrpcServedCall call;
      GVariant *args = parse_call (self, frame, &call, &call_error);

      if (G_LIKELY (!is_large (self, &call, args)))
        begin (self, &call, args, &call_error);
      else
        begin_large (self, &call, args);
    }
  else
    {
      AfrpcBacklogItem *item = afrpc_backlog_item_new ();

      item->args = parse_call (self, frame, &item->call, &item->error);
      afrpc_backlog_push (&self->backlog, item);
      afrpc_call_table_add (&self->calls, &item->call);
    }

  return TRUE;
}

/* A function is going to be called. Calls before it come first, and it is not looked for while one of them runs. */
static gboolean
take_function (AfrpcSession      *self,
               const AfrpcFrame  *frame,
               GError           **error)
{
  g_autoptr(GVariant) name = afrpc_transport_parse_value (&self->transport, frame, error);

  if (name == NULL)
    return FALSE;
  if (!g_variant_is_of_type (name, G_VARIANT_TYPE_STRING) || frame->header.serial == 0)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a malformed function");
      return FALSE;
    }

  if (!afrpc_transport_shares_state (&self->transport))
    {
      AfrpcBacklogItem *item = afrpc_backlog_item_new ();

      item->is_function = TRUE;
      item->call.serial = frame->header.serial;
      item->args = g_steal_pointer (&name);
      afrpc_backlog_push (&self->backlog, item);
      return TRUE;
    }

  return afrpc_functions_declare (self, frame->header.serial, g_variant_get_string (name, NULL), error);
}

/* Nobody waits for the outcome of a call any more. One that is not known has been answered meanwhile. */
static void
take_cancel (AfrpcSession *self,
             guint64       serial)
{
  AfrpcServedCall *call;

  if (self->current != NULL && self->current->serial == serial)
    {
      self->current->is_cancelled = TRUE;
      return;
    }

  call = afrpc_call_table_find (&self->calls, serial);
  if (call == NULL || call->is_cancelled)
    return;

  call->is_cancelled = TRUE;
  if (call->owner != NULL)
    self->funcs->cancelled (self->host, call);
}

/* Takes one frame, and does what it says; a call is put into the backlog where the parent cannot say otherwise that
 * it is cancelled. */
static AfrpcStep
take_frame (AfrpcSession *self)
{
  GError *error = NULL;
  AfrpcFrame frame;
  const AfrpcStep step = afrpc_transport_next (&self->transport, &frame, &error);

  if (step == AFRPC_STEP_AGAIN || step == AFRPC_STEP_SLICE)
    return step;

  if (step == AFRPC_STEP_DONE)
    switch (frame.header.kind)
      {
      case AFRPC_FRAME_CALL:
        self->was_long |= frame.bytes != NULL;
        if (take_call (self, &frame, &error))
          return step;
        break;

      case AFRPC_FRAME_CANCEL:
        take_cancel (self, frame.header.serial);
        return step;

      case AFRPC_FRAME_FUNCTION:
        if (take_function (self, &frame, &error))
          return step;
        break;

      case AFRPC_FRAME_CLOSE:
        self->was_closed = TRUE;
        return step;

      case AFRPC_FRAME_RING:
        if (afrpc_transport_may_read_by_ring (&self->transport))
          {
            afrpc_transport_read_by_ring (&self->transport);
            return step;
          }
        g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a ring that there is not, or not yet");
        break;

      default:
        g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "unexpected frame %u", frame.header.kind);
        break;
      }

  return give_up (self, error);
}

static gboolean
is_readable (AfrpcSession *self)
{
  struct pollfd poller = { self->transport.in_fd, POLLIN, 0 };

  return poll (&poller, 1, 0) == 1;
}

/* Takes notice of what has arrived, without waiting and without running a call: for a worker that shares no memory, and
 * learns from frames what was cancelled, and these lie behind calls that are waiting. FALSE: a slice is over. */
gboolean
afrpc_serve_fill_backlog (AfrpcSession *self)
{
  while (afrpc_session_has_input (self) && afrpc_backlog_has_room (&self->backlog))
    {
      const AfrpcStep step = take_frame (self);

      if (step == AFRPC_STEP_SLICE)
        return FALSE;
      if (step == AFRPC_STEP_AGAIN && (!is_readable (self) || afrpc_serve_read (self) != AFRPC_STEP_DONE))
        break;
    }

  return TRUE;
}

/* Whether the call that a sync function runs was. */
gboolean
afrpc_serve_is_cancelled (AfrpcSession *self)
{
  AfrpcServedCall *call = self->current;

  if (call == NULL)
    return FALSE;
  if (afrpc_transport_shares_state (&self->transport))
    return afrpc_transport_is_cancelled (&self->transport, call->serial);

  if (!call->is_cancelled)
    afrpc_serve_fill_backlog (self);

  return call->is_cancelled;
}

static void
drop_item (AfrpcSession     *self,
           AfrpcBacklogItem *item) /* (nullable) (transfer full) */
{
  if (item == NULL)
    return;

  afrpc_call_table_remove (&self->calls, &item->call);
  afrpc_backlog_item_free (item);
}

static void
drop_backlog (AfrpcSession *self)
{
  drop_item (self, g_steal_pointer (&self->unpacked));
  while (!afrpc_backlog_is_empty (&self->backlog))
    drop_item (self, afrpc_backlog_pop (&self->backlog));
}

/* @item: (transfer full) */
static void
do_item (AfrpcSession     *self,
         AfrpcBacklogItem *item)
{
  if (begin_unpacking (self, item))
    return;

  afrpc_call_table_remove (&self->calls, &item->call);
  if (!item->is_function)
    begin (self, &item->call, g_steal_pointer (&item->args), &item->error);
  else if (!afrpc_functions_declare (self, item->call.serial, g_variant_get_string (item->args, NULL), &item->error))
    {
      give_up (self, g_steal_pointer (&item->error));
      drop_backlog (self);
    }
  afrpc_backlog_item_free (item);
}

/* What its parent has not seen started by its death is not done. */
static gboolean
is_forsaken (const AfrpcSession *self)
{
  return self->state == AFRPC_SESSION_ORPHANED && self->job.orphan_policy == AFRPC_ORPHAN_POLICY_END;
}

/* As afrpc_serve_next(), with a backlog. */
static AfrpcStep
next_of_backlog (AfrpcSession *self)
{
  const gboolean is_over = !afrpc_serve_fill_backlog (self);

  /* It may have been lost just now. */
  if (is_forsaken (self))
    drop_backlog (self);
  if (self->unpacked != NULL)
    return go_on_unpacking (self);
  if (afrpc_backlog_is_empty (&self->backlog))
    return is_over ? AFRPC_STEP_SLICE : AFRPC_STEP_AGAIN;

  do_item (self, afrpc_backlog_pop (&self->backlog));
  return AFRPC_STEP_DONE;
}

/* Does the next thing that has arrived, a call or another: DONE. AGAIN: nothing has, to be known by reading. SLICE:
 * something large is to be gone on with later. EOF: nothing is going to; calls may be outstanding. */
AfrpcStep
afrpc_serve_next (AfrpcSession *self)
{
  AfrpcStep step = AFRPC_STEP_AGAIN;

  if (G_UNLIKELY (is_forsaken (self)))
    drop_backlog (self);
  if (!afrpc_transport_shares_state (&self->transport))
    step = next_of_backlog (self);
  else if (G_UNLIKELY (self->unpacked != NULL))
    step = go_on_unpacking (self);
  else if (G_LIKELY (afrpc_session_has_input (self)))
    step = take_frame (self);

  if (step == AFRPC_STEP_DONE || step == AFRPC_STEP_SLICE)
    return step;

  afrpc_session_finish_closed (self);
  return afrpc_session_has_input (self) ? AFRPC_STEP_AGAIN : AFRPC_STEP_EOF;
}

/* One call at a time, without a main loop, to the end: waits for a call, runs it, and writes its answer before it
 * looks at the next, so that no more than one answer is ever buffered and none is lost to a crash in a later call. */
void
afrpc_serve_block (AfrpcSession *self)
{
  AfrpcStep step;

  while ((step = afrpc_serve_next (self)) != AFRPC_STEP_EOF)
    {
      if (step == AFRPC_STEP_DONE)
        continue;

      if ((self->host_waits || self->reaped->len > 0) && afrpc_transport_may_wait (&self->transport))
        {
          self->funcs->wait (self->host, self->transport.in_fd);
          if (self->reaped->len > 0)
            afrpc_template_wait_readable (self);
        }
      /* Whoever made the connection may have left it not to block. */
      if (afrpc_serve_read (self) == AFRPC_STEP_AGAIN)
        afrpc_transport_wait_readable (&self->transport);
    }
}
