/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nats-case.h"

#include <string.h>

/* What the pages say of NATS. */

static void
test_nats_example (void)
{
  g_autoptr(AfrpcProcess) process = NULL;
  g_autoptr(AfrpcPool) pool = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = NULL;
  NatsServer nats;
  const char *url;

  nats_server_init (&nats, NULL);
  url = nats.url;
  process = test_process_new ();
  pool = g_object_new (AFRPC_TYPE_POOL, "process", process, "function", "echo", "max-workers", 1, NULL);
  {
  AfrpcNatsConnection *connection = afrpc_nats_connection_new (url);
  AfrpcNatsCaller *fleet = afrpc_nats_caller_new (connection, "render");
  AfrpcNatsServer *server = afrpc_nats_server_new (connection, "render", AFRPC_CALLER (pool));

  afrpc_nats_server_start (server);
  g_object_set (fleet, "no-servers-timeout-ms", 10000, NULL);
  {
    g_autoptr(AfrpcCall) call = afrpc_caller_start (AFRPC_CALLER (fleet), g_variant_new ("(i)", 7), NULL);

    value = wait_value (call);
  }
  g_assert_true (g_variant_is_of_type (value, G_VARIANT_TYPE ("(i)")));
  nats_caller_end (fleet);
  g_object_unref (server);
  g_object_unref (connection);
  }
  afrpc_caller_kill (AFRPC_CALLER (pool));
  afrpc_caller_close_sync (AFRPC_CALLER (pool), NULL, NULL);
  nats_server_clear (&nats);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!nats_server_is_there ())
    return 77;

  g_test_add_func ("/nats-example/both", test_nats_example);

  return g_test_run ();
}
