/* runners.load.reads.Reads and runners.load.whole, compiled: see there what each promises.
 *
 * One call of poll() waits, reads everything that came and keeps it in plain memory; objects of
 * Python are made only for what needs a look, and at the end by take().
 */
#define _GNU_SOURCE /* memmem */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <linux/net_tstamp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define READ_BYTES 16384
#define AT_ONCE 256
#define CLOSED (-1)
#define LAST "\r\n\r\n"
#define LAST_BYTES 4
#define COUNT "\"completion_tokens\":"
#define COUNT_BYTES (sizeof COUNT - 1)

typedef struct {
    size_t end;      /* bytes said after this read */
    double stamp_s;  /* CLOCK_REALTIME; NaN without a stamp */
    double read_s, woke_s;
} Read;

typedef struct {
    int is_begun, is_chunked;
    char *raw;
    size_t bytes, raw_room;
    Read *reads;
    size_t count, reads_room;
} Record;

typedef struct {
    PyObject_HEAD
    Record *records; /* by file number */
    int room;
    int unstamped; /* whether any read had no stamp */
} Reads;

static double now_s(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec * 1e-9;
}

static Record *record_of(Reads *self, int number)
{
    if (number >= 0 && number < self->room && self->records[number].is_begun)
        return &self->records[number];
    return NULL;
}

static Record *known(Reads *self, PyObject *number)
{
    long at = PyLong_AsLong(number);
    if (at == -1 && PyErr_Occurred())
        return NULL;
    Record *record = at < 0 || at > INT_MAX ? NULL : record_of(self, (int)at);
    if (record == NULL)
        PyErr_SetObject(PyExc_KeyError, number);
    return record;
}

static void forget(Record *record)
{
    free(record->raw);
    free(record->reads);
    memset(record, 0, sizeof *record);
}

/* Room for `more` further members of `size` bytes; 0 when there is no memory. */
static int grow(void **what, size_t *room, size_t used, size_t more, size_t size)
{
    if (used + more <= *room)
        return 1;
    size_t wanted = 2 * *room > used + more ? 2 * *room : used + more;
    void *grown = realloc(*what, wanted * size);
    if (grown == NULL)
        return 0;
    *what = grown;
    *room = wanted;
    return 1;
}

static double stamp_of(struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_TIMESTAMPING) {
            struct timespec software; /* the first of three: struct scm_timestamping */
            memcpy(&software, CMSG_DATA(part), sizeof software);
            return software.tv_sec + software.tv_nsec * 1e-9;
        }
    return NAN;
}

/* Whether it needs a look, and in *failed why: 0, an errno or CLOSED; -1 when there is no memory. */
static int read_one(Reads *self, Record *record, int number, double woke_s, int *failed)
{
    char ancillary[CMSG_SPACE(3 * sizeof(struct timespec))];
    *failed = 0;
    if (!grow((void **)&record->raw, &record->raw_room, record->bytes, READ_BYTES, 1) ||
        !grow((void **)&record->reads, &record->reads_room, record->count, 1, sizeof(Read)))
        return -1;
    char *content = record->raw + record->bytes;
    struct iovec into = {content, READ_BYTES};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1};
    message.msg_control = ancillary;
    message.msg_controllen = sizeof ancillary;
    ssize_t got = recvmsg(number, &message, 0);
    double at_s = now_s();
    if (got < 0) {
        *failed = errno;
        return !(errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    }
    if (got == 0) {
        *failed = CLOSED;
        return 1;
    }
    record->bytes += (size_t)got;
    double stamp_s = stamp_of(&message);
    self->unstamped |= isnan(stamp_s);
    record->reads[record->count++] = (Read){record->bytes, stamp_s, at_s, woke_s};
    int whole = got >= LAST_BYTES && memcmp(content + got - LAST_BYTES, LAST, LAST_BYTES) != 0;
    return !(record->is_chunked && whole);
}

static PyObject *begin(PyObject *object, PyObject *connection)
{
    Reads *self = (Reads *)object;
    int number = PyObject_AsFileDescriptor(connection);
    if (number < 0)
        return NULL;
    if (number >= self->room) {
        size_t room = 2 * (size_t)number + 64;
        Record *grown = realloc(self->records, room * sizeof(Record));
        if (grown == NULL)
            return PyErr_NoMemory();
        memset(grown + self->room, 0, (room - (size_t)self->room) * sizeof(Record));
        self->records = grown;
        self->room = (int)room;
    }
    forget(&self->records[number]);
    self->records[number].is_begun = 1;
    Py_RETURN_NONE;
}

static PyObject *set_chunked(PyObject *object, PyObject *number)
{
    Record *record = known((Reads *)object, number);
    if (record == NULL)
        return NULL;
    record->is_chunked = 1;
    Py_RETURN_NONE;
}

/* Takes `one` over, which may be NULL; not 0 with an exception set when it could not. */
static int append(PyObject *list, PyObject *one)
{
    int broken = one == NULL || PyList_Append(list, one) < 0;
    Py_XDECREF(one);
    return broken;
}

/* Wait and read once; what needs a look goes to `told`. -1 with an exception set. */
static int look_once(Reads *self, int file, double wait_s, PyObject *told)
{
    struct epoll_event happenings[AT_ONCE];
    int count;
    Py_BEGIN_ALLOW_THREADS
    count = epoll_wait(file, happenings, AT_ONCE, (int)ceil(wait_s * 1e3));
    Py_END_ALLOW_THREADS
    double woke_s = now_s();
    if (count < 0 && errno != EINTR) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        int number = happenings[i].data.fd, failed = 0, look = 1;
        Record *record = record_of(self, number);
        if (record != NULL && !(happenings[i].events & EPOLLOUT))
            look = read_one(self, record, number, woke_s, &failed);
        if (look < 0)
            PyErr_NoMemory();
        if (look < 0 ||
            (look && append(told, Py_BuildValue("(iIi)", number, happenings[i].events, failed))))
            return -1;
    }
    return 0;
}

static void nap(double nap_s)
{
    struct timespec span = {(time_t)nap_s, (long)((nap_s - (time_t)nap_s) * 1e9)};
    Py_BEGIN_ALLOW_THREADS
    nanosleep(&span, NULL);
    Py_END_ALLOW_THREADS
}

static PyObject *poll_all(PyObject *object, PyObject *arguments)
{
    Reads *self = (Reads *)object;
    PyObject *epoll;
    double wait_s, nap_s;
    if (!PyArg_ParseTuple(arguments, "Odd", &epoll, &wait_s, &nap_s))
        return NULL;
    int file = PyObject_AsFileDescriptor(epoll);
    PyObject *told = file < 0 ? NULL : PyList_New(0);
    double until_s = now_s() + wait_s, left_s = wait_s;
    while (told != NULL) {
        if (nap_s > 0 && !self->unstamped && left_s > nap_s) {
            nap(nap_s);
            left_s -= nap_s;
        }
        if (look_once(self, file, left_s > 0 ? left_s : 0, told) < 0)
            Py_CLEAR(told);
        else if (PyList_Size(told) > 0 || (left_s = until_s - now_s()) <= 0)
            break;
    }
    return told;
}

static PyObject *raw(PyObject *object, PyObject *number)
{
    Record *record = known((Reads *)object, number);
    if (record == NULL)
        return NULL;
    return PyBytes_FromStringAndSize(record->raw, (Py_ssize_t)record->bytes);
}

static PyObject *heard_s(PyObject *object, PyObject *number)
{
    Record *record = known((Reads *)object, number);
    if (record == NULL)
        return NULL;
    return PyFloat_FromDouble(record->count ? record->reads[record->count - 1].read_s : 0.0);
}

static PyObject *end_of(const Read *read)
{
    return PyLong_FromSize_t(read->end);
}

static PyObject *stamp_s_of(const Read *read)
{
    return PyFloat_FromDouble(read->stamp_s);
}

static PyObject *read_s_of(const Read *read)
{
    return PyFloat_FromDouble(read->read_s);
}

static PyObject *woke_s_of(const Read *read)
{
    return PyFloat_FromDouble(read->woke_s);
}

static PyObject *listed(const Record *record, PyObject *(*part)(const Read *))
{
    PyObject *list = PyList_New((Py_ssize_t)record->count);
    for (size_t i = 0; list != NULL && i < record->count; i++) {
        PyObject *one = part(&record->reads[i]);
        if (one == NULL)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)i, one);
    }
    return list;
}

static PyObject *stamps(const Record *record)
{
    for (size_t i = 0; i < record->count; i++)
        if (isnan(record->reads[i].stamp_s))
            Py_RETURN_NONE;
    return listed(record, stamp_s_of);
}

static PyObject *take(PyObject *object, PyObject *number)
{
    Record *record = known((Reads *)object, number);
    if (record == NULL)
        return NULL;
    PyObject *taken = Py_BuildValue(
        "(NNNNN)", raw(object, number), listed(record, end_of), stamps(record),
        listed(record, read_s_of), listed(record, woke_s_of));
    if (taken != NULL)
        forget(record);
    return taken;
}

static void dealloc(PyObject *object)
{
    Reads *self = (Reads *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (int number = 0; number < self->room; number++)
        forget(&self->records[number]);
    free(self->records);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

typedef struct {
    const char *at, *stop;
} Text;

/* Digits of base 10 or 16, at most `most`; their number goes to *value. How many there were. */
static int digits(Text text, int base, int most, long long *value)
{
    int count = 0;
    for (*value = 0; text.at + count < text.stop; count++) {
        int one = text.at[count], low = one | 32;
        int digit = one >= '0' && one <= '9' ? one - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : 99;
        if (digit >= base)
            break;
        if (count == most)
            return 0;
        *value = *value * base + digit;
    }
    return count;
}

static int begins(Text text, const char *with)
{
    size_t bytes = strlen(with);
    return text.at + bytes <= text.stop && memcmp(text.at, with, bytes) == 0;
}

/* The last count in a line of JSON; -1 when there is none. */
static long long counted(Text line)
{
    long long total = -1, found;
    const char *key;
    while ((key = memmem(line.at, (size_t)(line.stop - line.at), COUNT, COUNT_BYTES)) != NULL) {
        line.at = key + COUNT_BYTES;
        Text number = {line.at + begins(line, " "), line.stop};
        if (digits(number, 10, 18, &found) > 0)
            total = found;
    }
    return total;
}

/* One event that fills a chunk: its tokens, the byte at which it was complete, the next chunk. */
static int whole_event(Text text, long long *total, const char **complete, const char **next)
{
    long long size;
    int length = digits(text, 16, 15, &size);
    Text after = {text.at + length, text.stop};
    if (length == 0 || !begins(after, "\r\n"))
        return 0;
    Text line = {after.at + 2, text.stop};
    if (size < 8 || size > text.stop - line.at - 2 || !begins(line, "data: "))
        return 0;
    const char *end = line.at + size; /* of the content */
    line.stop = end - 2;
    if (memcmp(end - 2, "\n\n\r\n", 4) != 0 || memchr(line.at, '\n', (size_t)(size - 2)) != NULL)
        return 0;
    *total = counted(line);
    *complete = end - 1;
    *next = end + 2;
    return *total >= 0;
}

static PyObject *whole_events(PyObject *module, PyObject *arguments)
{
    const char *raw, *complete, *next;
    Py_ssize_t bytes, at;
    long long total;
    if (!PyArg_ParseTuple(arguments, "y#n", &raw, &bytes, &at))
        return NULL;
    if (at < 0 || at > bytes) {
        PyErr_SetString(PyExc_IndexError, "at lies outside of raw");
        return NULL;
    }
    PyObject *places = PyList_New(0), *totals = PyList_New(0);
    Text text = {raw + at, raw + bytes};
    int broken = places == NULL || totals == NULL;
    while (!broken && whole_event(text, &total, &complete, &next)) {
        broken = append(places, PyLong_FromSsize_t(complete - raw)) ||
                 append(totals, PyLong_FromLongLong(total));
        text.at = next;
    }
    if (!broken)
        return Py_BuildValue("(NNn)", places, totals, (Py_ssize_t)(text.at - raw));
    Py_XDECREF(places);
    Py_XDECREF(totals);
    return NULL;
}

static PyMethodDef functions[] = {
    {"whole_events", whole_events, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef methods[] = {
    {"begin", begin, METH_O, NULL},
    {"set_chunked", set_chunked, METH_O, NULL},
    {"poll", poll_all, METH_VARARGS, NULL},
    {"raw", raw, METH_O, NULL},
    {"heard_s", heard_s, METH_O, NULL},
    {"take", take, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_methods, methods},
    {Py_tp_dealloc, dealloc},
    {0, NULL},
};
static PyType_Spec reads = {
    .name = "runners.load._reads.Reads",
    .basicsize = sizeof(Reads),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_reads", .m_size = -1,
                                    .m_methods = functions};

PyMODINIT_FUNC PyInit__reads(void)
{
    PyObject *made = PyModule_Create(&module), *type = PyType_FromSpec(&reads);
    if (made == NULL || type == NULL || PyModule_AddObjectRef(made, "Reads", type) < 0)
        Py_CLEAR(made);
    Py_XDECREF(type);
    return made;
}
