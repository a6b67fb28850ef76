/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of large messages and of shared memory call. */
#include <afrpc/afrpc.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

AFRPC_FUNCTION (act, NULL)
AFRPC_ASYNC_FUNCTION (act_async, NULL)
AFRPC_FUNCTION (echo, NULL)
AFRPC_ASYNC_FUNCTION (echo_async, NULL)

GVariant *
echo (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  return g_variant_ref (args);
}

void
echo_async (AfrpcInvocation *invocation)
{
  afrpc_invocation_return_value (invocation, afrpc_invocation_get_args (invocation));
}

static guint64
add_up (const guint8 *data,
        gsize         size)
{
  guint64 sum = 0;

  for (gsize i = 0; i < size; i++)
    sum = sum * 31 + data[i];

  return sum;
}

/* The most memory, or what there is now, in KiB; the former is forgotten. */
static GVariant *
tell_memory (const char *name)
{
  g_autofree char *status = NULL;
  g_autoptr(GError) error = NULL;
  FILE *refs;

  g_file_get_contents ("/proc/self/status", &status, NULL, &error);
  g_assert_no_error (error);
  refs = fopen ("/proc/self/clear_refs", "we");
  if (refs != NULL)
    {
      fputs ("5", refs);
      fclose (refs);
    }

  return g_variant_new_uint64 (g_ascii_strtoull (strstr (status, name) + strlen (name), NULL, 10));
}

/* Takes no more memory from the system than it has; or as much as it likes. */
static GVariant *
limit_memory (gboolean limited)
{
  static struct rlimit before;
  const struct rlimit none = { 0, RLIM_INFINITY };

  if (limited)
    getrlimit (RLIMIT_AS, &before);
  setrlimit (RLIMIT_AS, limited ? &none : &before);

  return g_variant_new_boolean (TRUE);
}

typedef int (*AppendFunc) (gpointer   object,
                           int        fd,
                           GError   **error);

/* A buffer of that size, full of one byte: its handle, its size and which file it is. */
static GVariant *
make_buffer (GVariant   *value,
             gpointer    object,
             AppendFunc  append,
             GError    **error)
{
  g_autoptr(AfrpcBuffer) buffer = NULL;
  AfrpcBufferFlags flags;
  struct stat st;
  guint64 size;
  guint8 fill;
  int handle;

  g_variant_get (value, "(tuy)", &size, &flags, &fill);
  buffer = afrpc_buffer_new (size, flags, error);
  if (buffer == NULL)
    return NULL;

  memset (afrpc_buffer_get_data (buffer), fill, size);
  if (!afrpc_buffer_seal (buffer, error))
    return NULL;
  handle = append (object, afrpc_buffer_get_fd (buffer), error);
  if (handle < 0 || fstat (afrpc_buffer_get_fd (buffer), &st) != 0)
    return NULL;

  return g_variant_new ("(htt)", handle, size, (guint64) st.st_ino);
}

/* The sum of the bytes of a buffer that came with the call; @reads: or none of them. */
static GVariant *
read_buffer (int       fd,
             GVariant *value,
             gboolean  reads,
             GError  **error)
{
  g_autoptr(AfrpcBuffer) buffer = NULL;
  g_autoptr(GBytes) bytes = NULL;
  AfrpcBufferFlags flags;
  guint64 size;
  gint32 handle;

  g_variant_get (value, "(htu)", &handle, &size, &flags);
  buffer = afrpc_buffer_new_take_fd (fd, size, flags, error);
  if (buffer == NULL)
    return NULL;

  bytes = afrpc_buffer_get_bytes (buffer);

  return g_variant_new_uint64 (reads ? add_up (g_bytes_get_data (bytes, NULL), size) : g_bytes_get_size (bytes));
}

static GVariant *
act_on (const char  *what,
        GVariant    *value,
        gpointer     object,
        AppendFunc   append,
        int        (*steal) (gpointer object, guint handle),
        GError     **error)
{
  if (g_str_equal (what, "memory"))
    return tell_memory (g_variant_get_string (value, NULL));
  if (g_str_equal (what, "limit-memory"))
    return limit_memory (g_variant_get_boolean (value));
  if (g_str_equal (what, "sum"))
    {
      gsize size;
      const guint8 *data = g_variant_get_fixed_array (value, &size, 1);

      return g_variant_new ("(tt)", (guint64) size, add_up (data, size));
    }
  if (g_str_equal (what, "make-buffer"))
    return make_buffer (value, object, append, error);
  if (g_str_equal (what, "read-buffer"))
    return read_buffer (steal (object, 0), value, TRUE, error);
  if (g_str_equal (what, "pass-buffer"))
    return read_buffer (steal (object, 0), value, FALSE, error);

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "no such thing: %s", what);
  return NULL;
}

GVariant *
act (AfrpcWorker  *worker,
     GVariant     *args,
     GError      **error)
{
  g_autoptr(GVariant) value = NULL;
  const char *what;

  if (g_variant_is_of_type (args, G_VARIANT_TYPE_BYTESTRING))
    return echo (worker, args, error);
  g_variant_get (args, "(&sv)", &what, &value);

  return act_on (what, value, worker, (AppendFunc) afrpc_worker_append_result_fd,
                 (int (*) (gpointer, guint)) afrpc_worker_steal_call_fd, error);
}

void
act_async (AfrpcInvocation *invocation)
{
  g_autoptr(GVariant) value = NULL;
  g_autoptr(GError) error = NULL;
  GVariant *result;
  const char *what;

  if (g_variant_is_of_type (afrpc_invocation_get_args (invocation), G_VARIANT_TYPE_BYTESTRING))
    {
      echo_async (invocation);
      return;
    }
  g_variant_get (afrpc_invocation_get_args (invocation), "(&sv)", &what, &value);
  result = act_on (what, value, invocation, (AppendFunc) afrpc_invocation_append_fd,
                   (int (*) (gpointer, guint)) afrpc_invocation_steal_fd, &error);
  if (result != NULL)
    afrpc_invocation_return_value (invocation, result);
  else
    afrpc_invocation_return_error (invocation, error);
}
