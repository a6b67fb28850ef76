/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "child/afrpc-child.h"
#include "child/afrpc-self-private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "afrpc-error.h"
#include "spawn/afrpc-pidfd.h"

/* Each thread has templates of its own, because a process belongs to a main context. */
typedef struct
{
  GMainContext *context; /* not owned: compared, never used */
  AfrpcChild *child;     /* (owned) */
} Template;

static GMutex templates_lock;
static GArray *templates; /* (element-type Template) guarded by templates_lock */

static gboolean
is_usable (AfrpcChild *self)
{
  return self->source != NULL && self->failure == NULL && !self->eof && !self->ended;
}

/* The program itself has been forked already, if it is to be its own worker. */
static AfrpcChild *
new_template (const char *host)
{
  AfrpcChild *self = afrpc_child_new (host);
  int fd, pid, pidfd;

  if (g_str_equal (host, AFRPC_SELF_HOST) && afrpc_self_take_template (&fd, &pid, &pidfd))
    {
      fcntl (fd, F_SETFL, O_NONBLOCK);
      afrpc_link_connect (&self->link, fd);
      self->socket_events = G_IO_IN;
      self->started = TRUE;
      afrpc_child_begin (self);
      afrpc_child_started (self, AFRPC_START_FORK, pid, pidfd);
    }

  return self;
}

/* Returns: (transfer full): a process of @host with nothing loaded, of this thread, which stays. */
AfrpcChild *
afrpc_child_get_default_template (const char *host)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();
  AfrpcChild *child = NULL;

  g_mutex_lock (&templates_lock);
  if (templates == NULL)
    templates = g_array_new (FALSE, FALSE, sizeof (Template));

  for (guint i = 0; i < templates->len && child == NULL;)
    {
      Template *template = &g_array_index (templates, Template, i);

      /* Of another thread's nothing may be looked at. */
      if (template->context != context)
        i++;
      else if (!is_usable (template->child))
        {
          afrpc_child_unref (template->child);
          g_array_remove_index_fast (templates, i);
        }
      else if (g_str_equal (template->child->config.host, host))
        child = template->child;
      else
        i++;
    }

  if (child == NULL)
    {
      const Template template = { context, new_template (host) };

      child = template.child;
      g_array_append_val (templates, template);
      /* It is there for as long as the context, and not the other way round. */
      child->is_default_template = TRUE;
      g_main_context_unref (child->context);
    }
  g_mutex_unlock (&templates_lock);

  return afrpc_child_ref (child);
}

/* It is over, or its main context is. From any thread. */
void
afrpc_child_forget_template (AfrpcChild *self)
{
  gboolean found = FALSE;

  g_mutex_lock (&templates_lock);
  for (guint i = 0; templates != NULL && i < templates->len && !found; i++)
    {
      found = g_array_index (templates, Template, i).child == self;
      if (found)
        g_array_remove_index_fast (templates, i);
    }
  g_mutex_unlock (&templates_lock);

  if (found)
    afrpc_child_unref (self);
}

/* A process that begins as a copy of @template: of what that has been prepared with by now, whatever it is
 * told afterwards. */
AfrpcChild *
afrpc_child_new_fork (AfrpcChild *template)
{
  char **argv = template->config.argv;
  AfrpcChild *self = argv != NULL ? afrpc_child_new_command ((const char *const *) argv)
                                  : afrpc_child_new (template->config.host);
  GError *error = NULL;
  int fd = -1;

  for (guint i = 0; i < template->steps->len; i++)
    g_ptr_array_add (self->steps, g_rc_box_acquire (template->steps->pdata[i]));
  /* A command is run again, and its process prepared from the beginning. */
  self->n_inherited = argv == NULL ? self->steps->len : 0;
  self->config.limits = template->config.limits;

  if (template->taken)
    g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_IN_USE, "a process that runs a function cannot be forked any more");
  else if (template->failure != NULL)
    error = g_error_copy (template->failure);
  else if (argv == NULL && afrpc_child_connect (self, &self->fork_socket, &error) &&
           (fd = fcntl (self->fork_socket, F_DUPFD_CLOEXEC, 0)) < 0)
    g_set_error (&error, AFRPC_ERROR, AFRPC_ERROR_SPAWN, "copying a socket: %s", g_strerror (errno));

  if (error != NULL)
    {
      if (self->fork_socket >= 0)
        close (self->fork_socket);
      self->fork_socket = -1;
      afrpc_child_fail_to_start (self, error);
      return self;
    }
  if (argv != NULL)
    return self;

  self->template = afrpc_child_ref (template);
  afrpc_child_begin (template);
  afrpc_link_prepare (&template->link, AFRPC_FRAME_FORK, NULL, &fd, 1);
  g_queue_push_tail (&template->forks, afrpc_child_ref (self));

  return self;
}

static GVariant *
new_bytes_array (char **strings)
{
  return g_variant_new_bytestring_array ((const char *const *) strings, -1);
}

/* Adds to @dict what an exec would have set: environment, working directory, standard streams; and limits. The
 * descriptors that go with it are the caller's. */
void
afrpc_child_insert_surroundings (AfrpcChild   *self,
                                 GVariantDict *dict,
                                 int           fds[3],
                                 guint        *n_fds)
{
  g_autoptr(GArray) closing = g_array_new (FALSE, FALSE, sizeof (int));
  GError *error = NULL;
  int stdio[3];
  guint8 which = 0;

  *n_fds = 0;
  self->surroundings_sent = TRUE;
  if (!afrpc_child_open_stdio (self, stdio, closing, &error))
    {
      for (guint i = 0; i < closing->len; i++)
        close (g_array_index (closing, int, i));
      afrpc_child_fail (self, error);
      return;
    }

  for (guint i = 0; i < 3; i++)
    if (stdio[i] >= 0)
      {
        which |= 1 << i;
        fds[(*n_fds)++] = stdio[i];
      }
  g_variant_dict_insert (dict, "stdio", "y", which);
  if (self->config.environ != NULL)
    g_variant_dict_insert_value (dict, "environ", new_bytes_array (self->config.environ));
  if (self->config.cwd != NULL)
    g_variant_dict_insert (dict, "cwd", "^ay", self->config.cwd);
  afrpc_limits_insert (&self->config.limits, dict);
}

/* Queues the surroundings of a process that is forked, or what no exec sets. */
void
afrpc_child_send_surroundings (AfrpcChild *self,
                               gboolean    is_forked)
{
  g_autoptr(GVariant) value = NULL;
  GVariantDict dict;
  int fds[3];
  guint n_fds = 0;

  g_variant_dict_init (&dict, NULL);
  if (is_forked)
    afrpc_child_insert_surroundings (self, &dict, fds, &n_fds);
  else
    afrpc_limits_insert (&self->config.limits, &dict);
  value = g_variant_ref_sink (g_variant_dict_end (&dict));
  afrpc_link_prepare (&self->link, AFRPC_FRAME_SURROUNDINGS, value, fds, n_fds);
}

static void
release_template (AfrpcChild *self)
{
  if (self->fork_socket >= 0)
    close (self->fork_socket);
  self->fork_socket = -1;
  g_clear_pointer (&self->template, afrpc_child_unref);
}

static void
insert_inherited (AfrpcLink *link,
                  gpointer   data)
{
  AfrpcChild *self = data;
  guint n_own = self->steps->len - self->n_inherited;

  self->steps->len = self->n_inherited;
  afrpc_child_send_steps (self, 0);
  self->steps->len = self->n_inherited + n_own;
}

/* A process that could not be forked is executed and prepared from the beginning instead. */
static void
exec_instead (AfrpcChild *self)
{
  int peer = self->fork_socket;

  self->fork_socket = -1;
  g_clear_pointer (&self->template, afrpc_child_unref);
  if (self->failure != NULL)
    {
      close (peer);
      return;
    }

  afrpc_child_unwatch_socket (self);
  afrpc_link_replay (&self->link, peer, insert_inherited, self);
  if (self->started)
    afrpc_child_exec (self);
}

/* For a process that there is no template for any more, and that is not going to be executed instead. */
static void
fail_unforked (AfrpcChild *self,
               GError     *error) /* (transfer full) */
{
  afrpc_child_fail_to_start (self, error);
  release_template (self);
}

/* What the template forked; its pidfd may have found no room. */
static void
take_forked (AfrpcChild    *self,
             AfrpcChild    *template,
             AfrpcLinkItem *item)
{
  const int pid = item->pid;
  int pidfd = item->pidfd;

  item->pid = 0;
  if (pidfd < 0)
    {
      /* This makes room for one. */
      close (self->fork_socket);
      self->fork_socket = -1;
      pidfd = afrpc_spawn_adopt (pid);
    }
  if (pidfd < 0)
    fail_unforked (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_SPAWN,
                                      "watching a new process: %s", g_strerror (EMFILE)));
  else
    {
      release_template (self);
      if (!item->direct)
        {
          self->reaper = afrpc_child_ref (template);
          g_ptr_array_add (template->reaped_for, self);
        }
      afrpc_child_started (self, AFRPC_START_FORK, pid, pidfd);
    }
}

/* A template that lies would have us watch, signal and reap whatever it likes. */
static gboolean
check_forked (AfrpcChild          *self,
              const AfrpcLinkItem *item,
              GError             **error)
{
  if (item->pid != self->pid &&
      (item->pidfd < 0 || afrpc_pidfd_is_process (item->pidfd, item->pid, item->direct ? getpid () : self->pid)))
    return TRUE;

  g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "process %d is none that it has forked", item->pid);
  return FALSE;
}

/* The template's answer to the oldest request. */
void
afrpc_child_forked (AfrpcChild    *self,
                    AfrpcLinkItem *item)
{
  g_autoptr(AfrpcChild) child = g_queue_pop_head (&self->forks);
  g_autoptr(GError) error = NULL;

  if (child == NULL)
    {
      afrpc_child_break_off (self, g_error_new (AFRPC_ERROR, AFRPC_ERROR_PROTOCOL, "a process that nobody asked for"));
      return;
    }

  if (item->error != NULL)
    exec_instead (child);
  else if (check_forked (self, item, &error))
    take_forked (child, self, item);
  else
    {
      afrpc_child_break_off (self, g_steal_pointer (&error));
      fail_unforked (child, g_error_copy (self->failure));
    }
  if (child->source != NULL)
    g_main_context_wakeup (child->context);
}

/* Says how a process has ended that is the template's child and not the program's. */
void
afrpc_child_tell_exited (AfrpcChild    *self,
                         AfrpcLinkItem *item)
{
  for (guint i = 0; i < self->reaped_for->len; i++)
    {
      AfrpcChild *child = self->reaped_for->pdata[i];

      if (child->pid == item->pid)
        {
          afrpc_child_set_exit (child, &item->status);
          g_main_context_wakeup (child->context);
          return;
        }
    }
}

void
afrpc_child_leave_reaper (AfrpcChild *self)
{
  if (self->reaper == NULL)
    return;

  g_ptr_array_remove_fast (self->reaper->reaped_for, self);
  g_clear_pointer (&self->reaper, afrpc_child_unref);
}

/* The template is not going to answer. What was wrong with it is wrong with the others too; if it just
 * died, they can do without. */
void
afrpc_child_fail_forks (AfrpcChild *self)
{
  const gboolean is_broken = self->failure != NULL && !self->dropped;
  AfrpcChild *child;

  while ((child = g_queue_pop_head (&self->forks)) != NULL)
    {
      if (is_broken)
        fail_unforked (child, g_error_copy (self->failure));
      else
        exec_instead (child);
      afrpc_child_unref (child);
    }
}

/* For a blocking call of a process that has not been forked yet, or is another's child: does the template's
 * part. */
void
afrpc_child_pump_template (AfrpcChild *self)
{
  AfrpcChild *depended_on = afrpc_child_get_template (self);
  g_autoptr(AfrpcChild) template = NULL;

  if (depended_on == NULL || depended_on->ended)
    return;

  template = afrpc_child_ref (depended_on);

  afrpc_child_pump_template (template);
  afrpc_child_start (template);
  afrpc_child_flush (template);
  if (template->link.stream.in_fd >= 0)
    afrpc_child_read (template);

  for (;;)
    {
      g_auto(AfrpcLinkItem) item = { 0 };

      if (!afrpc_child_next_item (template, &item))
        break;
      if (item.kind == AFRPC_LINK_ITEM_FORKED)
        afrpc_child_forked (template, &item);
      else if (item.kind == AFRPC_LINK_ITEM_EXITED)
        afrpc_child_tell_exited (template, &item);
      else if (item.kind == AFRPC_LINK_ITEM_FAILED)
        afrpc_child_fail (template, g_steal_pointer (&item.error));
    }

  if (template->failure != NULL || template->eof)
    afrpc_child_fail_forks (template);
}
