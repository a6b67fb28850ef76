/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A host as that of gjs is one, without its engine: a property says what there is to do. Functions are called like what
 * they do. */
#include "afrpc/gjs/afrpc-gjs-host.h"
#include "afrpc/gjs/afrpc-gjs-inbox.h"

#include <string.h>

#define TURN_TYPE_HOST (turn_host_get_type ())
G_DECLARE_FINAL_TYPE (TurnHost, turn_host, TURN, HOST, AfrpcGjsHost)

struct _TurnHost
{
  AfrpcGjsHost parent_instance;

  GPtrArray *functions;       /* (element-type utf8) */
  GString *loaded;
  AfrpcInvocation *kept;      /* (nullable) */
  guint n_collections;
};

enum
{
  PROP_TURN = 1,
};

G_DEFINE_FINAL_TYPE (TurnHost, turn_host, AFRPC_GJS_TYPE_HOST)

static void
fail (TurnHost   *self,
      const char *words)
{
  g_autoptr(GError) error = g_error_new_literal (AFRPC_ERROR, AFRPC_ERROR_FAILED, words);

  afrpc_gjs_host_fail (AFRPC_GJS_HOST (self), error);
}

static void
load (TurnHost   *self,
      const char *kind)
{
  const char *text = afrpc_gjs_host_get_text (AFRPC_GJS_HOST (self));

  if (g_str_equal (text, "bad"))
    {
      fail (self, "no such thing");
      return;
    }
  g_string_append_printf (self->loaded, "%s %s; ", kind, text);
  afrpc_gjs_host_succeed (AFRPC_GJS_HOST (self), 0);
}

static void
resolve (TurnHost *self)
{
  AfrpcGjsHost *host = AFRPC_GJS_HOST (self);
  const char *name = afrpc_gjs_host_get_text (host);

  if (g_str_equal (name, "missing"))
    {
      fail (self, "nothing of that name");
      return;
    }
  g_ptr_array_add (self->functions, g_strdup_printf ("%s%d", name, afrpc_gjs_host_get_kind (host)));
  if (g_str_equal (name, "typed"))
    afrpc_gjs_host_declare (host, self->functions->len, "(ad)");
  afrpc_gjs_host_succeed (host, self->functions->len);
}

static const char *
get_function (TurnHost *self)
{
  return g_ptr_array_index (self->functions, afrpc_gjs_host_get_function (AFRPC_GJS_HOST (self)) - 1);
}

static void
answer_text (TurnHost   *self,
             const char *text)
{
  afrpc_gjs_host_answer (AFRPC_GJS_HOST (self), "s", (guint8 *) g_strdup (text), strlen (text) + 1);
}

static void
call (TurnHost *self)
{
  AfrpcGjsHost *host = AFRPC_GJS_HOST (self);
  const char *function = get_function (self);
  const guint8 *data;
  gsize size;
  const char *type = afrpc_gjs_host_get_args (host, &data, &size);

  if (g_str_has_prefix (function, "fail"))
    fail (self, "as it should");
  else if (g_str_has_prefix (function, "loaded"))
    answer_text (self, self->loaded->str);
  else if (!g_str_has_prefix (function, "silent"))
    {
      afrpc_gjs_event (afrpc_host_get_worker (AFRPC_HOST (self)), "s", (guint8 *) g_strdup ("event"), 6);
      afrpc_gjs_progress (afrpc_host_get_worker (AFRPC_HOST (self)), NULL, "s", (guint8 *) g_strdup ("progress"), 9);
      afrpc_gjs_host_answer (host, type, g_memdup2 (data, size), size);
    }
}

static void
invoke (TurnHost *self)
{
  AfrpcGjsHost *host = AFRPC_GJS_HOST (self);
  AfrpcInvocation *invocation = afrpc_gjs_host_get_invocation (host);
  const char *function = get_function (self);
  const guint8 *data;
  gsize size;
  const char *type = afrpc_gjs_host_get_args (host, &data, &size);

  if (g_str_has_prefix (function, "silent"))
    return;
  if (g_str_has_prefix (function, "fail"))
    {
      fail (self, "as it should");
      return;
    }

  afrpc_gjs_host_succeed (host, 0);
  if (g_str_has_prefix (function, "keep"))
    {
      /* As the engine does, until it collects. */
      g_clear_object (&self->kept);
      self->kept = g_object_ref (invocation);
      return;
    }
  afrpc_gjs_progress (afrpc_invocation_get_worker (invocation), invocation, "s", (guint8 *) g_strdup ("progress"), 9);
  afrpc_gjs_answer (invocation, type, g_memdup2 (data, size), size);
  afrpc_gjs_host_settled (host, invocation);
}

static void
turn (TurnHost     *self,
      AfrpcGjsTask  task)
{
  AfrpcGjsHost *host = AFRPC_GJS_HOST (self);

  switch (task)
    {
    case AFRPC_GJS_TASK_REQUIRE:
      load (self, "module");
      break;
    case AFRPC_GJS_TASK_EVAL:
      load (self, "code");
      break;
    case AFRPC_GJS_TASK_RESOLVE:
      resolve (self);
      break;
    case AFRPC_GJS_TASK_CALL:
      call (self);
      break;
    case AFRPC_GJS_TASK_INVOKE:
      invoke (self);
      break;
    case AFRPC_GJS_TASK_COLLECT:
      self->n_collections++;
      /* Not the first time, when it may still be settled. */
      if (self->n_collections > 1)
        g_clear_object (&self->kept);
      afrpc_gjs_host_succeed (host, 0);
      break;
    case AFRPC_GJS_TASK_RUN:
      afrpc_gjs_exit (afrpc_gjs_host_get_fd (host) > 2 ? 7 : 8);
      break;
    default:
      afrpc_gjs_host_succeed (host, 0);
    }
}

static void
turn_host_set_property (GObject      *object,
                        guint         prop_id,
                        const GValue *value,
                        GParamSpec   *pspec)
{
  turn (TURN_HOST (object), g_value_get_uint (value));
}

static void
turn_host_finalize (GObject *object)
{
  TurnHost *self = TURN_HOST (object);

  g_clear_object (&self->kept);
  g_ptr_array_unref (self->functions);
  g_string_free (self->loaded, TRUE);

  G_OBJECT_CLASS (turn_host_parent_class)->finalize (object);
}

static void
turn_host_class_init (TurnHostClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->set_property = turn_host_set_property;
  object_class->finalize = turn_host_finalize;
  g_object_class_install_property (object_class, PROP_TURN, g_param_spec_uint ("turn", NULL, NULL, 0, G_MAXUINT, 0,
                                                                               G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS));
}

static void
turn_host_init (TurnHost *self)
{
  self->functions = g_ptr_array_new_with_free_func (g_free);
  self->loaded = g_string_new (NULL);
}

int
main (void)
{
  g_autoptr(AfrpcHost) host = g_object_new (TURN_TYPE_HOST, "name", "turns", NULL);

  return afrpc_host_serve (host);
}
