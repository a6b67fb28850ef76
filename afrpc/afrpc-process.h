/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(AFRPC_INSIDE) && !defined(AFRPC_COMPILATION)
#error "Only <afrpc/afrpc.h> can be included directly."
#endif

#include "afrpc-types.h"

G_BEGIN_DECLS

#define AFRPC_TYPE_PROCESS (afrpc_process_get_type ())

AFRPC_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (AfrpcProcess, afrpc_process, AFRPC, PROCESS, GObject)

AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_new            (void) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_new_for_host   (const char           *host) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_new_self       (void) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_new_self_exec  (void) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_new_exec       (const char           *host) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_new_command    (const char * const   *argv) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_new_ssh        (const char           *destination,
                                            const char           *host,
                                            const char * const   *options) G_GNUC_WARN_UNUSED_RESULT;
AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_new_from_fd    (const char           *host,
                                            int                   fd,
                                            int                   pidfd) G_GNUC_WARN_UNUSED_RESULT;

AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_require        (AfrpcProcess         *self,
                                            const char           *module);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_eval           (AfrpcProcess         *self,
                                            const char           *code,
                                            GVariant             *args);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_send_arg       (AfrpcProcess         *self,
                                            GVariant             *arg);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_send_fd        (AfrpcProcess         *self,
                                            int                   fd);

AFRPC_AVAILABLE_IN_1_0
AfrpcProcess *afrpc_process_fork           (AfrpcProcess         *self) G_GNUC_WARN_UNUSED_RESULT;

AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_run_async            (AfrpcProcess         *self,
                                            const char           *function,
                                            GCancellable         *cancellable,
                                            GAsyncReadyCallback   callback,
                                            gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
GIOStream    *afrpc_process_run_finish     (AfrpcProcess         *self,
                                            GAsyncResult         *result,
                                            GError              **error);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_to_fd_async          (AfrpcProcess         *self,
                                            GCancellable         *cancellable,
                                            GAsyncReadyCallback   callback,
                                            gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
int           afrpc_process_to_fd_finish   (AfrpcProcess         *self,
                                            GAsyncResult         *result,
                                            int                  *pidfd,
                                            GError              **error);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_wait_async           (AfrpcProcess         *self,
                                            GCancellable         *cancellable,
                                            GAsyncReadyCallback   callback,
                                            gpointer              user_data);
AFRPC_AVAILABLE_IN_1_0
AfrpcExit    *afrpc_process_wait_finish    (AfrpcProcess         *self,
                                            GAsyncResult         *result,
                                            GError              **error);
AFRPC_AVAILABLE_IN_1_0
AfrpcExit    *afrpc_process_wait_sync      (AfrpcProcess         *self,
                                            GCancellable         *cancellable,
                                            GError              **error);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_kill           (AfrpcProcess         *self,
                                            int                   signum);
AFRPC_AVAILABLE_IN_1_0
int           afrpc_process_get_pid        (AfrpcProcess         *self);
AFRPC_AVAILABLE_IN_1_0
const char   *afrpc_process_get_host       (AfrpcProcess         *self);
AFRPC_AVAILABLE_IN_1_0
const char   *afrpc_process_get_destination (AfrpcProcess        *self);
AFRPC_AVAILABLE_IN_1_0
guint         afrpc_process_get_n_processors (AfrpcProcess       *self);
AFRPC_AVAILABLE_IN_1_0
GMainContext *afrpc_process_get_main_context (AfrpcProcess       *self);

AFRPC_AVAILABLE_IN_1_0
AfrpcStart    afrpc_process_get_start      (AfrpcProcess         *self);

AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_orphan_policy (AfrpcProcess      *self,
                                               AfrpcOrphanPolicy  policy);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_environ    (AfrpcProcess         *self,
                                            const char * const   *environment);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_setenv         (AfrpcProcess         *self,
                                            const char           *variable,
                                            const char           *value,
                                            gboolean              overwrite);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_unsetenv       (AfrpcProcess         *self,
                                            const char           *variable);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_cwd        (AfrpcProcess         *self,
                                            const char           *cwd);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_limit      (AfrpcProcess         *self,
                                            AfrpcLimit            limit,
                                            guint64               value);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_process_get_process_group (AfrpcProcess      *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_process_group (AfrpcProcess      *self,
                                               gboolean           process_group);
AFRPC_AVAILABLE_IN_1_0
gboolean      afrpc_process_get_send_modules (AfrpcProcess       *self);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_send_modules (AfrpcProcess       *self,
                                              gboolean            send_modules);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_nice       (AfrpcProcess         *self,
                                            int                   increment);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_stdin      (AfrpcProcess         *self,
                                            AfrpcStdio            mode);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_stdout     (AfrpcProcess         *self,
                                            AfrpcStdio            mode);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_set_stderr     (AfrpcProcess         *self,
                                            AfrpcStdio            mode);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_take_stdin_fd  (AfrpcProcess         *self,
                                            int                   fd);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_take_stdout_fd (AfrpcProcess         *self,
                                            int                   fd);
AFRPC_AVAILABLE_IN_1_0
void          afrpc_process_take_stderr_fd (AfrpcProcess         *self,
                                            int                   fd);

G_END_DECLS
