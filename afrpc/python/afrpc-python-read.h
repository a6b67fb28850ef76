/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What reads the bytes of a GVariant. Types are tables of layouts. */
#pragma once

#include <string.h>

#include "afrpc-python-codec.h"
#include "afrpc/wire/afrpc-layout.h"

G_BEGIN_DECLS

typedef struct
{
  GVariant *value;  /* what the bytes are of, borrowed */
  PyObject *hooks;  /* (nullable): borrowed */
  guint depth;      /* how many values what is read is in */
} AfrpcPythonReader;

/* The members of a tuple or an entry, one after the other. */
typedef struct
{
  const AfrpcLayout *type; /* of the next one; a closing bracket at the end */
  const guint8 *data;
  gsize size;              /* without the offsets that have been read, at its end */
  gsize end;               /* of the member that was read last */
  guint offset_size;
} AfrpcPythonMembers;

/* The layout of a type that is in a value, kept for as long as the same one comes again. */
typedef struct
{
  const char *string;  /* borrowed, without a NUL */
  gsize length;        /* 0: there is none */
  AfrpcLayout *more;   /* (nullable): instead of the few */
  AfrpcLayout few[16];
} AfrpcPythonType;

PyObject          *afrpc_python_read_malformed (void);
void               afrpc_python_members_init   (AfrpcPythonMembers  *self,
                                                const AfrpcLayout   *tuple,
                                                const guint8        *data,
                                                gsize                size);
gboolean           afrpc_python_members_next   (AfrpcPythonMembers  *self,
                                                const guint8       **data,
                                                gsize               *size);
Py_ssize_t         afrpc_python_count_members  (const AfrpcLayout   *tuple);
const AfrpcLayout *afrpc_python_type_get       (AfrpcPythonType     *self,
                                                const char          *string,
                                                gsize                length);
void               afrpc_python_type_clear     (AfrpcPythonType     *self);

PyObject          *afrpc_python_read_value     (AfrpcPythonReader   *self,
                                                const AfrpcLayout   *type,
                                                const guint8        *data,
                                                gsize                size);
gboolean           afrpc_python_read_members   (AfrpcPythonReader   *self,
                                                const AfrpcLayout   *tuple,
                                                const guint8        *data,
                                                gsize                size,
                                                PyObject           **objects);

/* How many bytes each offset has in a container of so many. */
static inline guint
afrpc_python_offset_size (gsize size)
{
  if (size > G_MAXUINT32)
    return 8;

  return size > G_MAXUINT16 ? 4 : size > G_MAXUINT8 ? 2 : 1;
}

static inline gsize
afrpc_python_offset (const guint8 *at,
                     guint         offset_size)
{
  guint64 offset = 0;

  /* So that each of these is an instruction or two. */
  switch (offset_size)
    {
    case 1:
      return *at;
    case 2:
      memcpy (&offset, at, 2);
      break;
    case 4:
      memcpy (&offset, at, 4);
      break;
    default:
      memcpy (&offset, at, 8);
    }

  return GUINT64_FROM_LE (offset);
}

/* Whether arrays of numbers are to be more than lists. */
static inline gboolean
afrpc_python_reader_has_arrays (const AfrpcPythonReader *self)
{
  return self->hooks != NULL && PyTuple_GET_ITEM (self->hooks, 2) != Py_None;
}

G_END_DECLS
