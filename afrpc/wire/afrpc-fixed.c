/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-fixed.h"

#include <string.h>

/* Bytes of a row that are looked at with one mask, at least. */
#define MASK_SIZE 1024u
#define FIXED_SIZE_MAX (AFRPC_LAYOUT_TYPE_MAX * 8u)

/* Numbers of one size that follow each other. */
typedef struct
{
  guint16 place;
  guint16 size;  /* bytes, all together */
  guint8 each;   /* bytes of one */
} Run;

/* What a value is made of, up to the next change. */
typedef struct
{
  const AfrpcLayout *at;
  const AfrpcLayout *end;
  gsize place;
} Walk;

/* One part of a value: padding, the byte of (), or a number or truth value. */
typedef struct
{
  gsize place;
  gsize padding;  /* bytes in front of @place that have to be zero; those of () are here, too */
  gsize size;     /* bytes, 0: there is only padding */
  gboolean is_truth;
} Part;

static gboolean
next_part (Walk *self,
           Part *part)
{
  const AfrpcLayout *layout = self->at;

  if (layout == self->end)
    return FALSE;

  self->at++;
  part->place = afrpc_layout_align (self->place, layout->alignment);
  part->size = 0;
  part->is_truth = layout->code == 'b';
  if (layout->code == '(' && layout->length == 2)
    {
      part->place++;
      self->at++;
    }
  else if (layout->code != '(' && layout->code != '{' && !afrpc_layout_is_closing (layout))
    part->size = layout->fixed_size;
  part->padding = part->place - self->place;
  self->place = part->place + part->size;

  return TRUE;
}

gboolean
afrpc_fixed_is_normal (const AfrpcLayout *type,
                       const guint8      *data)
{
  Walk walk = { type, type + type->length, 0 };
  Part part;

  while (next_part (&walk, &part))
    {
      for (gsize i = part.place - part.padding; i < part.place; i++)
        if (data[i] != 0)
          return FALSE;
      if (part.is_truth && data[part.place] > 1)
        return FALSE;
    }

  return TRUE;
}

/* Rows */

/* Sets the bits that have to be zero in as many values as @mask has room for; returns how many bytes those are. */
static gsize
make_mask (const AfrpcLayout *type,
           gsize              size,
           guint8            *mask)
{
  const gsize each = type->fixed_size;
  const gsize n = MIN (size / each, MAX (MASK_SIZE / each, 1));
  Walk walk = { type, type + type->length, 0 };
  Part part;

  while (next_part (&walk, &part))
    {
      memset (mask + part.place - part.padding, 0xff, part.padding);
      memset (mask + part.place, part.is_truth ? 0xfe : 0, part.size);
    }
  for (gsize done = each; done < n * each; done *= 2)
    memcpy (mask + done, mask, MIN (done, n * each - done));

  return n * each;
}

static inline guint64
get_masked (const guint8 *data,
            const guint8 *mask)
{
  guint64 a, b;

  memcpy (&a, data, sizeof a);
  memcpy (&b, mask, sizeof b);
  return a & b;
}

static gboolean
is_masked_zero (const guint8 *data,
                const guint8 *mask,
                gsize         size)
{
  guint64 found = 0;
  gsize i = 0;

  for (; size - i >= 32; i += 32)
    found |= get_masked (data + i, mask + i) | get_masked (data + i + 8, mask + i + 8) |
             get_masked (data + i + 16, mask + i + 16) | get_masked (data + i + 24, mask + i + 24);
  for (; size - i >= 8; i += 8)
    found |= get_masked (data + i, mask + i);
  for (; i < size; i++)
    found |= data[i] & mask[i];

  return found == 0;
}

gboolean
afrpc_fixed_are_normal (const AfrpcLayout *type,
                        const guint8      *data,
                        gsize              size)
{
  guint8 mask[MAX (MASK_SIZE, FIXED_SIZE_MAX)];
  gsize mask_size;

  if (type->kind == AFRPC_LAYOUT_ANY || size == 0)
    return TRUE;

  mask_size = make_mask (type, size, mask);
  for (gsize i = 0; i < size; i += mask_size)
    if (!is_masked_zero (data + i, mask, MIN (mask_size, size - i)))
      return FALSE;

  return TRUE;
}

/* The byte order */

G_ALWAYS_INLINE static inline void
swap_each (guint8 *data,
           gsize   size,
           guint   each)
{
  const guint64 low = G_GUINT64_CONSTANT (0x00ff00ff00ff00ff);
  guint64 word;
  gsize i = 0;

  for (; size - i >= 8; i += 8)
    {
      memcpy (&word, data + i, 8);
      if (each == 2)
        word = (word & low) << 8 | (word >> 8 & low);
      else
        word = GUINT64_SWAP_LE_BE (word);
      if (each == 4)
        word = word << 32 | word >> 32;
      memcpy (data + i, &word, 8);
    }
  /* What is no whole word. */
  for (; i < size; i += each)
    for (guint j = 0; j < each / 2; j++)
      {
        const guint8 byte = data[i + j];

        data[i + j] = data[i + each - 1 - j];
        data[i + each - 1 - j] = byte;
      }
}

/* @each: bytes of a number, which the compiler is to know */
static void
swap_numbers (guint8 *data,
              gsize   size,
              guint   each)
{
  if (each == 8)
    swap_each (data, size, 8);
  else if (each == 4)
    swap_each (data, size, 4);
  else
    swap_each (data, size, 2);
}

/* Returns how many there are. */
static guint
find_runs (const AfrpcLayout *type,
           Run               *runs)
{
  Walk walk = { type, type + type->length, 0 };
  Part part;
  guint n = 0;

  while (next_part (&walk, &part))
    {
      if (part.size <= 1)
        continue;
      if (n > 0 && runs[n - 1].each == part.size && runs[n - 1].place + runs[n - 1].size == part.place)
        runs[n - 1].size += part.size;
      else
        runs[n++] = (Run) { part.place, part.size, part.size };
    }

  return n;
}

void
afrpc_fixed_swap (const AfrpcLayout *type,
                  guint8            *data,
                  gsize              size)
{
  const gsize each = type->fixed_size;
  Run runs[AFRPC_LAYOUT_TYPE_MAX];
  guint n;

  if (type->alignment == 0)
    return;
  if (type->length == 1)
    {
      swap_numbers (data, size, each);
      return;
    }

  n = find_runs (type, runs);
  if (runs[0].size == each)
    {
      swap_numbers (data, size, runs[0].each);
      return;
    }
  for (gsize i = 0; i < size; i += each)
    for (guint j = 0; j < n; j++)
      swap_numbers (data + i + runs[j].place, runs[j].size, runs[j].each);
}
