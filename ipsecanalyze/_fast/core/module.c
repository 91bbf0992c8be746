/* The thin module over the core, and its type `Scan`; `Table` is in table.c, `Opener` in opener.c. All that is not
   per-packet work stays in Python.

   Limited API: one binary serves every CPython from 3.11 on. While a scan runs, the GIL is released; a table in use says
   so to whoever else calls. */

#include "pymodule.h"

#include <stdlib.h>
#include <string.h>

#include "scan.h"

typedef struct {
    PyObject_HEAD
    struct scan scan;
    Table *table;
} Scan;

static PyObject *table_type; /* for the arguments of Scan */

static PyObject *scan_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *table;
    unsigned int capture;
    int wants_protected;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O!Ip", table_type, &table, &capture, &wants_protected))
        return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Scan *self = (Scan *)alloc(type, 0);
    if (!self)
        return NULL;
    self->table = (Table *)Py_NewRef(table);
    self->scan.flows = &self->table->flows;
    self->scan.capture = capture;
    self->scan.wants_protected = wants_protected;
    scan_begin_counts(&self->scan);
    return (PyObject *)self;
}

static void scan_dealloc(PyObject *object)
{
    Scan *self = (Scan *)object;
    PyTypeObject *type = Py_TYPE(object);
    scan_end(&self->scan);
    Py_XDECREF((PyObject *)self->table);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyObject *scan_pcap(PyObject *object, PyObject *args)
{
    Scan *self = (Scan *)object;
    struct scan *scan = &self->scan;
    int big_endian, nanoseconds;
    unsigned int record_header, record_limit, link_type;
    if (!PyArg_ParseTuple(args, "ppIII", &big_endian, &nanoseconds, &record_header, &record_limit, &link_type) ||
        is_busy(self->table))
        return NULL;
    if (record_header < 16)
        return PyErr_Format(PyExc_ValueError, "no record header");
    struct interface *interfaces = calloc(1, sizeof *interfaces);
    if (!interfaces)
        return PyErr_NoMemory();
    interfaces->link_type = link_type;
    free(scan->interfaces);
    scan->interfaces = interfaces;
    scan->interface_count = 1;
    scan->section_base = 0;
    scan->big_endian = big_endian;
    scan->nanoseconds = nanoseconds;
    scan->record_header = record_header;
    scan->record_limit = record_limit;
    scan->is_pcapng = 0;
    Py_RETURN_NONE;
}

static PyObject *scan_section(PyObject *object, PyObject *args)
{
    Scan *self = (Scan *)object;
    struct scan *scan = &self->scan;
    PyObject *list;
    int big_endian;
    unsigned int base;
    if (!PyArg_ParseTuple(args, "pIO!", &big_endian, &base, &PyList_Type, &list))
        return NULL;
    Py_ssize_t count = PyList_Size(list);
    struct interface *interfaces = calloc(count ? (size_t)count : 1, sizeof *interfaces);
    if (!interfaces)
        return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned long long multiplier, divisor;
        long long offset;
        unsigned int link_type;
        int is_known;
        PyObject *item = Py_XNewRef(PyList_GetItem(list, i));
        int is_read = item && PyArg_Parse(item, "(IpKKL)", &link_type, &is_known, &multiplier, &divisor, &offset);
        Py_XDECREF(item);
        if (!is_read) {
            free(interfaces);
            return NULL;
        }
        is_known = is_known && divisor && offset < FARTHEST_NS && offset > -FARTHEST_NS;
        interfaces[i] = (struct interface){link_type, (uint32_t)is_known, multiplier, divisor, offset};
    }
    if (is_busy(self->table)) {
        free(interfaces);
        return NULL;
    }
    free(scan->interfaces);
    scan->interfaces = interfaces;
    scan->interface_count = (uint32_t)count;
    scan->section_base = base;
    scan->big_endian = big_endian;
    scan->is_pcapng = 1;
    Py_RETURN_NONE;
}

/* The octets that a call works on, and all it must know before; 0 with an exception set. */
static int begin_run(Scan *self, PyObject *source, int flags, Py_ssize_t start, Py_ssize_t end, Py_buffer *buffer)
{
    if (PyObject_GetBuffer(source, buffer, flags))
        return 0;
    if (!is_busy(self->table)) {
        if (!self->scan.interfaces)
            PyErr_SetString(PyExc_RuntimeError, "the format of the capture was not told");
        else if (start < 0 || start > end || end > buffer->len)
            PyErr_SetString(PyExc_ValueError, "no such part of the buffer");
        else
            return 1;
    }
    PyBuffer_Release(buffer);
    return 0;
}

static void set_place(struct scan *scan, unsigned long long frame, long long last)
{
    scan->frame = frame;
    scan->last_seconds = scan->last_time_ns = last;
}

/* What a run gives: (ending, position, frame, last, rows, packet). */
static PyObject *ran(struct scan *scan, enum ending ending, size_t position, const uint8_t *octets)
{
    const struct packet *strange = &scan->strange;
    Py_ssize_t at = ending == STRANGE_PACKET ? strange->data - octets : 0;
    PyObject *rows = scan->row_count
                         ? PyBytes_FromStringAndSize((const char *)scan->rows,
                                                     (Py_ssize_t)(scan->row_count * sizeof *scan->rows))
                         : Py_BuildValue("");
    PyObject *packet = ending == STRANGE_PACKET
                           ? Py_BuildValue("inIILIn", scan->verdict, at, strange->captured, strange->wire,
                                           strange->time_ns, strange->interface, (Py_ssize_t)scan->record)
                           : Py_BuildValue("");
    return Py_BuildValue("inKLNN", ending, (Py_ssize_t)position, scan->frame,
                         scan->is_pcapng ? scan->last_time_ns : scan->last_seconds, rows, packet);
}

static PyObject *scan_run_method(PyObject *object, PyObject *args)
{
    Scan *self = (Scan *)object;
    PyObject *source, *result;
    Py_ssize_t start, end;
    unsigned long long frame;
    long long last;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(args, "OnnKL", &source, &start, &end, &frame, &last) ||
        !begin_run(self, source, PyBUF_SIMPLE, start, end, &buffer))
        return NULL;
    set_place(&self->scan, frame, last);
    size_t position = (size_t)start;
    enum ending ending;
    self->table->is_busy = 1;
    Py_BEGIN_ALLOW_THREADS
    ending = scan_run(&self->scan, buffer.buf, (size_t)end, &position);
    Py_END_ALLOW_THREADS
    result = ending == NO_MEMORY ? PyErr_NoMemory() : ran(&self->scan, ending, position, buffer.buf);
    PyBuffer_Release(&buffer);
    self->table->is_busy = 0;
    return result;
}

static PyObject *scan_read_method(PyObject *object, PyObject *args)
{
    Scan *self = (Scan *)object;
    PyObject *source, *result;
    Py_ssize_t start, end;
    unsigned long long begin, stop, budget, frame;
    long long last;
    int fd;
    Py_buffer buffer;
    if (!PyArg_ParseTuple(args, "iOKnnKKKL", &fd, &source, &begin, &start, &end, &stop, &budget, &frame, &last) ||
        !begin_run(self, source, PyBUF_WRITABLE, start, end, &buffer))
        return NULL;
    set_place(&self->scan, frame, last);
    struct window window = {buffer.buf, (size_t)buffer.len, (size_t)start, (size_t)end, begin};
    enum ending ending;
    self->table->is_busy = 1;
    Py_BEGIN_ALLOW_THREADS
    ending = scan_read(&self->scan, fd, &window, stop, budget);
    Py_END_ALLOW_THREADS
    if (ending == NO_MEMORY)
        result = PyErr_NoMemory();
    else if (ending == READ_FAILED)
        result = PyErr_SetFromErrno(PyExc_OSError);
    else
        result = Py_BuildValue("KnN", window.begin, (Py_ssize_t)window.end,
                               ran(&self->scan, ending, window.position, buffer.buf));
    PyBuffer_Release(&buffer);
    self->table->is_busy = 0;
    return result;
}

static PyObject *scan_counts(PyObject *object, PyObject *unused)
{
    struct scan *scan = &((Scan *)object)->scan;
    (void)unused;
    if (is_busy(((Scan *)object)->table))
        return NULL;
    uint64_t *verdicts = scan->verdicts;
    PyObject *result = Py_BuildValue("KKLLNi", scan->octets, scan->truncated, scan->earliest_ns, scan->latest_ns,
                                     list64(verdicts, VERDICTS), scan->earliest_ns <= scan->latest_ns);
    if (result)
        scan_begin_counts(scan);
    return result;
}

static PyObject *scan_watch_method(PyObject *object, PyObject *args)
{
    Scan *self = (Scan *)object;
    struct scan *scan = &self->scan;
    const char *one, *other;
    Py_ssize_t size, other_size;
    if (!PyArg_ParseTuple(args, "y#y#", &one, &size, &other, &other_size) || is_busy(self->table))
        return NULL;
    if (size != 18 || other_size != 18)
        return PyErr_Format(PyExc_ValueError, "an endpoint has 18 octets");
    if (scan_watch(scan, (const uint8_t *)one, (const uint8_t *)other))
        return PyErr_NoMemory();
    return PyLong_FromUnsignedLongLong(scan->watched_count);
}

static PyObject *scan_forget(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (is_busy(((Scan *)object)->table))
        return NULL;
    scan_forget_watched(&((Scan *)object)->scan);
    Py_RETURN_NONE;
}

static PyMethodDef scan_methods[] = {
    {"pcap", scan_pcap, METH_VARARGS, "Set the format: big endian, nanoseconds, record header, limit, link type."},
    {"section", scan_section, METH_VARARGS, "Set the section of a pcapng file: big endian, first interface, interfaces."},
    {"run", scan_run_method, METH_VARARGS, "Take records; see native.py."},
    {"read", scan_read_method, METH_VARARGS, "Take records of a file; see parallel.py."},
    {"counts", scan_counts, METH_NOARGS, "Counts since the last call."},
    {"watch", scan_watch_method, METH_VARARGS, "Leave the packets between two endpoints to Python; how many pairs."},
    {"forget", scan_forget, METH_NOARGS, "Watch nothing any more."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot scan_slots[] = {
    {Py_tp_doc, "Scan(table, capture, protected): one pass over a capture."},
    {Py_tp_new, scan_new},
    {Py_tp_dealloc, scan_dealloc},
    {Py_tp_methods, scan_methods},
    {0, NULL},
};

static PyType_Spec scan_spec = {"ipsecanalyze._fast._core.Scan", sizeof(Scan), 0, Py_TPFLAGS_DEFAULT, scan_slots};

static PyMethodDef functions[] = {
    {"skip_records", py_skip_records, METH_VARARGS, "Pass over records of pcap; (where that ended, how many)."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_core", "The hot path in C; what it is and how it is used stands in native.py.", -1,
    functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = PyModule_Create(&definition);
    PyObject *scan_type = NULL, *opener_type = NULL;
    if (!module)
        return NULL;
    table_type = PyType_FromSpec(&table_spec);
    scan_type = PyType_FromSpec(&scan_spec);
    opener_type = PyType_FromSpec(&opener_spec);
    if (!table_type || !scan_type || !opener_type || PyModule_AddObjectRef(module, "Table", table_type) ||
        PyModule_AddObjectRef(module, "Scan", scan_type) || PyModule_AddObjectRef(module, "Opener", opener_type) ||
        PyModule_AddIntConstant(module, "ROW_OCTETS", sizeof(struct row)))
        Py_CLEAR(module);
    Py_XDECREF(scan_type);
    Py_XDECREF(opener_type);
    return module;
}
