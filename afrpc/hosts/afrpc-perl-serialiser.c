/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-perl-serialiser.h"

struct _AfrpcPerlSerialiser
{
  GObject parent_instance;

  char *name;
  SV *freeze; /* given away: Perl's memory outlives it */
  SV *thaw;
};

static void afrpc_perl_serialiser_serialiser_init (AfrpcSerialiserInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (AfrpcPerlSerialiser, afrpc_perl_serialiser, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (AFRPC_TYPE_SERIALISER, afrpc_perl_serialiser_serialiser_init))

static void
afrpc_perl_serialiser_finalize (GObject *object)
{
  g_free (AFRPC_PERL_SERIALISER (object)->name);

  G_OBJECT_CLASS (afrpc_perl_serialiser_parent_class)->finalize (object);
}

static void
afrpc_perl_serialiser_class_init (AfrpcPerlSerialiserClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = afrpc_perl_serialiser_finalize;
}

static void
afrpc_perl_serialiser_init (AfrpcPerlSerialiser *self)
{
}

static char *
afrpc_perl_serialiser_dup_name (AfrpcSerialiser *serialiser)
{
  return g_strdup (AFRPC_PERL_SERIALISER (serialiser)->name);
}

/* @value: what afrpc_perl_serialiser_freeze() has made */
static GBytes *
afrpc_perl_serialiser_serialise (AfrpcSerialiser  *serialiser,
                                 GVariant         *value,
                                 GError          **error)
{
  return g_variant_get_data_as_bytes (value);
}

/* What is thawed on Perl's stack, as the arguments of the function that is called with it. */
static GVariant *
afrpc_perl_serialiser_deserialise (AfrpcSerialiser  *serialiser,
                                   GBytes           *bytes,
                                   GError          **error)
{
  return g_variant_new_from_bytes (G_VARIANT_TYPE_BYTESTRING, bytes, TRUE);
}

static void
afrpc_perl_serialiser_serialiser_init (AfrpcSerialiserInterface *iface)
{
  iface->dup_name = afrpc_perl_serialiser_dup_name;
  iface->serialise = afrpc_perl_serialiser_serialise;
  iface->deserialise = afrpc_perl_serialiser_deserialise;
}

/* Registers two references to code under that name. */
gboolean
afrpc_perl_serialiser_register (pTHX_
                                const char  *name,
                                SV          *freeze,
                                SV          *thaw,
                                GError     **error)
{
  g_autoptr(AfrpcPerlSerialiser) self = g_object_new (AFRPC_TYPE_PERL_SERIALISER, NULL);

  self->name = g_strdup (name);
  if (!afrpc_serialiser_register (AFRPC_SERIALISER (self), error))
    return FALSE;

  self->freeze = newSVsv (freeze);
  self->thaw = newSVsv (thaw);
  return TRUE;
}

/* Returns: (transfer full) (nullable): the octets of values that lie on Perl's stack */
GVariant *
afrpc_perl_serialiser_freeze (pTHX_
                              AfrpcPerlSerialiser  *self,
                              SSize_t               first,
                              SSize_t               n,
                              GError              **error)
{
  SV *octets = NULL;
  AfrpcPerlCall call = { .code = self->freeze, .first = first, .n = n, .scalar = &octets };
  GVariant *value = NULL;
  const char *data;
  STRLEN length;

  if (!afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, error))
    return NULL;

  data = SvOK (octets) && !SvROK (octets) ? SvPV_nomg_const (octets, length) : NULL;
  if (data == NULL || (SvUTF8 (octets) && !sv_utf8_downgrade (octets, TRUE)))
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_SERIALISER, "the serialiser '%s' has not made octets of it",
                 self->name);
  else
    {
      data = SvPV_nomg_const (octets, length);
      value = g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, data, length, 1));
    }
  SvREFCNT_dec (octets);

  return value;
}

/* Returns: (transfer none): what makes a list of octets */
SV *
afrpc_perl_serialiser_get_thaw (AfrpcPerlSerialiser *self)
{
  return self->thaw;
}
