/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-scan.h"

#include <string.h>

#include "afrpc-json-place.h"

typedef enum
{
  WANT_VALUE,
  WANT_VALUE_OR_END, /* after [ */
  WANT_NAME,
  WANT_NAME_OR_END,  /* after { */
  WANT_COMMA_OR_END,
  WANT_NOTHING,
} Want;

typedef struct
{
  gboolean is_object;
  gsize index;       /* of the element or member that is being read */
  const char *name;  /* (nullable): of that member, as written between the quotes */
  gsize name_length;
} Level;

typedef struct
{
  const char *start;
  const char *at;
  const char *end;
  gboolean is_cut;   /* the end is not that of the text, but what is no UTF-8 */
  Want want;
  guint depth; /* <= AFRPC_JSON_SCAN_DEPTH_MAX; how many of the levels are in use */
  Level levels[AFRPC_JSON_SCAN_DEPTH_MAX];
} Scan;

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
      const Level *level = &scan->levels[i];

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

static gboolean
fail_syntax (const Scan  *scan,
             const char  *message,
             GError     **error)
{
  if (scan->is_cut && scan->at == scan->end)
    message = "a NUL, or not UTF-8";
  return fail (scan, AFRPC_ERROR_INVALID_DATA, message, error);
}

static void
end_value (Scan *scan)
{
  scan->want = scan->depth > 0 ? WANT_COMMA_OR_END : WANT_NOTHING;
}

static gboolean
enter (Scan      *scan,
       gboolean   is_object,
       GError   **error)
{
  if (scan->depth == AFRPC_JSON_SCAN_DEPTH_MAX)
    return fail (scan, AFRPC_ERROR_TOO_LARGE, "too many arrays and objects in each other", error);

  scan->levels[scan->depth++] = (Level) { .is_object = is_object };
  scan->want = is_object ? WANT_NAME_OR_END : WANT_VALUE_OR_END;
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
  if (strchr ("\"\\/bfnrt", *scan->at) != NULL)
    {
      scan->at++;
      return TRUE;
    }
  if (*scan->at != 'u')
    return fail_syntax (scan, "unknown escape in a string", error);
  scan->at++;
  return scan_unicode_escape (scan, error);
}

static gboolean
scan_string (Scan    *scan,
             GError **error)
{
  scan->at++;
  while (scan->at < scan->end && *scan->at != '"')
    {
      if ((guchar) *scan->at < 0x20)
        return fail_syntax (scan, "a control character in a string", error);
      if (*scan->at != '\\')
        scan->at++;
      else if (!scan_escape (scan, error))
        return FALSE;
    }
  if (scan->at == scan->end)
    return fail_syntax (scan, "the text ends in a string", error);
  scan->at++;
  return TRUE;
}

static gboolean
scan_digits (Scan    *scan,
             GError **error)
{
  const char *first = scan->at;

  while (scan->at < scan->end && g_ascii_isdigit (*scan->at))
    scan->at++;
  return scan->at > first || fail_syntax (scan, "expected a digit", error);
}

static gboolean
scan_number (Scan    *scan,
             GError **error)
{
  if (*scan->at == '-')
    scan->at++;
  if (scan->at < scan->end && *scan->at == '0')
    scan->at++;
  else if (!scan_digits (scan, error))
    return FALSE;

  if (scan->at < scan->end && *scan->at == '.')
    {
      scan->at++;
      if (!scan_digits (scan, error))
        return FALSE;
    }
  if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E'))
    {
      scan->at++;
      if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
        scan->at++;
      if (!scan_digits (scan, error))
        return FALSE;
    }
  return TRUE;
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

static gboolean
scan_scalar (Scan    *scan,
             GError **error)
{
  switch (*scan->at)
    {
    case '"':
      return scan_string (scan, error);
    case 't':
      return scan_literal (scan, "true", error);
    case 'f':
      return scan_literal (scan, "false", error);
    case 'n':
      return scan_literal (scan, "null", error);
    default:
      if (*scan->at == '-' || g_ascii_isdigit (*scan->at))
        return scan_number (scan, error);
      return fail_syntax (scan, "expected a value", error);
    }
}

static gboolean
scan_value (Scan    *scan,
            GError **error)
{
  if (*scan->at == '{' || *scan->at == '[')
    return enter (scan, *scan->at == '{', error);
  if (!scan_scalar (scan, error))
    return FALSE;
  end_value (scan);
  return TRUE;
}

static void
skip_space (Scan *scan)
{
  while (scan->at < scan->end
         && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\t' || *scan->at == '\r'))
    scan->at++;
}

/* A member's name, and the colon after it. */
static gboolean
scan_name (Scan    *scan,
           GError **error)
{
  Level *level = &scan->levels[scan->depth - 1];
  const char *name = scan->at + 1;

  level->name = NULL;
  if (*scan->at != '"')
    return fail_syntax (scan, "expected the name of a member", error);
  if (!scan_string (scan, error))
    return FALSE;
  level->name = name;
  level->name_length = scan->at - 1 - name;

  skip_space (scan);
  if (scan->at == scan->end || *scan->at != ':')
    return fail_syntax (scan, "expected a colon", error);
  scan->at++;
  scan->want = WANT_VALUE;
  return TRUE;
}

static gboolean
scan_after_value (Scan    *scan,
                  GError **error)
{
  Level *level = &scan->levels[scan->depth - 1];
  const char *expected = level->is_object ? "expected a comma or }" : "expected a comma or ]";

  if (*scan->at == (level->is_object ? '}' : ']'))
    return leave (scan);
  if (*scan->at != ',')
    return fail_syntax (scan, expected, error);
  level->index++;
  scan->at++;
  scan->want = level->is_object ? WANT_NAME : WANT_VALUE;
  return TRUE;
}

static gboolean
scan_step (Scan    *scan,
           GError **error)
{
  switch (scan->want)
    {
    case WANT_VALUE:
      return scan_value (scan, error);
    case WANT_VALUE_OR_END:
      return *scan->at == ']' ? leave (scan) : scan_value (scan, error);
    case WANT_NAME:
      return scan_name (scan, error);
    case WANT_NAME_OR_END:
      return *scan->at == '}' ? leave (scan) : scan_name (scan, error);
    case WANT_COMMA_OR_END:
      return scan_after_value (scan, error);
    case WANT_NOTHING:
    default:
      return fail_syntax (scan, "something follows the value", error);
    }
}

static gboolean
scan_all (Scan    *scan,
          GError **error)
{
  /* Up to there, it is read as usual, so that the error has the place. */
  scan->is_cut = !g_utf8_validate_len (scan->start, scan->end - scan->start, &scan->end);
  for (skip_space (scan); scan->at < scan->end; skip_space (scan))
    if (!scan_step (scan, error))
      return FALSE;
  if (scan->is_cut || scan->want != WANT_NOTHING)
    return fail_syntax (scan, "the text ends too early", error);
  return TRUE;
}

gboolean
afrpc_json_scan (const char  *text,
                 gsize        length,
                 GError     **error)
{
  Scan scan = { .start = text, .at = text, .end = text + length };

  return scan_all (&scan, error);
}
