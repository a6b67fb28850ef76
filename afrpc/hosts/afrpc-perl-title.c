/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-perl-title.h"

#include <string.h>
#include <unistd.h>

/* Perl itself writes $0 over its arguments, and blanks over the rest of them, which are shown. So it gets arguments of
 * its own, and what this process was started with is written here. If there is no NUL at their end, the kernel shows
 * what there is up to the first one, see proc(5), even if that lies behind them, where the environment was. */
static struct
{
  char *text;
  gsize args_size;   /* bytes */
  gsize size;        /* with the environment */
  gsize used;        /* of what is not NUL any more, at most */
  gboolean is_moved; /* the environment */
  int program;       /* the pid of who has started this process */
} title;

/* Where the strings end that lie behind each other from @end on. */
static char *
skip_adjacent (char *const *strings,
               char        *end)
{
  for (; strings != NULL && *strings != NULL && *strings == end; strings++)
    end += strlen (*strings) + 1;

  return end;
}

void
afrpc_perl_title_init (int    argc,
                       char **argv)
{
  title.program = getppid ();
  title.text = argv[0];
  title.used = title.args_size = skip_adjacent (argv, argv[0]) - argv[0];
  title.size = skip_adjacent (environ, argv[0] + title.args_size) - argv[0];
}

static void
move_environment (void)
{
  title.is_moved = TRUE;
  for (char **variable = environ; variable != NULL && *variable != NULL; variable++)
    if (*variable >= title.text && *variable < title.text + title.size)
      *variable = g_strdup (*variable);
}

static void
write_title (const char *text,
             gsize       length)
{
  length = MIN (length, title.size - 1);
  if (length >= title.args_size && !title.is_moved)
    move_environment ();

  memcpy (title.text, text, length);
  memset (title.text + length, '\0', title.used > length ? title.used - length : 1);
  if (length + 1 < title.args_size)
    title.text[title.args_size - 1] = ' ';
  title.used = MAX (length, title.args_size);
}

static int
title_changed (pTHX_
               SV    *sv,
               MAGIC *magic)
{
  STRLEN length;
  const char *text = SvPV_nomg_const (sv, length);

  if (aTHX == afrpc_perl.interpreter && !afrpc_perl.is_stray)
    write_title (text, length);

  return 0;
}

static MGVTBL title_vtable = { .svt_set = title_changed };

/* From now on the title is what is assigned to $0. */
void
afrpc_perl_title_tie (pTHX)
{
  sv_magicext (get_sv ("0", GV_ADD), NULL, PERL_MAGIC_ext, &title_vtable, NULL, 0);
}

/* As the original has it, unless the worker has given itself a name. */
void
afrpc_perl_title_name (const char *function)
{
  dTHXa (afrpc_perl.interpreter);
  SV *name = get_sv ("0", GV_ADD);

  if (strcmp (SvPV_nolen_const (name), "-e") != 0)
    return;

  sv_setpvf (name, "%d %s", title.program, function);
  SvSETMAGIC (name);
}
