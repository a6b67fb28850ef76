/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a command whose system calls are refused as those of Flatpak, Docker and systemd are: by a seccomp filter.
 *
 * usage: without [--errno ENOSYS|EPERM] CALL... -- COMMAND [ARGUMENT...]
 *
 * CALL is the name of a system call, or "clone-parent": clone () of a sibling. The filter stays in force for whatever the
 * command starts. Where there are no filters, it says so as a test that is skipped does. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USAGE 2
#define N_INSTRUCTIONS_MAX 128

/* In TAP: no tests, and why. */
static int
skip (const char *why)
{
  printf ("1..0 # SKIP %s\n", why);

  return 0;
}

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef THIS_ARCH

static const struct
{
  const char *name;
  unsigned number;
  unsigned flags; /* only with one of these in the first argument; 0: always */
} calls[] = {
  { "clone3", SYS_clone3, 0 },
  { "clone-parent", SYS_clone, CLONE_PARENT },
  { "close_range", SYS_close_range, 0 },
  { "epoll_create1", SYS_epoll_create1, 0 },
  { "memfd_create", SYS_memfd_create, 0 },
  { "pidfd_open", SYS_pidfd_open, 0 },
  { "pidfd_send_signal", SYS_pidfd_send_signal, 0 },
  { "unshare", SYS_unshare, 0 },
};

static struct sock_filter filter[N_INSTRUCTIONS_MAX];
static unsigned short n_instructions;

static void
add (struct sock_filter instruction)
{
  if (n_instructions == N_INSTRUCTIONS_MAX)
    {
      fprintf (stderr, "without: too many system calls\n");
      exit (USAGE);
    }
  filter[n_instructions++] = instruction;
}

static void
load (unsigned offset)
{
  add ((struct sock_filter) BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offset));
}

static void
answer (unsigned action)
{
  add ((struct sock_filter) BPF_STMT (BPF_RET | BPF_K, action));
}

/* Another architecture's calls have other numbers: they pass. */
static void
begin (void)
{
  load (offsetof (struct seccomp_data, arch));
  add ((struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0));
  answer (SECCOMP_RET_ALLOW);
}

/* FALSE if no call has that name. */
static int
refuse (const char *name,
        int         error)
{
  for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++)
    {
      if (strcmp (calls[i].name, name) != 0)
        continue;

      load (offsetof (struct seccomp_data, nr));
      if (calls[i].flags == 0)
        add ((struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1));
      else
        {
          add ((struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 3));
          /* Both architectures have the lower half first. */
          load (offsetof (struct seccomp_data, args[0]));
          add ((struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JSET | BPF_K, calls[i].flags, 0, 1));
        }
      answer (SECCOMP_RET_ERRNO | (unsigned) error);
      return 1;
    }
  return 0;
}

static int
install (void)
{
  const struct sock_fprog program = { n_instructions, filter };

  return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int
main (int    argc,
      char **argv)
{
  int error = ENOSYS;
  int i = 1;

  if (i + 1 < argc && strcmp (argv[i], "--errno") == 0)
    {
      error = strcmp (argv[i + 1], "EPERM") == 0 ? EPERM : strcmp (argv[i + 1], "ENOSYS") == 0 ? ENOSYS : 0;
      i += 2;
    }

  begin ();
  for (; i < argc && strcmp (argv[i], "--") != 0; i++)
    if (!refuse (argv[i], error))
      {
        fprintf (stderr, "without: no such call: %s\n", argv[i]);
        return USAGE;
      }
  answer (SECCOMP_RET_ALLOW);
  if (error == 0 || i + 1 >= argc)
    {
      fprintf (stderr, "usage: without [--errno ENOSYS|EPERM] CALL... -- COMMAND [ARGUMENT...]\n");
      return USAGE;
    }

  if (!install ())
    return skip ("the kernel has no filters of system calls");
  execvp (argv[i + 1], argv + i + 1);
  perror (argv[i + 1]);

  return 127;
}

#else

int
main (void)
{
  return skip ("not for this architecture");
}

#endif
