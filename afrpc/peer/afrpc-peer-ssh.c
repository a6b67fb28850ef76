/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker at the other end of ssh: a command that is told first what to be, and where. The link is connected once
 * somebody has answered: so whatever was queued for a machine that is not there was never sent, and that is known. */
#include "config.h"

#include "peer/afrpc-peer-birth.h"
#include "peer/afrpc-peer.h"

#include <string.h>

#include "afrpc-error.h"
#include "os/afrpc-processors.h"
#include "wire/afrpc-options.h"
#include "wire/afrpc-overture.h"

static void
set_destination (AfrpcPeer  *self,
                 const char *destination,
                 const char *host)
{
  self->birth.destination = g_strdup (destination);
  self->birth.remote_host = g_strdup (host);
  g_free (self->birth.host);
  self->birth.host = g_strdup_printf ("ssh %s", destination);
}

/* @argv: the whole command, see afrpc_ssh_new_argv () */
AfrpcPeer *
afrpc_peer_new_ssh (const char        *destination,
                    const char        *host,
                    const char *const *argv)
{
  AfrpcPeer *self = afrpc_peer_new_command (argv);

  set_destination (self, destination, host);

  return self;
}

guint
afrpc_peer_get_n_processors (AfrpcPeer *self)
{
  return self->birth.destination != NULL ? self->birth.n_processors : afrpc_processors_count ();
}

/* It was made as the command that the template has. */
void
afrpc_birth_copy_destination (AfrpcPeer       *peer,
                              const AfrpcPeer *template)
{
  set_destination (peer, template->birth.destination, template->birth.remote_host);
  peer->birth.sends_modules = template->birth.sends_modules;
}

/* Has the file sent before there is a host, which finds it by its sum. */
static gboolean
add_file (AfrpcPeer       *peer,
          AfrpcBirthStep  *step,
          GError         **error)
{
  const char *path = g_variant_get_string (step->value, NULL);

  if (peer->birth.is_tried && peer->body.state != AFRPC_BODY_NONE)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_FAILED, "cannot send the module '%s': the process has been started: "
                   "modules are sent before that", path);
      return FALSE;
    }
  if (step->file != NULL && !afrpc_module_file_is_current (step->file, path))
    g_clear_pointer (&step->file, afrpc_module_file_unref);
  if (step->file == NULL)
    step->file = afrpc_module_file_load (path, error);
  if (step->file == NULL)
    return FALSE;

  if (peer->birth.files == NULL)
    peer->birth.files = g_ptr_array_new_with_free_func ((GDestroyNotify) afrpc_module_file_unref);
  g_ptr_array_add (peer->birth.files, afrpc_module_file_ref (step->file));

  return TRUE;
}

/* @value: (nullable): what the process is told to do the step */
gboolean
afrpc_birth_get_value (AfrpcPeer       *peer,
                       AfrpcBirthStep  *step,
                       GVariant       **value,
                       GError         **error)
{
  const gboolean is_sent = G_UNLIKELY (peer->birth.sends_modules) && peer->birth.destination != NULL &&
                           step->kind == AFRPC_FRAME_REQUIRE && strchr (g_variant_get_string (step->value, NULL), '/') != NULL;

  if (is_sent && !add_file (peer, step, error))
    return FALSE;

  *value = is_sent ? g_variant_ref_sink (g_variant_new ("(ss)", step->file->sha256, step->file->name)) :
           step->value != NULL ? g_variant_ref (step->value) : NULL;

  return TRUE;
}

/* Returns: (nullable) (transfer full) (element-type GBytes) */
static GPtrArray *
list_contents (const AfrpcBirth *self)
{
  g_autoptr(GPtrArray) contents = NULL;

  if (self->files == NULL)
    return NULL;

  contents = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  for (guint i = 0; i < self->files->len; i++)
    g_ptr_array_add (contents, g_bytes_ref (((AfrpcModuleFile *) self->files->pdata[i])->contents));

  return g_steal_pointer (&contents);
}

static void
add_files (AfrpcBirth         *self,
           AfrpcOptionsWriter *head)
{
  GVariantBuilder files;

  g_variant_builder_init (&files, G_VARIANT_TYPE ("a(sst)"));
  for (guint i = 0; i < self->files->len; i++)
    {
      const AfrpcModuleFile *file = self->files->pdata[i];

      g_variant_builder_add (&files, "(sst)", file->sha256, file->name, (guint64) g_bytes_get_size (file->contents));
    }
  afrpc_options_add (head, "files", g_variant_builder_end (&files));
}

static GVariant *
new_head (AfrpcBirth *self)
{
  g_autoptr(GPtrArray) changes = afrpc_birth_dup_remote_environ (self);
  const char *cwd = afrpc_birth_get_cwd (self);
  AfrpcOptionsWriter head;

  afrpc_options_begin (&head, NULL);
  afrpc_options_add_string (&head, "host", self->remote_host);
  if (changes != NULL)
    afrpc_options_add (&head, "environ",
                       g_variant_new_bytestring_array ((const char *const *) changes->pdata, changes->len));
  if (cwd != NULL)
    afrpc_options_add (&head, "cwd", g_variant_new_bytestring (cwd));
  if (self->files != NULL)
    add_files (self, &head);

  return afrpc_options_end (&head);
}

/* Before it is executed; does nothing if it is not reached by ssh. */
gboolean
afrpc_birth_make_overture (AfrpcPeer  *peer,
                           GError    **error)
{
  g_autoptr(GVariant) head = NULL;
  g_autoptr(GPtrArray) contents = NULL;

  if (peer->birth.destination == NULL)
    return TRUE;

  head = new_head (&peer->birth);
  if (g_variant_get_size (head) > AFRPC_OVERTURE_HEAD_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE,
                   "environment and directory have %" G_GSIZE_FORMAT " bytes, the limit is %u",
                   g_variant_get_size (head), AFRPC_OVERTURE_HEAD_MAX);
      return FALSE;
    }
  if (peer->birth.files != NULL && peer->birth.files->len > AFRPC_OVERTURE_FILES_MAX)
    {
      g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "%u modules are to be sent, the limit is %u",
                   peer->birth.files->len, AFRPC_OVERTURE_FILES_MAX);
      return FALSE;
    }
  contents = list_contents (&peer->birth);
  peer->birth.overture = afrpc_overture_new (head, contents);
  /* They are not needed again. */
  g_clear_pointer (&peer->birth.files, g_ptr_array_unref);

  return TRUE;
}

/* Goes on with it; when it is over, the conversation begins. If nobody is there, it never does. */
void
afrpc_birth_play_overture (AfrpcPeer *peer)
{
  AfrpcOverture *overture = peer->birth.overture;
  GError *error = NULL;
  gboolean has_moved;
  AfrpcStep step;

  if (afrpc_overture_get_fd (overture) < 0)
    return;

  step = afrpc_overture_step (overture, &has_moved, &error);
  if (step == AFRPC_STEP_ERROR)
    {
      afrpc_peer_break_off (peer, error);
      return;
    }
  if (step == AFRPC_STEP_EOF || (step == AFRPC_STEP_AGAIN && peer->body.state == AFRPC_BODY_ENDED))
    {
      afrpc_peer_fall_silent (peer);
      return;
    }
  if (step == AFRPC_STEP_DONE)
    {
      peer->birth.n_processors = afrpc_overture_get_n_processors (overture);
      afrpc_link_connect (&peer->talk.link, afrpc_overture_steal_fd (overture));
      g_clear_pointer (&peer->birth.overture, afrpc_overture_free);
      afrpc_peer_attend (peer);
    }
  /* Who makes progress over a slow network is no host that hangs. */
  if (has_moved && peer->talk.greeting_deadline != AFRPC_DEADLINES_NEVER)
    afrpc_peer_set_deadline (peer, &peer->talk.greeting_deadline,
                             g_get_monotonic_time () + AFRPC_PEER_GREETING_TIMEOUT_US);
  afrpc_peer_update_watch (peer);
}
