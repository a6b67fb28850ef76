/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* afrpc.Variant: a value with a type that the rule would not choose, in a process that does not load PyGObject
 * for it. */
#include "afrpc-python-codec.h"

static PyObject *
variant_new (PyTypeObject *type,
             PyObject     *args,
             PyObject     *keywords)
{
  static const char *const names[] = { "signature", "value", NULL };
  const char *signature;
  PyObject *object, *self;
  GVariant *value;

  if (!PyArg_ParseTupleAndKeywords (args, keywords, "sO:Variant", (char **) names, &signature, &object))
    return NULL;
  value = afrpc_python_pack_as (signature, object, FALSE, NULL);
  if (value == NULL)
    return NULL;
  self = afrpc_python_wrap_variant (value);
  g_variant_unref (value);

  return self;
}

static void
variant_dealloc (AfrpcPythonVariant *self)
{
  PyTypeObject *type = Py_TYPE (self);

  g_clear_pointer (&self->value, g_variant_unref);
  PyObject_Free (self);
  Py_DECREF (type);
}

static PyObject *
variant_unpack (AfrpcPythonVariant *self,
                PyObject           *unused)
{
  return afrpc_python_unpack (self->value, NULL);
}

static PyObject *
variant_get_signature (AfrpcPythonVariant *self,
                       void               *unused)
{
  return PyUnicode_FromString (g_variant_get_type_string (self->value));
}

static PyObject *
variant_repr (AfrpcPythonVariant *self)
{
  g_autofree char *text = g_variant_print (self->value, FALSE);

  return PyUnicode_FromFormat ("afrpc.Variant(\"%s\", %s)", g_variant_get_type_string (self->value), text);
}

static PyObject *
variant_compare (PyObject *a,
                 PyObject *b,
                 int       operation)
{
  gboolean equal;

  if (!Py_IS_TYPE (b, Py_TYPE (a)) || (operation != Py_EQ && operation != Py_NE))
    Py_RETURN_NOTIMPLEMENTED;
  equal = g_variant_equal (((AfrpcPythonVariant *) a)->value, ((AfrpcPythonVariant *) b)->value);

  return PyBool_FromLong (equal == (operation == Py_EQ));
}

PyDoc_STRVAR (variant_doc,
              "Variant(signature, value)\n--\n\n"
              "A value that travels with a GVariant type of one's own choice.");

static PyMethodDef variant_methods[] = {
  { "unpack", (PyCFunction) variant_unpack, METH_NOARGS, "unpack($self, /)\n--\n\nThe value as a Python object." },
  { NULL },
};

static PyGetSetDef variant_getset[] = {
  { "signature", (getter) variant_get_signature, NULL, "The GVariant type string.", NULL },
  { NULL },
};

static PyType_Slot variant_slots[] = {
  { Py_tp_doc, (void *) variant_doc },     { Py_tp_new, variant_new },
  { Py_tp_dealloc, variant_dealloc },      { Py_tp_repr, variant_repr },
  { Py_tp_richcompare, variant_compare },  { Py_tp_hash, PyObject_HashNotImplemented },
  { Py_tp_methods, variant_methods },      { Py_tp_getset, variant_getset },
  { 0, NULL },
};

static PyType_Spec variant_spec = {
  .name = "afrpc.Variant",
  .basicsize = sizeof (AfrpcPythonVariant),
  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
  .slots = variant_slots,
};

PyTypeObject *
afrpc_python_variant_make_type (void)
{
  return (PyTypeObject *) PyType_FromSpec (&variant_spec);
}

/* Returns: a new afrpc.Variant */
PyObject *
afrpc_python_wrap_variant (GVariant *value)
{
  AfrpcPythonVariant *self = PyObject_New (AfrpcPythonVariant, afrpc_python_variant_type);

  if (self != NULL)
    self->value = g_variant_ref_sink (value);

  return (PyObject *) self;
}
