/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers that follow from a seed alone: splitmix64. Each actor has a stream of its own. */
#pragma once

#include <glib.h>

typedef struct
{
  guint64 state;
} ChaosRandom;

static inline guint64
chaos_random_next (ChaosRandom *self)
{
  guint64 z = self->state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ z >> 31;
}

/* The stream of one of those who share a seed. */
static inline ChaosRandom
chaos_random (guint64 seed,
              guint64 who)
{
  ChaosRandom self = { seed };

  self.state = chaos_random_next (&self) ^ who * G_GUINT64_CONSTANT (0xd1342543de82ef95);
  chaos_random_next (&self);
  return self;
}

/* 0 to @n - 1; @n: not 0 */
static inline guint
chaos_random_below (ChaosRandom *self,
                    guint        n)
{
  return (chaos_random_next (self) >> 32) % n;
}

static inline gboolean
chaos_random_percent (ChaosRandom *self,
                      guint        percent)
{
  return chaos_random_below (self, 100) < percent;
}
