/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "afrpc-json-names.h"

#include <string.h>
#include <sys/random.h>

/* So few, whose beginnings differ, are compared with each other. */
#define FEW 8u
#define BEGINNING 64u

/* Bytes of a name that are hashed at once: a multiple of 8. */
#define PIECE 4096u

#define NAME_COST 64

/* The same for all names that this process ever reads: nothing that the other side sees depends on it. */
static const guint64 *
get_secret (void)
{
  static guint64 secret[2];
  static gsize is_ready;

  if (g_once_init_enter (&is_ready))
    {
      if (getrandom (secret, sizeof secret, GRND_NONBLOCK) != sizeof secret)
        for (guint i = 0; i < 2 * G_N_ELEMENTS (secret); i++)
          secret[i / 2] = secret[i / 2] << 32 | g_random_int ();
      g_once_init_leave (&is_ready, 1);
    }

  return secret;
}

/* SipHash-1-3: Aumasson and Bernstein, "SipHash: a fast short-input PRF". */

static inline guint64
rotate (guint64 word,
        guint   by)
{
  return word << by | word >> (64 - by);
}

static inline void
mix (guint64 *v)
{
  v[0] += v[1];
  v[2] += v[3];
  v[1] = rotate (v[1], 13) ^ v[0];
  v[3] = rotate (v[3], 16) ^ v[2];
  v[0] = rotate (v[0], 32);
  v[2] += v[1];
  v[0] += v[3];
  v[1] = rotate (v[1], 17) ^ v[2];
  v[3] = rotate (v[3], 21) ^ v[0];
  v[2] = rotate (v[2], 32);
}

static inline void
add_word (guint64 *v,
          guint64  word)
{
  v[3] ^= word;
  mix (v);
  v[0] ^= word;
}

static void
begin_hash (AfrpcJsonNames *self)
{
  const guint64 *secret = get_secret ();

  self->length = 0;
  self->state[0] = secret[0] ^ G_GUINT64_CONSTANT (0x736f6d6570736575);
  self->state[1] = secret[1] ^ G_GUINT64_CONSTANT (0x646f72616e646f6d);
  self->state[2] = secret[0] ^ G_GUINT64_CONSTANT (0x6c7967656e657261);
  self->state[3] = secret[1] ^ G_GUINT64_CONSTANT (0x7465646279746573);
}

/* Hashes a piece more of the name. Returns whether that was the last. */
static gboolean
continue_hash (AfrpcJsonNames *self,
               const char     *name)
{
  const char *piece = name + self->length;
  const gsize size = strnlen (piece, PIECE);
  guint64 *v = self->state;
  guint64 word;
  gsize i = 0;

  for (; i + 8 <= size; i += 8)
    {
      memcpy (&word, piece + i, 8);
      add_word (v, word);
    }
  self->length += size;
  if (size == PIECE)
    return FALSE;

  word = 0;
  memcpy (&word, piece + i, size - i);
  add_word (v, word ^ (guint64) self->length << 56);
  v[2] ^= 0xff;
  for (i = 0; i < 3; i++)
    mix (v);

  return TRUE;
}

static gboolean
make_slots (AfrpcJsonNames *self)
{
  /* At most half full. */
  self->mask = 2 * FEW - 1;
  while (self->mask < 2 * self->n)
    self->mask = 2 * self->mask + 1;
  self->slots = self->n < G_MAXUINT32 ? g_try_new0 (AfrpcJsonNameSlot, self->mask + 1) : NULL;
  self->i = 0;
  begin_hash (self);

  return self->slots != NULL;
}

/* Whether the name, which has been hashed, is one of those before it; it becomes one of them. */
static gboolean
is_known (AfrpcJsonNames *self,
          const char     *name)
{
  const guint64 hash = self->state[0] ^ self->state[1] ^ self->state[2] ^ self->state[3];
  const guint32 part = hash >> 32;
  gsize at = hash & self->mask;

  for (; self->slots[at].number != 0; at = (at + 1) & self->mask)
    if (self->slots[at].hash == part && strcmp (self->get (self->data, self->slots[at].number - 1), name) == 0)
      return TRUE;
  self->slots[at] = (AfrpcJsonNameSlot) { self->i + 1, part };

  return FALSE;
}

/* Whether one of those before it begins as this name does. */
static gboolean
is_similar (AfrpcJsonNames *self,
            const char     *name)
{
  for (gsize i = 0; i < self->i; i++)
    if (strncmp (self->get (self->data, i), name, BEGINNING) == 0)
      return TRUE;

  return FALSE;
}

void
afrpc_json_names_init (AfrpcJsonNames   *self,
                       gsize             n,
                       AfrpcJsonGetName  get,
                       gconstpointer     data)
{
  self->get = get;
  self->data = data;
  self->n = n;
  self->i = 0;
  self->slots = NULL;
}

void
afrpc_json_names_clear (AfrpcJsonNames *self)
{
  g_clear_pointer (&self->slots, g_free);
}

int
afrpc_json_names_step (AfrpcJsonNames *self,
                       gssize         *budget)
{
  if (self->n > FEW && self->slots == NULL && !make_slots (self))
    return -1;

  while (self->i < self->n)
    {
      const char *name = self->get (self->data, self->i);

      if (*budget < 0)
        return 0;

      *budget -= NAME_COST;
      if (self->slots != NULL)
        {
          const gsize before = self->length;
          const gboolean is_whole = continue_hash (self, name);

          *budget -= 2 * (self->length - before);
          if (!is_whole)
            continue;
          if (is_known (self, name))
            return -1;
          begin_hash (self);
        }
      else if (is_similar (self, name))
        {
          if (!make_slots (self))
            return -1;
          continue;
        }
      self->i++;
    }

  return 1;
}

gboolean
afrpc_json_names_are_unique (gsize             n,
                             AfrpcJsonGetName  get,
                             gconstpointer     data)
{
  AfrpcJsonNames names;
  gssize budget = G_MAXSSIZE;
  int step;

  afrpc_json_names_init (&names, n, get, data);
  step = afrpc_json_names_step (&names, &budget);
  afrpc_json_names_clear (&names);

  return step > 0;
}
