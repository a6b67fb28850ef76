/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-value-check.h"

#include <string.h>

#include "wire/afrpc-offset.h"
#include "wire/afrpc-value-settle.h"

/* Units of work, besides those of the bytes. */
#define VALUE_COST 64
#define TYPE_COST 16 /* for each character */
#define PART_COST 64 /* for each character of the type of a value that is looked at part by part */

#define FRAMES_MAX AFRPC_LAYOUT_DEPTH_MAX
#define LAYOUTS_MAX (AFRPC_LAYOUT_DEPTH_MAX * AFRPC_LAYOUT_TYPE_MAX)

/* @data: (nullable): NULL if @size is 0
 * Nothing is looked at yet. */
void
afrpc_value_check_init (AfrpcValueCheck   *self,
                        const AfrpcLayout *type,
                        guint8            *data,
                        gsize              size,
                        gboolean           swaps)
{
  self->swaps = swaps;
  self->has_failed = FALSE;
  self->type = type;
  self->data = data != NULL ? data : (guint8 *) ""; /* nothing at all has no place */
  self->size = size;
  self->limit = self->data + size;
  self->row = NULL;
  self->is_in_text = FALSE;
  self->n_frames = 0;
  self->free = 0;
  self->frames = self->few_frames;
  self->more_frames = NULL;
  self->more_layouts = NULL;
}

void
afrpc_value_check_clear (AfrpcValueCheck *self)
{
  g_clear_pointer (&self->more_frames, g_free);
  g_clear_pointer (&self->more_layouts, g_free);
}

/* What has nothing in it */

static gboolean
enter_text (AfrpcValueCheck *self,
            char             code,
            guint8          *data,
            gsize            size)
{
  if (size == 0 || data[size - 1] != '\0')
    return FALSE;

  if (size > AFRPC_VALUE_TEXT_PIECE)
    {
      afrpc_text_init (&self->text, code, data, size);
      self->is_in_text = TRUE;
      return TRUE;
    }

  self->budget -= 2 * size;
  if (code == 's')
    return afrpc_text_skip_utf8 (data, data + size - 1) == data + size - 1;
  return afrpc_text_is_valid (code, data, size);
}

static gboolean
continue_text (AfrpcValueCheck *self)
{
  /* A character of a path, or of a signature, takes longer. */
  const gsize cost = self->text.code == 's' ? 2 : 16;
  const guint8 *before = self->text.at;
  const int step = afrpc_text_step (&self->text, MAX (self->budget, AFRPC_VALUE_CHECK_PIECE / 4) / cost);

  self->budget -= VALUE_COST + cost * (self->text.at - before);
  self->is_in_text = step == 0;

  return step >= 0;
}

static gboolean
continue_row (AfrpcValueCheck *self)
{
  const AfrpcLayout *type = self->row;
  const gsize room = MAX (self->budget, AFRPC_VALUE_CHECK_PIECE / 4) / type->fixed_size;
  const gsize size = MIN (self->size, MAX (room, 1) * type->fixed_size);

  if (type->kind != AFRPC_LAYOUT_ANY &&
      !(size == type->fixed_size ? afrpc_fixed_is_normal (type, self->data)
                                 : afrpc_fixed_are_normal (type, self->data, size)))
    return FALSE;
  if (self->swaps)
    afrpc_fixed_swap (type, self->data, size);

  self->budget -= VALUE_COST + size + (type->kind == AFRPC_LAYOUT_ANY ? 0 : PART_COST * type->length);
  self->data += size;
  self->size -= size;
  if (self->size == 0)
    self->row = NULL;

  return TRUE;
}

/* Values of fixed size, one or more, of which each is at @depth. */
static gboolean
enter_row (AfrpcValueCheck   *self,
           const AfrpcLayout *type,
           guint8            *data,
           gsize              size,
           guint              depth)
{
  if (depth + type->levels > AFRPC_LAYOUT_DEPTH_MAX)
    return FALSE;
  if (type->kind == AFRPC_LAYOUT_ANY && (!self->swaps || type->alignment == 0))
    return TRUE;

  self->row = type;
  self->data = data;
  self->size = size;
  return size > AFRPC_VALUE_CHECK_PIECE / 4 || continue_row (self);
}

/* Containers. They call each other as deep as values are in each other. */

static gboolean enter (AfrpcValueCheck   *self,
                       const AfrpcLayout *type,
                       guint8            *data,
                       gsize              size,
                       guint              depth);

static inline AfrpcValueCheckFrame *
push_frame (AfrpcValueCheck *self)
{
  if (G_UNLIKELY (self->n_frames == AFRPC_VALUE_CHECK_FRAMES && self->more_frames == NULL))
    {
      self->more_frames = g_new (AfrpcValueCheckFrame, FRAMES_MAX);
      memcpy (self->more_frames, self->few_frames, sizeof self->few_frames);
      self->frames = self->more_frames;
    }

  return &self->frames[self->n_frames++];
}

/* Whether something is to be looked at before the container at @index goes on. */
static inline gboolean
is_interrupted (const AfrpcValueCheck *self,
                guint                  index)
{
  return self->n_frames != index + 1 || self->budget < 0 || self->is_in_text || self->row != NULL;
}

/* Finds where the next element of an array is. */
static inline gboolean
next_element (AfrpcValueCheckFrame *frame,
              gsize                *begin,
              gsize                *end)
{
  *begin = afrpc_layout_align (frame->at, frame->type->alignment);
  *end = afrpc_offset_read (frame->start, frame->next, frame->offset_size);
  if (*end < *begin || *end > frame->end || !afrpc_offset_is_padding (frame->start, frame->at, *begin))
    return FALSE;

  frame->at = *end;
  frame->next += frame->offset_size;
  return TRUE;
}

/* Settles elements from the first on, as long as that is possible and there is a budget. */
G_ALWAYS_INLINE static inline void
settle_elements (AfrpcValueCheck      *self,
                 AfrpcValueCheckFrame *frame,
                 AfrpcLayoutKind       kind)
{
  AfrpcValueCheckFrame rest = *frame;
  gsize at = rest.at, next = rest.next;
  gssize budget = self->budget;

  for (; rest.next < rest.size && budget >= 0; at = rest.at, next = rest.next)
    {
      gsize begin, end;
      guint8 *data;

      if (!next_element (&rest, &begin, &end))
        break;

      data = rest.start + begin;
      if (!(kind == AFRPC_LAYOUT_TEXT      ? afrpc_value_settle_text (self, rest.type->code, data, end - begin)
            : kind == AFRPC_LAYOUT_VARIANT ? afrpc_value_settle_variant (self, data, end - begin)
            : kind == AFRPC_LAYOUT_MAYBE   ? afrpc_value_settle_maybe (self, rest.type, data, end - begin)
                                           : afrpc_value_settle (self, rest.type, data, end - begin)))
        break;

      budget -= VALUE_COST + 2 * (kind == AFRPC_LAYOUT_ROW && !self->swaps ? 0 : end - begin);
    }

  frame->at = at;
  frame->next = next;
  self->budget = budget;
}

static void
settle_most (AfrpcValueCheck      *self,
             AfrpcValueCheckFrame *frame)
{
  if (!afrpc_value_is_shallow (frame->type, frame->depth + 1))
    return;

  switch (frame->type->kind)
    {
    case AFRPC_LAYOUT_TEXT:
      settle_elements (self, frame, AFRPC_LAYOUT_TEXT);
      break;

    case AFRPC_LAYOUT_ROW:
      settle_elements (self, frame, AFRPC_LAYOUT_ROW);
      break;

    case AFRPC_LAYOUT_MAYBE:
      settle_elements (self, frame, AFRPC_LAYOUT_MAYBE);
      break;

    case AFRPC_LAYOUT_VARIANT:
      settle_elements (self, frame, AFRPC_LAYOUT_VARIANT);
      break;

    default:
      break;
    }
}

/* Goes on with the last frame, which is one of an array. */
static gboolean
continue_array (AfrpcValueCheck *self)
{
  const guint index = self->n_frames - 1;
  AfrpcValueCheckFrame *frame = &self->frames[index];

  while (frame->next < frame->size)
    {
      gsize begin, end;

      self->free = frame->free;
      if (!next_element (frame, &begin, &end) ||
          !enter (self, frame->type, frame->start + begin, end - begin, frame->depth + 1))
        return FALSE;
      if (is_interrupted (self, index))
        return TRUE;

      frame = &self->frames[index]; /* they may have moved */
      settle_most (self, frame);
    }

  self->n_frames--;
  return TRUE;
}

static gboolean
enter_array (AfrpcValueCheck   *self,
             const AfrpcLayout *element,
             guint8            *data,
             gsize              size,
             guint              depth)
{
  AfrpcValueCheckFrame frame = {
    .start = data,
    .size = size,
    .type = element,
    .free = self->free,
    .offset_size = afrpc_offset_get_size (size),
    .depth = depth,
    .is_array = TRUE,
  };

  if (size == 0)
    return TRUE;

  /* The last element ends where the offsets begin, of which there is one at least. */
  frame.end = frame.next = afrpc_offset_read (data, size - frame.offset_size, frame.offset_size);
  if (frame.end >= size || !afrpc_value_is_multiple (size - frame.end, frame.offset_size) ||
      afrpc_offset_could_be_smaller (frame.end, size - frame.end, frame.offset_size))
    return FALSE;

  settle_most (self, &frame);
  if (frame.next == size)
    return TRUE;

  *push_frame (self) = frame;
  return self->budget < 0 || continue_array (self);
}

/* Finds where the next member of a tuple is. */
static inline gboolean
next_member (AfrpcValueCheckFrame *frame,
             gsize                *begin,
             gsize                *end)
{
  const AfrpcLayout *member = frame->type;

  frame->type += member->length;
  *begin = afrpc_layout_align (frame->at, member->alignment);
  *end = frame->end;
  if (member->fixed_size > 0)
    *end = *begin + member->fixed_size;
  else if (!afrpc_layout_is_closing (frame->type))
    {
      /* Offsets are from the last to the first, and there is none of the last member. */
      if (frame->end < frame->offset_size)
        return FALSE;
      frame->end -= frame->offset_size;
      *end = afrpc_offset_read (frame->start, frame->end, frame->offset_size);
    }
  if (*end < *begin || *end > frame->end || !afrpc_offset_is_padding (frame->start, frame->at, *begin))
    return FALSE;

  frame->at = *end;
  return TRUE;
}

static inline gboolean
is_end_of_tuple (const AfrpcValueCheckFrame *frame)
{
  return frame->at == frame->end &&
         !afrpc_offset_could_be_smaller (frame->end, frame->size - frame->end, frame->offset_size);
}

/* Goes on with the last frame, which is one of a tuple, or of an entry. */
static gboolean
continue_tuple (AfrpcValueCheck *self)
{
  const guint index = self->n_frames - 1;
  AfrpcValueCheckFrame *frame = &self->frames[index];

  while (!afrpc_layout_is_closing (frame->type))
    {
      const AfrpcLayout *member = frame->type;
      gsize begin, end;

      self->free = frame->free;
      if (!next_member (frame, &begin, &end) ||
          !enter (self, member, frame->start + begin, end - begin, frame->depth + 1))
        return FALSE;
      if (is_interrupted (self, index))
        return TRUE;

      frame = &self->frames[index]; /* they may have moved */
    }

  self->n_frames--;
  return is_end_of_tuple (frame);
}

static gboolean
enter_tuple (AfrpcValueCheck   *self,
             const AfrpcLayout *type,
             guint8            *data,
             gsize              size,
             guint              depth)
{
  AfrpcValueCheckFrame rest = {
    .start = data,
    .size = size,
    .end = size,
    .type = type + 1,
    .free = self->free,
    .offset_size = afrpc_offset_get_size (size),
    .depth = depth,
  };
  const gboolean is_small = size <= AFRPC_VALUE_CHECK_PIECE && afrpc_value_is_shallow (type, depth);

  /* As long as its members can be settled, nothing has to be kept of it. */
  while (is_small && !afrpc_layout_is_closing (rest.type))
    {
      const gsize before_at = rest.at, before_end = rest.end;
      const AfrpcLayout *member = rest.type;
      gsize begin, end;

      if (!next_member (&rest, &begin, &end))
        return FALSE;
      if (member->kind == AFRPC_LAYOUT_VARIANT ? afrpc_value_settle_variant (self, data + begin, end - begin)
                                               : afrpc_value_settle (self, member, data + begin, end - begin))
        continue;

      rest.at = before_at;
      rest.end = before_end;
      rest.type = member;
      break;
    }
  if (afrpc_layout_is_closing (rest.type))
    {
      self->budget -= VALUE_COST * type->length + 2 * size;
      return is_end_of_tuple (&rest);
    }

  *push_frame (self) = rest;
  return continue_tuple (self);
}

/* Where the layout of so many characters goes. Types in each other fit in, for the limit of depth holds. */
static AfrpcLayout *
reserve_layout (AfrpcValueCheck *self,
                guint            n)
{
  if (G_LIKELY (self->free + n <= AFRPC_VALUE_CHECK_LAYOUTS))
    return self->few_layouts + self->free;

  if (self->more_layouts == NULL)
    self->more_layouts = g_new (AfrpcLayout, LAYOUTS_MAX);
  self->free = MAX (self->free, AFRPC_VALUE_CHECK_LAYOUTS);
  return self->more_layouts + (self->free - AFRPC_VALUE_CHECK_LAYOUTS);
}

/* Returns: (nullable): the layout of what is in a `v`, of which @size then is the size. */
static const AfrpcLayout *
open_variant (AfrpcValueCheck *self,
              const guint8    *data,
              gsize           *size,
              guint            depth)
{
  const gsize n_max = MIN (*size, AFRPC_LAYOUT_TYPE_MAX + 1);
  const guint8 *end = data + *size;
  AfrpcLayout *layout;
  gsize n = 0;

  /* The value, a NUL, and the type string. */
  while (n < n_max && end[-1 - (gssize) n] != '\0')
    n++;
  if (n == n_max)
    return NULL;

  self->budget -= TYPE_COST * n;
  layout = reserve_layout (self, n);
  if (!afrpc_layout_init (layout, (const char *) end - n, n))
    return NULL;
  self->free += n;

  *size -= n + 1;
  /* As GLib has it: a type may be so deep that this is no limit. */
  return depth < (gsize) AFRPC_LAYOUT_DEPTH_MAX - layout->depth ? layout : NULL;
}

/* Looks at one value. What is to be left in the middle is taken note of. */
static gboolean
enter (AfrpcValueCheck   *self,
       const AfrpcLayout *type,
       guint8            *data,
       gsize              size,
       guint              depth)
{
  for (; depth < AFRPC_LAYOUT_DEPTH_MAX; depth++)
    {
      self->budget -= VALUE_COST;
      switch ((AfrpcLayoutKind) type->kind)
        {
        case AFRPC_LAYOUT_ANY:
        case AFRPC_LAYOUT_FIXED:
          return size == type->fixed_size && enter_row (self, type, data, size, depth);

        case AFRPC_LAYOUT_TEXT:
          return enter_text (self, type->code, data, size);

        case AFRPC_LAYOUT_ROW:
          type++;
          return afrpc_value_is_multiple (size, type->fixed_size) &&
                 (size == 0 || enter_row (self, type, data, size, depth + 1));

        case AFRPC_LAYOUT_ARRAY:
          return enter_array (self, type + 1, data, size, depth);

        case AFRPC_LAYOUT_TUPLE:
          return enter_tuple (self, type, data, size, depth);

        case AFRPC_LAYOUT_MAYBE:
          if (size == 0)
            return TRUE;
          type++;
          /* Behind what varies in size there is a NUL, so that it is something. */
          if (type->fixed_size == 0 && data[--size] != '\0')
            return FALSE;
          break;

        case AFRPC_LAYOUT_VARIANT:
          type = open_variant (self, data, &size, depth);
          if (type == NULL)
            return FALSE;
          break;

        case AFRPC_LAYOUT_NONE:
        default:
          g_assert_not_reached ();
        }
    }

  return FALSE;
}

static int
run (AfrpcValueCheck *self)
{
  const AfrpcLayout *type = g_steal_pointer (&self->type);

  if (type != NULL && !enter (self, type, self->data, self->size, 0))
    return -1;

  while (self->n_frames > 0 || self->is_in_text || self->row != NULL)
    {
      gboolean is_good;

      if (self->budget < 0)
        return 0;

      if (self->is_in_text)
        is_good = continue_text (self);
      else if (self->row != NULL)
        is_good = continue_row (self);
      else
        is_good = self->frames[self->n_frames - 1].is_array ? continue_array (self) : continue_tuple (self);
      if (!is_good)
        return -1;
    }

  return 1;
}

/* Returns 1 if the value is in normal form, -1 if it is not, 0 if @budget did not suffice to tell. */
int
afrpc_value_check_step (AfrpcValueCheck *self,
                        gssize           budget)
{
  int step;

  if (self->has_failed)
    return -1;

  self->budget = budget;
  step = run (self);
  self->has_failed = step < 0;

  return step;
}

/* All at once. */
gboolean
afrpc_value_is_normal (const AfrpcLayout *type,
                       const guint8      *data,
                       gsize              size)
{
  AfrpcValueCheck check;
  int step;

  afrpc_value_check_init (&check, type, (guint8 *) data, size, FALSE);
  step = afrpc_value_check_step (&check, G_MAXSSIZE);
  afrpc_value_check_clear (&check);

  return step > 0;
}
