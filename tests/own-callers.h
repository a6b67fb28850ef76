/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Callers that are written outside of the library: one that hands its calls on to another, and some that do less. */
#pragma once

#include <afrpc/afrpc.h>

G_BEGIN_DECLS

/* Hands on */
#define FORWARDER_TYPE (forwarder_get_type ())
G_DECLARE_FINAL_TYPE (Forwarder, forwarder, TEST, FORWARDER, GObject)

AfrpcCaller *forwarder_new (AfrpcProxy *inner);

/* Does nothing */
#define IDLER_TYPE (idler_get_type ())
G_DECLARE_FINAL_TYPE (Idler, idler, TEST, IDLER, GObject)

struct _Idler
{
  GObject parent_instance;

  GPtrArray *calls; /* (element-type AfrpcCall) */
};

/* Answers a call when it has been waited for a third time, and counts */
#define DAWDLER_TYPE (dawdler_get_type ())
G_DECLARE_FINAL_TYPE (Dawdler, dawdler, TEST, DAWDLER, GObject)

struct _Dawdler
{
  GObject parent_instance;

  guint n_waits;
};

/* Makes no calls */
#define NOBODY_TYPE (nobody_get_type ())
G_DECLARE_FINAL_TYPE (Nobody, nobody, TEST, NOBODY, GObject)

G_END_DECLS
