/* The type `Opener`: opens rows of ESP whose key is known with a cipher of Python's, and writes plain inner packets.

   Per packet there is one call of the cipher, and nothing else in Python. A row that is not plain in all respects ends
   a run, and Python does what is right for it (opening/rows.py). */

#include "pymodule.h"

#include <stdlib.h>
#include <string.h>

#include "inner.h"
#include "octets.h"
#include "scan.h"
#include "skip.h"

enum {
    HEAD = 8,      /* SPI and sequence number */
    IV = 8,        /* explicit, of combined modes */
    SALT = 4,      /* at most; a CCM salt has three octets */
    TALLY_PACKETS = 2, TALLY_OCTETS = 3, /* of the short way, in a tally of opening/inside.py */
};

/* How the packets of a flow are opened. */
enum kind {
    COMBINED, /* open(nonce, ciphertext and ICV, associated data) gives the plaintext (RFC 4106) */
    CLASSIC,  /* mac(all but the ICV, nothing) begins with the ICV; open(IV and ciphertext) gives the plaintext */
    WHOLE,    /* open(packet) gives plaintext and high half of the sequence number, or what Python has to look at */
    KINDS,
};

/* A flow whose key is known. */
struct quick {
    PyObject *open;  /* NULL: not this flow */
    PyObject *mac;   /* None: nothing is verified */
    PyObject *known; /* dictionary of tallies by beginnings of packets */
    PyObject *meet;  /* meet(packet, its beginning) gives a new tally */
    uint32_t least; /* octets of a packet */
    uint32_t icv_size;
    enum kind kind;
    uint8_t salt[SALT];
    uint8_t salt_size;
    struct comment comment;
};

typedef struct {
    PyObject_HEAD
    struct quick *flows;
    size_t room;
    PyObject *invalid; /* what ciphers raise where a packet is not for them, one class or several */
} Opener;

static PyObject *opener_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *invalid;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O", &invalid))
        return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Opener *self = (Opener *)alloc(type, 0);
    if (self)
        self->invalid = Py_NewRef(invalid);
    return (PyObject *)self;
}

/* What goes may call back, and then `quick` may be somewhere else: it is in order before. */
static void quick_replace(struct quick *quick, const struct quick *by)
{
    struct quick gone = *quick;
    *quick = *by;
    Py_XDECREF(gone.open);
    Py_XDECREF(gone.mac);
    Py_XDECREF(gone.known);
    Py_XDECREF(gone.meet);
}

static const struct quick no_flow;

static int opener_clear(PyObject *object)
{
    Opener *self = (Opener *)object;
    for (size_t i = 0; i < self->room; i++)
        quick_replace(&self->flows[i], &no_flow);
    Py_CLEAR(self->invalid);
    return 0;
}

static int opener_traverse(PyObject *object, visitproc visit, void *arg)
{
    Opener *self = (Opener *)object;
    Py_VISIT(Py_TYPE(object));
    for (size_t i = 0; i < self->room; i++) {
        Py_VISIT(self->flows[i].open);
        Py_VISIT(self->flows[i].mac);
        Py_VISIT(self->flows[i].known);
        Py_VISIT(self->flows[i].meet);
    }
    Py_VISIT(self->invalid);
    return 0;
}

static void opener_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    opener_clear(object);
    free(((Opener *)object)->flows);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyObject *opener_enter(PyObject *object, PyObject *args)
{
    Opener *self = (Opener *)object;
    unsigned int flow, least, icv_size;
    int kind;
    PyObject *open, *mac, *known, *meet;
    const char *salt, *head, *middle;
    Py_ssize_t salt_size, head_size, middle_size;
    if (!PyArg_ParseTuple(args, "IiOOIIO!Oy#y#y#", &flow, &kind, &open, &mac, &icv_size, &least, &PyDict_Type, &known,
                          &meet, &salt, &salt_size, &head, &head_size, &middle, &middle_size))
        return NULL;
    if (kind < 0 || kind >= KINDS || least < HEAD + (kind == COMBINED ? IV : 0u) || icv_size > least - HEAD)
        return PyErr_Format(PyExc_ValueError, "packets cannot be of this kind and so short");
    if (salt_size > SALT || head_size > INNER_COMMENT || middle_size > INNER_COMMENT - head_size || flow == UINT32_MAX)
        return PyErr_Format(PyExc_ValueError, "no such flow, or its salt or comment is too long");
    if (flow >= self->room) {
        size_t room = self->room ? self->room : 16;
        while (room <= flow)
            room *= 2;
        struct quick *flows = realloc(self->flows, room * sizeof *flows);
        if (!flows)
            return PyErr_NoMemory();
        memset(flows + self->room, 0, (room - self->room) * sizeof *flows);
        self->flows = flows;
        self->room = room;
    }
    struct quick quick = {.open = Py_NewRef(open), .mac = Py_NewRef(mac), .known = Py_NewRef(known),
                          .meet = Py_NewRef(meet), .least = least, .icv_size = icv_size, .kind = (enum kind)kind,
                          .salt_size = (uint8_t)salt_size};
    memcpy(quick.salt, salt, (size_t)salt_size);
    quick.comment.head_size = (uint32_t)head_size;
    quick.comment.middle_size = (uint32_t)middle_size;
    memcpy(quick.comment.text, head, (size_t)head_size);
    memcpy(quick.comment.text + head_size, middle, (size_t)middle_size);
    quick_replace(&self->flows[flow], &quick);
    Py_RETURN_NONE;
}

static PyObject *opener_leave(PyObject *object, PyObject *args)
{
    Opener *self = (Opener *)object;
    unsigned int flow;
    if (!PyArg_ParseTuple(args, "I", &flow))
        return NULL;
    if (flow < self->room)
        quick_replace(&self->flows[flow], &no_flow);
    Py_RETURN_NONE;
}

static PyObject *octets_of(const uint8_t *at, size_t size)
{
    return PyBytes_FromStringAndSize((const char *)at, (Py_ssize_t)size);
}

/* The plaintext; NULL with an error. */
static PyObject *open_combined(const struct quick *quick, const uint8_t *packet, size_t size)
{
    uint8_t octets[SALT + IV];
    memcpy(octets, quick->salt, quick->salt_size);
    memcpy(octets + quick->salt_size, packet + HEAD, IV);
    PyObject *nonce = octets_of(octets, quick->salt_size + IV);
    PyObject *sealed = octets_of(packet + HEAD + IV, size - HEAD - IV);
    PyObject *associated = octets_of(packet, HEAD);
    PyObject *plain = nonce && sealed && associated
                          ? PyObject_CallFunctionObjArgs(quick->open, nonce, sealed, associated, NULL)
                          : NULL;
    Py_XDECREF(nonce);
    Py_XDECREF(sealed);
    Py_XDECREF(associated);
    return plain;
}

/* Whether the ICV is right; -1 with an error. The capture is no oracle for anybody: the time that this takes may tell. */
static int is_authentic(const struct quick *quick, const uint8_t *packet, size_t size)
{
    PyObject *covered = octets_of(packet, size), *nothing = octets_of(packet, 0);
    PyObject *code = covered && nothing ? PyObject_CallFunctionObjArgs(quick->mac, covered, nothing, NULL) : NULL;
    Py_XDECREF(covered);
    Py_XDECREF(nothing);
    char *octets;
    Py_ssize_t code_size;
    int result = -1;
    if (code && !PyBytes_AsStringAndSize(code, &octets, &code_size))
        result = code_size >= (Py_ssize_t)quick->icv_size && !memcmp(octets, packet + size, quick->icv_size);
    Py_XDECREF(code);
    return result;
}

/* The plaintext; NULL where the ICV is wrong, or with an error. */
static PyObject *open_classic(const struct quick *quick, const uint8_t *packet, size_t size)
{
    size -= quick->icv_size;
    if (quick->mac != Py_None && is_authentic(quick, packet, size) <= 0)
        return NULL;
    PyObject *sealed = octets_of(packet + HEAD, size - HEAD);
    PyObject *plain = sealed ? PyObject_CallFunctionObjArgs(quick->open, sealed, NULL) : NULL;
    Py_XDECREF(sealed);
    return plain;
}

static PyObject *open_whole(const struct quick *quick, const uint8_t *packet, size_t size)
{
    PyObject *whole = octets_of(packet, size);
    PyObject *opened = whole ? PyObject_CallFunctionObjArgs(quick->open, whole, NULL) : NULL;
    Py_XDECREF(whole);
    return opened;
}

/* What the kind of flow gives; NULL with an error, or without one where the packet is not for this key. */
static PyObject *open_packet(const Opener *self, const struct quick *quick, const uint8_t *packet, size_t size)
{
    PyObject *opened = quick->kind == COMBINED  ? open_combined(quick, packet, size)
                       : quick->kind == CLASSIC ? open_classic(quick, packet, size)
                                                : open_whole(quick, packet, size);
    if (!opened && PyErr_Occurred() && PyErr_ExceptionMatches(self->invalid))
        PyErr_Clear();
    return opened;
}

static int add(PyObject *tally, Py_ssize_t place, uint64_t more)
{
    PyObject *item = PyList_GetItem(tally, place); /* borrowed */
    unsigned long long value = item ? PyLong_AsUnsignedLongLong(item) : 0;
    if (PyErr_Occurred())
        return -1;
    PyObject *sum = PyLong_FromUnsignedLongLong(value + more);
    return sum ? PyList_SetItem(tally, place, sum) : -1;
}

/* Count a plain packet in the tally of its conversation; -1 with an error. */
static int count(const struct quick *quick, const uint8_t *packet, uint32_t size, const uint8_t key[INNER_KEY])
{
    PyObject *name = octets_of(key, INNER_KEY);
    PyObject *tally = name ? Py_XNewRef(PyDict_GetItemWithError(quick->known, name)) : NULL;
    if (!tally && !PyErr_Occurred()) {
        PyObject *whole = octets_of(packet, size);
        tally = whole ? PyObject_CallFunctionObjArgs(quick->meet, whole, name, NULL) : NULL;
        Py_XDECREF(whole);
    }
    int result = tally && !add(tally, TALLY_PACKETS, 1) && !add(tally, TALLY_OCTETS, size) ? 0 : -1;
    Py_XDECREF(tally);
    Py_XDECREF(name);
    return result;
}

/* Count and write what was opened: the octets of its block; 0 where it is not plain; -1 with an error. */
static Py_ssize_t take(const struct quick *quick, PyObject *opened, const struct row *row, const uint8_t *packet,
                       uint8_t *out)
{
    PyObject *plain = opened;
    uint64_t sequence = be32(packet + 4);
    if (PyTuple_Check(opened) && PyTuple_Size(opened) == 2) {
        plain = PyTuple_GetItem(opened, 0);
        PyObject *high = PyTuple_GetItem(opened, 1);
        if (high != Py_None)
            sequence |= (uint64_t)PyLong_AsUnsignedLong(high) << 32;
        if (PyErr_Occurred())
            return -1;
    }
    char *octets;
    Py_ssize_t size;
    /* What is longer than the packet has no place in `out`. */
    if (!PyBytes_Check(plain) || PyBytes_AsStringAndSize(plain, &octets, &size) || size > row->captured) {
        PyErr_Clear();
        return 0;
    }
    uint8_t key[INNER_KEY];
    uint32_t inner = inner_plain((const uint8_t *)octets, (size_t)size, key);
    if (!inner)
        return 0;
    if (count(quick, (const uint8_t *)octets, inner, key))
        return -1;
    return (Py_ssize_t)inner_block(out, (const uint8_t *)octets, inner, row->time_ns, &quick->comment, row->frame,
                                   sequence);
}

static PyObject *run(Opener *self, const Py_buffer *rows, Py_ssize_t row_at, const Py_buffer *octets,
                     const Py_buffer *out)
{
    Py_ssize_t written = 0, packets = 0;
    PyObject *found = NULL;
    for (; rows->len - row_at >= (Py_ssize_t)sizeof(struct row); row_at += (Py_ssize_t)sizeof(struct row)) {
        struct row row;
        memcpy(&row, (const char *)rows->buf + row_at, sizeof row);
        if (row.flow >= self->room || !self->flows[row.flow].open || row.kind != IS_ESP ||
            row.captured < self->flows[row.flow].least || row.captured != row.length)
            break;
        if (row.start > (uint64_t)octets->len || row.captured > (uint64_t)octets->len - row.start)
            return PyErr_Format(PyExc_ValueError, "a row of other octets");
        if ((Py_ssize_t)row.captured + INNER_BLOCK_MORE > out->len - written)
            break; /* full */
        /* What is called may call back, so nothing of the flow may be gone meanwhile. */
        struct quick quick = self->flows[row.flow];
        Py_INCREF(quick.open);
        Py_INCREF(quick.mac);
        Py_INCREF(quick.known);
        Py_INCREF(quick.meet);
        const uint8_t *packet = (const uint8_t *)octets->buf + row.start;
        found = open_packet(self, &quick, packet, row.captured);
        Py_ssize_t size = found ? take(&quick, found, &row, packet, (uint8_t *)out->buf + written) : -1;
        Py_DECREF(quick.open);
        Py_DECREF(quick.mac);
        Py_DECREF(quick.known);
        Py_DECREF(quick.meet);
        if (PyErr_Occurred()) {
            Py_XDECREF(found);
            return NULL;
        }
        if (size <= 0)
            break;
        Py_CLEAR(found);
        written += size;
        packets++;
    }
    return Py_BuildValue("nnnN", row_at, packets, written, found ? found : Py_NewRef(Py_None));
}

static PyObject *opener_run(PyObject *object, PyObject *args)
{
    Py_ssize_t row_at;
    Py_buffer rows, octets, out;
    if (!PyArg_ParseTuple(args, "y*ny*w*", &rows, &row_at, &octets, &out))
        return NULL;
    PyObject *result = row_at < 0 ? PyErr_Format(PyExc_ValueError, "no such row")
                                  : run((Opener *)object, &rows, row_at, &octets, &out);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&octets);
    PyBuffer_Release(&out);
    return result;
}

static PyMethodDef opener_methods[] = {
    {"enter", opener_enter, METH_VARARGS, "Open the rows of a flow from now on."},
    {"leave", opener_leave, METH_VARARGS, "Leave the rows of a flow to Python."},
    {"run", opener_run, METH_VARARGS, "Open rows; (where it ended, packets, octets written, what was opened last)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot opener_slots[] = {
    {Py_tp_doc, "Opener(invalid): opens rows of ESP and writes what is in them."},
    {Py_tp_new, opener_new},
    {Py_tp_dealloc, opener_dealloc},
    {Py_tp_traverse, opener_traverse},
    {Py_tp_clear, opener_clear},
    {Py_tp_methods, opener_methods},
    {0, NULL},
};

PyType_Spec opener_spec = {"ipsecanalyze._fast._core.Opener", sizeof(Opener), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, opener_slots};

PyObject *py_skip_records(PyObject *module, PyObject *args)
{
    Py_buffer octets;
    Py_ssize_t until;
    int big_endian;
    unsigned int record_header, limit;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*npII", &octets, &until, &big_endian, &record_header, &limit))
        return NULL;
    size_t stop = 0;
    uint64_t records = skip_records(octets.buf, (size_t)octets.len, until < 0 ? 0 : (size_t)until, &stop, big_endian,
                                    record_header, limit);
    PyBuffer_Release(&octets);
    return Py_BuildValue("nK", (Py_ssize_t)stop, (unsigned long long)records);
}
