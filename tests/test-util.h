/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of whole workers share: to make one, to wait for what it does, and to see that nothing is
 * left behind. */
#pragma once

#include <afrpc/afrpc.h>

G_BEGIN_DECLS

#define TEST_WORKER (g_getenv ("AFRPC_TEST_WORKER"))

/* The outcome of one call, and what else a proxy said, in order. */
typedef struct
{
  gboolean done;
  GVariant *value;
  GError *error;
  AfrpcStarted started;
  GString *log;  /* (nullable): gets "result", with the value's text */
} Outcome;

typedef struct
{
  AfrpcProxy *proxy;
  GString *log;       /* what came, in order, a word each */
  guint n_events;
  GError *error;      /* the last */
  gboolean destroyed;
  AfrpcExit *exit;
} Watched;

AfrpcProcess *test_bare_process_new (void);
AfrpcProcess *test_ssh_process_new (const char         *destination,
                                    const char         *host);
AfrpcProcess *test_process_new   (void);
AfrpcProxy   *test_proxy_new     (const char           *function,
                                  AfrpcBackend          backend);
AfrpcProxy   *test_proxy_new_by_socket (const char     *function,
                                  AfrpcBackend          backend);
GVariant     *test_act           (const char           *what,
                                  GVariant             *value);
GVariant     *act_u              (const char           *what,
                                  guint                 n);

GVariant     *test_zeros         (gsize                 size);

void          test_iterate_until (gboolean             *flag);
/* Until the main context has nothing to do: all that can be done before something else happens is done. */
void          test_iterate_until_idle (void);
/* Until that can be said of @fd. */
void          test_iterate_until_fd (int                fd,
                                  GIOCondition          condition);
void          outcome_cb         (GObject              *source,
                                  GAsyncResult         *result,
                                  gpointer              outcome);
void          outcome_wait       (Outcome              *outcome);
void          outcome_clear      (Outcome              *outcome);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Outcome, outcome_clear)

/* One call more has its outcome, which is a value; whatever it is. */
void          count_value_cb     (GObject              *source,
                                  GAsyncResult         *result,
                                  gpointer              n);
void          count_outcome_cb   (GObject              *source,
                                  GAsyncResult         *result,
                                  gpointer              n);

/* Handlers: one that is connected swapped, with what it counts in; one that does nothing. */
void          test_count_cb      (guint                *n);
void          test_ignore_cb     (void);

/* For threads: the argument is a cancellable; an object, of which a reference is dropped. */
gpointer      cancel_thread      (gpointer              cancellable);
gpointer      drop_thread        (gpointer              object);

void          watch_init         (Watched              *watched,
                                  AfrpcProxy           *proxy);
void          watch_events       (Watched              *watched);
void          watch_end          (Watched              *watched);
void          watch_clear        (Watched              *watched);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Watched, watch_clear)

GVariant     *test_call          (AfrpcProxy           *proxy,
                                  GVariant             *args,
                                  GError              **error);

/* Calls with one option each. */
void          test_call_with_timeout (AfrpcProxy          *proxy,
                                      GVariant            *args,
                                      int                  timeout_ms,
                                      GCancellable        *cancellable,
                                      GAsyncReadyCallback  callback,
                                      gpointer             user_data);
void          test_call_with_fds (AfrpcProxy              *proxy,
                                  GVariant                *args,
                                  GUnixFDList             *fds,
                                  GCancellable            *cancellable,
                                  GAsyncReadyCallback      callback,
                                  gpointer                 user_data);
GVariant     *test_call_with_fds_sync (AfrpcProxy         *proxy,
                                       GVariant           *args,
                                       GUnixFDList        *fds,
                                       GUnixFDList       **out_fds,
                                       GCancellable       *cancellable,
                                       GError            **error);
void          test_call_with_progress (AfrpcProxy         *proxy,
                                       GVariant           *args,
                                       AfrpcProgressMode   mode,
                                       AfrpcProgressFunc   progress,
                                       gpointer            progress_data,
                                       GDestroyNotify      progress_destroy,
                                       GCancellable       *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer            user_data);

/* The result of a call of whatever kind. */
GVariant     *test_call_finish (GObject                   *source,
                                GAsyncResult              *result,
                                GUnixFDList              **out_fds,
                                GError                   **error);

/* The reading end of a pipe with nothing but a text in it. */
int           test_fd_with       (const char           *text);
void          test_send_fd_with  (AfrpcProcess         *process,
                                  const char           *text);

/* A process that can be forked; and what a process, of which that takes a reference, was given until it was
 * started, as text. */
gboolean      test_call_new      (void);
AfrpcProcess *test_template_new  (void);
char         *test_describe_start (AfrpcProcess        *process);

/* Waits until it has ended, and was reaped. (transfer full) */
AfrpcExit    *test_wait_exit     (AfrpcProcess         *process);

/* A call that returns, and one that fails with such words. */
void          test_assert_works  (AfrpcProxy           *proxy);
void          test_assert_call_fails (AfrpcProxy       *proxy,
                                      GVariant         *args,
                                      GQuark            domain,
                                      int               code,
                                      const char       *words);

/* How a program is run. */
typedef enum
{
  TEST_RUN_DEFAULT = 0,
  TEST_RUN_IN_SESSION = 1 << 0,  /* of its own */
  TEST_RUN_WITH_STDERR = 1 << 1, /* it is part of the output */
} TestRunFlags;

char         *test_run_to_end    (const char *const    *argv,
                                  const char           *kill_at,
                                  TestRunFlags          flags);

/* Processor time of the thread. */
gint64        test_get_cpu_us    (void);
guint         test_count_fds     (void);
void          test_assert_no_children (void);
guint         test_count_children (void);
void          test_wait_gone     (int                   pid);

G_END_DECLS
