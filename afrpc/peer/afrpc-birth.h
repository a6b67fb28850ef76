/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is started and how: the host or the command, its surroundings, what it is prepared with in steps, and what it
 * is forked from. What happens to a peer because of it: afrpc-peer-birth.h. */
#pragma once

#include "afrpc-types.h"
#include "link/afrpc-link.h"
#include "peer/afrpc-module-file.h"
#include "peer/afrpc-overture.h"

G_BEGIN_DECLS

typedef struct _AfrpcPeer AfrpcPeer;

/* One thing that a process is prepared with: kept for those that are forked from it, and for a second start. */
typedef struct
{
  AfrpcFrameKind kind;
  GVariant *value; /* (nullable) */
  int fd;          /* -1: none */
  AfrpcModuleFile *file; /* (nullable): of a module that was sent, when that was done last */
} AfrpcBirthStep;

/* What a process began in, and those that are forked from it where nothing else is set. */
typedef struct
{
  char **environ;            /* (nullable): NULL: the program's */
  char *cwd;                 /* (nullable) */
  GPtrArray *remote_environ; /* (nullable): of what is reached by ssh, see below */
} AfrpcBirthOrigin;

typedef struct
{
  /* For AfrpcProcess to fill in until the process is started. */
  char *host;       /* name or path; of a command, its first word; of ssh, and where to */
  char **argv;      /* (nullable): a command that connects its standard streams to a host */
  char **environ;   /* (nullable): NULL: its template's, or the program's */
  char *cwd;        /* (nullable): the same; of what is reached by ssh, there */
  AfrpcStdio stdio[3];
  int fds[3];       /* -1, or what to use instead of stdio */
  AfrpcOrphanPolicy orphan_policy;

  AfrpcBirthOrigin *origin;  /* (nullable): once it was started, or is not going to be forked: see above */
  gboolean is_origin_whole;  /* what was set for itself is in it */
  /* Of what is reached by ssh, which has the program's environment here. */
  char *destination;         /* (nullable): NULL: it is not */
  char *remote_host;         /* name or path, there */
  GPtrArray *remote_environ; /* (nullable) (element-type filename): what to change there, as in wire/afrpc-overture.h,
                              * after what its template changes */
  gboolean sends_modules;
  GPtrArray *files;          /* (nullable) (element-type AfrpcModuleFile): what it needs of them */
  guint n_processors;        /* there; 0: not known */
  AfrpcOverture *overture;   /* (nullable): while it has the connection */

  GPtrArray *steps;          /* (element-type AfrpcBirthStep) in order */
  guint64 other_inode;       /* of the socket that a template gets for it */
  guint n_inherited;         /* of these, a template has done the first */
  gboolean has_unknown_steps; /* more than those: it was handed over, or is forked from what was */
  guint8 shared_stdio;       /* which of the program's standard streams that template has: bit 0: 0, and so on */
  gboolean is_begun;         /* the steps so far have been queued: a later one is at once */
  gboolean is_impossible;    /* starting it failed as it would again: there is no such command, say */
  gboolean is_short;         /* starting it failed for want of what may be there again, such as descriptors */
  gboolean is_tried;         /* starting it has been, or is not necessary */
  gboolean is_pattern;       /* others are made like it, and it is not started itself */
  AfrpcStart start;          /* how it was started */
  GVariant *run_options;     /* (nullable): what it was taken for, for a second start and for messages */
  GVariant *module;          /* (nullable): the last of the steps that have been forgotten, for messages */

  AfrpcPeer *template;       /* (nullable) (owned): what it is being forked from, until that has answered */
  AfrpcPeer *heir;           /* (nullable) (owned): who has what there may be of it now: see afrpc-peer-heir.c */
  GError *template_failure;  /* (nullable): that is gone, and another like it would fail in this way */
  GQueue forks;              /* (element-type AfrpcPeer) (owned) being forked from this one, in order */
  guint n_heirs;             /* of these, nobody waits for so many: see afrpc-peer-heir.c */
  GList *place;              /* (nullable): its own among the forks of its template */
  gboolean is_heir;          /* nobody waits for it, but to end it and have it reaped */
  gint64 heir_until;         /* until when who blocks waits for that, though: monotonic time in microseconds */
  gboolean is_sought;        /* it was looked for, and ended, as the main context goes */
  gboolean has_to_look;      /* for it among the program's children, as its template has not told of it */
  guint64 asked_at;          /* where the request is among what is written to the template */
  gboolean is_unasked;       /* the template has gone before that was written: there is none */
  gboolean is_replaying;     /* on a second start: they are asked for again, each at its place among the steps */
  AfrpcPeer *reaper;         /* (nullable) (owned): whose child it is, and who tells how it ended */
  GPtrArray *reaped_for;     /* (element-type AfrpcPeer) (not owned) whose reaper this one is */
} AfrpcBirth;

void      afrpc_birth_init        (AfrpcBirth       *self,
                                   const char       *host);
void      afrpc_birth_clear       (AfrpcBirth       *self);
void      afrpc_birth_add_step    (AfrpcBirth       *self,
                                   AfrpcFrameKind    kind,
                                   GVariant         *value,
                                   int               fd);
GVariant *afrpc_birth_find_module (const AfrpcBirth *self);
const char *const *afrpc_birth_get_environ (const AfrpcBirth *self);
const char *afrpc_birth_get_cwd   (const AfrpcBirth *self);
GPtrArray *afrpc_birth_dup_remote_environ (const AfrpcBirth *self) G_GNUC_WARN_UNUSED_RESULT;
void      afrpc_birth_inherit     (AfrpcBirth       *self,
                                   const AfrpcBirth *template);
void      afrpc_birth_keep_origin (AfrpcBirth       *self);
void      afrpc_birth_forget_origin (AfrpcBirth     *self);
char     *afrpc_birth_describe    (const AfrpcBirth *self) G_GNUC_WARN_UNUSED_RESULT;
char     *afrpc_birth_describe_as (const AfrpcBirth *self,
                                   const char       *function) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
