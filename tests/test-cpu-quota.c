/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How many processors' worth of time control groups leave, in trees that are made up. */
#include "config.h"

#include "os/afrpc-cpu-quota.h"

#include <glib/gstdio.h>

#define N 64u

#define V2 "0::/user.slice/app.slice/job.service\n"
#define V2_MOUNT "24 1 0:5 / /proc rw - proc proc rw\n" \
                 "25 1 0:6 / /sys/fs/cgroup rw,nosuid shared:9 master:3 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1 "11:memory:/mine\n4:cpuset:/\n3:cpu,cpuacct:/docker/1234/inner\n0::/\n"
#define V1_MOUNT "30 1 0:7 /docker/1234 /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" \
                 "31 1 0:8 /docker/1234 /sys/fs/cgroup/cpu\\040time rw - cgroup cgroup rw,cpu,cpuacct\n" \
                 "32 1 0:9 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"

typedef struct
{
  char *root;
} Test;

static void
set_up (Test          *test,
        gconstpointer  data)
{
  g_autoptr(GError) error = NULL;

  test->root = g_dir_make_tmp ("afrpc-quota-XXXXXX", &error);
  g_assert_no_error (error);
}

static void
remove_tree (const char *path)
{
  g_autoptr(GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      remove_tree (child);
    }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
tear_down (Test          *test,
           gconstpointer  data)
{
  remove_tree (test->root);
  g_free (test->root);
}

static void
put (Test       *test,
     const char *name,
     const char *text)
{
  g_autofree char *path = g_build_filename (test->root, name, NULL);
  g_autofree char *directory = g_path_get_dirname (path);
  g_autoptr(GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (directory, 0700), ==, 0);
  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static void
put_self (Test       *test,
          const char *groups,
          const char *mounts)
{
  put (test, "proc/self/cgroup", groups);
  put (test, "proc/self/mountinfo", mounts);
}

static void
test_cpu_quota_v2 (Test          *test,
                   gconstpointer  data)
{
  g_test_summary ("The least that the group, or any that it lies in, may use counts, and what is begun of a processor");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
  put_self (test, V2, V2_MOUNT);
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
  put (test, "sys/fs/cgroup/user.slice/app.slice/job.service/cpu.max", "max 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
  put (test, "sys/fs/cgroup/user.slice/app.slice/cpu.max", "800000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 8);
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, 4), ==, 4);
  put (test, "sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 3);
  put (test, "sys/fs/cgroup/user.slice/app.slice/job.service/cpu.max", "10000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 1);
  put (test, "sys/fs/cgroup/user.slice/app.slice/job.service/cpu.max", "600000 100000\n");
  put (test, "sys/fs/cgroup/cpu.max", "200000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 2);
  put (test, "sys/fs/cgroup/user.slice/other.slice/cpu.max", "100000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 2);
}

static void
test_cpu_quota_namespace (Test          *test,
                          gconstpointer  data)
{
  g_test_summary ("What a namespace of groups, or a mount of a part, shows is looked at, and nothing else");
  put_self (test, "0::/\n", V2_MOUNT);
  put (test, "sys/fs/cgroup/cpu.max", "300000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 3);
  put_self (test, "0::/../outside\n", V2_MOUNT);
  put (test, "sys/fs/outside/cpu.max", "100000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 3);
  put_self (test, "0::/box\n", "25 1 0:6 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  put (test, "sys/fs/cgroup/box/cpu.max", "100000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 3);
  put_self (test, "0::/boxes\n", "25 1 0:6 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  put (test, "sys/fs/cgroup/es/cpu.max", "100000 100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 3);
}

static void
test_cpu_quota_v1 (Test          *test,
                   gconstpointer  data)
{
  g_test_summary ("Where processors are still in version 1 of control groups, their quota counts there");
  put_self (test, V1, V1_MOUNT);
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
  put (test, "sys/fs/cgroup/cpu time/inner/cpu.cfs_quota_us", "-1\n");
  put (test, "sys/fs/cgroup/cpu time/inner/cpu.cfs_period_us", "100000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
  put (test, "sys/fs/cgroup/cpu time/cpu.cfs_quota_us", "150000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
  put (test, "sys/fs/cgroup/cpu time/cpu.cfs_period_us", "50000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 3);
  put (test, "sys/fs/cgroup/cpu time/inner/cpu.cfs_quota_us", "110000\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, 2);
}

static void
test_cpu_quota_garbage (Test          *test,
                        gconstpointer  data)
{
  static const char *const texts[] = { "", "\n", "max", "100000", "0 100000", "100000 0", "-1 100000", "x y", ":::", "0::", "0:" };

  g_test_summary ("What cannot be made sense of is no limit, and no quota leaves less than one processor");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      put_self (test, V2, V2_MOUNT);
      put (test, "sys/fs/cgroup/user.slice/cpu.max", texts[i]);
      g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
      put_self (test, texts[i], V2_MOUNT);
      g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
      put_self (test, V2, texts[i]);
      g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
    }
  put_self (test, V2, "25 1 0:6 / /sys/fs/cgroup rw - cgroup2\n1 2 - cgroup2\n");
  g_assert_cmpuint (afrpc_cpu_quota_limit (test->root, N), ==, N);
}

static void
test_cpu_quota_here (void)
{
  const guint n = afrpc_cpu_quota_limit ("/", N);

  g_test_summary ("This process may use something");
  g_assert_cmpuint (n, >=, 1);
  g_assert_cmpuint (n, <=, N);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add ("/cpu-quota/v2", Test, NULL, set_up, test_cpu_quota_v2, tear_down);
  g_test_add ("/cpu-quota/namespace", Test, NULL, set_up, test_cpu_quota_namespace, tear_down);
  g_test_add ("/cpu-quota/v1", Test, NULL, set_up, test_cpu_quota_v1, tear_down);
  g_test_add ("/cpu-quota/garbage", Test, NULL, set_up, test_cpu_quota_garbage, tear_down);
  g_test_add_func ("/cpu-quota/here", test_cpu_quota_here);

  return g_test_run ();
}
