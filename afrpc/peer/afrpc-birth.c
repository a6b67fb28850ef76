/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-birth.h"

#include <unistd.h>

#include "wire/afrpc-options.h"

static void
step_clear (AfrpcBirthStep *step)
{
  g_clear_pointer (&step->value, g_variant_unref);
  g_clear_pointer (&step->file, afrpc_module_file_unref);
  if (step->fd >= 0)
    close (step->fd);
}

static void
step_unref (AfrpcBirthStep *step)
{
  g_rc_box_release_full (step, (GDestroyNotify) step_clear);
}

void
afrpc_birth_init (AfrpcBirth *self,
                  const char *host)
{
  *self = (AfrpcBirth) {
    .host = g_strdup (host),
    .stdio = { AFRPC_STDIO_SILENCE, AFRPC_STDIO_INHERIT, AFRPC_STDIO_TEE },
    .fds = { -1, -1, -1 },
    .steps = g_ptr_array_new_with_free_func ((GDestroyNotify) step_unref),
    .reaped_for = g_ptr_array_new (),
  };
}

void
afrpc_birth_clear (AfrpcBirth *self)
{
  g_assert (self->forks.length == 0);
  g_assert (self->template == NULL);

  g_clear_pointer (&self->reaped_for, g_ptr_array_unref);
  g_clear_pointer (&self->steps, g_ptr_array_unref);
  g_clear_pointer (&self->run_options, g_variant_unref);
  g_clear_pointer (&self->module, g_variant_unref);
  g_clear_error (&self->template_failure);
  g_free (self->host);
  g_strfreev (self->argv);
  g_strfreev (self->environ);
  g_free (self->cwd);
  afrpc_birth_forget_origin (self);
  g_free (self->destination);
  g_free (self->remote_host);
  g_clear_pointer (&self->remote_environ, g_ptr_array_unref);
  g_clear_pointer (&self->files, g_ptr_array_unref);
  g_clear_pointer (&self->overture, afrpc_overture_free);
  for (int i = 0; i < 3; i++)
    if (self->fds[i] >= 0)
      close (self->fds[i]);
}

/* Surroundings */

static void
origin_clear (AfrpcBirthOrigin *origin)
{
  g_strfreev (origin->environ);
  g_free (origin->cwd);
  g_clear_pointer (&origin->remote_environ, g_ptr_array_unref);
}

/* Nobody is going to be forked from it. */
void
afrpc_birth_forget_origin (AfrpcBirth *self)
{
  if (self->origin != NULL)
    g_rc_box_release_full (g_steal_pointer (&self->origin), (GDestroyNotify) origin_clear);
  self->is_origin_whole = FALSE;
}

/* Returns: (nullable): the environment that it begins in; NULL: the program's */
const char *const *
afrpc_birth_get_environ (const AfrpcBirth *self)
{
  const AfrpcBirthOrigin *origin = self->origin;
  char **variables = self->environ != NULL || origin == NULL ? self->environ : origin->environ;

  return (const char *const *) variables;
}

/* Returns: (nullable): the directory that it begins in; NULL: the program's */
const char *
afrpc_birth_get_cwd (const AfrpcBirth *self)
{
  return self->cwd != NULL || self->origin == NULL ? self->cwd : self->origin->cwd;
}

static void
add_changes (GPtrArray *all,
             GPtrArray *some) /* (nullable) */
{
  for (guint i = 0; some != NULL && i < some->len; i++)
    g_ptr_array_add (all, g_strdup (some->pdata[i]));
}

/* Returns: (transfer full) (nullable): what to change of the environment on the other machine, in order */
GPtrArray *
afrpc_birth_dup_remote_environ (const AfrpcBirth *self)
{
  GPtrArray *inherited = self->origin != NULL ? self->origin->remote_environ : NULL;
  GPtrArray *all;

  if (inherited == NULL && self->remote_environ == NULL)
    return NULL;

  all = g_ptr_array_new_with_free_func (g_free);
  add_changes (all, inherited);
  add_changes (all, self->remote_environ);

  return all;
}

static void
take_origin (AfrpcBirth *self,
             char      **variables, /* (transfer full) (nullable) */
             char       *cwd)       /* (transfer full) (nullable) */
{
  afrpc_birth_forget_origin (self);
  self->origin = g_rc_box_new0 (AfrpcBirthOrigin);
  self->origin->environ = variables;
  self->origin->cwd = cwd;
}

/* It begins where @template did, in what has not been set for itself, however it is started in the end. */
void
afrpc_birth_inherit (AfrpcBirth       *self,
                     const AfrpcBirth *template)
{
  afrpc_birth_forget_origin (self);
  if (template->is_origin_whole || (template->environ == NULL && template->cwd == NULL && template->remote_environ == NULL))
    {
      self->origin = template->origin != NULL ? g_rc_box_acquire (template->origin) : NULL;
      return;
    }

  take_origin (self, g_strdupv ((char **) afrpc_birth_get_environ (template)), g_strdup (afrpc_birth_get_cwd (template)));
  self->origin->remote_environ = afrpc_birth_dup_remote_environ (template);
}

/* It is executed now: those that are forked from it get what it has, whatever becomes of the program's. */
void
afrpc_birth_keep_origin (AfrpcBirth *self)
{
  const char *const *variables = afrpc_birth_get_environ (self);
  const char *cwd = afrpc_birth_get_cwd (self);

  take_origin (self, variables != NULL ? g_strdupv ((char **) variables) : g_get_environ (),
               cwd != NULL ? g_strdup (cwd) : g_get_current_dir ());
  self->is_origin_whole = TRUE;
}

/* Adds one thing that it is prepared with; @fd: (transfer full), or -1. */
void
afrpc_birth_add_step (AfrpcBirth     *self,
                      AfrpcFrameKind  kind,
                      GVariant       *value, /* (nullable) */
                      int             fd)
{
  AfrpcBirthStep *step = g_rc_box_new0 (AfrpcBirthStep);

  step->kind = kind;
  step->value = value != NULL ? g_variant_ref (value) : NULL;
  step->fd = fd;
  g_ptr_array_add (self->steps, step);
}

/* Returns: (nullable): the module that it loads last, which most often is the only one */
GVariant *
afrpc_birth_find_module (const AfrpcBirth *self)
{
  for (guint i = self->steps->len; i > 0; i--)
    {
      const AfrpcBirthStep *step = self->steps->pdata[i - 1];

      if (step->kind == AFRPC_FRAME_REQUIRE)
        return step->value;
    }

  return self->module;
}

/* Who it is, in messages about a call of @function, which it runs as well as its own. */
char *
afrpc_birth_describe_as (const AfrpcBirth *self,
                         const char       *function) /* (nullable) */
{
  GString *name = g_string_new (NULL);
  GVariant *module = afrpc_birth_find_module (self);

  if (self->host != NULL)
    g_string_append_printf (name, "'%s'", self->host);
  else
    g_string_append (name, "what was handed over");
  if (function != NULL)
    g_string_append_printf (name, " running '%s'", function);
  if (module != NULL)
    g_string_append_printf (name, function != NULL ? " of '%s'" : " with '%s'", g_variant_get_string (module, NULL));

  return g_string_free (name, FALSE);
}

/* Who it is, in messages: its host, and what it runs. */
char *
afrpc_birth_describe (const AfrpcBirth *self)
{
  AfrpcOptions options;
  const char *function = NULL;

  if (self->run_options != NULL && afrpc_options_init (&options, self->run_options))
    function = afrpc_options_get_string (&options, "function");

  return afrpc_birth_describe_as (self, function);
}
