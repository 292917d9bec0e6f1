"""What senders put on the wire, read without any code of ours: snappy, protobuf, labels as text."""
import ast
import re
import struct

from harness import check_equal


def unsnappy(data):
    at = shift = size = 0
    while True:
        byte = data[at]
        size |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    out = bytearray()
    while at < len(data):
        tag, at = data[at], at + 1
        if tag & 3 == 0:
            n = tag >> 2
            if n >= 60:
                width = n - 59
                n, at = int.from_bytes(data[at:at + width], "little"), at + width
            out += data[at:at + n + 1]
            at += n + 1
            continue
        if tag & 3 == 1:
            n, back, at = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at], at + 1
        else:
            width = 2 if tag & 3 == 2 else 4
            n, back, at = (tag >> 2) + 1, int.from_bytes(data[at:at + width], "little"), at + width
        for _ in range(n):
            out.append(out[-back])
    check_equal(len(out), size, "snappy")
    return bytes(out)


def fields(data):
    """(number, value) of a message: ints for varints, bytes for the rest."""
    at = 0

    def number():
        nonlocal at
        out = shift = 0
        while True:
            byte, at = data[at], at + 1
            out |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return out
    while at < len(data):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        else:
            n = 8 if key & 7 == 1 else number()
            yield key >> 3, data[at:at + n]
            at += n


def unzigzag(n):
    return n >> 1 ^ -(n & 1)


def signed(n):
    return n - (1 << 64) if n >> 63 else n


def bits(data):
    return struct.unpack("<Q", data)[0]


def numbers(data, size=None):
    if size:
        return [data[i:i + size] for i in range(0, len(data), size)]
    out, n, shift = [], 0, 0
    for byte in data:
        n |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            out.append(n)
            n = shift = 0
    return out


def labels_of(text):
    """Of name{a="x",...}, whose texts are quoted as in Go."""
    name, _, rest = text.partition("{")
    if name.startswith("{") or not name:
        name = ""
    pairs = re.findall(r'(?:^|, ?)("(?:[^"\\]|\\.)*"|[^"=,]+)(?:=("(?:[^"\\]|\\.)*"))?', rest[:-1] if rest else "")
    out = [("__name__", name)] if name else []
    for n, v in pairs:
        plain = ast.literal_eval(n) if n.startswith('"') else n
        out.append((plain, ast.literal_eval(v)) if v else ("__name__", plain))
    return tuple(sorted(out))


def sent_samples(body, is_v2):
    """((labels, ms), bits) of each float of a remote_write request that is not compressed any more."""
    message = list(fields(body))
    symbols = [value.decode() for number, value in message if number == 4] if is_v2 else []
    for number, series in message:
        if number != (5 if is_v2 else 1):
            continue
        parts = list(fields(series))
        if is_v2:
            texts = [symbols[ref] for n, refs in parts if n == 1 for ref in numbers(refs)]
            labels = zip(texts[::2], texts[1::2])
        else:
            pairs = [dict(fields(pair)) for n, pair in parts if n == 1]
            labels = [(p.get(1, b"").decode(), p.get(2, b"").decode()) for p in pairs]
        labels = tuple(sorted(labels))
        for n, sample in parts:
            if n == 2:
                sample = dict(fields(sample))
                yield (labels, signed(sample.get(2, 0))), bits(sample.get(1, bytes(8)))
