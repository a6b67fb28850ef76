/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-session-send.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "os/afrpc-low-fd.h"
#include "transport/afrpc-socket-ring.h"
#include "afrpc-serialiser-values.h"
#include "serve/afrpc-functions.h"

/* The names of GIO's error domain and code, which a worker without GIO cannot ask it for. */
#define CANCELLED_DOMAIN "g-io-error-quark"
#define CANCELLED_CODE 19

static gboolean
check_size (const AfrpcPayload  *payload,
            guint64              size_max,
            GError             **error)
{
  if (payload->type_length > AFRPC_FRAME_TYPE_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "too large: the type has more than %u characters", AFRPC_FRAME_TYPE_MAX);
      return FALSE;
    }
  if (payload->size > size_max)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "too large: %" G_GSIZE_FORMAT " bytes, the limit is %" G_GUINT64_FORMAT,
                   payload->size, size_max);
      return FALSE;
    }

  return TRUE;
}

/* Whether that can be sent. */
gboolean
afrpc_session_check_size (AfrpcSession        *self,
                          const AfrpcPayload  *payload,
                          GError             **error)
{
  return check_size (payload, self->message_size_max, error);
}

/* What is sent of a value; @packed (transfer full) (nullable): what has to be kept for that besides the value. FALSE
 * with an error if it cannot be sent. */
static gboolean
pack (AfrpcSession  *self,
      GVariant      *value,
      guint64        size_max,
      GVariant     **packed,
      AfrpcPayload  *payload,
      GError       **error)
{
  if (G_LIKELY (self->serialiser == NULL))
    *payload = afrpc_payload (value);
  else
    {
      *packed = afrpc_serialiser_pack (self->serialiser, value, error);
      if (*packed == NULL)
        return FALSE;

      *payload = afrpc_payload (*packed);
      payload->flags |= AFRPC_FRAME_FLAG_SERIALISED;
    }

  return check_size (payload, size_max, error);
}

/* Whether so many descriptors can go with one message. */
static gboolean
check_fds (AfrpcSession  *self,
           gsize          n_fds,
           GError       **error)
{
  if (!afrpc_transport_is_local (&self->transport))
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_NOT_SUPPORTED,
                   "file descriptors cannot be passed over a command");
      return FALSE;
    }
  if (n_fds > AFRPC_FRAME_FDS_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "more than %u file descriptors in one message", AFRPC_FRAME_FDS_MAX);
      return FALSE;
    }

  return TRUE;
}

/* Returns: (transfer full): a copy, or -1 */
static int
copy_fd (int      fd,
         GError **error)
{
  const int copy = afrpc_low_fd_lift (fcntl (fd, F_DUPFD_CLOEXEC, 0));

  if (copy < 0)
    {
      int saved_errno = errno;

      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "copying a file descriptor: %s",
                   g_strerror (saved_errno));
    }

  return copy;
}

static gboolean
copy_fds (AfrpcSession  *self,
          const int     *fds,
          gsize          n_fds,
          int           *copies,
          GError       **error)
{
  if (n_fds > 0 && !check_fds (self, n_fds, error))
    return FALSE;

  for (gsize i = 0; i < n_fds; i++)
    {
      copies[i] = copy_fd (fds[i], error);
      if (copies[i] >= 0)
        continue;

      while (i-- > 0)
        close (copies[i]);
      return FALSE;
    }

  return TRUE;
}

/* Queues an error, or what fits of it. */
void
afrpc_session_send_error (AfrpcSession   *self,
                          AfrpcFrameKind  kind,
                          guint64         serial,
                          guint8          flags, /* AfrpcFrameFlags */
                          const GError   *error)
{
  g_autoptr(GVariant) value = afrpc_value_pack_error (error);
  AfrpcPayload payload;

  if (g_variant_get_size (value) > self->message_size_max)
    {
      g_variant_unref (value);
      value = g_variant_ref_sink (g_variant_new ("(sis)", g_quark_to_string (AFRPC_ERROR), AFRPC_ERROR_TOO_LARGE,
                                                 "the error's message is too large"));
    }
  payload = afrpc_payload (value);
  payload.flags = flags;
  afrpc_transport_put_payload (&self->transport, kind, serial, &payload);
}

/* Tells that the function waits for calls, or for its connection. */
void
afrpc_session_send_ready (AfrpcSession *self)
{
  AfrpcPayload payload = afrpc_payload (NULL);

  if (self->serialiser != NULL)
    payload.flags |= AFRPC_FRAME_FLAG_SERIALISED;
  if (self->transport.ring != NULL)
    payload.flags |= AFRPC_FRAME_FLAG_RING;
  afrpc_transport_put_payload (&self->transport, AFRPC_FRAME_READY, 0, &payload);
  if (self->transport.ring != NULL)
    {
      afrpc_session_flush (self);
      afrpc_transport_send_by_ring (&self->transport);
    }
  if (self->is_retired && !self->job.takes_over)
    afrpc_transport_put_value (&self->transport, AFRPC_FRAME_RETIRE, 0, NULL);
  afrpc_session_flush (self);
}

/* Tells, once, that no new calls are wanted. */
void
afrpc_session_retire (AfrpcSession *self)
{
  if (self->is_retired)
    return;

  self->is_retired = TRUE;
  if (!afrpc_session_is_serving (self) || !afrpc_session_is_heard (self))
    return;
  afrpc_transport_put_value (&self->transport, AFRPC_FRAME_RETIRE, 0, NULL);
  afrpc_session_queued (self);
}

/* Fails as afrpc_worker_event_with_fds(); the descriptors stay the caller's. */
gboolean
afrpc_session_send_event (AfrpcSession  *self,
                          GVariant      *event,
                          const int     *fds,
                          gsize          n_fds,
                          GError       **error)
{
  g_autoptr(GVariant) value = afrpc_value_ref_sink (event);
  g_autoptr(GVariant) packed = NULL;
  AfrpcPayload payload;
  int copies[AFRPC_FRAME_FDS_MAX];

  if (!afrpc_session_is_serving (self) || self->job.takes_over)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "the worker is not ready yet");
      return FALSE;
    }
  if (!afrpc_session_is_heard (self))
    return TRUE;
  if (!pack (self, value, self->message_size_max, &packed, &payload, error) || !copy_fds (self, fds, n_fds, copies, error))
    return FALSE;

  payload.fds = copies;
  payload.n_fds = n_fds;
  afrpc_transport_put_payload (&self->transport, AFRPC_FRAME_EVENT, 0, &payload);
  afrpc_session_queued (self);

  return TRUE;
}

/* Tells that a call is started; and when, if it is timed. */
void
afrpc_session_send_started (AfrpcSession          *self,
                            const AfrpcServedCall *call)
{
  g_autoptr(GVariant) time = NULL;

  if (!afrpc_session_is_heard (self))
    return;

  if ((call->flags & AFRPC_FRAME_FLAG_TIMED) != 0)
    time = g_variant_ref_sink (g_variant_new_int64 (g_get_monotonic_time ()));
  afrpc_transport_put_value (&self->transport, AFRPC_FRAME_STARTED, call->serial, time);
  afrpc_session_queued (self);
}

static void
send_progress (AfrpcSession    *self,
               AfrpcServedCall *call,
               GVariant        *value)
{
  g_autoptr(GVariant) packed = NULL;
  g_autoptr(GError) error = NULL;
  AfrpcPayload payload;

  if (!pack (self, value, self->message_size_max, &packed, &payload, &error))
    g_warning ("progress was not sent: %s", error->message);
  else
    {
      afrpc_transport_put_payload (&self->transport, AFRPC_FRAME_PROGRESS, call->serial, &payload);
      afrpc_session_queued (self);
    }
}

/* Sends what was held back of a call, if anything was. */
static void
send_latest (AfrpcSession    *self,
             AfrpcServedCall *call)
{
  g_autoptr(GVariant) latest = g_steal_pointer (&call->latest);

  if (latest != NULL && afrpc_session_is_heard (self))
    send_progress (self, call, latest);
}

/* Sends progress to a parent that wants it. One that wants only the latest gets no more than it reads. */
void
afrpc_session_send_progress (AfrpcSession    *self,
                             AfrpcServedCall *call,
                             GVariant        *value)
{
  g_autoptr(GVariant) sunk = afrpc_value_ref_sink (value);

  if ((call->flags & AFRPC_FRAME_FLAG_PROGRESS) == 0 || !afrpc_session_is_heard (self))
    return;

  if ((call->flags & AFRPC_FRAME_FLAG_LATEST) != 0 && !afrpc_session_has_room (self))
    {
      /* That of a sync function goes with what it says next. */
      if (call->latest == NULL && call->is_in_table)
        g_array_append_val (self->held_back, call->serial);
      g_clear_pointer (&call->latest, g_variant_unref);
      call->latest = g_steal_pointer (&sunk);
      return;
    }

  g_clear_pointer (&call->latest, g_variant_unref);
  send_progress (self, call, sunk);
}

/* Sends all progress that was held back, now that the parent reads again. */
void
afrpc_session_send_held_back (AfrpcSession *self)
{
  g_autoptr(GArray) serials = g_steal_pointer (&self->held_back);

  self->held_back = g_array_new (FALSE, FALSE, sizeof (guint64));
  for (guint i = 0; i < serials->len; i++)
    {
      AfrpcServedCall *call = afrpc_call_table_find (&self->calls, g_array_index (serials, guint64, i));

      if (call != NULL)
        send_latest (self, call);
    }
}

/* Returns the handle of a copy of @fd, which goes with the result, or -1. */
int
afrpc_session_append_fd (AfrpcSession     *self,
                         AfrpcServedCall  *call,
                         int               fd,
                         GError          **error)
{
  int copy;

  if (!check_fds (self, afrpc_served_call_get_n_result_fds (call) + 1, error))
    return -1;
  copy = copy_fd (fd, error);

  return copy >= 0 ? (int) afrpc_served_call_add_fd (call, copy) : -1;
}

static void
prefix_unsent (AfrpcSession           *self,
               const AfrpcServedCall  *call,
               GError                **error)
{
  g_autofree char *name = afrpc_functions_describe (self, call->function);

  g_prefix_error (error, "the result of %s cannot be sent: ", name);
}

/* Whether there could be such a result of the call that a sync function runs. */
gboolean
afrpc_session_check_result (AfrpcSession  *self,
                            gsize          type_length,
                            gsize          size,
                            GError       **error)
{
  const AfrpcPayload payload = { .type_length = type_length, .size = size };

  if (afrpc_session_check_size (self, &payload, error))
    return TRUE;

  if (self->current != NULL)
    prefix_unsent (self, self->current, error);

  return FALSE;
}

static void
send_result (AfrpcSession       *self,
             AfrpcServedCall    *call,
             const AfrpcPayload *value)
{
  AfrpcPayload payload = *value;

  payload.n_fds = afrpc_served_call_get_n_result_fds (call);
  if (payload.n_fds > 0)
    payload.fds = (const int *) call->result_fds->data;
  afrpc_transport_put_payload (&self->transport, AFRPC_FRAME_RESULT, call->serial, &payload);
  if (payload.n_fds > 0)
    g_array_set_size (call->result_fds, 0); /* they are the transport's */
}

/* Answers a call, and is done with it: with @value (transfer full, floating or not), or @error, or, having neither,
 * saying so. */
void
afrpc_session_answer (AfrpcSession    *self,
                      AfrpcServedCall *call,
                      GVariant        *value,
                      const GError    *error)
{
  g_autoptr(GVariant) result = value != NULL ? g_variant_take_ref (value) : NULL;
  g_autoptr(GVariant) packed = NULL;
  g_autoptr(GError) own_error = NULL;
  const guint64 size_max = self->message_size_max + (call->has_parts ? AFRPC_FRAME_PARTS_SIZE_MAX : 0);
  AfrpcPayload payload;

  afrpc_call_table_remove (&self->calls, call);

  /* An orphan that finishes its calls answers nobody. */
  if (!afrpc_session_is_heard (self))
    {
      afrpc_served_call_clear (call);
      return;
    }

  if (error == NULL && (result == NULL || !pack (self, result, size_max, &packed, &payload, &own_error)))
    {
      if (result == NULL)
        {
          g_autofree char *name = afrpc_functions_describe (self, call->function);

          g_set_error (&own_error, AFRPC_ERROR, AFRPC_ERROR_NO_RESULT, "%s gave neither a result nor an error", name);
        }
      else
        prefix_unsent (self, call, &own_error);
    }

  send_latest (self, call);
  if (error != NULL || own_error != NULL)
    afrpc_session_send_error (self, AFRPC_FRAME_ERROR, call->serial, 0, error != NULL ? error : own_error);
  else
    send_result (self, call, &payload);
  afrpc_served_call_clear (call);
  afrpc_session_queued (self);
}

static void
refuse (AfrpcSession    *self,
        AfrpcServedCall *call,
        const GError    *error)
{
  afrpc_call_table_remove (&self->calls, call);
  if (afrpc_session_is_heard (self))
    afrpc_session_send_error (self, AFRPC_FRAME_ERROR, call->serial, AFRPC_FRAME_FLAG_NOT_STARTED, error);
  afrpc_served_call_clear (call);
}

/* Answers a call that has not been started, and is not going to be: whoever made it may make it again. It is told
 * before another one is started, with which it would count as started if the worker died. */
void
afrpc_session_refuse (AfrpcSession    *self,
                      AfrpcServedCall *call,
                      const GError    *error)
{
  refuse (self, call, error);
  afrpc_session_flush (self);
}

/* The same, and nobody waits for it. */
void
afrpc_session_refuse_cancelled (AfrpcSession    *self,
                                AfrpcServedCall *call)
{
  g_autoptr(GError) error = g_error_new_literal (g_quark_from_static_string (CANCELLED_DOMAIN), CANCELLED_CODE,
                                                 "the call was cancelled");

  refuse (self, call, error);
  afrpc_session_queued (self);
}
