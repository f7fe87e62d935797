# cython: language_level=3, boundscheck=True, wraparound=False, nonecheck=True, cdivision=False
"""What is done for each command of a pipeline, in C.  Cython makes it; setup.py says when.

Each function here has a namesake in Python, marked ``@compiled``, which is the reference: what it
does, and why, is said there.  It runs in place of this one where this is not built.  Both give the
same values and refuse the same bytes; tests/unit/test_hot.py compares them.

Clients choose the bytes that come here, so nothing rests on their sense:
- items of lists, tuples and bytes are taken with their bounds and types checked (the directives
  above; ``<list?>``); two things are not, which C cannot check: ``_CRC``, whose index is a byte, and
  what ``_piece`` copies, which looks at its bounds itself;
- a number of more than nine digits is none, so no sum of two of them overflows;
- a byte is read as unsigned, or compared with one below 128.
Nothing here calls back into Python code of ours, so no list changes while it is looked through.
"""

from binascii import crc_hqx

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

cdef extern from *:
    """
    #ifndef DISTRODB_SOURCE
    #define DISTRODB_SOURCE ""
    #endif
    """
    const char* DISTRODB_SOURCE

source = (<bytes> DISTRODB_SOURCE).decode()  # the checksum of this file when it was built (setup.py)

cdef unsigned short _CRC[256]
for _byte in range(256):
    _CRC[<unsigned char> _byte] = crc_hqx(bytes([_byte]), 0)

cdef enum:
    DIGITS_MAX = 9


# -- resp/parse.py -------------------------------------------------------------------------------


def find_commands(bytes data not None, list commands not None, Py_ssize_t arguments_max):
    cdef Py_ssize_t size = len(data), end = 0, at, count, length
    cdef list command
    while end < size and data[end] == 42:  # "*"
        at = end
        count = _header(data, &at)
        if count < 1 or count > arguments_max:
            break
        command = []
        for _ in range(count):  # what has not come ends it: a header alone allocates nothing
            if at >= size or data[at] != 36:  # "$"
                return end
            length = _header(data, &at)
            if length < 0 or length > size - at - 2:
                return end
            command.append(_piece(data, at, length))
            at += length + 2
        commands.append(command)
        end = at
    return end


cdef Py_ssize_t _header(bytes data, Py_ssize_t* position) except -2:
    """The number in the header at the position, which moves behind it; -1 if it is not all there,
    or not in the shortest form."""
    cdef Py_ssize_t size = len(data), first = position[0] + 1, at = first, number = 0
    cdef unsigned char byte
    while at < size and at - first <= DIGITS_MAX:
        byte = <unsigned char> data[at]
        if byte < 48 or byte > 57:
            break
        number = number * 10 + (byte - 48)
        at += 1
    if at == first or at - first > DIGITS_MAX or at + 2 > size:
        return -1
    if data[first] == 48 and at - first > 1:
        return -1
    if data[at] != 13 or data[at + 1] != 10:
        return -1
    position[0] = at + 2
    return number


cdef bytes _piece(bytes data, Py_ssize_t at, Py_ssize_t length):
    if at < 0 or length < 0 or at > len(data) or length > len(data) - at:
        raise IndexError("a piece beyond its data")
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + at, length)


# -- ring/slots.py -------------------------------------------------------------------------------


def slot_of(bytes key not None):
    return _slot(key)


cdef Py_ssize_t _slot(bytes key) except -1:
    cdef Py_ssize_t start, end
    cdef unsigned short crc = 0
    cdef unsigned char byte
    if b"{" in key:
        start = key.find(b"{")
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = _piece(key, start + 1, end - start - 1)
    for byte in key:
        crc = <unsigned short> ((crc << 8) ^ _CRC[<unsigned char> (crc >> 8) ^ byte])
    return crc & 16383


# -- slave/burst.py ------------------------------------------------------------------------------


def share_out(
    waiting not None,
    Py_ssize_t count_max,
    dict table not None,
    list partition_of_slot not None,
    Py_ssize_t base,
):
    cdef dict parts = {}, counts = {}
    cdef tuple part
    cdef list args
    cdef Py_ssize_t number = 0, run = 0, words_min = 0, words_max = 0, first_key = 0, slot
    row = None  # of the newest command that is taken; what is known of it is kept for the next
    name = is_write = None
    for waits in waiting:
        if number >= count_max or type(waits) is not list:
            break
        args = waits
        found = table.get(args[0])
        if found is None:
            break
        if found is not row:
            words_min, words_max = found.words_min, found.words_max
            if not found.is_plain or len(args) < words_min or len(args) > words_max:
                break
            if run:
                counts[name] = counts.get(name, 0) + run
            row, run = found, 0
            name, is_write, first_key = found.name, found.is_write, found.first_key
        elif len(args) < words_min or len(args) > words_max:
            break
        slot = _slot(<bytes?> args[first_key])
        partition = partition_of_slot[slot]
        part = parts.get(partition)
        if part is None:
            part = parts[partition] = ([], [], [])
        (<list?> part[0]).append((base + slot, args))
        (<list?> part[1]).append(number)
        (<list?> part[2]).append(is_write)
        number += 1
        run += 1
    if run:
        counts[name] = counts.get(name, 0) + run
    return parts, counts, row


def measure(list commands not None):
    cdef Py_ssize_t words = 0, size = 0
    cdef tuple command
    for command in commands:
        for word in command[1]:
            words += 1
            size += len(word)
    return words, size


# -- slave/taking.py -----------------------------------------------------------------------------


def keep_plain(
    part not None,
    list replies not None,
    Py_ssize_t position,
    Py_ssize_t bytes_max,
    bytes nothing not None,
    ok,
    Py_ssize_t late_bytes,
):
    cdef list answers = part.burst.answers, numbers = part.numbers, which_write = part.which_write
    cdef Py_ssize_t size = 0, misses = 0, length = -1, number
    cdef bytes data, head = b""
    while position < len(replies):
        number = numbers[position]
        if answers[number] is not None:
            break
        reply = replies[position]
        if reply is ok:
            data = b"+OK\r\n"
        elif reply is None:
            data = nothing
        elif type(reply) is bytes and len(<bytes?> reply) < late_bytes:
            if len(<bytes?> reply) != length:
                length = len(<bytes?> reply)
                head = b"$%d\r\n" % length
            data = head + <bytes?> reply + b"\r\n"
        else:
            break
        if len(data) > bytes_max - size:
            break
        if reply is None and which_write[position] is False:
            misses += 1
        answers[number] = data
        size += len(data)
        position += 1
    return position, size, misses


def take_plain(
    list answers not None, Py_ssize_t number, list pieces not None, Py_ssize_t bytes_max
):
    cdef Py_ssize_t size = 0
    while number < len(answers) and size < bytes_max:
        answer = answers[number]
        if type(answer) is not bytes:
            break
        pieces.append(answer)
        size += len(<bytes?> answer)
        answers[number] = b""
        number += 1
    return number, size


# -- keyspace/entry.py ---------------------------------------------------------------------------


def check_rows(tuple rows not None):
    cdef tuple row
    for each in rows:
        if type(each) is not tuple or len(<tuple?> each) != 2:
            raise ValueError("it holds what is not a command")
        row = each
        words = row[1]
        if type(row[0]) is not int or type(words) is not tuple or len(<tuple?> words) == 0:
            raise ValueError("it holds what is not a command")
        for word in <tuple?> words:
            if type(word) is not bytes:
                raise ValueError("it holds what is not a command")
