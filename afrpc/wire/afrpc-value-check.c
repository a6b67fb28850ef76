/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "wire/afrpc-value-check.h"

#include <string.h>

#include "wire/afrpc-fixed.h"
#include "wire/afrpc-offset.h"

/* Units of work, besides those of the bytes. */
#define VALUE_COST 32
#define TYPE_COST 16 /* for each character */

/* Text that is looked at in one piece, bytes. */
#define TEXT_PIECE (AFRPC_VALUE_CHECK_PIECE / 32)

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

  if (size > TEXT_PIECE)
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

  self->budget -= VALUE_COST + size;
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

static inline gboolean
is_multiple (gsize size,
             gsize of)
{
  return (of & (of - 1)) == 0 ? (size & (of - 1)) == 0 : size % of == 0;
}

/* These tell of most values that have no containers in them that they are normal; of the others, nothing.
 * Whatever they find, enter() would find, too. @size: that of the type, if it has one */

static inline gboolean
is_plain_text (const AfrpcValueCheck *self,
               const guint8          *data,
               gsize                  size)
{
  const guint8 *end;

  if (size == 0 || data[size - 1] != '\0')
    return FALSE;

  end = data + size - 1;
  return afrpc_text_is_short_ascii (data, size - 1, self->limit) ||
         (size <= TEXT_PIECE && afrpc_text_skip_utf8 (data, end) == end);
}

static inline gboolean
is_plain (const AfrpcValueCheck *self,
          const AfrpcLayout     *type,
          const guint8          *data,
          gsize                  size)
{
  if (type->kind == AFRPC_LAYOUT_ANY)
    return !self->swaps;
  if (type->kind == AFRPC_LAYOUT_TEXT)
    return type->code == 's' && is_plain_text (self, data, size);
  if (type->kind != AFRPC_LAYOUT_ROW)
    return FALSE;

  type++;
  return type->kind == AFRPC_LAYOUT_ANY && !self->swaps && is_multiple (size, type->fixed_size);
}

static inline gboolean
is_plain_variant (const AfrpcValueCheck *self,
                  const guint8          *data,
                  gsize                  size)
{
  const char code = size >= 2 && data[size - 2] == '\0' ? data[size - 1] : '\0';
  const AfrpcLayout *type = afrpc_layout_get_basic (code);

  return type->code == code && type->length > 0 && (type->fixed_size == 0 || type->fixed_size == size - 2) &&
         is_plain (self, type, data, size - 2);
}

/* Containers. They call each other as deep as values are in each other. */

static gboolean enter (AfrpcValueCheck   *self,
                       const AfrpcLayout *type,
                       guint8            *data,
                       gsize              size,
                       guint              depth);

static inline AfrpcValueCheckFrame *
push_frame (AfrpcValueCheck   *self,
            const AfrpcLayout *type,
            guint8            *data,
            gsize              size,
            guint              depth)
{
  AfrpcValueCheckFrame *frame;

  if (G_UNLIKELY (self->n_frames == AFRPC_VALUE_CHECK_FRAMES && self->more_frames == NULL))
    {
      self->more_frames = g_new (AfrpcValueCheckFrame, FRAMES_MAX);
      memcpy (self->more_frames, self->few_frames, sizeof self->few_frames);
      self->frames = self->more_frames;
    }

  frame = &self->frames[self->n_frames++];
  frame->start = data;
  frame->size = size;
  frame->offset_size = afrpc_offset_get_size (size);
  frame->at = 0;
  frame->type = type;
  frame->free = self->free;
  frame->depth = depth;
  return frame;
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

/* Goes past elements that are plain, while there is a budget. */
static inline __attribute__ ((always_inline)) void
skip_elements (AfrpcValueCheck      *self,
               AfrpcValueCheckFrame *frame,
               AfrpcLayoutKind       kind)
{
  AfrpcValueCheckFrame rest = *frame;
  gssize budget = self->budget;

  while (rest.next < rest.size)
    {
      const AfrpcValueCheckFrame before = rest;
      gsize begin, end;

      if (!next_element (&rest, &begin, &end) ||
          !(kind == AFRPC_LAYOUT_TEXT      ? is_plain_text (self, rest.start + begin, end - begin)
            : kind == AFRPC_LAYOUT_VARIANT ? is_plain_variant (self, rest.start + begin, end - begin)
                                           : is_plain (self, rest.type, rest.start + begin, end - begin)) ||
          (budget -= VALUE_COST + (kind == AFRPC_LAYOUT_ROW ? 0 : 2 * (end - begin))) < 0)
        {
          rest = before;
          break;
        }
    }

  self->budget = budget;
  frame->at = rest.at;
  frame->next = rest.next;
}

/* Goes on with the last frame, which is one of an array. */
static gboolean
continue_array (AfrpcValueCheck *self)
{
  const guint index = self->n_frames - 1;
  AfrpcValueCheckFrame *frame = &self->frames[index];

  for (;;)
    {
      const AfrpcLayout *element = frame->type;
      gsize begin, end;

      if (frame->depth + 1 + element->levels < AFRPC_LAYOUT_DEPTH_MAX)
        {
          if (element->kind == AFRPC_LAYOUT_TEXT && element->code == 's')
            skip_elements (self, frame, AFRPC_LAYOUT_TEXT);
          else if (element->kind == AFRPC_LAYOUT_ROW)
            skip_elements (self, frame, AFRPC_LAYOUT_ROW);
          else if (element->kind == AFRPC_LAYOUT_VARIANT)
            skip_elements (self, frame, AFRPC_LAYOUT_VARIANT);
        }
      if (frame->next == frame->size)
        {
          self->n_frames--;
          return TRUE;
        }

      self->free = frame->free;
      if (!next_element (frame, &begin, &end) ||
          !enter (self, element, frame->start + begin, end - begin, frame->depth + 1))
        return FALSE;
      if (is_interrupted (self, index))
        return TRUE;
    }
}

static gboolean
enter_array (AfrpcValueCheck   *self,
             const AfrpcLayout *element,
             guint8            *data,
             gsize              size,
             guint              depth)
{
  const guint offset_size = afrpc_offset_get_size (size);
  AfrpcValueCheckFrame *frame;
  gsize end;

  if (size == 0)
    return TRUE;

  /* The last element ends where the offsets begin, of which there is one at least. */
  end = afrpc_offset_read (data, size - offset_size, offset_size);
  if (end >= size || !is_multiple (size - end, offset_size) ||
      afrpc_offset_could_be_smaller (end, size - end, offset_size))
    return FALSE;

  frame = push_frame (self, element, data, size, depth);
  frame->end = frame->next = end;
  frame->is_array = TRUE;
  return continue_array (self);
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
  const gboolean is_small = size <= AFRPC_VALUE_CHECK_PIECE && depth + type->levels < AFRPC_LAYOUT_DEPTH_MAX;

  /* As long as its members are plain, nothing has to be kept of it. */
  while (is_small && !afrpc_layout_is_closing (rest.type))
    {
      const AfrpcValueCheckFrame before = rest;
      const AfrpcLayout *member = rest.type;
      gsize begin, end;

      if (!next_member (&rest, &begin, &end))
        return FALSE;
      if (is_plain (self, member, data + begin, end - begin) ||
          (member->kind == AFRPC_LAYOUT_VARIANT && is_plain_variant (self, data + begin, end - begin)))
        continue;
      rest = before;
      break;
    }
  if (afrpc_layout_is_closing (rest.type))
    {
      self->budget -= VALUE_COST * type->length + 2 * size;
      return is_end_of_tuple (&rest);
    }

  *push_frame (self, NULL, NULL, 0, 0) = rest;
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
          return is_multiple (size, type->fixed_size) && (size == 0 || enter_row (self, type, data, size, depth + 1));

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
