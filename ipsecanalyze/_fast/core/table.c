/* The type `Table`: flows, as Python sees them. What is exported is read by esp/flow.py and its neighbours. */

#include "pymodule.h"

#include <string.h>

int is_busy(const Table *table)
{
    if (table->is_busy)
        PyErr_SetString(PyExc_RuntimeError, "the table is in use by a scan in another thread");
    return table->is_busy;
}

/* A limit of Python's, which may be any integer: no more than what is counted in 32 bits, no less than nothing. */
static int get_limit(PyObject *object, void *address)
{
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (value == -1 && !overflow && PyErr_Occurred())
        return 0;
    uint32_t *limit = address;
    if (overflow > 0 || value > UINT32_MAX)
        *limit = UINT32_MAX;
    else
        *limit = overflow < 0 || value < 0 ? 0 : (uint32_t)value;
    return 1;
}

static PyObject *table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *secret;
    Py_ssize_t size;
    uint32_t limit, gaps;
    int continuing;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "y#O&O&p", &secret, &size, get_limit, &limit, get_limit, &gaps, &continuing))
        return NULL;
    if (size != 32) {
        PyErr_SetString(PyExc_ValueError, "the secret has 32 octets");
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Table *self = (Table *)alloc(type, 0);
    if (!self)
        return NULL;
    if (flows_begin(&self->flows, (const uint8_t *)secret, limit, gaps, continuing)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void table_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    flows_end(&((Table *)object)->flows);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static int get_key(const char *octets, Py_ssize_t size, struct flow_key *key)
{
    if (size != sizeof *key) {
        PyErr_Format(PyExc_ValueError, "a key has %zu octets", sizeof *key);
        return -1;
    }
    memcpy(key, octets, sizeof *key);
    return 0;
}

static PyObject *table_arrive(PyObject *object, PyObject *args)
{
    Table *self = (Table *)object;
    const char *octets;
    Py_ssize_t size;
    long long time_ns;
    unsigned long long frame, length;
    unsigned int sequence, ports, vlan, capture;
    unsigned char ttl, traffic_class;
    int dont_fragment, in_fragments, truncated, inferred;
    struct flow_key key;
    if (!PyArg_ParseTuple(args, "y#LKKIIIBBppppI", &octets, &size, &time_ns, &frame, &length, &sequence, &ports, &vlan,
                          &ttl, &traffic_class, &dont_fragment, &in_fragments, &truncated, &inferred, &capture))
        return NULL;
    if (is_busy(self) || get_key(octets, size, &key))
        return NULL;
    if (time_ns > FARTHEST_NS || time_ns < -FARTHEST_NS)
        return PyErr_Format(PyExc_OverflowError, "no time within 146 years of 1970");
    struct arrival arrival = {time_ns,
                              frame,
                              length,
                              sequence,
                              ports,
                              vlan,
                              ttl,
                              traffic_class,
                              (uint8_t)dont_fragment,
                              (uint8_t)in_fragments,
                              (uint8_t)truncated,
                              (uint8_t)inferred};
    int64_t index = flows_arrive(&self->flows, &key, &arrival, capture);
    return index == -2 ? PyErr_NoMemory() : PyLong_FromLongLong(index);
}

static PyObject *table_find(PyObject *object, PyObject *args)
{
    Table *self = (Table *)object;
    const char *octets;
    Py_ssize_t size;
    struct flow_key key;
    if (!PyArg_ParseTuple(args, "y#", &octets, &size) || is_busy(self) || get_key(octets, size, &key))
        return NULL;
    return PyLong_FromLongLong(flows_find(&self->flows, &key));
}

static PyObject *table_counts(PyObject *object, PyObject *unused)
{
    const struct flows *flows = &((Table *)object)->flows;
    (void)unused;
    if (is_busy((Table *)object))
        return NULL;
    return Py_BuildValue("IKK", flows->count, flows->dropped_packets, flows->dropped_octets);
}

/* `high` << 128 | `low` */
static PyObject *big(uint64_t high, wide low)
{
    uint64_t parts[3] = {high, (uint64_t)(low >> 64), (uint64_t)low};
    PyObject *result = PyLong_FromUnsignedLongLong(parts[2]);
    for (int i = 1; result && i >= 0; i--) {
        if (!parts[i])
            continue;
        PyObject *part = PyLong_FromUnsignedLongLong(parts[i]), *bits = PyLong_FromLong(64 * (2 - i));
        PyObject *shifted = part && bits ? PyNumber_Lshift(part, bits) : NULL;
        PyObject *sum = shifted ? PyNumber_Or(result, shifted) : NULL;
        Py_XDECREF(part);
        Py_XDECREF(bits);
        Py_XDECREF(shifted);
        Py_DECREF(result);
        result = sum;
    }
    return result;
}

PyObject *list64(const uint64_t *values, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *item = PyLong_FromUnsignedLongLong(values[i]);
        if (!item || PyList_SetItem(list, i, item))
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *list32(const uint32_t *values, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *item = PyLong_FromUnsignedLong(values[i]);
        if (!item || PyList_SetItem(list, i, item))
            Py_CLEAR(list);
    }
    return list;
}

/* [first, last, first, last …] */
static PyObject *list_runs(const struct runs *runs, const struct run *tail)
{
    Py_ssize_t count = (Py_ssize_t)runs->count + (tail ? 1 : 0);
    PyObject *list = PyList_New(2 * count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        const struct run *run = i < (Py_ssize_t)runs->count ? runs->at + i : tail;
        PyObject *first = PyLong_FromLongLong(run->first), *last = PyLong_FromLongLong(run->last);
        int is_bad = !first || !last;
        is_bad |= PyList_SetItem(list, 2 * i, first) | PyList_SetItem(list, 2 * i + 1, last);
        if (is_bad)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *export_breaks(const struct breaks *breaks)
{
    if (!breaks)
        Py_RETURN_NONE;
    PyObject *kept = PyList_New(breaks->kept_count);
    for (uint32_t i = 0; kept && i < breaks->kept_count; i++) {
        const struct jump *jump = breaks->kept + i;
        PyObject *item = Py_BuildValue("KLLLK", jump->packet, jump->before, jump->after, jump->time_ns, jump->frame);
        if (!item || PyList_SetItem(kept, i, item))
            Py_CLEAR(kept);
    }
    PyObject *open = PyList_New(breaks->open_count);
    for (uint32_t i = 0; open && i < breaks->open_count; i++) {
        PyObject *item = PyLong_FromLongLong(breaks->open[i]);
        if (!item || PyList_SetItem(open, i, item))
            Py_CLEAR(open);
    }
    PyObject *forward = breaks->knows_forward ? list_runs(&breaks->forward, NULL) : Py_BuildValue("");
    return Py_BuildValue("NNNKKK", kept, open, forward, breaks->count, breaks->settled, breaks->forward_restarts);
}

static PyObject *export_sequence(const struct sequence *state)
{
    static const uint64_t none[WINDOWS];
    const struct settled *settled = state->settled;
    const struct head *head = state->head;
    return Py_BuildValue(
        "KILKNKLKKNNNN", state->packets, state->first, state->position, state->ambiguous,
        list_runs(&state->older, &state->tail), state->size, state->maximum, state->records, state->largest,
        list64(state->outside ? state->outside : none, WINDOWS),
        settled ? Py_BuildValue("LLKKK", settled->lowest, settled->highest, settled->holes, settled->numbers,
                                settled->longest)
                : Py_BuildValue(""),
        export_breaks(state->breaks),
        head ? Py_BuildValue("NKiL", list_runs(&head->runs, NULL), head->packets, head->closed, head->reach)
             : Py_BuildValue(""));
}

/* {key: count} */
static PyObject *export_tallies(const struct flow *flow)
{
    PyObject *result = PyDict_New();
    for (uint32_t i = 0; result && i < flow->tally_count; i++) {
        PyObject *key = PyLong_FromUnsignedLong(flow->tallies[i].key);
        PyObject *count = PyLong_FromUnsignedLongLong(flow->tallies[i].count);
        if (!key || !count || PyDict_SetItem(result, key, count))
            Py_CLEAR(result);
        Py_XDECREF(key);
        Py_XDECREF(count);
    }
    return result;
}

static PyObject *table_settle(PyObject *object, PyObject *unused)
{
    Table *self = (Table *)object;
    (void)unused;
    if (is_busy(self))
        return NULL;
    if (flows_settle(&self->flows))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *table_export(PyObject *object, PyObject *args)
{
    Table *self = (Table *)object;
    unsigned int index;
    if (!PyArg_ParseTuple(args, "I", &index) || is_busy(self))
        return NULL;
    if (index >= self->flows.count) {
        PyErr_SetString(PyExc_IndexError, "no such flow");
        return NULL;
    }
    const struct flow *flow = flows_at(&self->flows, index);
    const struct flow_key *key = &flow->key;
    Py_ssize_t size = key->version == 4 ? 4 : 16;
    /* Where an item cannot be made, Py_BuildValue gives up the others, and returns NULL. */
    self->is_busy = 1;
    PyObject *result = Py_BuildValue(
        "(y#y#IBBI)(KKKLLLLKKKKK)(NKK)(KNNKK)NNNNNN", key->source, size, key->destination, size, key->spi, key->protocol,
        key->encapsulation, flow->capture, flow->octets, flow->first_frame, flow->last_frame, flow->first_time_ns,
        flow->last_time_ns, flow->first_arrival_ns, flow->last_arrival_ns, flow->time_reversals, flow->dont_fragment,
        flow->in_fragments, flow->truncated, flow->inferred, big(0, flow->sizes_squared), flow->least_size, flow->most_size,
        flow->gap_count, big(0, flow->gap_total), big(flow->gaps_squared_high, flow->gaps_squared), flow->least_gap,
        flow->most_gap, list64(flow->first_values, flow->first_size_count),
        list64(flow->first_gap_count ? flow->first_values + FIRST_KEPT : NULL, flow->first_gap_count), list32(flow->ports, flow->port_count),
        list32(flow->vlans, flow->vlan_count), export_tallies(flow), export_sequence(&flow->sequence));
    self->is_busy = 0;
    return result;
}

static PyObject *table_merge(PyObject *object, PyObject *args)
{
    Table *self = (Table *)object, *following;
    unsigned long long frames;
    if (!PyArg_ParseTuple(args, "O!K", Py_TYPE(object), &following, &frames) || is_busy(self) || is_busy(following))
        return NULL;
    if (self == following)
        return PyErr_Format(PyExc_ValueError, "a table cannot be merged with itself");
    if (flows_settle(&self->flows) || flows_settle(&following->flows))
        return PyErr_NoMemory();
    if (!flows_can_merge(&self->flows, &following->flows))
        Py_RETURN_FALSE;
    if (flows_merge(&self->flows, &following->flows, frames))
        return PyErr_NoMemory();
    Py_RETURN_TRUE;
}

static PyMethodDef table_methods[] = {
    {"arrive", table_arrive, METH_VARARGS, "Count one packet; the index of its flow, -1 where the limit drops it."},
    {"find", table_find, METH_VARARGS, "The index of a flow, -1 where it is not there."},
    {"merge", table_merge, METH_VARARGS, "Put the flows of the following piece behind these; whether that was exact."},
    {"counts", table_counts, METH_NOARGS, "(flows, packets dropped, octets dropped)."},
    {"settle", table_settle, METH_NOARGS, "Bring all flows up to date, for export."},
    {"export", table_export, METH_VARARGS, "All that is known of a flow, as tuples (see flows.py)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot table_slots[] = {
    {Py_tp_doc, "Table(secret, limit, gaps, continuing): ESP and AH flows."},
    {Py_tp_new, table_new},
    {Py_tp_dealloc, table_dealloc},
    {Py_tp_methods, table_methods},
    {0, NULL},
};

PyType_Spec table_spec = {"ipsecanalyze._fast._core.Table", sizeof(Table), 0, Py_TPFLAGS_DEFAULT, table_slots};
