/* What the files that know Python share: module.c, table.c, opener.c. */
#ifndef IPSECANALYZE_PYMODULE_H
#define IPSECANALYZE_PYMODULE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "flows.h"

typedef struct {
    PyObject_HEAD
    struct flows flows;
    int is_busy;
} Table;

extern PyType_Spec table_spec, opener_spec;

/* Whether somebody works on the table, with an exception set: a scan in another thread; or, while it is exported, who
   was called by the garbage collector. Asked after the arguments were read, which may run Python code. */
int is_busy(const Table *table);

/* Unsigned integers as a list of Python's. */
PyObject *list64(const uint64_t *values, Py_ssize_t count);

PyObject *py_skip_records(PyObject *module, PyObject *args);

#endif
