/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "afrpc-python-chunk.h"

#include "afrpc/wire/afrpc-offset.h"

typedef struct
{
  guint32 size;
  guint16 type_length;
  guint16 kind;
} Header;

G_STATIC_ASSERT (sizeof (Header) == 8);

#define MARK_SIZE 16 /* bytes: that of the arguments, aligned */

G_STATIC_ASSERT (sizeof AFRPC_PYTHON_CHUNK <= MARK_SIZE);

/* Writing */

/* Returns: how many bytes arguments have whose records have @size bytes */
gsize
afrpc_python_chunk_measure_args (gsize size)
{
  return MARK_SIZE + size + afrpc_offset_choose_size (MARK_SIZE + size, 1);
}

/* @hooks: (nullable) */
AfrpcPythonPacker *
afrpc_python_chunk_begin_args (PyObject *hooks)
{
  AfrpcPythonPacker *self = afrpc_python_packer_begin (hooks, TRUE);

  /* There is room for that. */
  memset (self->data, 0, MARK_SIZE);
  memcpy (self->data, AFRPC_PYTHON_CHUNK, sizeof AFRPC_PYTHON_CHUNK);
  self->size = MARK_SIZE;
  g_string_append (self->types, AFRPC_PYTHON_CHUNK_ARGS_TYPE);

  return self;
}

/* Returns: (transfer full) (nullable): NULL with an exception */
GVariant *
afrpc_python_chunk_end_args (AfrpcPythonPacker *self)
{
  const guint64 end = GUINT64_TO_LE (sizeof AFRPC_PYTHON_CHUNK);
  const guint size = afrpc_offset_choose_size (self->size, 1);

  /* Where the mark ends, as an entry has it at its end. */
  if (afrpc_python_packer_reserve (self, size))
    afrpc_python_packer_add (self, &end, size);

  return afrpc_python_packer_end (self);
}

AfrpcPythonPacker *
afrpc_python_chunk_begin_answer (PyObject *hooks)
{
  AfrpcPythonPacker *self = afrpc_python_packer_begin (hooks, FALSE);

  self->size = 8;
  g_string_append (self->types, AFRPC_PYTHON_CHUNK_ANSWER_TYPE);

  return self;
}

GVariant *
afrpc_python_chunk_end_answer (AfrpcPythonPacker *self,
                               guint64            elapsed_us)
{
  memcpy (self->data, &elapsed_us, 8);

  return afrpc_python_packer_end (self);
}

static void
begin_record (AfrpcPythonPacker *self,
              AfrpcPythonMark   *mark)
{
  *mark = (AfrpcPythonMark) { self->size, self->n_ends, self->types->len };
}

/* Forgets a record that could not be written; the exception, if there is one, says where that was. */
void
afrpc_python_chunk_undo (AfrpcPythonPacker     *self,
                         const AfrpcPythonMark *mark)
{
  afrpc_python_packer_tell_place (self);
  self->is_refused = FALSE;
  self->size = mark->size;
  self->n_ends = mark->n_ends;
  g_string_truncate (self->types, mark->n_types);
}

static gboolean
end_record (AfrpcPythonPacker     *self,
            AfrpcPythonRecordKind  kind,
            const AfrpcPythonMark *mark)
{
  const gsize size = self->size - mark->size - sizeof (Header);
  const gsize length = self->types->len - mark->n_types;
  const Header header = { size, length, kind };

  if (length > AFRPC_LAYOUT_TYPE_MAX)
    return afrpc_python_refuse (self, PyExc_ValueError, "%s of so many members that the type has %" G_GSIZE_FORMAT
                                " characters cannot be sent", self->are_args ? "arguments" : "a tuple",
                                /* As it would be by itself. */
                                length + (self->are_args && kind == AFRPC_PYTHON_RECORD_VALUE ? 2 : 0));
  if (size > G_MAXUINT32)
    return afrpc_python_refuse (self, PyExc_ValueError, "a value of more than 4 GiB cannot be sent");
  if (!afrpc_python_packer_reserve (self, length))
    return FALSE;
  memcpy (self->data + mark->size, &header, sizeof header);
  afrpc_python_packer_add (self, self->types->str + mark->n_types, length);
  g_string_truncate (self->types, mark->n_types);

  return afrpc_python_packer_align (self, 7);
}

/* What most values are, without a detour: all of it is of a known size. */
static gboolean
add_number (AfrpcPythonPacker     *self,
            char                   code,
            const void            *number,
            AfrpcPythonRecordKind  kind)
{
  const Header header = { 8, 1, kind };
  const char type[8] = { code };

  if (!afrpc_python_packer_reserve (self, sizeof header + 16))
    return FALSE;
  afrpc_python_packer_add (self, &header, sizeof header);
  afrpc_python_packer_add (self, number, 8);
  afrpc_python_packer_add (self, type, sizeof type);

  return TRUE;
}

static gboolean
add (AfrpcPythonPacker     *self,
     PyObject              *object,
     AfrpcPythonRecordKind  kind,
     const AfrpcPythonMark *mark)
{
  static const Header unknown;
  const gboolean is_only = self->are_args && kind == AFRPC_PYTHON_RECORD_VALUE;
  int overflow;

  if (PyLong_CheckExact (object))
    {
      const long long number = PyLong_AsLongLongAndOverflow (object, &overflow);

      if (overflow == 0)
        return add_number (self, 'x', &number, kind);
    }
  else if (PyFloat_CheckExact (object))
    {
      const double number = PyFloat_AS_DOUBLE (object);

      return add_number (self, 'd', &number, kind);
    }

  if (!afrpc_python_packer_reserve (self, sizeof unknown))
    return FALSE;
  afrpc_python_packer_add (self, &unknown, sizeof unknown);
  if (afrpc_python_pack_any (self, object, is_only ? 1 : 0) == AFRPC_PYTHON_FAILED)
    {
      if (is_only)
        afrpc_python_note_place (self, 0, 0);
      return FALSE;
    }

  return end_record (self, kind, mark);
}

/* Adds a record. FALSE, with an exception: it cannot be written, and nothing has changed.
 * @mark: (out): where it begins */
gboolean
afrpc_python_chunk_add (AfrpcPythonPacker     *self,
                        PyObject              *object,
                        AfrpcPythonRecordKind  kind,
                        AfrpcPythonMark       *mark)
{
  begin_record (self, mark);
  if (add (self, object, kind, mark))
    return TRUE;

  afrpc_python_chunk_undo (self, mark);

  return FALSE;
}

gboolean
afrpc_python_chunk_add_variant (AfrpcPythonPacker     *self,
                                GVariant              *value,
                                AfrpcPythonRecordKind  kind,
                                AfrpcPythonMark       *mark)
{
  const gsize size = g_variant_get_size (value);

  begin_record (self, mark);
  if (!afrpc_python_packer_reserve (self, sizeof (Header) + size))
    return FALSE;
  self->size += sizeof (Header);
  g_variant_store (value, self->data + self->size);
  self->size += size;
  g_string_append (self->types, g_variant_get_type_string (value));

  return end_record (self, kind, mark);
}

/* Reading */

gboolean
afrpc_python_chunk_is_args (GVariant *value)
{
  return strcmp (g_variant_get_type_string (value), AFRPC_PYTHON_CHUNK_ARGS_TYPE) == 0 &&
         g_variant_get_size (value) >= MARK_SIZE &&
         memcmp (g_variant_get_data (value), AFRPC_PYTHON_CHUNK, sizeof AFRPC_PYTHON_CHUNK) == 0;
}

/* @args: what that function says of is true, and which stays for as long as records are needed */
void
afrpc_python_records_init_args (AfrpcPythonRecords *self,
                                GVariant           *args)
{
  const gsize size = g_variant_get_size (args);

  self->next = (const guint8 *) g_variant_get_data (args) + MARK_SIZE;
  self->size = (size - MARK_SIZE) & ~(gsize) 7;
}

/* FALSE: it is no answer to many calls */
gboolean
afrpc_python_records_init_answer (AfrpcPythonRecords *self,
                                  GVariant           *answer,
                                  guint64            *elapsed_us)
{
  const guint8 *data = g_variant_get_data (answer);
  const gsize size = g_variant_get_size (answer);

  if (strcmp (g_variant_get_type_string (answer), AFRPC_PYTHON_CHUNK_ANSWER_TYPE) != 0 || size < 8 || data == NULL)
    return FALSE;

  memcpy (elapsed_us, data, 8);
  self->next = data + 8;
  self->size = size - 8;

  return TRUE;
}

/* @at: where a record begins that has been gone through */
void
afrpc_python_record_read (const guint8      *at,
                          AfrpcPythonRecord *record)
{
  Header header;

  memcpy (&header, at, sizeof header);
  record->kind = header.kind;
  record->data = at + sizeof header;
  record->size = header.size;
  record->type = (const char *) record->data + header.size;
  record->type_length = header.type_length;
}

/* FALSE: there is none that is whole; at the end, nothing is left. */
gboolean
afrpc_python_records_next (AfrpcPythonRecords *self,
                           AfrpcPythonRecord  *record)
{
  gsize size;

  if (self->size < sizeof (Header))
    return FALSE;
  afrpc_python_record_read (self->next, record);
  size = self->size - sizeof (Header);
  if (record->size > size || record->type_length > size - record->size || record->type_length == 0 ||
      record->kind > AFRPC_PYTHON_RECORD_ERROR)
    return FALSE;

  /* No more than that is there. */
  size = (sizeof (Header) + record->size + record->type_length + 7) & ~(gsize) 7;
  if (size > self->size)
    return FALSE;

  self->next += size;
  self->size -= size;

  return TRUE;
}

/* Returns: (transfer full): arguments that have these records, which were gone through */
GVariant *
afrpc_python_chunk_slice (const guint8 *data,
                          gsize         size)
{
  AfrpcPythonPacker *self = afrpc_python_chunk_begin_args (NULL);

  if (afrpc_python_packer_reserve (self, size))
    afrpc_python_packer_add (self, data, size);

  return afrpc_python_chunk_end_args (self);
}

static GVariant *
make_variant (const AfrpcPythonRecord *record,
              const char              *type,
              GBytes                  *bytes,
              gboolean                 is_trusted)
{
  const gsize start = record->data - (const guint8 *) g_bytes_get_data (bytes, NULL);
  g_autoptr(GBytes) own = g_bytes_new_from_bytes (bytes, start, record->size);

  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), own, is_trusted));
}

/* @bytes: in which the record is, as it was packed here. Returns: (transfer full): what it has */
GVariant *
afrpc_python_record_get_packed (const AfrpcPythonRecord *record,
                                GBytes                  *bytes)
{
  g_autofree char *type = g_strndup (record->type, record->type_length);

  return make_variant (record, type, bytes, TRUE);
}

/* @bytes: in which the record is. Returns: (transfer full) (nullable): what it has; NULL if that is malformed */
GVariant *
afrpc_python_record_get_variant (const AfrpcPythonRecord *record,
                                 GBytes                  *bytes)
{
  g_autofree char *type = g_strndup (record->type, record->type_length);
  g_autoptr(GVariant) value = NULL;

  if (!g_variant_type_string_is_valid (type) || !g_variant_type_is_definite (G_VARIANT_TYPE (type)))
    return NULL;

  value = make_variant (record, type, bytes, FALSE);

  return g_variant_is_normal_form (value) ? g_steal_pointer (&value) : NULL;
}
