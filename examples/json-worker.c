/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker that answers with JSON that it builds: what is in a folder, as an object for each thing in it. */
#include <afrpc/afrpc-json-node.h>

#include <sys/stat.h>

AFRPC_FUNCTION (list, "(s)")

static void
add_entry (JsonBuilder *builder,
           const char  *folder,
           const char  *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *text = g_utf8_make_valid (name, -1);
  struct stat st = { 0 };

  json_builder_set_member_name (builder, text);
  json_builder_begin_object (builder);
  if (lstat (path, &st) == 0)
    {
      json_builder_set_member_name (builder, "folder");
      json_builder_add_boolean_value (builder, S_ISDIR (st.st_mode));
      json_builder_set_member_name (builder, "size");
      json_builder_add_int_value (builder, st.st_size);
    }
  json_builder_end_object (builder);
}

GVariant *
list (AfrpcWorker  *worker,
      GVariant     *args,
      GError      **error)
{
  g_autoptr(JsonBuilder) builder = json_builder_new ();
  g_autoptr(JsonNode) root = NULL;
  g_autoptr(GDir) dir = NULL;
  const char *folder;
  const char *name;

  g_variant_get (args, "(&s)", &folder);
  dir = g_dir_open (folder, 0, error);
  if (dir == NULL)
    return NULL;

  json_builder_begin_object (builder);
  while ((name = g_dir_read_name (dir)) != NULL)
    add_entry (builder, folder, name);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);

  return afrpc_json_to_variant (root, G_VARIANT_TYPE_VARDICT, error);
}
