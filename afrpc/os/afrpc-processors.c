/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-processors.h"

#include <errno.h>
#include <sched.h>

#define SET_MAX (1 << 20) /* processors; no kernel has as many */

/* g_get_num_processors () says how many are there where GLib was built so, as Debian's is.
 *
 * Returns: how many processors the calling thread may use by its affinity, at least 1 */
guint
afrpc_processors_count (void)
{
  for (int n_bits = CPU_SETSIZE; n_bits <= SET_MAX; n_bits *= 2)
    {
      cpu_set_t *set = CPU_ALLOC (n_bits);
      const gsize size = CPU_ALLOC_SIZE (n_bits);
      const int result = set != NULL ? sched_getaffinity (0, size, set) : -1;
      /* The kernel has room for more of them: see sched_setaffinity(2). */
      const gboolean is_small = set != NULL && result < 0 && errno == EINVAL;
      const int n = result == 0 ? CPU_COUNT_S (size, set) : 0;

      CPU_FREE (set);
      if (n > 0)
        return n;
      if (!is_small)
        break;
    }

  return MAX (g_get_num_processors (), 1);
}
