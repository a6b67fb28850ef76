/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "os/afrpc-spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/afrpc-child.h"
#include "os/afrpc-group.h"
#include "os/afrpc-lifeline.h"
#include "os/afrpc-low-fd.h"
#include "os/afrpc-reopen.h"

#define CHILD_STACK_SIZE (64u << 10) /* bytes; the child calls nothing deep */
#define FIRST_SAFE_FD 10             /* above every descriptor number that the child fills */
#define KERNEL_SIGSET_SIZE (_NSIG / 8)

/* The child runs in the caller's memory: no allocation, no instrumentation, and raw system calls
 * alone, because the wrappers that sanitizers put around them would take them for the caller's. */
#define CHILD_CODE __attribute__ ((no_sanitize ("address", "thread", "undefined")))

static const char entering[] = "entering its working directory";

typedef struct
{
  const AfrpcSpawnPlan *plan;
  int fds[4];        /* what becomes 0..3, each >= FIRST_SAFE_FD, or -1: leave alone */
  int lifeline;       /* -1: none; an open file of the child's own */
  int first_other_fd; /* what is not the child's begins here */
  int n_fds_max;     /* descriptors are below this */
  int error;         /* errno of what failed, or 0 */
  const char *doing; /* what failed */
} ChildState;

static CHILD_CODE void
reset_signals (void)
{
  /* Handlers are the program's own code, and what it ignores must not be ignored in a program that
   * does not expect it. The table is the child's own: no CLONE_SIGHAND. All zeros is SIG_DFL in
   * every architecture's struct. */
  const guint64 default_action[8] = { 0 };
  const guint64 none[2] = { 0 };

  for (int signum = 1; signum < NSIG; signum++)
    syscall (SYS_rt_sigaction, signum, default_action, NULL, KERNEL_SIGSET_SIZE);
  syscall (SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, KERNEL_SIGSET_SIZE);
}

static CHILD_CODE void
close_others_on_exec (int first,
                      int n_fds_max)
{
  if (syscall (SYS_close_range, first, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */) == 0)
    return;

  for (int fd = first; fd < n_fds_max; fd++)
    syscall (SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
}

/* The group is hung on the lifeline, which stays open in whatever is executed. */
static CHILD_CODE gboolean
lead_group (int lifeline)
{
  if (syscall (SYS_setpgid, 0, 0) != 0)
    return FALSE;

  if (lifeline >= 0 && syscall (SYS_fcntl, lifeline, F_SETOWN, -syscall (SYS_getpid)) == 0 &&
      syscall (SYS_fcntl, lifeline, F_SETSIG, SIGKILL) == 0)
    syscall (SYS_fcntl, lifeline, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC);

  return TRUE;
}

static CHILD_CODE int
child_main (void *data)
{
  ChildState *state = data;
  const AfrpcSpawnPlan *plan = state->plan;

  reset_signals ();

  state->doing = "connecting the descriptors of";
  for (int i = 0; i < 4; i++)
    if (state->fds[i] >= 0 && syscall (SYS_dup3, state->fds[i], i, 0) < 0)
      goto failed;
  close_others_on_exec (state->first_other_fd, state->n_fds_max);

  state->doing = "making a process group for";
  if (plan->leads_group && !lead_group (state->lifeline))
    goto failed;
  if (state->lifeline >= 0)
    syscall (SYS_fcntl, state->lifeline, F_SETFD, 0);

  state->doing = entering;
  if (plan->cwd != NULL && syscall (SYS_chdir, plan->cwd) != 0)
    goto failed;

  state->doing = "executing";
  syscall (SYS_execve, plan->path, plan->argv, plan->envp);

failed:
  state->error = errno;
  syscall (SYS_exit_group, 127);
  __builtin_unreachable ();
}

/* vfork() by hand, with a pidfd: the caller sleeps until the child has exec'ed or failed. */
static int
clone_child (ChildState *state,
             int        *pidfd)
{
  sigset_t all, before;
  int pid, cancel_state;
  char *stack = mmap (NULL, CHILD_STACK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

  if (stack == MAP_FAILED)
    return -1;

  /* A handler must not run in the child, which shares the memory. */
  sigfillset (&all);
  pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &cancel_state);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  pid = clone (child_main, stack + CHILD_STACK_SIZE, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
               state, pidfd);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  pthread_setcancelstate (cancel_state, NULL);

  munmap (stack, CHILD_STACK_SIZE);

  return pid;
}

/* What is not the child's is closed; its lifeline gets the first number that is safe: nothing of the program's is still
 * needed there. */
static void
add_others (posix_spawn_file_actions_t *actions,
            const ChildState           *state)
{
  int first = state->first_other_fd;

  if (state->lifeline >= 0)
    {
      posix_spawn_file_actions_adddup2 (actions, state->lifeline, FIRST_SAFE_FD);
      for (; first < FIRST_SAFE_FD; first++)
        posix_spawn_file_actions_addclose (actions, first);
      first++;
    }
  posix_spawn_file_actions_addclosefrom_np (actions, first);
}

/* The child has the same open file. If the program dies before this, nobody ends the group. */
static void
hang_group (int lifeline,
            int pid)
{
  if (fcntl (lifeline, F_SETOWN, -pid) == 0 && fcntl (lifeline, F_SETSIG, SIGKILL) == 0)
    fcntl (lifeline, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC);
}

/* Where clone() is refused (a seccomp filter, valgrind): the C library's own way. */
static int
posix_spawn_child (ChildState *state,
                   int        *pidfd)
{
  const AfrpcSpawnPlan *plan = state->plan;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t signals;
  pid_t pid = -1;
  struct stat st = { .st_mode = S_IFDIR };

  /* posix_spawn() does not tell what it was that failed. */
  state->doing = entering;
  if (plan->cwd != NULL && (stat (plan->cwd, &st) != 0 || !S_ISDIR (st.st_mode) || access (plan->cwd, X_OK) != 0))
    {
      state->error = S_ISDIR (st.st_mode) ? errno : ENOTDIR;
      return -1;
    }

  posix_spawn_file_actions_init (&actions);
  posix_spawnattr_init (&attributes);

  for (int i = 0; i < 4; i++)
    if (state->fds[i] >= 0)
      posix_spawn_file_actions_adddup2 (&actions, state->fds[i], i);
  add_others (&actions, state);
  if (plan->cwd != NULL)
    posix_spawn_file_actions_addchdir_np (&actions, plan->cwd);

  sigfillset (&signals);
  posix_spawnattr_setsigdefault (&attributes, &signals);
  sigemptyset (&signals);
  posix_spawnattr_setsigmask (&attributes, &signals);
  posix_spawnattr_setpgroup (&attributes, 0);
  posix_spawnattr_setflags (&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                         (plan->leads_group ? POSIX_SPAWN_SETPGROUP : 0));

  state->doing = "executing";
  state->error = posix_spawn (&pid, plan->path, &actions, &attributes, (char *const *) plan->argv,
                              (char *const *) plan->envp);
  posix_spawn_file_actions_destroy (&actions);
  posix_spawnattr_destroy (&attributes);

  if (state->error != 0)
    return -1;

  if (plan->leads_group && state->lifeline >= 0)
    hang_group (state->lifeline, pid);
  /* Before Linux 5.3, and in valgrind, there is none: then the end has to be asked for. */
  *pidfd = syscall (SYS_pidfd_open, pid, 0);

  return pid;
}

/* A child that has ended, or is about to, and whose status is of no interest. A handler of the program's must not
 * leave it a zombie. */
static void
wait_for (int pid)
{
  while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
    ;
}

/* Descriptors that lie where the child's own will be are moved out of the way. */
static gboolean
lift_fds (const AfrpcSpawnPlan *plan,
          ChildState           *state,
          int                   lifted[4])
{
  for (int i = 0; i < 4; i++)
    lifted[i] = -1;

  for (int i = 0; i < 4; i++)
    {
      int fd = i < 3 ? plan->stdio[i] : plan->socket;

      if (fd >= 0 && fd < FIRST_SAFE_FD)
        {
          fd = lifted[i] = fcntl (fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
          if (fd < 0)
            {
              /* What fcntl(2) says if the limit is below the number. */
              if (errno == EINVAL)
                errno = EMFILE;
              return FALSE;
            }
        }
      state->fds[i] = fd;
    }

  return TRUE;
}

/* Whom to signal belongs to the open file, which has to be one of the child's own; above what it has else. */
static gboolean
lift_lifeline (const AfrpcSpawnPlan *plan,
               ChildState           *state)
{
  int fd, saved_errno;

  if (plan->lifeline <= 0)
    return TRUE;

  fd = afrpc_reopen (plan->lifeline, O_RDONLY | O_NONBLOCK);
  state->lifeline = fd >= 0 ? fcntl (fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD) : -1;
  saved_errno = errno;
  if (fd >= 0)
    close (fd);
  errno = saved_errno;

  return state->lifeline >= 0 || !afrpc_lifeline_is_for_want (saved_errno);
}

/*< private >
 * afrpc_spawn:
 * @plan: what to start
 * @spawned: (out): the process; @spawned->pidfd is the caller's
 * @doing: (out) (optional): what failed, for a message, before what errno says
 *
 * Returns: FALSE: it is not started; errno says why
 *
 * Starts a direct child with default signal handling, an empty signal mask, and no descriptors but
 * the planned ones. The environment variable AFRPC_SPAWN=posix, for tests, chooses posix_spawn().
 */
gboolean
afrpc_spawn (const AfrpcSpawnPlan  *plan,
             AfrpcSpawned          *spawned,
             char                 **doing)
{
  ChildState state = { .plan = plan, .lifeline = -1, .n_fds_max = sysconf (_SC_OPEN_MAX), .doing = "starting" };
  int lifted[4], pid = -1, pidfd = -1;

  state.first_other_fd = plan->socket >= 0 ? AFRPC_SPAWN_SOCKET_FD + 1 : AFRPC_SPAWN_SOCKET_FD;
  if (!lift_fds (plan, &state, lifted) || !lift_lifeline (plan, &state))
    state.error = errno;
  else
    {
      const char *way = secure_getenv ("AFRPC_SPAWN");
      gboolean refused = way != NULL && strcmp (way, "posix") == 0;

      if (!refused)
        {
          pid = clone_child (&state, &pidfd);
          if (pid < 0)
            state.error = errno;
          refused = pid < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL);
        }
      if (refused)
        pid = posix_spawn_child (&state, &pidfd);
      else if (pid >= 0 && state.error != 0)
        {
          wait_for (pid);
          close (pidfd);
          pid = -1;
        }
    }

  for (int i = 0; i < 4; i++)
    if (lifted[i] >= 0)
      close (lifted[i]);
  if (state.lifeline >= 0)
    close (state.lifeline);

  if (pid < 0)
    {
      if (doing != NULL)
        *doing = g_strdup_printf ("%s '%s'", state.doing, state.doing == entering ? plan->cwd : plan->path);
      errno = state.error;
      return FALSE;
    }

  *spawned = (AfrpcSpawned) { .pid = pid, .pidfd = afrpc_low_fd_lift (pidfd) };
  return TRUE;
}

/* Asks without reaping it. Without a pidfd it has to be this program's child. */
gboolean
afrpc_spawn_has_ended (const AfrpcSpawned *spawned)
{
  struct pollfd fd = { spawned->pidfd, POLLIN, 0 };
  int peeked;

  if (spawned->pidfd >= 0)
    return poll (&fd, 1, 0) > 0;
  peeked = afrpc_child_peek (spawned->pid, -1);

  return peeked < 0 ? errno == ECHILD : peeked > 0;
}

/* Its group ends with it. A number is good for that as long as its leader is not reaped, which somebody else may have
 * done: a pidfd still is. */
static gboolean
end_group_if_ended (const AfrpcSpawned *spawned)
{
  const int peeked = afrpc_child_peek (spawned->pid, spawned->pidfd);

  if (peeked == 0 || (peeked < 0 && errno == EINTR))
    return FALSE;

  afrpc_group_signal (spawned->pid, spawned->pidfd, peeked > 0, SIGKILL);

  return TRUE;
}

/*< private >
 * afrpc_spawn_reap:
 * @spawned: a process
 * @status: (out): how it ended
 *
 * Returns: FALSE while the process runs; once TRUE, @spawned is empty
 */
gboolean
afrpc_spawn_reap (AfrpcSpawned     *spawned,
                  AfrpcSpawnStatus *status)
{
  siginfo_t info;

  memset (status, 0, sizeof *status);
  memset (&info, 0, sizeof info);
  status->status = -1;
  if (spawned->leads_group && !end_group_if_ended (spawned))
    return FALSE;

  /* The raw call: the C library's has no rusage. */
  if (syscall (SYS_waitid, spawned->pidfd >= 0 ? P_PIDFD : P_PID, spawned->pidfd >= 0 ? spawned->pidfd : spawned->pid,
               &info, WEXITED | WNOHANG, &status->usage) == 0)
    {
      if (info.si_pid == 0)
        return FALSE;

      status->known = TRUE;
      if (info.si_code == CLD_EXITED)
        status->status = info.si_status;
      else
        status->signum = info.si_status;
      status->core = info.si_code == CLD_DUMPED;
    }
  else if (errno == EINTR)
    return FALSE;

  if (spawned->pidfd >= 0)
    close (spawned->pidfd);
  spawned->pidfd = -1;
  spawned->pid = 0;

  return TRUE;
}

/* Its group gets it, if it leads one, and itself if it has left that, as a worker does that exits; what a leader has left
 * may still have members, or zombies, and then takes signals. The pidfd makes sure that no other process gets the signal;
 * without one, that nobody else reaps it. Where the system does not signal by pidfds, as valgrind does not, the number is
 * good as long as the process has not ended. */
void
afrpc_spawn_signal (const AfrpcSpawned *spawned,
                    int                 signum)
{
  if (spawned->leads_group && afrpc_group_signal (spawned->pid, spawned->pidfd, spawned->is_child, signum) &&
      signum != SIGKILL && getpgid (spawned->pid) == spawned->pid)
    return;
  if (spawned->pidfd >= 0 && (syscall (SYS_pidfd_send_signal, spawned->pidfd, signum, NULL, 0) == 0 || errno == ESRCH ||
                              afrpc_spawn_has_ended (spawned)))
    return;
  if (spawned->pid > 0)
    kill (spawned->pid, signum);
}

/* Ends a process and waits for that. */
void
afrpc_spawn_end (AfrpcSpawned *spawned)
{
  afrpc_spawn_signal (spawned, SIGKILL);
  wait_for (spawned->pid);

  if (spawned->pidfd >= 0)
    close (spawned->pidfd);
  spawned->pidfd = -1;
  spawned->pid = 0;
}
