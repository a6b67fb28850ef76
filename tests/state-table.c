/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state-table.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a process of its own, which the assertion ends. */
static gboolean
is_refused (const StateTable *self,
            guint             state,
            guint             input)
{
  const struct rlimit no_core = { 0, 0 };
  int status;
  pid_t pid = fork ();

  if (pid == 0)
    {
      gpointer thing = self->reach (state, self->data);
      int null = open ("/dev/null", O_WRONLY);

      dup2 (null, STDOUT_FILENO);
      dup2 (null, STDERR_FILENO);
      setrlimit (RLIMIT_CORE, &no_core);
      signal (SIGABRT, SIG_DFL);
      self->give (thing, state, input);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);

  return WIFSIGNALED (status) && WTERMSIG (status) == SIGABRT;
}

static void
check_cell (const StateTable *self,
            guint             state,
            guint             input,
            char              cell)
{
  const char *next = strchr (self->letters, cell);
  const guint expected = cell == '.' ? state : next - self->letters;
  gpointer thing;

  if (cell == 'X')
    {
      if (!is_refused (self, state, input))
        g_error ("state %c, input %u: it was let in", self->letters[state], input);
      return;
    }

  g_assert_true (cell == '.' || next != NULL);
  thing = self->reach (state, self->data);
  g_assert_cmpuint (self->get_state (thing), ==, state);
  self->give (thing, state, input);
  if (self->get_state (thing) != expected)
    g_error ("state %c, input %u: %c follows, not %c", self->letters[state], input,
             self->letters[self->get_state (thing)], self->letters[expected]);
  self->free (thing);
}

void
state_table_check (const StateTable *self)
{
  for (guint state = 0; self->letters[state] != '\0'; state++)
    {
      guint input = 0;

      for (const char *cell = self->rows[state]; *cell != '\0'; cell++)
        if (*cell != ' ')
          check_cell (self, state, input++, *cell);
      g_assert_cmpuint (input, ==, self->n_inputs);
    }
}
