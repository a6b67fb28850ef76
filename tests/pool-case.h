/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What tests of pools share. */
#pragma once

#include "test-util.h"

G_BEGIN_DECLS

/* A pool of which a test knows what has happened. */
typedef struct
{
  AfrpcPool *pool;     /* (owned) */
  GPtrArray *errors;   /* (element-type GError) */
  guint n_events;
  gboolean destroyed;
} Case;

/* A named pipe: a worker that meets there goes on when it is closed. */
typedef struct
{
  char *folder;
  char *path;
  int fd;
} Meeting;

/* Calls of others that come without an end, each when another has its outcome. */
typedef struct
{
  AfrpcCaller *caller;
  GVariant *args;
  guint n_made;
  guint n_open;
  gboolean is_over;
} Flood;

AfrpcProcess     *template_new       (void);
gboolean          is_command         (void);
void              case_init          (Case                 *test,
                                      const char           *function,
                                      const char           *first,
                                      ...);
void              case_init_with     (Case                 *test,
                                      AfrpcProcess         *process,
                                      const char           *function,
                                      const char           *first,
                                      ...);
void              case_take          (Case                 *test,
                                      AfrpcPool            *pool);
void              case_end           (Case                 *test);
void              wait_no_children   (void);
AfrpcCaller      *caller_of          (Case                 *test);
void              iterate_until_count (const guint         *count,
                                       guint                n);
int               pid_of             (AfrpcCall            *call);
GVariant         *wait_value         (AfrpcCall            *call);
GError           *wait_error         (AfrpcCall            *call);
void              wait_begun         (Case                 *test,
                                      guint                 n);
void              wait_idle          (Case                 *test,
                                      guint                 n);
AfrpcCallOptions *idempotent_options (void);
AfrpcCall        *start_act          (Case                 *test,
                                      const char           *what,
                                      AfrpcCallOptions     *options);

void              flood_begin        (Flood                *flood,
                                      Case                 *test,
                                      GVariant             *args,
                                      guint                 n);
void              flood_end          (Flood                *flood);

void              meeting_init       (Meeting              *meeting);
void              meeting_end        (Meeting              *meeting);
GVariant         *meet               (Meeting              *meeting);
void              meeting_let_go     (Meeting              *meeting);

G_END_DECLS
