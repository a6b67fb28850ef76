/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The process of a peer, with a process that is none: what is asked of the system for it is written down here. */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "os/afrpc-group.h"
#include "peer/afrpc-body.h"
#include "state-table.h"

#define PID 4711
#define OTHER_PID 4712
#define FAR_FUTURE (G_MAXINT64 / 2)

/* The system. */
static gboolean has_ended;
static int signals[8];
static guint n_signals;

gboolean
afrpc_group_signal (int      pid,
                    int      pidfd,
                    gboolean is_child,
                    int      signum)
{
  g_assert_not_reached ();
}

void
afrpc_spawn_signal (const AfrpcSpawned *spawned,
                    int                 signum)
{
  if (spawned->pidfd < 0 && spawned->pid == 0)
    return;
  g_assert_cmpuint (n_signals, <, G_N_ELEMENTS (signals));
  g_assert_cmpint (spawned->pid, ==, PID);
  signals[n_signals++] = signum;
}

gboolean
afrpc_spawn_has_ended (const AfrpcSpawned *spawned)
{
  return has_ended;
}

gboolean
afrpc_spawn_reap (AfrpcSpawned     *spawned,
                  AfrpcSpawnStatus *status)
{
  g_assert_cmpint (spawned->pid, ==, PID);
  if (!has_ended)
    return FALSE;

  *status = (AfrpcSpawnStatus) { .known = TRUE, .status = 3 };
  if (spawned->pidfd >= 0)
    close (spawned->pidfd);
  *spawned = (AfrpcSpawned) { .pidfd = -1 };

  return TRUE;
}

/* What stands for a pidfd. */
static AfrpcSpawned
spawned_with (gboolean has_pidfd)
{
  return (AfrpcSpawned) { PID, has_pidfd ? open ("/dev/null", O_RDONLY | O_CLOEXEC) : -1 };
}

typedef enum
{
  AWAIT,
  DOUBT,
  UNAWAIT,
  TAKE_CHILD,
  TAKE_GRANDCHILD,
  ADOPT_PIDFD,
  ADOPT,
  PROVE,
  DISPROVE,
  GIVE_UP,
  KILL,
  REAP,      /* while it runs */
  REAP_DEAD, /* when it has ended, or nobody has said so for too long */
  TOLD,      /* how it ended */
  N_INPUTS,
} Input;

/* N none, A awaited, D doubtful, C child, G grandchild, U unproven, F foreign, E ended, V never */
static const char *const rows[] = {
  /* await doubt unawait  child grandchild  adopt+ adopt  prove disprove  give up  kill reap dead told */
  "  A     X     X        C     X           U      F      .     .         V        .    .    .    X",
  "  X     D     N        C     G           X      X      .     .         V        .    .    .    X",
  "  X     X     N        C     X           X      F      .     .         V        .    .    .    X",
  "  X     X     X        X     X           X      X      .     E         X        .    .    E    E",
  "  X     X     X        X     X           X      X      .     E         X        .    .    E    E",
  "  X     X     X        X     X           X      X      F     F         X        .    .    .    E",
  "  X     X     X        X     X           X      X      .     .         X        .    .    .    E",
  "  X     X     X        X     X           X      X      .     .         X        .    .    .    X",
  "  X     X     X        X     X           X      X      .     .         X        .    .    .    X",
};

G_STATIC_ASSERT (G_N_ELEMENTS (rows) == AFRPC_BODY_N_STATES);

static const AfrpcSpawnStatus status = { .known = TRUE, .status = 1 };

static gpointer
reach (guint    state,
       gpointer has_pidfd)
{
  AfrpcBody *body = g_new (AfrpcBody, 1);
  const AfrpcSpawned spawned = spawned_with (state == AFRPC_BODY_UNPROVEN || has_pidfd != NULL);
  gboolean is_used = TRUE;

  has_ended = FALSE;
  n_signals = 0;
  afrpc_body_init (body);
  switch ((AfrpcBodyState) state)
    {
    case AFRPC_BODY_AWAITED:
    case AFRPC_BODY_DOUBTFUL:
      afrpc_body_await (body);
      if (state == AFRPC_BODY_DOUBTFUL)
        afrpc_body_doubt (body);
      is_used = FALSE;
      break;

    case AFRPC_BODY_CHILD:
    case AFRPC_BODY_ENDED:
      afrpc_body_take (body, &spawned, TRUE);
      if (state == AFRPC_BODY_ENDED)
        afrpc_body_set_exit (body, &status);
      break;

    case AFRPC_BODY_GRANDCHILD:
      afrpc_body_await (body);
      afrpc_body_take (body, &spawned, FALSE);
      break;

    case AFRPC_BODY_UNPROVEN:
    case AFRPC_BODY_FOREIGN:
      afrpc_body_adopt (body, &spawned);
      if (state == AFRPC_BODY_FOREIGN)
        afrpc_body_prove (body, PID);
      break;

    case AFRPC_BODY_NEVER:
      afrpc_body_never (body);
      is_used = FALSE;
      break;

    default:
      is_used = FALSE;
      break;
    }
  if (!is_used && spawned.pidfd >= 0)
    close (spawned.pidfd);

  return body;
}

static void
take (AfrpcBody *body,
      gboolean   is_child)
{
  const AfrpcSpawned spawned = spawned_with (TRUE);

  afrpc_body_take (body, &spawned, is_child);
}

static void
adopt (AfrpcBody *body,
       gboolean   has_pidfd)
{
  const AfrpcSpawned spawned = spawned_with (has_pidfd);

  afrpc_body_adopt (body, &spawned);
}

static void
give (gpointer thing,
      guint    state,
      guint    input)
{
  AfrpcBody *body = thing;
  const gboolean is_ours = state == AFRPC_BODY_CHILD || state == AFRPC_BODY_GRANDCHILD;
  const gboolean is_signalled = state == AFRPC_BODY_CHILD ||
    ((state == AFRPC_BODY_GRANDCHILD || state == AFRPC_BODY_FOREIGN) && body->spawned.pidfd >= 0);

  switch ((Input) input)
    {
    case AWAIT:
      afrpc_body_await (body);
      break;

    case DOUBT:
      afrpc_body_doubt (body);
      break;

    case UNAWAIT:
      afrpc_body_unawait (body);
      break;

    case TAKE_CHILD:
    case TAKE_GRANDCHILD:
      take (body, input == TAKE_CHILD);
      g_assert_cmpint (body->pid, ==, PID);
      g_assert_cmpint (afrpc_body_is_taken (PID), ==, input == TAKE_CHILD);
      break;

    case ADOPT_PIDFD:
    case ADOPT:
      adopt (body, input == ADOPT_PIDFD);
      g_assert_cmpint (body->pid, ==, 0);
      break;

    case PROVE:
      g_assert_true (afrpc_body_prove (body, PID));
      break;

    case DISPROVE:
      g_assert_cmpint (afrpc_body_prove (body, OTHER_PID), ==, !is_ours && state != AFRPC_BODY_UNPROVEN);
      /* It was somebody else's: it is not touched any more. */
      if (is_ours || state == AFRPC_BODY_UNPROVEN)
        {
          afrpc_body_kill (body, SIGKILL);
          g_assert_cmpuint (n_signals, ==, 0);
          g_assert_false (afrpc_body_is_taken (PID));
          g_assert_true (body->exit == NULL || !afrpc_exit_is_known (body->exit));
        }
      break;

    case GIVE_UP:
      afrpc_body_never (body);
      break;

    case KILL:
      g_assert_cmpint (afrpc_body_kill (body, SIGTERM), ==, state != AFRPC_BODY_NONE);
      g_assert_cmpuint (n_signals, ==, is_signalled ? 1 : 0);
      break;

    case REAP:
    case REAP_DEAD:
      has_ended = input == REAP_DEAD;
      g_assert_cmpint (afrpc_body_reap (body, FALSE, 0), ==,
                       has_ended && state == AFRPC_BODY_CHILD);
      if (input == REAP_DEAD && state != AFRPC_BODY_CHILD)
        g_assert_cmpint (afrpc_body_reap (body, FALSE, FAR_FUTURE), ==,
                         state == AFRPC_BODY_GRANDCHILD);
      break;

    case TOLD:
      afrpc_body_set_exit (body, &status);
      g_assert_nonnull (body->exit);
      g_assert_cmpint (body->spawned.pidfd, ==, -1);
      g_assert_false (afrpc_body_is_taken (PID));
      break;

    default:
      g_assert_not_reached ();
    }
}

static guint
get_state (gpointer thing)
{
  return ((AfrpcBody *) thing)->state;
}

static void
free_body (gpointer thing)
{
  afrpc_body_clear (thing);
  g_free (thing);
  g_assert_false (afrpc_body_is_taken (PID));
}

static void
test_body_table (gconstpointer has_pidfd)
{
  const StateTable table = {
    "NADCGUFEV", rows, N_INPUTS, (gpointer) has_pidfd, reach, give, get_state, free_body,
  };

  g_test_summary ("Each input in each state leads where it should, or cannot come");
  state_table_check (&table);
}

/* What is asked for in these states is done when it is known which process it is. */
static void
test_body_kill_later (void)
{
  static const AfrpcBodyState states[] = { AFRPC_BODY_AWAITED, AFRPC_BODY_DOUBTFUL, AFRPC_BODY_UNPROVEN };
  static const int first[] = { SIGTERM, SIGKILL };

  g_test_summary ("A signal is sent once there is a process that it is for; nothing weakens SIGKILL");
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    for (guint j = 0; j < G_N_ELEMENTS (first); j++)
      {
        AfrpcBody *body = reach (states[i], NULL);

        afrpc_body_kill (body, first[j]);
        afrpc_body_kill (body, SIGUSR1);
        g_assert_cmpuint (n_signals, ==, 0);
        if (states[i] == AFRPC_BODY_UNPROVEN)
          afrpc_body_prove (body, PID);
        else
          take (body, TRUE);
        g_assert_cmpuint (n_signals, ==, 1);
        g_assert_cmpint (signals[0], ==, first[j] == SIGKILL ? SIGKILL : SIGUSR1);
        free_body (body);
      }
}

static void
test_body_was_killed (void)
{
  AfrpcSpawnStatus killed = { .known = TRUE, .status = -1, .signum = SIGTERM };

  g_test_summary ("It was killed by us only if what ended it was sent, before it had ended");
  for (guint i = 0; i < 3; i++)
    {
      AfrpcBody *body = reach (AFRPC_BODY_CHILD, NULL);

      has_ended = i == 2;
      afrpc_body_kill (body, i == 1 ? SIGCONT : SIGTERM);
      afrpc_body_set_exit (body, &killed);
      g_assert_cmpint (afrpc_exit_was_killed (body->exit), ==, i == 0);
      free_body (body);
    }
}

static void
test_body_asked (void)
{
  AfrpcBody *body = reach (AFRPC_BODY_CHILD, NULL);
  gint64 soon;

  g_test_summary ("A process without a pidfd is asked for its end, more often when it says nothing any more");
  g_assert_cmpint (body->reap_deadline, ==, 0);
  g_assert_false (afrpc_body_reap (body, TRUE, 1000));
  soon = body->reap_deadline;
  g_assert_cmpint (soon, >, 1000);
  g_assert_false (afrpc_body_reap (body, FALSE, 1000));
  g_assert_cmpint (body->reap_deadline, >, soon);
  has_ended = TRUE;
  g_assert_true (afrpc_body_reap (body, FALSE, 1000));
  g_assert_cmpint (body->reap_deadline, ==, AFRPC_DEADLINES_NEVER);
  g_assert_cmpint (afrpc_exit_get_status (body->exit), ==, 3);
  free_body (body);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/body/table/pidfd", "", test_body_table);
  g_test_add_data_func ("/body/table/no-pidfd", NULL, test_body_table);
  g_test_add_func ("/body/kill-later", test_body_kill_later);
  g_test_add_func ("/body/was-killed", test_body_was_killed);
  g_test_add_func ("/body/asked", test_body_asked);

  return g_test_run ();
}
