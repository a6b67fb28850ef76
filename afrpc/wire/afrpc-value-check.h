/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether bytes of a foreign process are a GVariant in normal form: exactly where g_variant_is_normal_form() says
 * so, except that a type inside of a `v` has AFRPC_LAYOUT_TYPE_MAX characters at most. What has passed may be given
 * to GLib as trusted, which then believes each string: so this is a boundary of memory safety. It holds only for
 * memory that nobody else can write to, from now on and for as long as the value lives.
 *
 * GLib is not asked for anything: it takes several times as long, all at once, and keeps what it needs to know of
 * a type, however large that is.
 *
 * A value that is small, or for which the caller has the time:
 *
 *   is_normal = afrpc_value_is_normal (type, data, size);
 *
 * A large one, in slices of a main loop:
 *
 *   AfrpcValueCheck check;
 *   int step;
 *
 *   afrpc_value_check_init (&check, type, data, size, FALSE);
 *   while ((step = afrpc_value_check_step (&check, AFRPC_VALUE_CHECK_SLICE)) == 0)
 *     … come back later: @type and @data have to stay where they are …
 *   afrpc_value_check_clear (&check);
 *
 * and @step is 1 if it is normal, -1 if it is not. With its last argument TRUE, it changes the byte order of all
 * numbers on the way, in place: offsets are little-endian on every machine. What is malformed may change, too. */
#pragma once

#include <glib.h>

#include "wire/afrpc-layout.h"
#include "wire/afrpc-text.h"

G_BEGIN_DECLS

/* Work of one step, of which a unit is about a machine instruction: two for a byte of text, one for a byte of a
 * number whose order changes, none for others. A step goes beyond by AFRPC_VALUE_CHECK_PIECE at most. */
#define AFRPC_VALUE_CHECK_SLICE (1 << 20)
#define AFRPC_VALUE_CHECK_PIECE 16384

/* What is needed without allocating anything. */
#define AFRPC_VALUE_CHECK_FRAMES 16u  /* containers in each other */
#define AFRPC_VALUE_CHECK_LAYOUTS 64u /* characters of types in `v` in each other */

/* A container of variable size that is being looked at. Places are relative to where it starts. */
typedef struct
{
  guint8 *start;
  gsize size;
  gsize at;                 /* where what has been looked at ends */
  gsize end;                /* where the offsets begin; of a tuple: those that have been read */
  gsize next;               /* of an array: the offset to be read next */
  const AfrpcLayout *type;  /* of the elements, or of the next member */
  guint free;               /* where the layouts of types go that are in it */
  guint8 offset_size;       /* bytes; of nothing 0 */
  guint8 depth;
  guint8 is_array;          /* a boolean: it is a tuple or an entry otherwise */
} AfrpcValueCheckFrame;

typedef struct
{
  gssize budget;            /* of this step; below 0 when it is used up */
  gboolean swaps;           /* the byte order changes */
  gboolean has_failed;      /* it is not normal */
  const guint8 *limit;      /* where all memory ends that may be read */

  /* What is to be looked at first: the whole, or what was left in the middle. At most one of these. */
  const AfrpcLayout *type;  /* (nullable): of the whole */
  guint8 *data;
  gsize size;
  const AfrpcLayout *row;   /* (nullable): of values of fixed size one after the other, at @data */
  gboolean is_in_text;
  AfrpcText text;

  guint n_frames;
  guint free;               /* where the layouts of the next type go: into the few, or behind them into more */
  AfrpcValueCheckFrame *frames;
  AfrpcValueCheckFrame *more_frames; /* (nullable): instead of the few */
  AfrpcLayout *more_layouts;         /* (nullable): besides the few */
  AfrpcValueCheckFrame few_frames[AFRPC_VALUE_CHECK_FRAMES];
  AfrpcLayout few_layouts[AFRPC_VALUE_CHECK_LAYOUTS];
} AfrpcValueCheck;

void     afrpc_value_check_init  (AfrpcValueCheck   *self,
                                  const AfrpcLayout *type,
                                  guint8            *data,
                                  gsize              size,
                                  gboolean           swaps);
int      afrpc_value_check_step  (AfrpcValueCheck   *self,
                                  gssize             budget);
void     afrpc_value_check_clear (AfrpcValueCheck   *self);

gboolean afrpc_value_is_normal   (const AfrpcLayout *type,
                                  const guint8      *data,
                                  gsize              size);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AfrpcValueCheck, afrpc_value_check_clear)

G_END_DECLS
