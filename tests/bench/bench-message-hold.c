/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long one large result keeps a main loop from anything else: processor time of the thread in one iteration of the main
 * context, the longest of those between the call and its callback. What arrives is of 100 MiB as a value (--size), of the type
 * that the variant names: what is slow to look at by its bytes. "-json" has it as JSON on the way, of a tenth of the values,
 * as JSON of them is longer.
 *
 * The same is called for --n times. An iteration that others have disturbed takes longer by chance, but seldom each time:
 * the least of the rounds is reported, in ms. */
#include "bench-client.h"

#include <string.h>

#define PEER "afrpc"
#define SIZE (G_GUINT64_CONSTANT (100) << 20)

static gint64 left_us;
static gint64 hold_us;

static gint64
cpu_us (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static int
poll_cb (GPollFD *fds,
         guint    n_fds,
         int      timeout_ms)
{
  int result;

  if (left_us != 0)
    hold_us = MAX (hold_us, cpu_us () - left_us);
  result = g_poll (fds, n_fds, timeout_ms);
  left_us = cpu_us ();
  return result;
}

static void
put_ends (guint8  *at,
          guint64  n,
          guint32  first,
          guint32  each)
{
  for (guint64 i = 0; i < n; i++)
    {
      const guint32 end = GUINT32_TO_LE (first + i * each);

      memcpy (at + 4 * i, &end, 4);
    }
}

/* The bytes of a value as GVariant has them, with ends of four bytes. */
static GVariant *
new_value (const char *type,
           guint64     size)
{
  guint8 *bytes = g_malloc0 (size);
  guint64 n;

  if (strcmp (type, "as") == 0) /* empty ones */
    {
      n = size / 5;
      size = 5 * n;
      put_ends (bytes + n, n, 1, 1);
    }
  else if (strcmp (type, "aan") == 0) /* of one number each */
    {
      n = size / 6;
      size = 6 * n;
      put_ends (bytes + 2 * n, n, 2, 2);
    }
  else if (strcmp (type, "av") == 0) /* of a byte each */
    {
      n = size / 12;
      size = 8 * (n - 1) + 3 + 4 * n;
      for (guint64 i = 0; i < n; i++)
        bytes[8 * i + 2] = 'y';
      put_ends (bytes + 8 * (n - 1) + 3, n, 3, 8);
    }

  return g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE (type), bytes, size, TRUE, g_free, bytes));
}

typedef struct
{
  GVariant *value;
  gboolean done;
} Result;

static void
done_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Result *self = data;
  g_autoptr(GError) error = NULL;

  self->value = afrpc_caller_call_finish (AFRPC_CALLER (source), result, &error);
  if (self->value == NULL)
    bench_fail ("%s", error->message);
  self->done = TRUE;
}

static void
call_and_wait (AfrpcProxy *proxy,
               GVariant   *args)
{
  Result result = { 0 };

  left_us = hold_us = 0;
  afrpc_caller_call (AFRPC_CALLER (proxy), args, NULL, done_cb, &result);
  while (!result.done)
    g_main_context_iteration (NULL, TRUE);
  if (g_variant_n_children (result.value) != g_variant_n_children (args))
    bench_fail ("a result with %zu elements, not %zu", g_variant_n_children (result.value), g_variant_n_children (args));
  g_variant_unref (result.value);
}

int
main (int    argc,
      char **argv)
{
  BenchOptions options;
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) args = NULL;
  g_autofree char *type = NULL;
  gboolean is_json;
  gint64 least_us = G_MAXINT64;

  bench_options_init (&options, argc, argv);
  is_json = g_str_has_suffix (options.variant, "-json");
  type = g_strndup (options.variant, strcspn (options.variant, "-"));
  process = bench_client_new_process (&options);
  proxy = g_object_new (AFRPC_TYPE_PROXY, "process", process, "function", "echo_value", "max-message-size", 2 * SIZE,
                        "serialiser", is_json ? afrpc_serialiser_lookup ("json") : NULL, NULL);
  args = new_value (type, is_json ? SIZE / 10 : SIZE);
  g_main_context_set_poll_func (NULL, poll_cb);
  for (guint64 i = 0; i < options.n; i++)
    {
      call_and_wait (proxy, args);
      least_us = MIN (least_us, hold_us);
    }
  g_main_context_set_poll_func (NULL, NULL);
  bench_report_value (&options, PEER, "ms", (double) least_us / 1000);
  afrpc_caller_kill (AFRPC_CALLER (proxy));

  return 0;
}
