/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Numbers in one piece, which are written as they are: octets that a worker has packed, and piddles. */
#include "config.h"

#include "afrpc-perl-packer.h"

#include <string.h>

#include "wire/afrpc-layout.h"

gboolean
afrpc_perl_is_array (pTHX_
                     SV *sv)
{
  SV *target = SvRV (sv);

  return SvSTASH (target) == gv_stashpvs (AFRPC_PERL_ARRAY_CLASS, 0) && SvTYPE (target) == SVt_PVAV;
}

/* Rows in rows of numbers; the type is that of the outermost, and its own elements' follow. */
static void
write_rows (AfrpcPerlPacker  *self,
            guint             type,
            const guint8    **octets,
            const gsize      *dims,
            guint             n_dims,
            gsize             number_size)
{
  const AfrpcValueContainer container = afrpc_perl_pack_open (self, type);

  if (n_dims == 1)
    {
      const gsize size = dims[0] * number_size;

      afrpc_value_writer_put (&self->writer, *octets, size);
      *octets += size;
      return;
    }

  for (gsize i = 0; i < dims[0]; i++)
    {
      write_rows (self, type + 1, octets, dims + 1, n_dims - 1, number_size);
      afrpc_value_writer_note_end (&self->writer, &container);
    }
  afrpc_value_writer_close (&self->writer, &container, type);
}

/* The dimensions of an array, of which the size of the numbers is made sure of. Returns their number, or 0. */
static guint
get_dims (pTHX_
          AV    *parts,
          gsize  size,
          gsize  number_size,
          gsize *dims)
{
  const SSize_t n = MAX (av_len (parts) - 1, 1);
  gsize product = number_size;

  if (n > AFRPC_PERL_DIMS_MAX || number_size == 0)
    return 0;
  if (av_len (parts) < 2)
    {
      dims[0] = size / number_size;
      return size % number_size == 0 ? 1 : 0;
    }

  for (SSize_t i = 0; i < n; i++)
    {
      SV **dim = av_fetch (parts, 2 + i, FALSE);

      dims[i] = dim != NULL ? SvUV (*dim) : 0;
      if (!g_size_checked_mul (&product, product, dims[i]))
        return 0;
    }

  return product == size ? n : 0;
}

const char *
afrpc_perl_pack_numbers (pTHX_
                         AfrpcPerlPacker *self,
                         AV              *parts)
{
  SV **code = av_fetch (parts, 0, FALSE), **octets = av_fetch (parts, 1, FALSE);
  const gboolean is_whole = code != NULL && octets != NULL && SvPOK (*code) && SvPOK (*octets) && !SvUTF8 (*octets);
  const char element = is_whole ? *SvPVX (*code) : '\0';
  const gboolean is_number = element != '\0' && strchr ("ynqiuxtd", element) != NULL;
  const gsize number_size = is_number ? afrpc_layout_number_size (element) : 0;
  gsize dims[AFRPC_PERL_DIMS_MAX];
  const guint n_dims = is_whole ? get_dims (aTHX_ parts, SvCUR (*octets), number_size, dims) : 0;
  const guint8 *at;
  guint type;

  if (n_dims == 0)
    return afrpc_perl_pack_fail (self, "an array that is not made by Afrpc::array ()");

  memset (self->numbers_type, 'a', n_dims);
  self->numbers_type[n_dims] = element;
  self->numbers_type[n_dims + 1] = '\0';
  at = (const guint8 *) SvPVX (*octets);
  afrpc_value_writer_push_type (&self->writer, self->numbers_type, n_dims + 1, &type);
  write_rows (self, type, &at, dims, n_dims, number_size);
  afrpc_value_writer_pop_type (&self->writer, type);

  return self->numbers_type;
}

gboolean
afrpc_perl_is_pdl (pTHX_
                   SV *sv)
{
  return hv_exists (GvHVn (PL_incgv), "PDL/Core.pm", strlen ("PDL/Core.pm")) && sv_derived_from (sv, "PDL");
}

/* Numbers in one piece, or one number. */
const char *
afrpc_perl_pack_pdl (pTHX_
                     AfrpcPerlPacker *self,
                     SV              *sv)
{
  SV *parts = NULL;
  AfrpcPerlCall call = {
    .code = afrpc_perl_function ("Afrpc::Perl::from_pdl"), .args = { SvREFCNT_inc (sv) }, .scalar = &parts
  };
  const char *type;

  if (!afrpc_perl_call (&call, AFRPC_PERL_EXCEPTION, self->error))
    return NULL;

  if (SvROK (parts))
    type = afrpc_perl_pack_numbers (aTHX_ self, (AV *) SvRV (parts));
  else
    type = afrpc_perl_pack_string (aTHX_ self, parts);
  SvREFCNT_dec (parts);

  return type;
}
