/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-scan.h"

#include <string.h>

#include "afrpc-json-place.h"
#include "afrpc-json-private.h"
#include "wire/afrpc-text.h"

/* Bytes between two looks at the budget. */
#define PIECE 512

/* Units of work. */
#define TOKEN_COST 128
#define BYTE_COST 8

typedef AfrpcJsonScan Scan;

static gboolean
fail (const Scan  *scan,
      AfrpcError   code,
      const char  *message,
      GError     **error)
{
  g_autoptr(GString) pointer = g_string_new (NULL);
  g_autofree char *where = NULL;

  for (guint i = 0; i < scan->depth; i++)
    {
      const AfrpcJsonLevel *level = &scan->levels[i];

      if (!level->is_object)
        afrpc_json_pointer_add_index (pointer, level->index);
      else if (level->name != NULL)
        afrpc_json_pointer_add_name (pointer, level->name, level->name_length);
    }
  where = g_strdup_printf ("%s (byte %" G_GSIZE_FORMAT ")", message,
                           (gsize) (scan->at - scan->start));
  afrpc_json_pointer_set_error (pointer->str, code, where, error);
  return FALSE;
}

/* Whether what comes next is no text: neither are two, three or four bytes a character. */
static gboolean
is_at_no_text (const Scan *scan)
{
  const guint8 *at = (const guint8 *) scan->at;
  const guint8 *end = at + MIN (scan->end - scan->at, 4);

  return at < end && afrpc_text_skip_utf8 (at, end) == at;
}

static gboolean
fail_syntax (const Scan  *scan,
             const char  *message,
             GError     **error)
{
  return fail (scan, AFRPC_ERROR_INVALID_DATA, is_at_no_text (scan) ? "a NUL, or not UTF-8" : message, error);
}

static void
end_value (Scan *scan)
{
  scan->want = scan->depth > 0 ? AFRPC_JSON_WANT_COMMA_OR_END : AFRPC_JSON_WANT_NOTHING;
}

static gboolean
enter (Scan      *scan,
       gboolean   is_object,
       GError   **error)
{
  if (scan->depth == AFRPC_JSON_SCAN_DEPTH_MAX)
    return fail (scan, AFRPC_ERROR_TOO_LARGE, "too many arrays and objects in each other", error);

  scan->levels[scan->depth++] = (AfrpcJsonLevel) { .is_object = is_object };
  scan->want = is_object ? AFRPC_JSON_WANT_NAME_OR_END : AFRPC_JSON_WANT_VALUE_OR_END;
  scan->at++;
  return TRUE;
}

static gboolean
leave (Scan *scan)
{
  scan->depth--;
  scan->at++;
  end_value (scan);
  return TRUE;
}

/* The four digits after \u; -1 if there are none. */
static int
scan_code_unit (Scan *scan)
{
  int unit = 0;

  if (scan->end - scan->at < 4)
    return -1;
  for (int i = 0; i < 4; i++)
    {
      int digit = g_ascii_xdigit_value (scan->at[i]);

      if (digit < 0)
        return -1;
      unit = unit << 4 | digit;
    }
  scan->at += 4;
  return unit;
}

static gboolean
scan_unicode_escape (Scan    *scan,
                     GError **error)
{
  int unit = scan_code_unit (scan);

  if (unit < 0)
    return fail_syntax (scan, "expected four hexadecimal digits after \\u", error);
  if (unit == 0)
    return fail_syntax (scan, "a string cannot hold \\u0000", error);
  if (unit < 0xd800 || unit > 0xdfff)
    return TRUE;
  if (unit < 0xdc00 && scan->end - scan->at >= 2 && scan->at[0] == '\\' && scan->at[1] == 'u')
    {
      scan->at += 2;
      unit = scan_code_unit (scan);
      if (unit >= 0xdc00 && unit <= 0xdfff)
        return TRUE;
    }
  return fail_syntax (scan, "half of a surrogate pair", error);
}

static gboolean
scan_escape (Scan    *scan,
             GError **error)
{
  scan->at++;
  if (scan->at == scan->end)
    return fail_syntax (scan, "the text ends in a string", error);
  /* A NUL would be found, too. */
  if (*scan->at != '\0' && strchr ("\"\\/bfnrt", *scan->at) != NULL)
    {
      scan->at++;
      return TRUE;
    }
  if (*scan->at != 'u')
    return fail_syntax (scan, "unknown escape in a string", error);
  scan->at++;
  return scan_unicode_escape (scan, error);
}

/* Skips what is neither a quote, nor a backslash, nor a control character, nor beyond ASCII. */
static inline const char *
skip_plain (const char *at,
            const char *end)
{
  const guint64 ones = G_GUINT64_CONSTANT (0x0101010101010101);
  guint64 word;

  for (; end - at >= 8; at += 8)
    {
      memcpy (&word, at, sizeof word);
      /* Each subtraction leaves a high bit where there is such a character, and may do so behind one. */
      if (((word | (word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones)) &
           ones << 7) != 0)
        break;
    }
  while (at < end && (guchar) *at >= 0x20 && *at != '"' && *at != '\\' && (guchar) *at < 0x80)
    at++;

  return at;
}

static void
end_string (Scan *scan)
{
  if (scan->want != AFRPC_JSON_WANT_NAME)
    end_value (scan);
  else
    {
      AfrpcJsonLevel *level = &scan->levels[scan->depth - 1];

      level->name = scan->string;
      level->name_length = scan->at - scan->string;
      scan->want = AFRPC_JSON_WANT_COLON;
    }
  scan->string = NULL;
  scan->at++;
}

/* Goes on in a string, not beyond @limit by more than a character. */
static gboolean
scan_string (Scan        *scan,
             const char  *limit,
             GError     **error)
{
  while (scan->at < limit)
    {
      scan->at = skip_plain (scan->at, limit);
      if (scan->at == limit)
        break;
      if (*scan->at == '"')
        {
          end_string (scan);
          return TRUE;
        }

      if (*scan->at == '\\')
        {
          if (!scan_escape (scan, error))
            return FALSE;
        }
      else if ((guchar) *scan->at < 0x80)
        return fail_syntax (scan, "a control character in a string", error);
      else
        {
          const guint8 *at = (const guint8 *) scan->at;
          const guint8 *end = (const guint8 *) limit + MIN (scan->end - limit, 3);
          const guint8 *next = afrpc_text_skip_wide (at, end);

          if (next == at)
            return fail_syntax (scan, "", error);
          scan->at = (const char *) next;
        }
    }

  return scan->at < scan->end || fail_syntax (scan, "the text ends in a string", error);
}

static gboolean
scan_digits (Scan        *scan,
             const char  *end,
             GError     **error)
{
  const char *first = scan->at;

  while (scan->at < end && g_ascii_isdigit (*scan->at))
    scan->at++;
  return scan->at > first || fail_syntax (scan, "expected a digit", error);
}

static gboolean
scan_number (Scan    *scan,
             GError **error)
{
  const char *end = scan->at + MIN (scan->end - scan->at, AFRPC_JSON_NUMBER_SIZE_MAX + 1);
  const char *first = scan->at;

  if (*scan->at == '-')
    scan->at++;
  if (scan->at < end && *scan->at == '0')
    scan->at++;
  else if (!scan_digits (scan, end, error))
    return FALSE;

  if (scan->at < end && *scan->at == '.')
    {
      scan->at++;
      if (!scan_digits (scan, end, error))
        return FALSE;
    }
  if (scan->at < end && (*scan->at == 'e' || *scan->at == 'E'))
    {
      scan->at++;
      if (scan->at < end && (*scan->at == '+' || *scan->at == '-'))
        scan->at++;
      if (!scan_digits (scan, end, error))
        return FALSE;
    }

  return scan->at - first <= AFRPC_JSON_NUMBER_SIZE_MAX ||
         fail (scan, AFRPC_ERROR_TOO_LARGE, "the number has too many digits", error);
}

static gboolean
scan_literal (Scan        *scan,
              const char  *literal,
              GError     **error)
{
  gsize length = strlen (literal);

  if ((gsize) (scan->end - scan->at) < length || memcmp (scan->at, literal, length) != 0)
    return fail_syntax (scan, "expected a value", error);
  scan->at += length;
  return TRUE;
}

/* Begins a value; what has nothing in it, and is no string, is then behind us. */
static gboolean
scan_value (Scan    *scan,
            GError **error)
{
  gboolean is_good;

  switch (*scan->at)
    {
    case '{':
    case '[':
      return enter (scan, *scan->at == '{', error);
    case '"':
      scan->string = ++scan->at;
      return TRUE;
    case 't':
      is_good = scan_literal (scan, "true", error);
      break;
    case 'f':
      is_good = scan_literal (scan, "false", error);
      break;
    case 'n':
      is_good = scan_literal (scan, "null", error);
      break;
    default:
      is_good = *scan->at == '-' || g_ascii_isdigit (*scan->at) ? scan_number (scan, error)
                                                                : fail_syntax (scan, "expected a value", error);
    }

  end_value (scan);
  return is_good;
}

static gboolean
scan_name (Scan    *scan,
           GError **error)
{
  scan->levels[scan->depth - 1].name = NULL;
  if (*scan->at != '"')
    return fail_syntax (scan, "expected the name of a member", error);

  scan->want = AFRPC_JSON_WANT_NAME;
  scan->string = ++scan->at;
  return TRUE;
}

static gboolean
scan_after_value (Scan    *scan,
                  GError **error)
{
  AfrpcJsonLevel *level = &scan->levels[scan->depth - 1];
  const char *expected = level->is_object ? "expected a comma or }" : "expected a comma or ]";

  if (*scan->at == (level->is_object ? '}' : ']'))
    return leave (scan);
  if (*scan->at != ',')
    return fail_syntax (scan, expected, error);
  level->index++;
  scan->at++;
  scan->want = level->is_object ? AFRPC_JSON_WANT_NAME : AFRPC_JSON_WANT_VALUE;
  return TRUE;
}

static gboolean
scan_token (Scan    *scan,
            GError **error)
{
  switch (scan->want)
    {
    case AFRPC_JSON_WANT_VALUE:
      return scan_value (scan, error);
    case AFRPC_JSON_WANT_VALUE_OR_END:
      return *scan->at == ']' ? leave (scan) : scan_value (scan, error);
    case AFRPC_JSON_WANT_NAME:
      return scan_name (scan, error);
    case AFRPC_JSON_WANT_NAME_OR_END:
      return *scan->at == '}' ? leave (scan) : scan_name (scan, error);
    case AFRPC_JSON_WANT_COLON:
      if (*scan->at != ':')
        return fail_syntax (scan, "expected a colon", error);
      scan->at++;
      scan->want = AFRPC_JSON_WANT_VALUE;
      return TRUE;
    case AFRPC_JSON_WANT_COMMA_OR_END:
      return scan_after_value (scan, error);
    case AFRPC_JSON_WANT_NOTHING:
    default:
      return fail_syntax (scan, "something follows the value", error);
    }
}

static int
finish (Scan    *scan,
        GError **error)
{
  if (scan->string == NULL && scan->want == AFRPC_JSON_WANT_NOTHING)
    return 1;

  fail_syntax (scan, scan->string != NULL ? "the text ends in a string"
                     : scan->want == AFRPC_JSON_WANT_COLON ? "expected a colon" : "the text ends too early", error);
  return -1;
}

void
afrpc_json_scan_init (AfrpcJsonScan *self,
                      const char    *text,
                      gsize          length)
{
  self->start = self->at = text;
  self->end = text + length;
  self->want = AFRPC_JSON_WANT_VALUE;
  self->string = NULL;
  self->depth = 0;
}

int
afrpc_json_scan_step (AfrpcJsonScan  *self,
                      gssize         *budget,
                      GError        **error)
{
  while (self->at < self->end)
    {
      const char *limit = self->at + MIN (self->end - self->at, PIECE);

      if (*budget < 0)
        return 0;

      *budget -= PIECE * BYTE_COST;
      while (self->at < limit)
        {
          if (self->string == NULL && afrpc_json_is_space (*self->at))
            self->at++;
          else if (self->string != NULL ? !scan_string (self, limit, error) : !scan_token (self, error))
            return -1;
          else
            *budget -= TOKEN_COST;
        }
    }

  return finish (self, error);
}
