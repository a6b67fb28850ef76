/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-tree.h"

#include "afrpc-json-place.h"

/* A JsonObject forgets the first of two members with one name, and it is a hash table whose hash is
 * no secret: 5 MB of names that were made to collide take minutes. So no object keeps its members:
 * as soon as the parser has read one, it moves to an array, which is the only member in the end. */
#define MEMBERS ""

#define AFRPC_TYPE_JSON_TREE (afrpc_json_tree_get_type ())
G_DECLARE_FINAL_TYPE (AfrpcJsonTree, afrpc_json_tree, AFRPC, JSON_TREE, JsonParser)

struct _AfrpcJsonTree
{
  JsonParser parent_instance;

  GPtrArray *open; /* (element-type JsonArray): members of the objects being read, from outside */
};

G_DEFINE_FINAL_TYPE (AfrpcJsonTree, afrpc_json_tree, JSON_TYPE_PARSER)

static void
afrpc_json_tree_object_start (JsonParser *parser)
{
  AfrpcJsonTree *self = AFRPC_JSON_TREE (parser);

  g_ptr_array_add (self->open, json_array_new ());
}

static void
afrpc_json_tree_object_member (JsonParser *parser,
                               JsonObject *object,
                               const char *name)
{
  AfrpcJsonTree *self = AFRPC_JSON_TREE (parser);
  JsonArray *members = g_ptr_array_index (self->open, self->open->len - 1);

  json_array_add_string_element (members, name);
  json_array_add_element (members, json_node_ref (json_object_get_member (object, name)));
  json_object_remove_member (object, name);
}

static void
afrpc_json_tree_object_end (JsonParser *parser,
                            JsonObject *object)
{
  AfrpcJsonTree *self = AFRPC_JSON_TREE (parser);
  JsonArray *members = g_ptr_array_steal_index (self->open, self->open->len - 1);

  json_object_set_array_member (object, MEMBERS, members);
}

static void
afrpc_json_tree_finalize (GObject *object)
{
  AfrpcJsonTree *self = AFRPC_JSON_TREE (object);

  g_ptr_array_unref (self->open);

  G_OBJECT_CLASS (afrpc_json_tree_parent_class)->finalize (object);
}

static void
afrpc_json_tree_class_init (AfrpcJsonTreeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  JsonParserClass *parser_class = JSON_PARSER_CLASS (klass);

  object_class->finalize = afrpc_json_tree_finalize;

  parser_class->object_start = afrpc_json_tree_object_start;
  parser_class->object_member = afrpc_json_tree_object_member;
  parser_class->object_end = afrpc_json_tree_object_end;
}

static void
afrpc_json_tree_init (AfrpcJsonTree *self)
{
  self->open = g_ptr_array_new_with_free_func ((GDestroyNotify) json_array_unref);
}

JsonNode *
afrpc_json_tree_parse (const char  *text,
                       gsize        length,
                       GError     **error)
{
  g_autoptr(JsonParser) parser = g_object_new (AFRPC_TYPE_JSON_TREE, NULL);
  g_autoptr(GError) local_error = NULL;

  if (!json_parser_load_from_data (parser, text, length, &local_error))
    {
      afrpc_json_pointer_set_error ("", AFRPC_ERROR_INVALID_DATA, local_error->message, error);
      return NULL;
    }
  return json_parser_steal_root (parser);
}

JsonArray *
afrpc_json_tree_get_members (JsonNode *node)
{
  return json_object_get_array_member (json_node_get_object (node), MEMBERS);
}
