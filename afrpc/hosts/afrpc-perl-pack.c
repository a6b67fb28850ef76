/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From Perl to GVariant: writes the bytes of a value in one go, in which nothing becomes a GVariant of its own. */
#include "config.h"

#include "afrpc-perl-value.h"

#include <string.h>

#include "wire/afrpc-frame.h"
#include "wire/afrpc-value-writer.h"

/* Of the 128 levels of types in each other that GVariant allows. */
#define DEPTH_MAX 120u
#define DEPTH_OF_ARRAY 2u /* `av` */
#define DEPTH_OF_HASH 3u  /* `a{sv}` */

#define TYPE_MAX 5u /* characters of the type of a value in a list */

/* So many values of any types are a tuple; its type has to fit into a message. */
#define TUPLE_MAX ((AFRPC_FRAME_TYPE_MAX - 2) / TYPE_MAX)

/* Runs Perl code only by afrpc_perl_call(), so that nothing jumps out of it. */
typedef struct
{
  AfrpcValueWriter writer;
  SV *scratch;     /* for what has to be changed before it is written */
  gboolean are_octets; /* everything is a string */
  guint array;     /* the numbers of types */
  guint hash;
  guint entry;
  guint handle;
  GError **error;
} Packer;

/* How the lists of calls and events travel. */
static gboolean lists_are_octets;
static AfrpcPerlSerialiser *list_serialiser; /* (nullable): not owned */

/* Returns: (nullable): the type of what was written, or NULL with an error */
static const char *pack (pTHX_ Packer *self, SV *sv, guint depth);

static const char *
fail (Packer     *self,
      const char *format,
      ...) G_GNUC_PRINTF (2, 3);

static const char *
fail (Packer     *self,
      const char *format,
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
            Packer *self,
            SV     *sv,
            STRLEN *length)
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
    return fail (self, "wide character in a string: encode it first");

  return SvPV_nomg_const (self->scratch, *length);
}

static const char *
pack_string (pTHX_
             Packer *self,
             SV     *sv)
{
  STRLEN length;
  const char *octets = get_octets (aTHX_ self, sv, &length);

  if (octets == NULL)
    return NULL;
  memcpy (afrpc_value_writer_add (&self->writer, length), octets, length);

  return "ay";
}

static AfrpcValueContainer
open_container (Packer *self,
                guint   type)
{
  afrpc_value_writer_align (&self->writer, type);

  return afrpc_value_writer_open (&self->writer);
}

/* A value in a box: what it is, a NUL, its type. */
static gboolean
pack_boxed (pTHX_
            Packer *self,
            SV     *sv,
            guint   depth)
{
  const char *type;
  gsize length;

  afrpc_value_writer_align (&self->writer, self->array);
  type = pack (aTHX_ self, sv, depth);
  if (type == NULL)
    return FALSE;

  length = strlen (type);
  memcpy ((char *) memset (afrpc_value_writer_add (&self->writer, 1 + length), '\0', 1) + 1, type, length);

  return TRUE;
}

static const char *
pack_array (pTHX_
            Packer *self,
            AV     *array,
            guint   depth)
{
  const AfrpcValueContainer container = open_container (self, self->array);

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
          Packer *self,
          HE     *entry)
{
  STRLEN length;
  const char *octets = get_octets (aTHX_ self, HeSVKEY_force (entry), &length);
  guint8 *copy;

  if (octets == NULL)
    return FALSE;
  if (!g_utf8_validate_len (octets, length, NULL))
    return fail (self, "a hash's key is not UTF-8: encode it first") != NULL;

  copy = afrpc_value_writer_add (&self->writer, length + 1);
  memcpy (copy, octets, length);
  copy[length] = '\0';

  return TRUE;
}

static gboolean
pack_entry (pTHX_
            Packer *self,
            HV     *hash,
            HE     *entry,
            guint   depth)
{
  const AfrpcValueContainer container = open_container (self, self->entry);

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
           Packer *self,
           HV     *hash,
           guint   depth)
{
  const AfrpcValueContainer container = open_container (self, self->hash);
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
             Packer *self,
             SV     *sv)
{
  const gint32 handle = SvIV (SvRV (sv));

  afrpc_value_writer_align (&self->writer, self->handle);
  memcpy (afrpc_value_writer_add (&self->writer, sizeof handle), &handle, sizeof handle);

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
             Packer *self,
             SV     *sv)
{
  const char *type;
  SV *text;

  if (is_handle (aTHX_ sv))
    return pack_handle (aTHX_ self, sv);
  text = afrpc_perl_text (sv);
  if (text == NULL)
    return fail (self, "an object of class %s cannot be made a string", sv_reftype (SvRV (sv), TRUE));

  if (!self->are_octets && is_default_text (aTHX_ sv, text))
    type = fail (self, "an object of class %s cannot be sent", sv_reftype (SvRV (sv), TRUE));
  else
    type = pack_string (aTHX_ self, text);
  SvREFCNT_dec (text);

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
            Packer *self,
            SV     *sv,
            guint   depth)
{
  SV *plain = afrpc_perl_plain (sv);
  const char *type;

  if (plain == NULL)
    return fail (self, "a tied variable cannot be read");

  type = pack (aTHX_ self, plain, depth);
  SvREFCNT_dec (plain);

  return type;
}

static const char *
pack_reference (pTHX_
                Packer *self,
                SV     *sv,
                guint   depth)
{
  SV *target = SvRV (sv);
  const gboolean is_array = SvTYPE (target) == SVt_PVAV;
  const char *type;

  if (SvOBJECT (target))
    return pack_object (aTHX_ self, sv);
  if (!is_array && SvTYPE (target) != SVt_PVHV)
    return fail (self, "a reference to %s cannot be sent", sv_reftype (target, FALSE));
  if (is_tied (aTHX_ target))
    return pack_plain (aTHX_ self, sv, depth);

  depth += is_array ? DEPTH_OF_ARRAY : DEPTH_OF_HASH;
  if (depth > DEPTH_MAX)
    return fail (self, "too many arrays and hashes in each other");

  /* Code that is run for what is in it may drop it. */
  SvREFCNT_inc_simple_void_NN (target);
  type = is_array ? pack_array (aTHX_ self, (AV *) target, depth) : pack_hash (aTHX_ self, (HV *) target, depth);
  SvREFCNT_dec_NN (target);

  return type;
}

/* The string of whatever it is. */
static const char *
pack_octets (pTHX_
             Packer *self,
             SV     *sv)
{
  if (!SvOK (sv))
    return "ay";
  if (SvROK (sv) && SvOBJECT (SvRV (sv)))
    {
      if (is_handle (aTHX_ sv))
        return pack_string (aTHX_ self, SvRV (sv));
      if (SvAMAGIC (sv))
        return pack_object (aTHX_ self, sv);
    }

  return pack_string (aTHX_ self, sv);
}

static const char *
pack (pTHX_
      Packer *self,
      SV     *sv,
      guint   depth)
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

  return pack_string (aTHX_ self, sv);
}

/* How many bytes each of the offsets has that say, behind the strings, where they end: as few as will do. */
static guint
get_offset_size (gsize strings_size,
                 gsize n)
{
  guint size = 1;

  while (size < 8 && strings_size + n * size > (G_GUINT64_CONSTANT (1) << 8 * size) - 1)
    size *= 2;

  return size;
}

/* The usual case, at a fraction of the cost: all values are strings that can be taken as they are. Returns: (transfer full)
 * (nullable): NULL if it is another case */
static GVariant *
pack_strings (pTHX_
              SSize_t first,
              SSize_t n)
{
  gsize strings_size = 0, size, end = 0;
  guint offset_size;
  guint8 *data;

  for (SSize_t i = 0; i < n; i++)
    {
      SV *sv = PL_stack_base[first + i];

      if (!SvPOK (sv) || SvROK (sv) || SvUTF8 (sv) || SvGMAGICAL (sv))
        return NULL;
      strings_size += SvCUR (sv);
    }

  offset_size = get_offset_size (strings_size, n);
  size = strings_size + n * offset_size;
  data = g_malloc (size);
  for (SSize_t i = 0; i < n; i++)
    {
      SV *sv = PL_stack_base[first + i];
      guint64 offset;

      memcpy (data + end, SvPVX (sv), SvCUR (sv));
      end += SvCUR (sv);
      offset = GUINT64_TO_LE ((guint64) end);
      memcpy (data + strings_size + i * offset_size, &offset, offset_size);
    }

  return g_variant_ref_sink (g_variant_new_from_data (G_VARIANT_TYPE_BYTESTRING_ARRAY, data, size, TRUE, g_free, data));
}

void
afrpc_perl_value_choose (AfrpcSerialiser *serialiser)
{
  /* To ask for a type makes it. */
  if (serialiser == NULL)
    return;

  lists_are_octets = strcmp (afrpc_serialiser_get_name (serialiser), "bytes") == 0;
  if (!lists_are_octets && AFRPC_IS_PERL_SERIALISER (serialiser))
    list_serialiser = AFRPC_PERL_SERIALISER (serialiser);
}

/* Returns: (transfer none) (nullable): what lists are frozen and thawed by, if it is Perl's */
AfrpcPerlSerialiser *
afrpc_perl_value_get_serialiser (void)
{
  return list_serialiser;
}

/* Whether nothing but strings can come of so many values. */
static gboolean
are_plain (pTHX_
           SSize_t first,
           SSize_t n)
{
  for (SSize_t i = 0; i < n; i++)
    {
      SV *sv = PL_stack_base[first + i];

      if (!SvOK (sv) || SvROK (sv) || SvGMAGICAL (sv))
        return FALSE;
    }

  return TRUE;
}

/* A list of values of any types. Sets @type to that of the whole. */
static gboolean
pack_members (pTHX_
              Packer  *self,
              SSize_t  first,
              SSize_t  n,
              guint   *type)
{
  const AfrpcValueContainer container = afrpc_value_writer_open (&self->writer);
  g_autoptr(GString) types = g_string_new ("(");
  gboolean are_strings = TRUE;
  guint depth;

  for (SSize_t i = 0; i < n; i++)
    {
      /* The stack may move. */
      const char *member = pack (aTHX_ self, PL_stack_base[first + i], 0);

      if (member == NULL)
        return FALSE;
      are_strings = are_strings && strcmp (member, "ay") == 0;
      if (n <= (SSize_t) TUPLE_MAX)
        g_string_append (types, member);
      if (*member != 'h' && (i < n - 1 || are_strings))
        afrpc_value_writer_note_end (&self->writer, &container);
    }

  g_string_append_c (types, ')');
  if (are_strings)
    g_string_assign (types, "aay");
  *type = afrpc_value_writer_push_type (&self->writer, types->str, types->len, &depth);
  afrpc_value_writer_close (&self->writer, &container, *type);

  return TRUE;
}

/* The same of more values than a type can name. */
static gboolean
pack_many (pTHX_
           Packer  *self,
           SSize_t  first,
           SSize_t  n,
           guint   *type)
{
  AV *array = newAV ();
  gboolean ok;

  for (SSize_t i = 0; i < n; i++)
    av_push (array, SvREFCNT_inc_NN (PL_stack_base[first + i]));
  ok = pack_array (aTHX_ self, array, DEPTH_OF_ARRAY) != NULL;
  SvREFCNT_dec_NN ((SV *) array);
  *type = self->array;

  return ok;
}

/* Packs a list of values that lie on Perl's stack. Returns: (transfer full) (nullable): `aay` if all are strings, else
 * a tuple, or `av` if they are many; NULL with @error set */
GVariant *
afrpc_perl_pack_list (pTHX_
                      SSize_t   first,
                      SSize_t   n,
                      GError  **error)
{
  Packer self = { .are_octets = lists_are_octets, .error = error };
  GVariant *value;
  guint depth, type;
  gboolean ok;

  if (list_serialiser != NULL)
    return afrpc_perl_serialiser_freeze (aTHX_ list_serialiser, first, n, error);
  value = pack_strings (aTHX_ first, n);
  if (value != NULL)
    return value;

  afrpc_value_writer_init (&self.writer, 0);
  self.array = afrpc_value_writer_push_type (&self.writer, "av", 2, &depth);
  self.hash = afrpc_value_writer_push_type (&self.writer, "a{sv}", 5, &depth);
  self.entry = self.hash + 1;
  self.handle = afrpc_value_writer_push_type (&self.writer, "h", 1, &depth);
  self.scratch = newSV (0);

  if (n <= (SSize_t) TUPLE_MAX || self.are_octets || are_plain (aTHX_ first, n))
    ok = pack_members (aTHX_ &self, first, n, &type);
  else
    ok = pack_many (aTHX_ &self, first, n, &type);
  if (ok)
    value = afrpc_value_writer_end (&self.writer, type);

  SvREFCNT_dec_NN (self.scratch);
  afrpc_value_writer_clear (&self.writer);

  return value;
}

/* A message for people: text, whatever it is made of, without its newline. */
char *
afrpc_perl_message (pTHX_
                    SV *sv)
{
  STRLEN length;
  const char *octets = SvPV_nomg (sv, length);

  if (!SvUTF8 (sv) && !g_utf8_validate_len (octets, length, NULL) && memchr (octets, '\0', length) == NULL)
    {
      sv = sv_2mortal (newSVpvn (octets, length));
      sv_utf8_upgrade (sv);
      octets = SvPV_nomg (sv, length);
    }
  if (length > 0 && octets[length - 1] == '\n')
    length--;

  return g_utf8_make_valid (octets, length);
}
