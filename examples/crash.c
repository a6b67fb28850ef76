/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Goes on after the death of a worker: the job that killed it is lost, those behind it are done by another. */
#include <afrpc/afrpc.h>

#include <stdlib.h>

#define N_JOBS 4
#define TRIES 5 /* a worker that cannot get up at all fails each time */

typedef struct
{
  GMainLoop *loop;
  AfrpcProxy *proxy; /* (nullable) */
  guint n_waiting;   /* jobs without an outcome */
} Jobs;

typedef struct
{
  Jobs *jobs;
  guint32 number;
  guint tries_left;
} Job;

static void do_job (Jobs    *jobs,
                    guint32  number,
                    guint    tries_left);

static GVariant *
work (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  guint32 number;

  g_variant_get (args, "(u)", &number);
  if (number == 2)
    exit (3);

  return g_variant_new_take_string (g_strdup_printf ("result of job %u", number));
}

static void
ignore_error_cb (AfrpcProxy *proxy,
                 GError     *error,
                 gpointer    data)
{
  /* Each call tells what became of it. */
}

static AfrpcProxy *
get_proxy (Jobs *jobs)
{
  g_autoptr(AfrpcProcess) process = NULL;

  if (jobs->proxy != NULL && !afrpc_proxy_is_closed (jobs->proxy))
    return jobs->proxy;

  g_clear_object (&jobs->proxy);
  process = afrpc_process_new_self ();
  jobs->proxy = afrpc_proxy_new (process, "work");
  g_signal_connect (jobs->proxy, "error", G_CALLBACK (ignore_error_cb), NULL);

  return jobs->proxy;
}

static void
done_cb (GObject      *proxy,
         GAsyncResult *result,
         gpointer      data)
{
  g_autofree Job *job = data;
  Jobs *jobs = job->jobs;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = afrpc_caller_call_finish (AFRPC_CALLER (proxy), result, &error);

  if (value != NULL)
    g_print ("%s\n", g_variant_get_string (value, NULL));
  else if (g_error_matches (error, AFRPC_ERROR, AFRPC_ERROR_NOT_STARTED) && job->tries_left > 0)
    do_job (jobs, job->number, job->tries_left - 1); /* it is safe to make it again */
  else
    g_print ("job %u is lost: %s\n", job->number, error->message);

  if (--jobs->n_waiting == 0)
    g_main_loop_quit (jobs->loop);
}

static void
do_job (Jobs    *jobs,
        guint32  number,
        guint    tries_left)
{
  Job *job = g_new (Job, 1);

  *job = (Job) { jobs, number, tries_left };
  jobs->n_waiting++;
  afrpc_caller_call (AFRPC_CALLER (get_proxy (jobs)), g_variant_new ("(u)", number), NULL, done_cb, job);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(GMainLoop) loop = NULL;
  Jobs jobs = { 0 };

  afrpc_register_function ("work", AFRPC_FUNCTION_SYNC, G_CALLBACK (work), "(u)");
  afrpc_init_early (&argc, &argv);

  jobs.loop = loop = g_main_loop_new (NULL, FALSE);
  for (guint32 i = 1; i <= N_JOBS; i++)
    do_job (&jobs, i, TRIES);
  g_main_loop_run (loop);
  g_clear_object (&jobs.proxy);

  return 0;
}
