/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From Perl to GVariant: writes the bytes of a value in one go, in which nothing becomes a GVariant of its own. */
#include "config.h"

#include "afrpc-perl-packer.h"

#include <string.h>

/* Of the 128 levels of types in each other that GVariant allows. */
#define DEPTH_MAX 120u
#define DEPTH_OF_HASH 3u  /* `a{sv}` */

const char *
afrpc_perl_pack_fail (AfrpcPerlPacker *self,
                      const char      *format,
                      ...)
{
  va_list args;

  va_start (args, format);
  if (self->error != NULL)
    *self->error = g_error_new_valist (AFRPC_ERROR, AFRPC_ERROR_FAILED, format, args);
  va_end (args);

  return NULL;
}

/* Returns: (nullable): the octets of a string, which live until the next are got */
static const char *
get_octets (pTHX_
            AfrpcPerlPacker *self,
            SV              *sv,
            STRLEN          *length)
{
  const char *text;

  if (SvPOK (sv) && !SvUTF8 (sv))
    return SvPV_nomg_const (sv, *length);

  /* A number that is looked at as a string would remember that. */
  sv_setsv_flags (self->scratch, sv, 0);
  text = SvPV_nomg_const (self->scratch, *length);
  if (!SvUTF8 (self->scratch))
    return text;

  /* That of a reference is not in it. */
  if (SvROK (self->scratch))
    {
      SV *copy = newSVpvn_utf8 (text, *length, TRUE);

      sv_setsv_flags (self->scratch, copy, 0);
      SvREFCNT_dec_NN (copy);
    }
  if (!sv_utf8_downgrade (self->scratch, TRUE))
    return afrpc_perl_pack_fail (self, "wide character in a string: encode it first");

  return SvPV_nomg_const (self->scratch, *length);
}

const char *
afrpc_perl_pack_string (pTHX_
                        AfrpcPerlPacker *self,
                        SV              *sv)
{
  STRLEN length;
  const char *octets = get_octets (aTHX_ self, sv, &length);

  if (octets == NULL)
    return NULL;
  afrpc_value_writer_put (&self->writer, octets, length);

  return "ay";
}

AfrpcValueContainer
afrpc_perl_pack_open (AfrpcPerlPacker *self,
                      guint            type)
{
  afrpc_value_writer_align (&self->writer, type);

  return afrpc_value_writer_open (&self->writer);
}

/* A value in a box: what it is, a NUL, its type. */
static gboolean
pack_boxed (pTHX_
            AfrpcPerlPacker *self,
            SV              *sv,
            guint            depth)
{
  const char *type;
  gsize length;

  afrpc_value_writer_align (&self->writer, self->array);
  type = afrpc_perl_pack_value (aTHX_ self, sv, depth);
  if (type == NULL)
    return FALSE;

  length = strlen (type);
  afrpc_value_writer_put (&self->writer, "", 1);
  afrpc_value_writer_put (&self->writer, type, length);

  return TRUE;
}

const char *
afrpc_perl_pack_array (pTHX_
                       AfrpcPerlPacker *self,
                       AV              *array,
                       guint            depth)
{
  const AfrpcValueContainer container = afrpc_perl_pack_open (self, self->array);

  /* It may change meanwhile. */
  for (SSize_t i = 0; i <= av_len (array); i++)
    {
      SV **member = av_fetch (array, i, FALSE);

      if (!pack_boxed (aTHX_ self, member != NULL ? *member : &PL_sv_undef, depth))
        return NULL;
      afrpc_value_writer_note_end (&self->writer, &container);
    }
  afrpc_value_writer_close (&self->writer, &container, self->array);

  return "av";
}

/* A key has to be text: the octets of UTF-8. */
static gboolean
pack_key (pTHX_
          AfrpcPerlPacker *self,
          HE              *entry)
{
  STRLEN length;
  const char *octets = get_octets (aTHX_ self, HeSVKEY_force (entry), &length);

  if (octets == NULL)
    return FALSE;
  if (!g_utf8_validate_len (octets, length, NULL))
    return afrpc_perl_pack_fail (self, "a hash's key is not UTF-8: encode it first") != NULL;

  afrpc_value_writer_put (&self->writer, octets, length);
  afrpc_value_writer_put (&self->writer, "", 1);

  return TRUE;
}

static gboolean
pack_entry (pTHX_
            AfrpcPerlPacker *self,
            HV              *hash,
            HE              *entry,
            guint            depth)
{
  const AfrpcValueContainer container = afrpc_perl_pack_open (self, self->entry);

  if (!pack_key (aTHX_ self, entry))
    return FALSE;
  afrpc_value_writer_note_end (&self->writer, &container);
  if (!pack_boxed (aTHX_ self, hv_iterval (hash, entry), depth))
    return FALSE;
  afrpc_value_writer_close (&self->writer, &container, self->entry);

  return TRUE;
}

static const char *
pack_hash (pTHX_
           AfrpcPerlPacker *self,
           HV              *hash,
           guint            depth)
{
  const AfrpcValueContainer container = afrpc_perl_pack_open (self, self->hash);
  HE *entry;

  hv_iterinit (hash);
  while ((entry = hv_iternext (hash)) != NULL)
    {
      if (!pack_entry (aTHX_ self, hash, entry, depth))
        return NULL;
      afrpc_value_writer_note_end (&self->writer, &container);
    }
  afrpc_value_writer_close (&self->writer, &container, self->hash);

  return "a{sv}";
}

static const char *
pack_handle (pTHX_
             AfrpcPerlPacker *self,
             SV              *sv)
{
  const gint32 handle = SvIV (SvRV (sv));

  afrpc_value_writer_align (&self->writer, self->handle);
  afrpc_value_writer_put (&self->writer, &handle, sizeof handle);

  return "h";
}

static gboolean
is_handle (pTHX_
           SV *sv)
{
  SV *target = SvRV (sv);

  return SvSTASH (target) == gv_stashpvs (AFRPC_PERL_HANDLE_CLASS, 0) && SvIOK (target);
}

/* Whether an object is as a string what it is without overloading. Perl's own flag says less. */
static gboolean
is_default_text (pTHX_
                 SV *sv,
                 SV *text)
{
  SV *plain = newSVpvf ("%s=%s(0x%" UVxf ")", sv_reftype (SvRV (sv), TRUE), sv_reftype (SvRV (sv), FALSE),
                        PTR2UV (SvRV (sv)));
  const gboolean is_default = sv_eq_flags (plain, text, 0);

  SvREFCNT_dec_NN (plain);

  return is_default;
}

/* What stands for an object is its string, if it has one. */
static const char *
pack_object (pTHX_
             AfrpcPerlPacker *self,
             SV              *sv)
{
  const char *type;
  SV *text;

  if (is_handle (aTHX_ sv))
    return pack_handle (aTHX_ self, sv);
  if (afrpc_perl_is_array (aTHX_ sv))
    return afrpc_perl_pack_numbers (aTHX_ self, (AV *) SvRV (sv));
  if (afrpc_perl_is_pdl (aTHX_ sv))
    return afrpc_perl_pack_pdl (aTHX_ self, sv);

  /* What makes its string may do anything, also to what it is in. */
  SvREFCNT_inc_simple_void_NN (sv);
  text = afrpc_perl_text (sv);
  if (text == NULL)
    type = afrpc_perl_pack_fail (self, "an object of class %s cannot be made a string", sv_reftype (SvRV (sv), TRUE));
  else if (!self->are_octets && is_default_text (aTHX_ sv, text))
    type = afrpc_perl_pack_fail (self, "an object of class %s cannot be sent", sv_reftype (SvRV (sv), TRUE));
  else
    type = afrpc_perl_pack_string (aTHX_ self, text);
  SvREFCNT_dec (text);
  SvREFCNT_dec_NN (sv);

  return type;
}

static gboolean
is_tied (pTHX_
         SV *sv)
{
  return SvRMAGICAL (sv) && mg_find (sv, PERL_MAGIC_tied) != NULL;
}

/* Packs what @sv, which has magic, is now. */
static const char *
pack_plain (pTHX_
            AfrpcPerlPacker *self,
            SV              *sv,
            guint            depth)
{
  SV *plain = afrpc_perl_plain (sv);
  const char *type;

  if (plain == NULL)
    return afrpc_perl_pack_fail (self, "a tied variable cannot be read");

  type = afrpc_perl_pack_value (aTHX_ self, plain, depth);
  SvREFCNT_dec (plain);

  return type;
}

static const char *
pack_reference (pTHX_
                AfrpcPerlPacker *self,
                SV              *sv,
                guint            depth)
{
  SV *target = SvRV (sv);
  const gboolean is_array = SvTYPE (target) == SVt_PVAV;
  const char *type;

  if (SvOBJECT (target))
    return pack_object (aTHX_ self, sv);
  if (!is_array && SvTYPE (target) != SVt_PVHV)
    return afrpc_perl_pack_fail (self, "a reference to %s cannot be sent", sv_reftype (target, FALSE));
  if (is_tied (aTHX_ target))
    return pack_plain (aTHX_ self, sv, depth);

  depth += is_array ? AFRPC_PERL_DEPTH_OF_ARRAY : DEPTH_OF_HASH;
  if (depth > DEPTH_MAX)
    return afrpc_perl_pack_fail (self, "too many arrays and hashes in each other");

  /* Code that is run for what is in it may drop it. */
  SvREFCNT_inc_simple_void_NN (target);
  if (is_array)
    type = afrpc_perl_pack_array (aTHX_ self, (AV *) target, depth);
  else
    type = pack_hash (aTHX_ self, (HV *) target, depth);
  SvREFCNT_dec_NN (target);

  return type;
}

/* The string of whatever it is. */
static const char *
pack_octets (pTHX_
             AfrpcPerlPacker *self,
             SV              *sv)
{
  if (!SvOK (sv))
    return "ay";
  if (SvROK (sv) && SvOBJECT (SvRV (sv)))
    {
      if (is_handle (aTHX_ sv))
        return afrpc_perl_pack_string (aTHX_ self, SvRV (sv));
      if (afrpc_perl_is_array (aTHX_ sv) && av_len ((AV *) SvRV (sv)) >= 1)
        return afrpc_perl_pack_string (aTHX_ self, AvARRAY ((AV *) SvRV (sv))[1]);
      if (SvAMAGIC (sv))
        return pack_object (aTHX_ self, sv);
    }

  return afrpc_perl_pack_string (aTHX_ self, sv);
}

const char *
afrpc_perl_pack_value (pTHX_
                       AfrpcPerlPacker *self,
                       SV              *sv,
                       guint            depth)
{
  if (SvGMAGICAL (sv))
    return pack_plain (aTHX_ self, sv, depth);
  if (self->are_octets)
    return pack_octets (aTHX_ self, sv);
  if (SvROK (sv))
    return pack_reference (aTHX_ self, sv, depth);
  if (!SvOK (sv))
    {
      /* Nothing has a place, and takes no bytes. */
      afrpc_value_writer_align (&self->writer, self->array);
      return "mv";
    }

  return afrpc_perl_pack_string (aTHX_ self, sv);
}
