/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The Perl interpreter of a worker process: there is one. Whatever may run Perl code goes through
 * afrpc_perl_call(), which lets nothing jump out of it: die becomes an error, exit ends the process
 * in Perl's way. */
#pragma once

#include "afrpc/afrpc.h"

#define PERL_NO_GET_CONTEXT
#include <EXTERN.h>
#include <perl.h>
#include <XSUB.h>

G_BEGIN_DECLS

/* Instead of a code of AFRPC_ERROR: what Perl dies of has a domain of its own. There is none in a program, so that
 * it sees AFRPC_ERROR_REMOTE. */
#define AFRPC_PERL_EXCEPTION -1

typedef struct
{
  PerlInterpreter *interpreter; /* the first one: threads have others, with which nothing is done here */
  AfrpcHost *host;     /* not owned */
  gboolean is_serving; /* events may be sent */
  gboolean is_forked;  /* from a template */
  gboolean is_stray;   /* a worker's function has forked this process */
  gboolean is_ending;
} AfrpcPerl;

extern AfrpcPerl afrpc_perl;

/* What is called, with what, and what becomes of it. */
typedef struct
{
  SV *code;
  SV *args[3];      /* (nullable): the first arguments, given away */
  GVariant *tuple;  /* (nullable): the arguments that follow; not owned */
  AV *list;         /* (nullable): the same; not owned */
  SSize_t first;    /* the same: that many values on Perl's stack, from there on */
  SSize_t n;
  GVariant **value; /* (nullable): gets all that is returned, packed (transfer full) */
  SV **scalar;      /* (nullable): gets the one value that is returned */
  COP *from;        /* (nullable): where it seems to be called */
} AfrpcPerlCall;

void     afrpc_perl_start        (AfrpcHost            *host,
                                  int                   argc,
                                  char                **argv);
int      afrpc_perl_end          (int                   status);
void     afrpc_perl_prepare_fork (void);
void     afrpc_perl_forked       (void);
void     afrpc_perl_prepare      (void);
gboolean afrpc_perl_call         (AfrpcPerlCall        *call,
                                  int                   code,
                                  GError              **error);
gboolean afrpc_perl_check_died   (pTHX_
                                  int                   code,
                                  GError              **error);
SV      *afrpc_perl_function     (const char           *name);
SV      *afrpc_perl_find         (const char           *name);
char    *afrpc_perl_suggest      (const char           *name);
SV      *afrpc_perl_text         (SV                   *sv);
SV      *afrpc_perl_plain        (SV                   *sv);
SV      *afrpc_perl_open         (int                   fd,
                                  GError              **error);

G_END_DECLS
