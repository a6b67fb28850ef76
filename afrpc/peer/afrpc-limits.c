/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "peer/afrpc-limits.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

void
afrpc_limits_set (AfrpcLimits *self,
                  AfrpcLimit   limit,
                  guint64      value)
{
  self->which |= 1u << limit;
  self->values[limit] = value;
}

gboolean
afrpc_limits_any (const AfrpcLimits *self)
{
  return self->which != 0 || self->has_nice || self->leads_group;
}

/* Adds to the surroundings of a process: what is there already does no harm. The nice level is absolute,
 * since a template may have got it before. */
void
afrpc_limits_insert (const AfrpcLimits  *self,
                     AfrpcOptionsWriter *dict)
{
  GVariantBuilder limits;

  if (self->which != 0)
    {
      g_variant_builder_init (&limits, G_VARIANT_TYPE ("a(yt)"));
      for (guint i = 0; i < G_N_ELEMENTS (self->values); i++)
        if ((self->which & 1u << i) != 0)
          g_variant_builder_add (&limits, "(yt)", (guchar) i, self->values[i]);
      afrpc_options_add (dict, "limits", g_variant_builder_end (&limits));
    }
  if (self->has_nice)
    afrpc_options_add_int32 (dict, "nice", CLAMP (getpriority (PRIO_PROCESS, 0) + self->nice, -20, 19));
}

static gboolean
has (const AfrpcLimits *self,
     AfrpcLimit         limit)
{
  return (self->which & 1u << limit) != 0;
}

/* What GLib and the C++ library say before they give up, and Perl before it exits. */
static gboolean
says_no_memory (const char *text)
{
  return strstr (text, "failed to allocate") != NULL || strstr (text, "bad_alloc") != NULL ||
         strstr (text, "Out of memory in perl") != NULL || strstr (text, "Out of memory!") != NULL;
}

/* Whether what failed with @message, of the C library or the loader, is for the limit of the address space. Of what could
 * not be loaded there are words and nothing else: dlopen() gives no number, and takes back what it has mapped. */
gboolean
afrpc_limits_explain_failure (const AfrpcLimits *self,
                              const char        *message)
{
  return has (self, AFRPC_LIMIT_ADDRESS_SPACE) &&
         (strstr (message, g_strerror (ENOMEM)) != NULL || strstr (message, "annot allocate memory") != NULL ||
          strstr (message, "failed to map segment") != NULL || says_no_memory (message));
}

/* Which limit ended a process, as far as its end shows it. The signals of processor time and file size have
 * no other cause, whoever set the limit. */
AfrpcLimit
afrpc_limits_explain (const AfrpcLimits      *self,
                      const AfrpcSpawnStatus *status,
                      gboolean                killed,
                      const char             *stderr_tail)
{
  const gint64 cpu_s = status->usage.ru_utime.tv_sec + status->usage.ru_stime.tv_sec;

  if (killed)
    return AFRPC_LIMIT_NONE;

  switch (status->signum)
    {
    case SIGXCPU:
      return AFRPC_LIMIT_CPU;

    case SIGXFSZ:
      return AFRPC_LIMIT_FILE_SIZE;

    case SIGKILL:
      /* A process that goes on after SIGXCPU. */
      return has (self, AFRPC_LIMIT_CPU) && cpu_s >= 0 && (guint64) cpu_s >= self->values[AFRPC_LIMIT_CPU] ?
        AFRPC_LIMIT_CPU : AFRPC_LIMIT_NONE;

    case 0:
    case SIGABRT:
    case SIGTRAP:
      return has (self, AFRPC_LIMIT_ADDRESS_SPACE) && status->status != 0 && says_no_memory (stderr_tail) ?
        AFRPC_LIMIT_ADDRESS_SPACE : AFRPC_LIMIT_NONE;

    default:
      return AFRPC_LIMIT_NONE;
    }
}
