/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kinds of elements that arrays have. What comes from a peer is not taken for anything else: an element that is
 * a pointer would be the end of whoever believes in it. */
#include "afrpc-python-array.h"

#include <string.h>

#if G_BYTE_ORDER == G_LITTLE_ENDIAN
#define NATIVE '<'
#define FOREIGN '>'
#else
#define NATIVE '>'
#define FOREIGN '<'
#endif

typedef enum { SIGNED, UNSIGNED, TRUTH, REAL, COMPLEX } Class;

/* As struct has them, and NumPy those that are complex. */
static const struct
{
  char letters[3];
  guint8 class;
  guint8 standard; /* bytes with a byte order, 0: it can have none */
  guint8 native;   /* bytes without */
} kinds[] = {
  { "b", SIGNED, 1, 1 },
  { "B", UNSIGNED, 1, 1 },
  { "?", TRUTH, 1, sizeof (_Bool) },
  { "h", SIGNED, 2, sizeof (short) },
  { "H", UNSIGNED, 2, sizeof (short) },
  { "i", SIGNED, 4, sizeof (int) },
  { "I", UNSIGNED, 4, sizeof (int) },
  { "l", SIGNED, 4, sizeof (long) },
  { "L", UNSIGNED, 4, sizeof (long) },
  { "q", SIGNED, 8, sizeof (long long) },
  { "Q", UNSIGNED, 8, sizeof (long long) },
  { "n", SIGNED, 0, sizeof (gssize) },
  { "N", UNSIGNED, 0, sizeof (gsize) },
  { "e", REAL, 2, 2 },
  { "f", REAL, 4, sizeof (float) },
  { "d", REAL, 8, sizeof (double) },
  { "Zf", COMPLEX, 8, 2 * sizeof (float) },
  { "Zd", COMPLEX, 16, 2 * sizeof (double) },
};

/* By class and the logarithm of the size; `y` stands for bytes. */
static const char codes[][6] = {
  [SIGNED] = "ynixy", [UNSIGNED] = "yquty", [TRUTH] = "byyyy", [REAL] = "yyydy", [COMPLEX] = "yyyyy",
};

/* @format: of a buffer; FALSE: that is no number of a size that is known here */
gboolean
afrpc_python_element_parse (AfrpcPythonElement *self,
                            const char         *format)
{
  const char order = format[0] != '\0' && strchr ("@=<>!", format[0]) != NULL ? *format++ : '@';
  gboolean is_foreign = order == FOREIGN || (order == '!' && FOREIGN == '>');
  guint i;

  /* A character of C is a byte. */
  if (strcmp (format, "c") == 0)
    format = "B";
  for (i = 0; i < G_N_ELEMENTS (kinds) && strcmp (kinds[i].letters, format) != 0; i++)
    ;
  if (i == G_N_ELEMENTS (kinds))
    return FALSE;

  self->size = order == '@' ? kinds[i].native : kinds[i].standard;
  if (self->size != kinds[i].native)
    {
      /* A long of another size than the machine's is an int. */
      if (self->size != sizeof (int) || kinds[i].class > UNSIGNED)
        return FALSE;
      format = kinds[i].class == SIGNED ? "i" : "I";
    }
  is_foreign = is_foreign && self->size > 1;
  self->code = is_foreign ? 'y' : codes[kinds[i].class][g_bit_nth_lsf (self->size, -1)];
  g_snprintf (self->format, sizeof self->format, "%s%s", is_foreign ? (const char[]) { FOREIGN, '\0' } : "", format);

  return TRUE;
}

/* @format: (out caller-allocates): as it travels, of AFRPC_PYTHON_FORMAT_SIZE */
void
afrpc_python_element_write (const AfrpcPythonElement *self,
                            char                     *format)
{
  const gboolean needs_order = self->code == 'y' && self->size > 1 && self->format[0] != FOREIGN;

  g_snprintf (format, AFRPC_PYTHON_FORMAT_SIZE, "%s%s", needs_order ? (const char[]) { NATIVE, '\0' } : "",
              self->format);
}

/* @format: as it travels; @code: what it is in GVariant */
gboolean
afrpc_python_element_read (AfrpcPythonElement *self,
                           const char         *format,
                           char                code)
{
  static const char *const others[] = { "ix", "iq", "ut", "IQ" };

  if (!afrpc_python_element_parse (self, format))
    return FALSE;
  if (self->code == code)
    return TRUE;

  /* Longs of another machine, whose size is another. */
  for (guint i = 0; i < G_N_ELEMENTS (others) && strchr ("lLnN", self->format[0]) != NULL; i += 2)
    {
      const char *found = strchr (others[i], code);

      if (found != NULL && strchr (others[i], self->code) != NULL)
        {
          const char letters[] = { others[i + 1][found - others[i]], '\0' };

          return afrpc_python_element_parse (self, letters);
        }
    }

  return FALSE;
}
