/* What the files that know Python share: module.c, opener.c. */
#ifndef IPSECANALYZE_PYMODULE_H
#define IPSECANALYZE_PYMODULE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

extern PyType_Spec opener_spec;

PyObject *py_skip_records(PyObject *module, PyObject *args);

#endif
