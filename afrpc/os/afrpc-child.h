/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* To look at a child without reaping it. */
#pragma once

#include <errno.h>
#include <glib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

G_BEGIN_DECLS

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* @pidfd: or -1: without one, another child may have got the number, if somebody else has reaped it.
 * Returns: 1 if it has ended and is to be reaped, 0 if it runs; -1 if there is no such child: errno says why */
static inline int
afrpc_child_peek (int pid,
                  int pidfd)
{
  siginfo_t info = { 0 };

  if (syscall (SYS_waitid, pidfd >= 0 ? P_PIDFD : P_PID, pidfd >= 0 ? pidfd : pid, &info, WEXITED | WNOHANG | WNOWAIT,
               NULL) != 0)
    return -1;

  return info.si_pid != 0;
}

G_END_DECLS
