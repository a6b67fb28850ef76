/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "serve/afrpc-forward-log.h"

#include <string.h>

#include "serve/afrpc-session-send.h"

#define MESSAGE_SIZE_MAX 16384u /* bytes; the rest of a longer message is cut off */

/* Each byte may become three, of the message and of the domain. */
G_STATIC_ASSERT (2 * 3 * MESSAGE_SIZE_MAX + 64 < AFRPC_FRAME_LOG_SIZE_MAX);

static AfrpcSession *log_session; /* (nullable) */
static GThread *log_thread;       /* the only one that may use it */
static gboolean is_writing;       /* what is logged meanwhile goes to standard error */

static const char *
find_field (const GLogField *fields,
            gsize            n_fields,
            const char      *key,
            gssize          *length)
{
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, key) == 0)
      {
        *length = fields[i].length;
        return fields[i].value;
      }

  *length = 0;
  return "";
}

static char *
dup_field (const GLogField *fields,
           gsize            n_fields,
           const char      *key)
{
  gssize length;
  const char *value = find_field (fields, n_fields, key, &length);

  return g_utf8_make_valid (value, MIN (length < 0 ? strlen (value) : (gsize) length, MESSAGE_SIZE_MAX));
}

static void
send (GLogLevelFlags   level,
      const GLogField *fields,
      gsize            n_fields)
{
  g_autofree char *domain = dup_field (fields, n_fields, "GLIB_DOMAIN");
  g_autofree char *message = dup_field (fields, n_fields, "MESSAGE");
  g_autoptr(GVariant) value =
    g_variant_ref_sink (g_variant_new ("(uss)", (guint32) (level & G_LOG_LEVEL_MASK), domain, message));
  const AfrpcPayload payload = afrpc_payload (value);
  const guint64 serial = log_session->current != NULL ? log_session->current->serial : log_session->invoked_serial;

  if (!afrpc_session_check_size (log_session, &payload, NULL))
    return;

  afrpc_transport_put_payload (&log_session->transport, AFRPC_FRAME_LOG, serial, &payload);
  afrpc_session_queued (log_session);
  /* The process may be going to end: what is fatal to it is not always told here. */
  if ((level & (G_LOG_FLAG_FATAL | G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)) != 0)
    afrpc_session_flush (log_session);
}

static GLogWriterOutput
writer (GLogLevelFlags   level,
        const GLogField *fields,
        gsize            n_fields,
        gpointer         data)
{
  gssize length;
  const char *domain = find_field (fields, n_fields, "GLIB_DOMAIN", &length);

  if (log_session == NULL || !afrpc_session_is_heard (log_session) || g_thread_self () != log_thread || is_writing)
    return g_log_writer_default (level, fields, n_fields, data);
  if (g_log_writer_default_would_drop (level, *domain != '\0' ? domain : NULL))
    return G_LOG_WRITER_HANDLED;

  is_writing = TRUE;
  send (level, fields, n_fields);
  is_writing = FALSE;
  /* The last words of a process are looked for in standard error: they say which limit it was. */
  if ((level & G_LOG_LEVEL_ERROR) != 0)
    return g_log_writer_default (level, fields, n_fields, data);

  return G_LOG_WRITER_HANDLED;
}

/* From now on. The process is the worker's alone, and its host the program, which decides on this. */
void
afrpc_forward_log_start (AfrpcSession *session)
{
  log_session = session;
  log_thread = g_thread_self ();
  g_log_set_writer_func (writer, NULL, NULL);
}

/* Before the session, or its connection, goes. */
void
afrpc_forward_log_stop (void)
{
  /* Not to be written for nothing in a forked process. */
  if (log_session != NULL)
    log_session = NULL;
}
