/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-birth.h"

#include <unistd.h>


static void
step_clear (AfrpcBirthStep *step)
{
  g_clear_pointer (&step->value, g_variant_unref);
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
  g_clear_error (&self->template_failure);
  g_free (self->host);
  g_strfreev (self->argv);
  g_strfreev (self->environ);
  g_free (self->cwd);
  for (int i = 0; i < 3; i++)
    if (self->fds[i] >= 0)
      close (self->fds[i]);
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
