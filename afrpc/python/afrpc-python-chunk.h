/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Many calls that travel in one. Its argument is marked, `({sat})`, and so is nothing else that Python sends; what is
 * answered is `(tat)`: how many microseconds that took, and outcomes, of as many of the first calls as were made. What both
 * have in the numbers are records, one behind the other, each of which is made by itself and can be cut off anywhere:
 *
 *   the size of a value in bytes, of 32 bits, the length of its type, and what it is, of 16 bits each
 *   the value, of no more than that many bytes, and its type; what is missing up to a multiple of 8 is zeros. */
#pragma once

#include "afrpc-python-pack.h"
#include "afrpc-python-read.h"

G_BEGIN_DECLS

#define AFRPC_PYTHON_CHUNK_ARGS_TYPE "({sat})"
#define AFRPC_PYTHON_CHUNK_ANSWER_TYPE "(tat)"
#define AFRPC_PYTHON_CHUNK "afrpc.chunk" /* the mark */
#define AFRPC_PYTHON_CHUNK_SIZE_MAX 65536u /* bytes: when there are more of arguments, or outcomes, no others are added */

typedef enum
{
  AFRPC_PYTHON_RECORD_VALUE, /* the only argument, or a result */
  AFRPC_PYTHON_RECORD_ARGS,  /* a tuple: all arguments */
  AFRPC_PYTHON_RECORD_ERROR, /* what a call has failed with, as that is sent: `(sis)` */
} AfrpcPythonRecordKind;

typedef struct
{
  AfrpcPythonRecordKind kind;
  const char *type;          /* without a NUL */
  gsize type_length;
  const guint8 *data;
  gsize size;
} AfrpcPythonRecord;

/* Goes through records. */
typedef struct
{
  const guint8 *next;
  gsize size;                /* of what is left */
} AfrpcPythonRecords;

/* Where a record begins that is being written. */
typedef struct
{
  gsize size;
  gsize n_ends;
  gsize n_types;
} AfrpcPythonMark;

gsize              afrpc_python_chunk_measure_args (gsize                    size);
AfrpcPythonPacker *afrpc_python_chunk_begin_args   (PyObject                *hooks);
GVariant          *afrpc_python_chunk_end_args     (AfrpcPythonPacker       *self);
AfrpcPythonPacker *afrpc_python_chunk_begin_answer (PyObject                *hooks);
GVariant          *afrpc_python_chunk_end_answer   (AfrpcPythonPacker       *self,
                                                    guint64                  elapsed_us);
gboolean           afrpc_python_chunk_add          (AfrpcPythonPacker       *self,
                                                    PyObject                *object,
                                                    AfrpcPythonRecordKind    kind,
                                                    AfrpcPythonMark         *mark);
gboolean           afrpc_python_chunk_add_variant  (AfrpcPythonPacker       *self,
                                                    GVariant                *value,
                                                    AfrpcPythonRecordKind    kind,
                                                    AfrpcPythonMark         *mark);
void               afrpc_python_chunk_undo         (AfrpcPythonPacker       *self,
                                                    const AfrpcPythonMark   *mark);

gboolean           afrpc_python_chunk_is_args      (GVariant                *value);
void               afrpc_python_records_init_args  (AfrpcPythonRecords      *self,
                                                    GVariant                *args);
gboolean           afrpc_python_records_init_answer (AfrpcPythonRecords     *self,
                                                    GVariant                *answer,
                                                    guint64                 *elapsed_us);
gboolean           afrpc_python_records_next       (AfrpcPythonRecords      *self,
                                                    AfrpcPythonRecord       *record);
void               afrpc_python_record_read        (const guint8            *at,
                                                    AfrpcPythonRecord       *record);
GVariant          *afrpc_python_chunk_slice        (const guint8            *data,
                                                    gsize                    size);
GVariant          *afrpc_python_record_get_packed  (const AfrpcPythonRecord *record,
                                                    GBytes                  *bytes);
GVariant          *afrpc_python_record_get_variant (const AfrpcPythonRecord *record,
                                                    GBytes                  *bytes);

G_END_DECLS
