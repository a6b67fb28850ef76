/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls a function of any module, and walks its result as a tree of JSON, whatever that is.
 *
 * usage: json-tree MODULE FUNCTION [STRING...] */
#include <afrpc/afrpc-json-node.h>

static void show (JsonNode *node,
                  guint     depth);

static void
show_member_cb (JsonObject *object,
                const char *name,
                JsonNode   *member,
                gpointer    depth)
{
  g_print ("%*s%s:\n", 2 * GPOINTER_TO_INT (depth), "", name);
  show (member, GPOINTER_TO_INT (depth) + 1);
}

static void
show_element_cb (JsonArray *array,
                 guint      index,
                 JsonNode  *element,
                 gpointer   depth)
{
  g_print ("%*s%u:\n", 2 * GPOINTER_TO_INT (depth), "", index);
  show (element, GPOINTER_TO_INT (depth) + 1);
}

static void
show (JsonNode *node,
      guint     depth)
{
  g_autofree char *text = NULL;

  if (JSON_NODE_HOLDS_OBJECT (node))
    {
      json_object_foreach_member (json_node_get_object (node), show_member_cb, GUINT_TO_POINTER (depth));
    }
  else if (JSON_NODE_HOLDS_ARRAY (node))
    {
      json_array_foreach_element (json_node_get_array (node), show_element_cb, GUINT_TO_POINTER (depth));
    }
  else
    {
      text = json_to_string (node, FALSE);
      g_print ("%*s%s\n", 2 * (int) depth, "", text);
    }
}

int
main (int    argc,
      char **argv)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcProxy) proxy = NULL;
  g_autoptr(GVariant) value = NULL;
  g_autoptr(JsonNode) node = NULL;
  g_autoptr(GError) error = NULL;
  GVariantBuilder args;

  if (argc < 3)
    {
      g_printerr ("usage: json-tree MODULE FUNCTION [STRING...]\n");
      return 2;
    }

  g_variant_builder_init (&args, G_VARIANT_TYPE_TUPLE);
  for (int i = 3; i < argc; i++)
    g_variant_builder_add (&args, "s", argv[i]);

  process = afrpc_process_new_exec (g_str_has_suffix (argv[1], ".py") ? "python" : NULL);
  afrpc_process_require (process, argv[1]);
  proxy = afrpc_proxy_new (process, argv[2]);
  value = afrpc_caller_call_sync (AFRPC_CALLER (proxy), g_variant_builder_end (&args), NULL, &error);
  if (value == NULL)
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }

  node = afrpc_json_from_variant (value);
  show (node, 0);

  return 0;
}
