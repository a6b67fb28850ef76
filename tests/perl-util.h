/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the tests of workers in Perl share: to make one, as the environment says, and to say what it gets and
 * what it should answer. All that they ask of a proxy is asked here. */
#pragma once

#include <gio/gunixfdlist.h>

#include "test-util.h"

G_BEGIN_DECLS

#define LIBRARY (g_getenv ("AFRPC_TEST_PERL"))

static const AfrpcBackend backends[] = { AFRPC_BACKEND_SYNC, AFRPC_BACKEND_ASYNC };

AfrpcProcess *new_process     (const char   *module);
AfrpcProxy   *new_proxy       (const char   *module,
                               const char   *function,
                               AfrpcBackend  backend);
void          send_start      (AfrpcProcess *process);

/* What else a proxy can be told. */
typedef struct
{
  const char *init;
  const char *done;
  const char *serialiser;
} PerlOptions;

/* Have a process serve, and listen to everything. */
void          watch_perl      (Watched           *watched,
                               AfrpcProxy        *proxy);
void          watch_function  (Watched           *watched,
                               AfrpcProcess      *process,
                               const char        *function,
                               AfrpcBackend       backend,
                               const PerlOptions *options);
void          watch_jobs      (Watched           *watched,
                               AfrpcBackend       backend);

/* Without waiting for the outcome, which may be NULL. */
void          begin_call      (Watched      *watched,
                               GVariant     *args,
                               Outcome      *outcome);
/* With a file descriptor for each text, and waiting for the outcome. */
GVariant     *call_with_files (Watched            *watched,
                               GVariant           *args,
                               const char *const  *texts,
                               GUnixFDList       **fds,
                               GError            **error);
/* Whose progress is logged. */
void          begin_progress  (Watched      *watched,
                               GVariant     *args,
                               GCancellable *cancellable,
                               Outcome      *outcome);
void          close_perl      (Watched      *watched);
void          kill_perl       (Watched      *watched);
AfrpcProcess *get_process     (Watched      *watched);

/* Whether the test cannot be run, because a module of Perl is missing. */
gboolean      skip_without    (const char   *name);

char         *show            (GVariant     *value);
GVariant     *parse           (const char   *text);
char         *call_text       (AfrpcProxy   *proxy,
                               const char   *name);
void          check_call      (AfrpcProxy   *proxy,
                               const char   *args,
                               const char   *expected);
void          check_error     (AfrpcProxy   *proxy,
                               const char   *args,
                               int           code,
                               const char   *words);
void          assert_contains (const char   *text,
                               const char   *words);

G_END_DECLS
