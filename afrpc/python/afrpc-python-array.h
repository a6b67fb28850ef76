/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Arrays that are more than a list: what has a buffer, with elements of one kind and a shape. They are of the type
 * `{s(satX)}`: what it is in Python ("array", "numpy", "memory"; with ".T" behind it if it is the transpose of what
 * follows); the format of an element, as struct has it; the shape; and the elements, in the order of C. X is the
 * type that they have in GVariant, or `y` if they have none, which are the bytes of each. */
#pragma once

#include "afrpc-python-read.h"

G_BEGIN_DECLS

#define AFRPC_PYTHON_DIMENSIONS_MAX 32 /* of NumPy 1 */
#define AFRPC_PYTHON_FORMAT_SIZE 4     /* bytes, with a NUL: ">Zd" */

/* What Python calls them. */
typedef enum
{
  AFRPC_PYTHON_MEMORY, /* a memoryview */
  AFRPC_PYTHON_ARRAY,  /* an array.array */
  AFRPC_PYTHON_NUMPY,  /* a numpy.ndarray */
} AfrpcPythonArrayKind;

typedef struct
{
  char format[AFRPC_PYTHON_FORMAT_SIZE]; /* as struct and NumPy have it */
  char code;                             /* the type in GVariant, or `y` */
  guint8 size;                           /* bytes */
} AfrpcPythonElement;

gboolean             afrpc_python_element_parse (AfrpcPythonElement        *self,
                                                 const char                *format);
void                 afrpc_python_element_write (const AfrpcPythonElement  *self,
                                                 char                      *format);
gboolean             afrpc_python_element_read  (AfrpcPythonElement        *self,
                                                 const char                *format,
                                                 char                       code);

/* What gives its memory to memoryviews and the like, and keeps what it belongs to. */
typedef struct
{
  PyObject_VAR_HEAD
  GBytes *bytes;            /* what the data are a part of */
  const guint8 *data;
  AfrpcPythonElement element;
  AfrpcPythonArrayKind kind;
  gboolean is_transposed;   /* the order of Fortran, and not that of C */
  int n_dimensions;
  Py_ssize_t n_elements;
  Py_ssize_t places[];      /* the shape, then the strides, of n_dimensions each */
} AfrpcPythonView;

PyTypeObject        *afrpc_python_view_make_type (void);
AfrpcPythonView     *afrpc_python_view_new       (GBytes                    *bytes,
                                                  int                        n_dimensions);
AfrpcPythonView     *afrpc_python_view_new_row   (GBytes                    *bytes,
                                                  const guint8              *data,
                                                  gsize                      n,
                                                  const char                *format);

/* Readers' part */

gboolean             afrpc_python_is_number      (char                       code);
gboolean             afrpc_python_is_array_type  (const AfrpcLayout         *type);
PyObject            *afrpc_python_read_array     (AfrpcPythonReader         *reader,
                                                  const AfrpcLayout         *type,
                                                  const guint8              *data,
                                                  gsize                      size);
PyObject            *afrpc_python_read_numbers   (AfrpcPythonReader         *reader,
                                                  const AfrpcLayout         *element,
                                                  const guint8              *data,
                                                  gsize                      n);

G_END_DECLS
