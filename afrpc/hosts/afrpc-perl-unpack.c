/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From GVariant to Perl: reads the bytes of a value, in which nothing becomes a GVariant of its own. The format is
 * that of the GVariant specification, section 2. What is out of place is read as empty, so that no bytes
 * whatever lead out of the value. */
#include "config.h"

#include "afrpc-perl-value.h"

#include <string.h>

#include "wire/afrpc-layout.h"
#include "wire/afrpc-value-writer.h"

/* As deep as GLib lets values be in each other. */
#define DEPTH_MAX 128u

/* A type is a number; see there. */
typedef struct
{
  AfrpcValueWriter types; /* of which only the table of types is used */
  guint depth;
} Reader;

static AfrpcValueWriter spare_types;

/* Some bytes, of a type. */
typedef struct
{
  guint type;
  const guint8 *data;
  gsize size;
} Part;

/* The members of a tuple or an entry, one after the other. */
typedef struct
{
  Part whole;
  guint type;       /* of the next */
  guint end_size;   /* bytes of each end that is noted behind the members */
  gsize position;   /* where the one before ended */
  gsize ends;       /* where the end that was read last is */
} Members;

static SV *read_part (pTHX_ Reader *self, const Part *part);

static const AfrpcLayout *
get_layout (const Reader *self,
            guint         type)
{
  return afrpc_value_writer_get_layout (&self->types, type);
}

static guint
get_end_size (gsize size)
{
  return size <= G_MAXUINT8 ? 1 : size <= G_MAXUINT16 ? 2 : size <= G_MAXUINT32 ? 4 : 8;
}

/* @at, @end_size: within the part */
static gsize
read_end (const Part *part,
          gsize       at,
          guint       end_size)
{
  guint64 end = 0;

  memcpy (&end, part->data + at, end_size);

  return GUINT64_FROM_LE (end);
}

/* From @start up to @end of @whole, or empty if that is out of place. */
static Part
get_part (const Part *whole,
          guint       type,
          gsize       start,
          gsize       end)
{
  if (start > end || end > whole->size)
    return (Part) { type, whole->data, 0 };

  return (Part) { type, whole->data + start, end - start };
}

#define READ_NUMBER(Type, part) \
  ({ \
    Type number = 0; \
    if ((part)->size >= sizeof number) \
      memcpy (&number, (part)->data, sizeof number); \
    number; \
  })

/* Returns: (nullable): NULL if it is no number */
static SV *
read_number (pTHX_
             char        code,
             const Part *part)
{
  switch (code)
    {
    case 'b':
      return newSVsv (READ_NUMBER (guint8, part) != 0 ? &PL_sv_yes : &PL_sv_no);

    case 'y':
      return newSVuv (READ_NUMBER (guint8, part));

    case 'n':
      return newSViv (READ_NUMBER (gint16, part));

    case 'q':
      return newSVuv (READ_NUMBER (guint16, part));

    case 'i':
    case 'h':
      return newSViv (READ_NUMBER (gint32, part));

    case 'u':
      return newSVuv (READ_NUMBER (guint32, part));

    case 'x':
      return newSViv (READ_NUMBER (gint64, part));

    case 't':
      return newSVuv (READ_NUMBER (guint64, part));

    case 'd':
      return newSVnv (READ_NUMBER (double, part));

    default:
      return NULL;
    }
}

/* The octets of its UTF-8, as of everything that comes from outside of a Perl program. */
static SV *
read_string (pTHX_
             const Part *part)
{
  return newSVpvn ((const char *) part->data, part->size > 0 ? part->size - 1 : 0);
}

static Members
begin_members (const Part *whole)
{
  return (Members) { *whole, whole->type + 1, get_end_size (whole->size), 0, whole->size };
}

static gboolean
has_member (const Reader  *self,
            const Members *members)
{
  return !afrpc_layout_is_closing (get_layout (self, members->type));
}

static Part
next_member (const Reader *self,
             Members      *members)
{
  const AfrpcLayout *layout = get_layout (self, members->type);
  const gsize start = (members->position + layout->alignment) & ~(gsize) layout->alignment;
  const guint type = members->type;
  gsize end;

  members->type += layout->length;
  if (layout->fixed_size > 0)
    end = start + layout->fixed_size;
  else if (!has_member (self, members))
    end = members->ends;
  else
    {
      members->ends -= MIN (members->ends, members->end_size);
      end = members->whole.size - members->ends >= members->end_size
              ? read_end (&members->whole, members->ends, members->end_size)
              : G_MAXSIZE;
    }
  members->position = end;

  return get_part (&members->whole, type, start, end);
}

static gsize
count_elements (const Reader *self,
                const Part   *array,
                guint        *end_size)
{
  const gsize fixed_size = get_layout (self, array->type + 1)->fixed_size;
  gsize last_end;

  *end_size = get_end_size (array->size);
  if (array->size == 0 || fixed_size > 0)
    return array->size / MAX (fixed_size, 1);

  last_end = array->size >= *end_size ? read_end (array, array->size - *end_size, *end_size) : G_MAXSIZE;

  return last_end <= array->size ? (array->size - last_end) / *end_size : 0;
}

/* The elements of an array, one after the other. */
typedef struct
{
  const Part *array;
  gsize n;
  gsize index;     /* of the next */
  gsize position;  /* where the one before ended */
  guint end_size;
} Elements;

static Elements
begin_elements (const Reader *self,
                const Part   *array)
{
  Elements elements = { array, 0, 0, 0, 0 };

  elements.n = count_elements (self, array, &elements.end_size);

  return elements;
}

static Part
next_element (const Reader *self,
              Elements     *elements)
{
  const Part *array = elements->array;
  const AfrpcLayout *layout = get_layout (self, array->type + 1);
  const gsize start = (elements->position + layout->alignment) & ~(gsize) layout->alignment;

  if (layout->fixed_size > 0)
    elements->position = start + layout->fixed_size;
  else
    elements->position = read_end (array, array->size - (elements->n - elements->index) * elements->end_size,
                                   elements->end_size);
  elements->index++;

  return get_part (array, array->type + 1, start, elements->position);
}

/* Returns: (nullable): an array of numbers in one piece, if the worker wants those */
static SV *
read_piece (pTHX_
            char        code,
            const Part *part,
            gsize       n)
{
  SV *wanted = get_sv ("Afrpc::arrays", 0);
  SV *octets, *piece = NULL;
  AfrpcPerlCall call;

  if (wanted == NULL || !SvPOK (wanted) || strchr ("nqiuxtd", code) == NULL)
    return NULL;

  octets = newSVpvn ((const char *) part->data, part->size);
  if (strEQ (SvPVX (wanted), "packed"))
    return octets;

  call = (AfrpcPerlCall) {
    .code = afrpc_perl_function ("Afrpc::Perl::to_pdl"),
    .args = { newSVpvn (&code, 1), octets, newSVuv (n) },
    .scalar = &piece,
  };
  afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, NULL);

  return piece;
}

static SV *
read_array (pTHX_
            Reader     *self,
            const Part *part)
{
  const char code = get_layout (self, part->type + 1)->code;
  const gboolean are_numbers = afrpc_layout_number_size (code) > 0;
  Elements elements = begin_elements (self, part);
  SV *piece = are_numbers ? read_piece (aTHX_ code, part, elements.n) : NULL;
  AV *array;

  if (piece != NULL)
    return piece;

  array = newAV ();
  if (elements.n == 0)
    return newRV_noinc ((SV *) array);

  av_extend (array, elements.n - 1);
  while (elements.index < elements.n)
    {
      const Part element = next_element (self, &elements);

      av_push (array, are_numbers ? read_number (aTHX_ code, &element) : read_part (aTHX_ self, &element));
    }

  return newRV_noinc ((SV *) array);
}

static SV *
read_hash (pTHX_
           Reader     *self,
           const Part *part)
{
  Elements elements = begin_elements (self, part);
  HV *hash = newHV ();

  if (elements.n > 0)
    hv_ksplit (hash, elements.n);
  while (elements.index < elements.n)
    {
      const Part entry = next_element (self, &elements);
      Members members = begin_members (&entry);
      const Part key = next_member (self, &members);
      const Part value = next_member (self, &members);
      SV *key_sv = read_part (aTHX_ self, &key);

      hv_store_ent (hash, key_sv, read_part (aTHX_ self, &value), 0);
      SvREFCNT_dec (key_sv);
    }

  return newRV_noinc ((SV *) hash);
}

static SV *
read_tuple (pTHX_
            Reader     *self,
            const Part *part)
{
  Members members = begin_members (part);
  AV *array = newAV ();

  while (has_member (self, &members))
    {
      const Part member = next_member (self, &members);

      av_push (array, read_part (aTHX_ self, &member));
    }

  return newRV_noinc ((SV *) array);
}

static SV *
read_maybe (pTHX_
            Reader     *self,
            const Part *part)
{
  const Part inner = {
    part->type + 1, part->data, get_layout (self, part->type + 1)->fixed_size > 0 ? part->size : part->size - 1
  };

  return part->size > 0 ? read_part (aTHX_ self, &inner) : newSV (0);
}

/* Behind the value are a NUL and its type. */
static SV *
read_variant (pTHX_
              Reader     *self,
              const Part *part)
{
  const guint8 *nul = part->size > 0 ? memrchr (part->data, '\0', part->size) : NULL;
  const char *type, *type_end;
  Part inner;
  SV *sv;

  if (nul == NULL)
    return newSV (0);
  type = (const char *) nul + 1;
  if (!g_variant_type_string_scan (type, (const char *) part->data + part->size, &type_end) ||
      type_end != (const char *) part->data + part->size)
    return newSV (0);

  if (!afrpc_value_writer_push_type (&self->types, type, type_end - type, &inner.type))
    return newSV (0);
  inner.data = part->data;
  inner.size = nul - part->data;
  sv = read_part (aTHX_ self, &inner);
  afrpc_value_writer_pop_type (&self->types, inner.type);

  return sv;
}

static SV *
read_container (pTHX_
                Reader     *self,
                const Part *part)
{
  switch (get_layout (self, part->type)->code)
    {
    case 'v':
      return read_variant (aTHX_ self, part);

    case 'm':
      return read_maybe (aTHX_ self, part);

    case 'a':
      if (get_layout (self, part->type + 1)->code == 'y')
        return newSVpvn ((const char *) part->data, part->size);
      if (get_layout (self, part->type + 1)->code == '{')
        return read_hash (aTHX_ self, part);
      return read_array (aTHX_ self, part);

    case '(':
    case '{':
      return read_tuple (aTHX_ self, part);

    default:
      return newSV (0);
    }
}

static SV *
read_part (pTHX_
           Reader     *self,
           const Part *part)
{
  const char code = get_layout (self, part->type)->code;
  SV *sv;

  if (code == 's' || code == 'o' || code == 'g')
    return read_string (aTHX_ part);

  sv = read_number (aTHX_ code, part);
  if (sv != NULL)
    return sv;

  if (self->depth >= DEPTH_MAX)
    return newSV (0);
  self->depth++;
  sv = read_container (aTHX_ self, part);
  self->depth--;

  return sv;
}

static Part
begin (Reader   *self,
       GVariant *value)
{
  const char *type = g_variant_get_type_string (value);
  Part part = { .data = g_variant_get_data (value), .size = g_variant_get_size (value) };

  self->depth = 0;
  self->types = spare_types;
  spare_types = (AfrpcValueWriter) { NULL };
  afrpc_value_writer_push_type (&self->types, type, strlen (type), &part.type);
  if (part.data == NULL)
    part = (Part) { part.type, (const guint8 *) "", 0 };

  return part;
}

static void
end (Reader *self)
{
  afrpc_value_writer_pop_type (&self->types, 0);
  if (spare_types.layouts == NULL)
    spare_types = self->types;
  else
    afrpc_value_writer_clear (&self->types);
}

/* Returns a new scalar. */
SV *
afrpc_perl_unpack (pTHX_
                   GVariant *value)
{
  Reader reader;
  const Part part = begin (&reader, value);
  SV *sv = read_part (aTHX_ &reader, &part);

  end (&reader);

  return sv;
}

/* Puts what is thawed of octets on Perl's stack. */
static gboolean
push_thawed (pTHX_
             SV        *thaw,
             GVariant  *octets,
             GError   **error)
{
  dSP;
  SSize_t n;

  PUSHMARK (SP);
  mXPUSHs (newSVpvn (g_variant_get_data (octets), g_variant_get_size (octets)));
  PUTBACK;
  n = call_sv (thaw, G_LIST | G_EVAL);
  if (!afrpc_perl_check_died (aTHX_ AFRPC_PERL_EXCEPTION, error))
    return TRUE;

  SPAGAIN;
  SP -= n;
  PUTBACK;
  return FALSE;
}

/* To read may run code, which has to find the stack as it is. */
static void
push_part (pTHX_
           Reader     *reader,
           const Part *part)
{
  SV *sv = sv_2mortal (read_part (aTHX_ reader, part));
  dSP;

  XPUSHs (sv);
  PUTBACK;
}

/* Puts arguments on Perl's stack: the members of a tuple, or anything else as a single one. */
gboolean
afrpc_perl_push (pTHX_
                 GVariant  *args,
                 GError   **error)
{
  AfrpcPerlSerialiser *serialiser = afrpc_perl_value_get_serialiser ();
  Reader reader;
  Part part;

  if (serialiser != NULL)
    return push_thawed (aTHX_ afrpc_perl_serialiser_get_thaw (serialiser), args, error);

  part = begin (&reader, args);
  if (get_layout (&reader, part.type)->code == '(')
    {
      Members members = begin_members (&part);

      while (has_member (&reader, &members))
        {
          const Part member = next_member (&reader, &members);

          push_part (aTHX_ &reader, &member);
        }
    }
  else
    push_part (aTHX_ &reader, &part);
  end (&reader);

  return TRUE;
}
