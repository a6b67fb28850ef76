/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The memory of members: whoever has taken too much since it was ready is renewed. For the kernel it is work to say how much
 * memory a process has for itself, which grows with that memory: so another thread asks, no more than once a second, those
 * that have had calls, and only so many at a time. All that are forked from one template begin
 * with the same: that is asked of one of them before it gets calls. */
#include "config.h"

#include "pool/afrpc-pool-parts.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "os/afrpc-memory-usage.h"

#define INTERVAL_US G_USEC_PER_SEC
#define LOOK_US (20 * 1000) /* a thread begins no further one after so long */
#define LOOK_MAX 64u        /* members at a time */
#define REST 20             /* so many times as long as a look took, there is none */

typedef struct
{
  guint64 id;        /* of the member */
  guint64 generation; /* of its template */
  int pid;
  guint64 enough;    /* if it has no more than that, it does not matter how much */
  guint64 bytes;
  int error;         /* errno of what went wrong, or 0 */
} Weighed;

struct _AfrpcPoolLook
{
  guint n;
  guint n_asked;
  gint64 took_us;
  Weighed weighed[LOOK_MAX];
};

/* The thread */

typedef struct
{
  AfrpcPoolCore *core;    /* (owned): its place for the look, and nothing else */
  GMainContext *context;  /* (owned) */
  AfrpcPoolLook *look;    /* (owned) */
} Errand;

static void
weigh (AfrpcPoolLook *self)
{
  const gint64 begin = g_get_monotonic_time ();

  for (; self->n_asked < self->n && self->took_us < LOOK_US; self->n_asked++)
    {
      Weighed *weighed = &self->weighed[self->n_asked];

      if (!afrpc_memory_usage_read (weighed->pid, weighed->enough, &weighed->bytes))
        weighed->error = errno != 0 ? errno : EIO;
      self->took_us = g_get_monotonic_time () - begin;
    }
}

static gboolean
weighed_cb (gpointer core)
{
  afrpc_pool_memory_take (core);

  return G_SOURCE_REMOVE;
}

static gpointer
weigh_thread (gpointer data)
{
  g_autofree Errand *self = data;
  g_autoptr(GSource) source = g_idle_source_new ();

  weigh (self->look);
  g_atomic_pointer_set (&self->core->look, self->look);
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[afrpc] pool memory");
  g_source_set_callback (source, weighed_cb, self->core, (GDestroyNotify) afrpc_pool_core_unref);
  g_source_attach (source, self->context);
  g_main_context_unref (self->context);

  return NULL;
}

/* Signals are for the program's own threads. FALSE: there cannot be another thread now. */
static gboolean
send (AfrpcPoolCore *core,
      AfrpcPoolLook *look)
{
  Errand *errand = g_new (Errand, 1);
  sigset_t all, before;
  GThread *thread;

  *errand = (Errand) {
    afrpc_pool_core_ref (core), g_main_context_ref (afrpc_peer_get_main_context (core->anchor)), look,
  };
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  thread = g_thread_try_new ("afrpc-memory", weigh_thread, errand, NULL);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  if (thread != NULL)
    {
      g_thread_unref (thread);
      return TRUE;
    }

  g_main_context_unref (errand->context);
  afrpc_pool_core_unref (errand->core);
  g_free (errand);

  return FALSE;
}

/* Whom to ask */

static gboolean
wants_look (const AfrpcPoolMember *member)
{
  return member->n_calls != member->n_calls_weighed &&
         (member->state == AFRPC_POOL_MEMBER_IDLE || member->state == AFRPC_POOL_MEMBER_BUSY);
}

static gboolean
is_new (const AfrpcPoolMember *member)
{
  return member->is_being_weighed && afrpc_pool_member_is_live (member);
}

/* Returns: how much it may have taken: less than others, so that those that grow alike do not end together */
static guint64
get_growth_max (const AfrpcPoolMember *member)
{
  return afrpc_pool_jitter_limit (MIN (member->core->config.max_memory_growth, G_MAXINT64), member->spread);
}

static void
add (AfrpcPoolCore   *core,
     AfrpcPoolLook   *look,
     AfrpcPoolMember *member)
{
  Weighed *weighed = &look->weighed[look->n++];

  weighed->id = member->id;
  weighed->generation = member->template->generation;
  weighed->pid = afrpc_peer_get_pid (member->peer);
  if (member->base != AFRPC_POOL_BASE_UNKNOWN)
    weighed->enough = member->base + get_growth_max (member);
}

/* One that is new, if there is one, or others from where the last look has ended. */
static void
choose (AfrpcPoolCore *core,
        AfrpcPoolLook *look)
{
  const guint n = core->members->len;

  for (guint i = 0; i < n && look->n == 0; i++)
    if (is_new (core->members->pdata[i]))
      add (core, look, core->members->pdata[i]);
  if (look->n > 0)
    return;

  for (guint i = 0; i < n && look->n < LOOK_MAX; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[(core->next_to_weigh + i) % n];

      if (wants_look (member))
        add (core, look, member);
    }
}

/* In its time. */
static void
want_look (AfrpcPoolCore *core)
{
  afrpc_pool_core_want_at (core, &core->weigh_at, MAX (g_get_monotonic_time () + INTERVAL_US, core->weigh_not_before));
}

/* There has to be another look if somebody is new, or has calls. */
static void
plan (AfrpcPoolCore *core)
{
  gboolean is_wanted = FALSE;

  if (core->config.max_memory_growth == 0 || core->cannot_weigh || core->is_weighing)
    return;

  for (guint i = 0; i < core->members->len; i++)
    {
      if (is_new (core->members->pdata[i]))
        {
          afrpc_pool_core_want_at (core, &core->weigh_at, AFRPC_POOL_AT_ONCE);
          return;
        }
      is_wanted |= wants_look (core->members->pdata[i]);
    }
  if (is_wanted)
    want_look (core);
}

/* It does not wait any more, whether it is known what it begins with or not, and never again. */
static void
let_one_go (AfrpcPoolCore   *core,
            AfrpcPoolMember *member)
{
  member->is_being_weighed = FALSE;
  member->was_weighed = TRUE;
  if (afrpc_pool_member_look (member))
    afrpc_pool_desk_serve (core, member);
}

/* They have waited until it is known what workers begin with, or that nobody knows.
 * @at_once: nobody is going to know */
static void
let_go (AfrpcPoolCore *core,
        gboolean       at_once)
{
  for (guint i = 0; i < core->members->len; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[i];

      if (!member->is_being_weighed)
        continue;
      if (member->base == AFRPC_POOL_BASE_UNKNOWN)
        member->base = member->template->base;
      if (member->base != AFRPC_POOL_BASE_UNKNOWN || at_once)
        let_one_go (core, member);
    }
}

/* What has come of it */

static AfrpcPoolMember *
find (AfrpcPoolCore *core,
      guint64        id)
{
  for (guint i = 0; i < core->members->len; i++)
    {
      AfrpcPoolMember *member = core->members->pdata[i];

      if (member->id == id)
        return member;
    }

  return NULL;
}

/* Whether it would be so the next time: it must not be asked for, or there is no such file; or else this program lacks
 * something at the moment. */
static gboolean
is_final (int error)
{
  return error == EACCES || error == EPERM || error == ENOENT || error == ENODATA || error == ENOSYS;
}

static void
use (AfrpcPoolCore *core,
     const Weighed *weighed)
{
  AfrpcPoolMember *member = find (core, weighed->id);

  /* As long as it has not been reaped, no other process has its pid. */
  if (member == NULL || !afrpc_pool_member_is_live (member) || afrpc_peer_has_ended (member->peer))
    return;
  if (weighed->error != 0)
    {
      g_debug ("member %d: its memory cannot be read: %s", weighed->pid, g_strerror (weighed->error));
      if (is_final (weighed->error))
        core->cannot_weigh = TRUE;
      else if (member->is_being_weighed)
        /* It begins with what it has the next time. */
        let_one_go (core, member);
      return;
    }

  if (member->is_being_weighed && weighed->generation == member->template->generation)
    member->template->base = weighed->bytes;
  if (member->base == AFRPC_POOL_BASE_UNKNOWN)
    member->base = weighed->bytes;
  /* What it still does may take some more. */
  member->n_calls_weighed = member->state == AFRPC_POOL_MEMBER_BUSY ? member->n_calls - 1 : member->n_calls;
  if (core->config.max_memory_growth > 0 && weighed->bytes > member->base &&
      weighed->bytes - member->base > get_growth_max (member))
    {
      g_debug ("member %d: has grown by %" G_GUINT64_FORMAT " bytes", weighed->pid, weighed->bytes - member->base);
      afrpc_pool_staff_renew (core, member);
    }
}

/* Uses what a thread has found out, if one has. */
void
afrpc_pool_memory_take (AfrpcPoolCore *core)
{
  g_autofree AfrpcPoolLook *look = g_atomic_pointer_get (&core->look);

  if (look == NULL)
    return;

  g_atomic_pointer_set (&core->look, NULL);
  core->is_weighing = FALSE;
  if (core->state == AFRPC_POOL_OVER)
    return;

  for (guint i = 0; i < look->n_asked; i++)
    use (core, &look->weighed[i]);
  core->next_to_weigh += look->n_asked;
  let_go (core, core->cannot_weigh);
  core->weigh_not_before = g_get_monotonic_time () + look->took_us * REST;
  plan (core);
  core->n_acts++;
  afrpc_pool_core_want_timer (core, 0);
}

/* It is time. */
void
afrpc_pool_memory_look (AfrpcPoolCore *core)
{
  AfrpcPoolLook *look;

  core->weigh_at = 0;
  if (core->is_weighing || core->cannot_weigh || core->config.max_memory_growth == 0)
    return;

  look = g_new0 (AfrpcPoolLook, 1);
  choose (core, look);
  core->is_weighing = look->n > 0 && send (core, look);
  if (core->is_weighing)
    return;

  g_free (look);
  let_go (core, TRUE);
  plan (core);
}

/* A member is ready, and may have to wait until it is known what it begins with. */
void
afrpc_pool_memory_begin (AfrpcPoolMember *member)
{
  AfrpcPoolCore *core = member->core;

  if (core->cannot_weigh || member->is_being_weighed || member->was_weighed)
    return;

  member->base = member->template->base;
  if (member->base != AFRPC_POOL_BASE_UNKNOWN)
    return;

  member->is_being_weighed = TRUE;
  if (!core->is_weighing)
    afrpc_pool_core_want_at (core, &core->weigh_at, AFRPC_POOL_AT_ONCE);
}

/* A member has got a call. */
void
afrpc_pool_memory_note (AfrpcPoolCore *core)
{
  if (core->weigh_at == 0 && !core->is_weighing && !core->cannot_weigh)
    want_look (core);
}

/* There is another limit. */
void
afrpc_pool_memory_begin_anew (AfrpcPoolCore *core)
{
  for (guint i = 0; i < core->templates->len; i++)
    {
      AfrpcPoolTemplate *template = core->templates->pdata[i];

      template->generation++;
      template->base = AFRPC_POOL_BASE_UNKNOWN;
    }
  core->cannot_weigh = FALSE;
  if (core->config.max_memory_growth == 0)
    let_go (core, TRUE);
  plan (core);
}
