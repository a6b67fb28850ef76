/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists that lie on Perl's stack, such as results and events, as a value. */
#include "config.h"

#include "afrpc-perl-packer.h"

#include <string.h>

#include "afrpc-error.h"
#include "wire/afrpc-frame.h"

#define FEW_MAX 64 /* numbers of which copies may be made */

#define TYPE_MAX 5u /* characters of the type of a value in a list */

/* So many values of any types are a tuple; its type has to fit into a message. */
#define TUPLE_MAX ((AFRPC_FRAME_TYPE_MAX - 2) / TYPE_MAX)

/* How the lists of calls and events travel. */
static gboolean lists_are_octets;
static AfrpcPerlSerialiser *list_serialiser; /* (nullable): not owned */

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

/* Has a string lie on the stack, with the octets as they are, where one of few numbers lay. FALSE: it is neither. */
static gboolean
make_string (pTHX_
             SSize_t  index,
             gboolean are_few)
{
  SV *sv = PL_stack_base[index];

  if (SvROK (sv) || SvGMAGICAL (sv) || !SvOK (sv))
    return FALSE;
  if (SvPOK (sv))
    return !SvUTF8 (sv);
  if (!are_few || !SvNIOK (sv))
    return FALSE;

  /* A number that is looked at as a string would remember that. */
  sv = sv_2mortal (newSVsv (sv));
  (void) SvPV_force_nolen (sv);
  PL_stack_base[index] = sv;

  return TRUE;
}

/* The usual case, at a fraction of the cost: all values are strings that can be taken as they are, or numbers.
 * Returns: (transfer full) (nullable): NULL if it is another case */
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
      if (!make_string (aTHX_ first + i, n <= FEW_MAX))
        return NULL;
      strings_size += SvCUR (PL_stack_base[first + i]);
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
              AfrpcPerlPacker *self,
              SSize_t          first,
              SSize_t          n,
              guint           *type)
{
  const AfrpcValueContainer container = afrpc_value_writer_open (&self->writer);
  g_autoptr(GString) types = g_string_new ("(");
  gboolean are_strings = TRUE;

  for (SSize_t i = 0; i < n; i++)
    {
      /* The stack may move. */
      const char *member = afrpc_perl_pack_value (aTHX_ self, PL_stack_base[first + i], 0);

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
  if (!afrpc_value_writer_push_type (&self->writer, types->str, types->len, type))
    return afrpc_perl_pack_fail (self, "more values than a type can name") != NULL;
  afrpc_value_writer_close (&self->writer, &container, *type);

  return TRUE;
}

/* The same of more values than a type can name. */
static gboolean
pack_many (pTHX_
           AfrpcPerlPacker *self,
           SSize_t          first,
           SSize_t          n,
           guint           *type)
{
  AV *array = newAV ();
  gboolean ok;

  for (SSize_t i = 0; i < n; i++)
    av_push (array, SvREFCNT_inc_NN (PL_stack_base[first + i]));
  ok = afrpc_perl_pack_array (aTHX_ self, array, AFRPC_PERL_DEPTH_OF_ARRAY) != NULL;
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
  AfrpcPerlPacker self = { .are_octets = lists_are_octets, .error = error };
  GVariant *value;
  guint type;
  gboolean ok;

  if (list_serialiser != NULL)
    return afrpc_perl_serialiser_freeze (aTHX_ list_serialiser, first, n, error);
  value = pack_strings (aTHX_ first, n);
  if (value != NULL)
    return value;

  afrpc_value_writer_init (&self.writer, 0);
  afrpc_value_writer_push_type (&self.writer, "av", 2, &self.array);
  afrpc_value_writer_push_type (&self.writer, "a{sv}", 5, &self.hash);
  self.entry = self.hash + 1;
  afrpc_value_writer_push_type (&self.writer, "h", 1, &self.handle);
  self.scratch = newSV (0);

  if (n <= (SSize_t) TUPLE_MAX || self.are_octets || are_plain (aTHX_ first, n))
    ok = pack_members (aTHX_ &self, first, n, &type);
  else
    ok = pack_many (aTHX_ &self, first, n, &type);
  if (ok)
    value = afrpc_value_writer_end (&self.writer, type);
  if (ok && value == NULL)
    g_set_error (error, AFRPC_ERROR, AFRPC_ERROR_TOO_LARGE, "there is no memory for the values");

  SvREFCNT_dec_NN (self.scratch);
  afrpc_value_writer_clear (&self.writer);

  return value;
}
