"""A second reader of data folders, slow and plain: what it knows is what the descriptions of the formats say
(engine/tsdb/catalogue_log.c, tombstones.c, matchers_bytes.c, block_format.h, column.c, histogram_column.c, wal_record.c, wal_layouts.c,
engine/model/histogram.c, engine/model/labels.h). Nothing of the product is called. Where such a description does not
suffice to write this, the description is wrong.

    naive_reader.py FOLDER      every sample of it: of each series a line, its encoded labels in hex, then for each sample
                                its bits or [packed histogram in hex], @time in ms, and <start timestamp where it has one
"""
import os
import re
import struct
import sys

MASK = (1 << 64) - 1


class Damage(Exception):
    """What the description does not allow, and where."""


def make_crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC = make_crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def signed(number):
    number &= MASK
    return number - (1 << 64) if number >> 63 else number


def unzigzag(number):
    return number >> 1 ^ -(number & 1)


class Bytes:
    """What is left of some bytes."""

    def __init__(self, data, where=""):
        self.data, self.at, self.where = data, 0, where

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Damage(f"{self.where}: ends early, at byte {self.at}")
        self.at += n
        return self.data[self.at - n:self.at]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                if number > MASK:
                    raise Damage(f"{self.where}: a number of more than 64 bits, at byte {self.at}")
                return number

    def zigzag(self):
        return unzigzag(self.varint())

    def unpack(self, form):
        values = struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))
        return values[0] if len(values) == 1 else values

    def rest(self):
        return self.take(len(self.data) - self.at)

    def is_empty(self):
        return self.at == len(self.data)

    def must_end(self):
        if not self.is_empty():
            raise Damage(f"{self.where}: {len(self.data) - self.at} bytes too many")


def lz4(data, size):
    """An LZ4 block."""
    source, out = Bytes(data, "lz4"), bytearray()

    def length(n):
        while n >= 15 and (more := source.byte()) is not None:
            n += more
            if more < 255:
                break
        return n
    while True:
        token = source.byte()
        out += source.take(length(token >> 4))
        if source.is_empty():
            break
        offset, n = source.unpack("H"), length(token & 15) + 4
        for _ in range(n):
            out.append(out[-offset])
    if len(out) != size:
        raise Damage(f"lz4: {len(out)} bytes for {size}")
    return bytes(out)


# ---- the catalogue

class Catalogue:
    def __init__(self, data):
        self.files, self.marks, self.done, self.seq, self.next_id = {}, {}, set(), 0, 0
        self.tombstones, self.deletions = {}, []
        head = Bytes(data, "catalogue")
        magic, self.format, size = head.unpack("8sII")
        if magic != b"FERULACT" or size != 32 or crc32c(data[:28]) != struct.unpack("<I", data[28:32])[0]:
            raise Damage("catalogue: header")
        at = 32
        while at + 16 <= len(data):
            crc, size, seq = struct.unpack("<IIQ", data[at:at + 16])
            if at + 16 + size > len(data) or crc32c(data[at + 4:at + 16 + size]) != crc:
                break
            if self.seq and seq != self.seq + 1:
                break
            self.seq = seq
            self.record(Bytes(data[at + 16:at + 16 + size], f"catalogue: record at {at}"))
            at += 16 + size
        self.tail = len(data) - at

    def record(self, items):
        while not items.is_empty():
            kind = items.byte()
            if kind == 1:
                self.partitions, self.spread, self.hash_seed, size = items.unpack("IIQI")
                self.placement_labels = items.take(size)
            elif kind == 2:
                self.epoch = items.unpack("Q")
            elif kind == 3:
                self.next_id = items.unpack("Q")
            elif kind == 4:
                names = ("id generation kind level partition_min partition_max min_t max_t size series samples tenant "
                         "tier").split()
                info = dict(zip(names, items.unpack("QQIIIIqqQQQII")))
                self.files[info["id"]] = info
            elif kind == 5:
                gone = items.unpack("Q")
                del self.files[gone]
                self.tombstones.pop(gone, None)
            elif kind == 6:
                epoch, shard, segment, seq = items.unpack("QIQQ")
                self.marks[epoch, shard] = (segment, seq)
                self.done.discard((epoch, shard))
            elif kind == 7:
                stream = items.unpack("QI")
                self.marks.pop(stream, None)
                self.done.add(stream)
                self.deletions = [d for d in self.deletions if d[0] != stream]
            elif kind == 8:
                file, size = items.unpack("QI")
                self.tombstones[file] = items.take(size)
            elif kind == 9:
                epoch, shard, seq, min_t, max_t, begin, end, size = items.unpack("QIQqqIII")
                self.deletions.append(((epoch, shard), seq, min_t, max_t, begin, end, items.take(size)))
            elif kind == 10:
                epoch, shard, seq = items.unpack("QIQ")
                self.deletions = [d for d in self.deletions if d[0] != (epoch, shard) or d[1] > seq]
            else:
                raise Damage(f"{items.where}: item of type {kind}")


# ---- columns

def fields(data, n, width):
    bits = int.from_bytes(data, "little")
    return [bits >> i * width & (1 << width) - 1 for i in range(n)]


def integers(head, source, n, other=None):
    """n integers, modulo 2^64; other: what the form of the column says that these are told beside."""
    offset, factor, q = form_integers(head, source, n)
    if other:
        q = [mine + theirs for mine, theirs in zip(q, other)]
    return [offset + factor * value & MASK for value in q]


def form_integers(head, source, n):
    """Offset, factor and what the form says."""
    form, has_factor, has_outliers = head & 7, head & 16, head & 32
    offset, factor = (source.zigzag(), source.varint()) if has_factor else (0, 1)
    base = source.zigzag()

    def residuals(count):
        width = source.byte()
        if width > 64:
            raise Damage(f"{source.where}: width {width}")
        all_fields = fields(source.take((count * width + 7) // 8), count, width)
        place = -1
        for _ in range(source.varint() if has_outliers else 0):
            place += source.varint() + 1
            all_fields[place] += source.zigzag()
        return all_fields
    if form == 0:
        q = [base] * n
    elif form == 1:
        step = source.zigzag()
        q = [base + i * step for i in range(n)]
    elif form == 2:
        q = [base + field for field in residuals(n)]
    elif form == 3:
        step = source.zigzag()
        q = [base + i * step + field for i, field in enumerate(residuals(n))]
    elif form == 4:
        low, q = source.zigzag(), [base]
        for field in residuals(n - 1):
            q.append(q[-1] + low + field)
    elif form == 5:
        delta, low = source.zigzag(), source.zigzag()
        q = [base, base + delta]
        for field in residuals(n - 2):
            delta += low + field
            q.append(q[-1] + delta)
    elif form == 6:
        slope = source.zigzag()
        if not -(1 << 52) < slope < 1 << 52:
            raise Damage(f"{source.where}: slope {slope}")
        q = [base + (i * slope >> 16) + field for i, field in enumerate(residuals(n))]
    else:
        raise Damage(f"{source.where}: form {form}")
    return offset, factor, q


def xor_values(source, n):
    """The bits of n doubles."""
    out = [source.unpack("Q")]
    bits = [(byte >> i) & 1 for byte in source.data[source.at:] for i in range(8)]
    at = trailing = width = 0

    def number(size):
        nonlocal at
        at += size
        if at > len(bits):
            raise Damage(f"{source.where}: XOR ends early")
        return sum(bit << i for i, bit in enumerate(bits[at - size:at]))
    for _ in range(n - 1):
        x = 0
        if number(1):
            if number(1):
                trailing, width = number(6), number(6) + 1
            x = number(width) << trailing
        out.append(out[-1] ^ x)
    source.take((at + 7) // 8)
    return out


def times_column(data, n, where):
    source = Bytes(data, where)
    head = source.byte()
    if head & (8 | 64 | 128):
        raise Damage(f"{where}: head {head:#x} of a column of integers")
    out = [signed(value) for value in integers(head, source, n)]
    source.must_end()
    return out


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def scaled(scale, number):
    """The bits of the double that an integer stands for."""
    number = signed(number)
    if scale == 127:
        return (number ^ (number >> 63 & (1 << 63) - 1)) & MASK
    if scale <= 22:
        return bits_of(float(number) / float(f"1e{scale}"))
    if 32 < scale <= 41:
        return bits_of(float(number) * float(f"1e-{scale - 32}"))
    if 64 < scale <= 70:
        return bits_of(float(number) / 1000.0 / float(f"1e{scale - 64}"))
    raise Damage(f"scale {scale}")


def form_of(data, n, where):
    """What the form of a column of values says."""
    source = Bytes(data, where)
    head = source.byte()
    if head & 8:
        source.byte()
    return form_integers(head, source, n)[2]


SPECIALS = [0x7FF0000000000002, 0x7FF8000000000001, 0x7FF0000000000000, 0xFFF0000000000000, 0x8000000000000000]


def values_column(data, n, where, beside=None):
    """The bits of n doubles; beside: the column that this one is told beside."""
    source = Bytes(data, where)
    head = source.byte()
    if head & 128:
        raise Damage(f"{where}: head {head:#x}")
    scale = source.byte() if head & 8 else 0
    if head & 7 == 7 and not beside:
        out = xor_values(source, n)
    else:
        out = [scaled(scale, number) for number in integers(head, source, n, form_of(beside, n, where) if beside else None)]
    if head & 64:
        place = 0
        for _ in range(source.varint()):
            place += source.varint()
            length, kind = divmod(source.varint(), 8)
            bits = source.unpack("Q") if kind == 5 else SPECIALS[kind]
            for _ in range(length + 1):
                out[place] = bits
                place += 1
    source.must_end()
    return out


# ---- histograms

def layout_of(data):
    """Whether its counts are doubles, how many cells a histogram of this layout has, how many of them negative buckets."""
    source = Bytes(data, "layout")
    is_float = source.byte() == 1
    source.zigzag()
    source.take(8)
    buckets = []
    for _ in range(2):
        buckets.append(0)
        for _ in range(source.varint()):
            source.zigzag()
            buckets[-1] += source.varint()
    source.take(8 * source.varint())
    source.must_end()
    return is_float, 3 + sum(buckets), buckets[1]


def put_varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def put_zigzag(number):
    number = signed(number)
    return put_varint((number << 1 ^ number >> 63) & MASK)


def put_count(bits):
    return put_varint(int.from_bytes(bits.to_bytes(8, "little"), "big"))


def pack_histogram(layout, hint, cells):
    is_float, _, negative = layout_of(layout)
    out = put_varint(len(layout)) + layout + bytes([hint])
    for count in cells[:2]:
        out += put_count(count) if is_float else put_varint(count)
    out += struct.pack("<Q", cells[2])
    before = 0
    for i, count in enumerate(cells[3:]):
        before = 0 if i == negative else before
        out += put_count(count) if is_float else put_zigzag(count - before)
        before = count
    return out


def histogram_column(data, layout, n, where):
    is_float, cells, _ = layout_of(layout)
    source = Bytes(data, where)
    hints = times_column(source.take(source.varint()), n, where)
    columns = []
    for cell in range(cells):
        column = source.take(source.varint())
        columns.append(values_column(column, n, where) if is_float or cell == 2 else
                       [value & MASK for value in times_column(column, n, where)])
    source.must_end()
    return [pack_histogram(layout, hints[i], [column[i] for column in columns]) for i in range(n)]


# ---- block files

NAMES, PAIRS, SETS, TUPLES, SERIES, POSTINGS, TIMES, COLUMNS, LAYOUTS, EXEMPLARS, METADATA, EXEMPLAR_TIMES = range(12)
MAGIC = b"ferulabf"
HISTOGRAMS, START, STARTS, BESIDE = 1, 2, 4, 8


class Section:
    """A table and its chunks: of each the number of its first item and of its items, and its bytes."""

    def __init__(self, data, path, table_offset, chunks, items, crc):
        self.chunks, self.items = [], items
        table = data[table_offset:table_offset + 24 * chunks]
        if chunks and crc32c(struct.pack("<Q", table_offset) + table) != crc:
            raise Damage(f"{path}: offset {table_offset}: a table")
        rows = list(struct.iter_unpack("<QIIII", table))
        for i, (offset, size, raw_size, first, crc) in enumerate(rows):
            stored = data[offset:offset + size]
            if crc32c(struct.pack("<Q", offset) + stored) != crc:
                raise Damage(f"{path}: offset {offset}: a chunk")
            end = rows[i + 1][3] if i + 1 < len(rows) else items
            raw = lz4(stored, raw_size) if raw_size else stored
            self.chunks.append((first, end - first, Bytes(raw, f"{path}: offset {offset}")))


class BlockFile:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.path = path
        head = Bytes(self.data, path)
        magic, self.version, tenant, tier, crc = head.unpack("8sIIII")
        if magic != MAGIC or crc != crc32c(bytes(8) + self.data[:20]):
            raise Damage(f"{path}: header")
        rooms = 8 if self.version == 1 else 16
        size = 8 + 5 * 4 + 5 * 8 + 20 * rooms + 4
        at = len(self.data) - size
        footer = Bytes(self.data[at:], f"{path}: footer")
        if crc32c(struct.pack("<Q", at) + footer.data[:-4]) != struct.unpack("<I", footer.data[-4:])[0]:
            raise Damage(f"{path}: offset {at}: footer")
        magic, version, tenant, tier, self.partition_min, self.partition_max = footer.unpack("8s5I")
        self.min_t, self.max_t, self.series_n, self.samples_n, self.size = footer.unpack("qqQQQ")
        if magic != MAGIC or version != self.version or tenant or tier or self.size != len(self.data):
            raise Damage(f"{path}: offset {at}: footer")
        self.sections = [Section(self.data, path, *footer.unpack("QIII")) for _ in range(rooms)]
        self.sections += [Section(self.data, path, 0, 0, 0, 0)] * (16 - rooms)

    def read_names(self):
        """Of each pair its (name, value)."""
        names = []
        for _, items, chunk in self.sections[NAMES].chunks:
            for _ in range(items):
                name = chunk.take(chunk.varint())
                names += [name] * chunk.varint()
            chunk.must_end()
        pairs = []
        for _, items, chunk in self.sections[PAIRS].chunks:
            value = b""
            for _ in range(items):
                shared = chunk.varint()
                value = value[:shared] + chunk.take(chunk.varint())
                pairs.append((names[len(pairs)], value))
            chunk.must_end()
        if len(pairs) != len(names) or pairs != sorted(set(pairs)):
            raise Damage(f"{self.path}: names and pairs")
        return pairs

    def list_of_pairs(self, chunk):
        pairs, last = [], 0
        for _ in range(chunk.varint()):
            last += chunk.varint()
            pairs.append(last)
        return pairs

    def read_series(self):
        """Of each series (partition, set, tuple), in the order of columns."""
        self.sets = []
        for _, items, chunk in self.sections[SETS].chunks:
            self.sets += [self.list_of_pairs(chunk) for _ in range(items)]
            chunk.must_end()
        self.tuples, self.partitions = [], []
        for _, items, chunk in self.sections[TUPLES].chunks:
            partition = 0
            for _ in range(items):
                partition += chunk.varint()
                self.partitions.append(partition)
                self.tuples.append(self.list_of_pairs(chunk))
            chunk.must_end()
        series = []
        for first, items, chunk in self.sections[SERIES].chunks:
            if chunk.varint() != len(series):
                raise Damage(f"{chunk.where}: the chunk's first series")
            tuples = []
            for item in range(first, first + items):
                count = chunk.varint()
                if count:
                    tuples, last = [], 0
                    for _ in range(count):
                        last += chunk.varint()
                        tuples.append(last)
                series += [(item, t) for t in tuples]
            chunk.must_end()
        return series

    def check_postings(self):
        wanted_sets, wanted_tuples = [[[] for _ in self.pairs] for _ in range(2)]
        for wanted, lists in (wanted_sets, self.sets), (wanted_tuples, self.tuples):
            for number, pairs in enumerate(lists):
                for pair in pairs:
                    wanted[pair].append(number)
        pair = 0
        for _, items, chunk in self.sections[POSTINGS].chunks:
            for _ in range(items):
                for wanted in wanted_sets, wanted_tuples:
                    numbers, end = [], 0
                    for _ in range(chunk.varint()):
                        gap, is_run = divmod(chunk.varint(), 2)
                        length = chunk.varint() + 2 if is_run else 1
                        numbers += range(end + gap, end + gap + length)
                        end += gap + length
                    if numbers != wanted[pair]:
                        raise Damage(f"{chunk.where}: postings of pair {pair}")
                pair += 1
            chunk.must_end()
        if pair != len(self.pairs):
            raise Damage(f"{self.path}: postings of {pair} pairs")

    def labels(self, series):
        both = sorted(self.pairs[pair] for pair in self.sets[series[0]] + self.tuples[series[1]])
        if len({name for name, _ in both}) != len(both):
            raise Damage(f"{self.path}: a name twice in a series")
        return encode_labels(both)

    def read_times(self):
        times = []
        for _, items, chunk in self.sections[TIMES].chunks:
            for _ in range(items):
                n = chunk.varint()
                times.append(times_column(chunk.take(chunk.varint()), n, chunk.where))
                if times[-1] != sorted(set(times[-1])):
                    raise Damage(f"{chunk.where}: times do not ascend")
            chunk.must_end()
        return times

    def read_layouts(self):
        layouts = []
        for _, items, chunk in self.sections[LAYOUTS].chunks:
            layouts += [chunk.take(chunk.varint()) for _ in range(items)]
            chunk.must_end()
        return layouts

    def read_group(self, items, chunk):
        """Of each series of the group its samples: (time, bits or packed histogram, start)."""
        directory_size, facts_size = chunk.unpack("II") if self.version < 3 else (chunk.unpack("I"), 0)
        directory = Bytes(chunk.take(directory_size), chunk.where + ": directory")
        facts = Bytes(chunk.take(facts_size), chunk.where + ": facts")
        self.columns.append(chunk.data[chunk.at:])
        time = start = 0
        out, with_facts = [], []
        for _ in range(items):
            samples = []
            for _ in range(directory.varint()):
                first, flags = directory.varint(), 0
                if self.version > 1:
                    first, has_flags = divmod(first, 2)
                    flags = directory.byte() if has_flags else 0
                time += unzigzag(first) + 1
                layout = self.layouts[directory.varint()] if flags & HISTOGRAMS else None
                if flags & START:
                    start = signed(start + directory.zigzag())
                beside = None
                if flags & BESIDE:
                    columns, place = self.columns[-1 - directory.varint()], directory.varint()
                    beside = Bytes(columns[place:], chunk.where).take(directory.varint())
                column = Bytes(chunk.take(directory.varint()), chunk.where)
                t = self.times[time]
                n, starts = len(t), [start if flags & START else 0] * len(t)
                if flags & STARTS:
                    starts = times_column(column.take(column.varint()), n, chunk.where)
                data = column.rest()
                if layout:
                    values = histogram_column(data, layout, n, chunk.where)
                else:
                    values = values_column(data, n, chunk.where, beside)
                    if data[0] & 7:
                        with_facts.append(values)
                samples += zip(t, values, starts)
            out.append(samples)
        directory.must_end()
        chunk.must_end()
        if self.version < 3:
            self.check_facts(facts, with_facts)
        return out

    def check_facts(self, facts, columns):
        for at in range(0, len(columns), 512):
            some = columns[at:at + 512]
            for kind in range(5):
                column = values_column(facts.take(facts.varint()), len(some), facts.where)
                for value, bits in zip(column, some) if kind < 2 else ():
                    if value != bits[0 if kind == 0 else -1]:
                        raise Damage(f"{facts.where}: first or last")
                for value, bits in zip(column, some) if kind in (2, 3) else ():
                    self.check_bound(facts, kind == 2, value, bits)
        facts.must_end()

    def check_bound(self, facts, is_least, value, bits):
        doubles = [struct.unpack("<d", struct.pack("<Q", b))[0] for b in bits if b != SPECIALS[0]]
        numbers = [x for x in doubles if x == x]
        bound = struct.unpack("<d", struct.pack("<Q", value))[0]
        wanted = (min if is_least else max)(numbers) if numbers else None
        if doubles and (bound != wanted if numbers else bound == bound):
            raise Damage(f"{facts.where}: min or max is {bound} for {wanted}")

    def read(self):
        """{labels: {time: (value, start)}}"""
        self.pairs = self.read_names()
        series = self.read_series()
        self.check_postings()
        self.times, self.layouts, self.columns = self.read_times(), self.read_layouts(), []
        self.labels_of = [self.labels(s) for s in series]
        out, count = {}, 0
        for first, items, chunk in self.sections[COLUMNS].chunks:
            for number, samples in enumerate(self.read_group(items, chunk), first):
                times = [t for t, _, _ in samples]
                if times != sorted(set(times)) or not times:
                    raise Damage(f"{chunk.where}: times of series {number}")
                if times[0] < self.min_t or times[-1] > self.max_t:
                    raise Damage(f"{chunk.where}: times of series {number} are not those of the footer")
                out[self.labels(series[number])] = {t: (value, start) for t, value, start in samples}
                count += len(samples)
        if len(out) != len(series) or len(out) != self.series_n or count != self.samples_n:
            raise Damage(f"{self.path}: {len(out)} series, {count} samples")
        keys = [(self.labels_key(s), s) for s in series]
        if keys != sorted(keys):
            raise Damage(f"{self.path}: the order of series")
        return out

    def hide(self, samples, tombstones):
        """Takes out of what read() gave what tombstones.c says."""
        items = Bytes(tombstones, f"tombstones of {self.path}")
        for _ in range(items.varint()):
            ranges = [items.unpack("qq") for _ in range(items.varint())]
            at = 0
            for _ in range(items.varint()):
                at += items.varint()
                for number in range(at, end := at + items.varint() + 1):
                    there = samples[self.labels_of[number]]
                    for t in [t for t in there if any(low <= t <= high for low, high in ranges)]:
                        del there[t]
                at = end
        items.must_end()

    def labels_key(self, series):
        local = [self.pairs[pair] for pair in self.sets[series[0]]]
        return dict(local).get(b"__name__", b"")


def encode_labels(pairs):
    return b"".join(put_varint(len(text)) + text for pair in pairs for text in pair)


# ---- the log

DEFINE, ROW, ROW_HISTOGRAMS, ROW_EXEMPLARS, ROW_METADATA, ROW_STARTS = 1, 2, 3, 5, 7, 8
STALE = SPECIALS[0]


class Cohort:
    def __init__(self, seq):
        self.new_seq = self.last_seq = seq
        self.members, self.reset = [], None
        self.bits, self.modes, self.starts = [], [], []
        self.absolute()

    def absolute(self):
        n = len(self.members)
        self.time = self.step = 0
        self.bits, self.modes, self.starts, self.shapes = [0] * n, [0] * n, [0] * n, []


def mantissa(bits, mode):
    """round(value * 10^mode), to even; 0 where it is not below 2^51."""
    product = struct.unpack("<d", struct.pack("<Q", bits))[0] * float(f"1e{mode}")
    return round(product) if abs(product) < 2.0 ** 51 else 0


class Segment:
    """Rows of a segment, as (sequence, is late, time, [(labels, value, start)])."""

    def __init__(self, data, path, end, last_seq):
        self.rows, self.cohorts, self.layouts, self.path = [], {}, {}, path
        head = Bytes(data[:128], path)
        magic, self.format, size, self.epoch, self.shard, tenant = head.unpack("8sIIQII")
        self.number, self.salt, self.first_seq, self.synced, _, self.previous_end, tier = head.unpack("QQQQqQI")
        if magic != b"FERULAWL" or size != 128 or crc32c(data[:124]) != struct.unpack("<I", data[124:128])[0]:
            raise Damage(f"{path}: segment header")
        if tenant or tier or any(data[84:124]):
            raise Damage(f"{path}: segment header")
        self.data, self.bytes_used, self.next_seq = data, 128, self.first_seq
        while self.bytes_used < (len(data) if end is None else end) and self.frame(last_seq):
            pass
        if end is not None and self.bytes_used != end:
            raise Damage(f"{path}: offset {self.bytes_used}: the next segment says {end} bytes hold")

    def frame(self, last_seq):
        at, data = self.bytes_used, self.data
        if at + 24 > len(data):
            return False
        crc, size, first_seq, _, records = struct.unpack("<IIQII", data[at:at + 24])
        place = struct.pack("<QIQQQ", self.epoch, self.shard, self.number, self.salt, at)
        if size % 8 or at + 24 + size > len(data) or crc32c(place + data[at + 4:at + 24 + size]) != crc:
            return False
        if first_seq < self.next_seq:
            return False
        source = Bytes(data[at + 24:at + 24 + size], f"{self.path}: offset {at}")
        for i in range(records):
            self.record(first_seq + i, Bytes(source.take(source.varint()), source.where))
        if any(source.rest()):
            raise Damage(f"{source.where}: no zeros behind the records")
        self.bytes_used, self.next_seq = at + 24 + size, first_seq + records
        return True

    def record(self, seq, source):
        first = source.byte()
        kind, flags = first & 15, first & 0xF0
        if kind == DEFINE:
            self.define(seq, flags, source)
        elif kind in (ROW, ROW_STARTS):
            self.row(seq, flags, kind == ROW_STARTS, source)
        elif kind == ROW_HISTOGRAMS:
            self.histograms(seq, flags, source)
        elif kind in (ROW_EXEMPLARS, ROW_METADATA):
            while not source.is_empty():
                source.take(source.varint())
        else:
            raise Damage(f"{source.where}: record {seq} of type {kind}")
        source.must_end()

    def define(self, seq, flags, source):
        number = source.varint()
        if flags & 0x10:
            source.varint(), source.take(8)
            cohort = self.cohorts[number] = Cohort(seq)
        else:
            cohort = self.cohorts[number]
            back, new_back = source.varint(), source.varint()
            if seq - back != cohort.last_seq or seq - new_back != cohort.new_seq:
                raise Damage(f"{source.where}: record {seq} builds on another one")
            cohort.last_seq = seq
        if source.varint() != len(cohort.members):
            raise Damage(f"{source.where}: record {seq}: the first member")
        labels = b""
        for _ in range(source.varint()):
            prefix, suffix, between = source.varint(), source.varint(), source.varint()
            labels = labels[:prefix] + source.take(between) + labels[len(labels) - suffix:]
            cohort.members.append(labels)
            cohort.bits.append(0)
            cohort.modes.append(0)
            cohort.starts.append(0)

    def list(self, source):
        n, members, at = source.varint(), [], 0
        while len(members) < n:
            skip, is_run = divmod(source.varint(), 2)
            run = source.varint() + 2 if is_run else 1
            at += skip
            members += range(at, at + run)
            at += run
        return members

    def row(self, seq, flags, has_starts, source):
        is_late, is_absolute, presence = flags & 0x10, flags & 0x20, flags & 0xC0
        cohort, back = self.cohorts[source.varint()], source.varint()
        if is_absolute:
            if seq - back != cohort.new_seq or source.varint() != len(cohort.members):
                raise Damage(f"{source.where}: row {seq} builds on another record")
            cohort.absolute()
        elif seq - back != cohort.last_seq:
            raise Damage(f"{source.where}: row {seq} builds on another record")
        step = source.zigzag() + (0 if is_late else cohort.step)
        time = signed(cohort.time + step)
        if presence == 0:
            members = list(range(len(cohort.members)))
        elif presence == 0x40:
            members = cohort.shapes[source.varint()]
        else:
            members = self.list(source)
            if presence == 0x80:
                cohort.shapes.append(members)
        starts = [cohort.starts[m] for m in members]
        if has_starts:
            self.take_starts(source, time, starts)
            if not is_late:
                for member, start in zip(members, starts):
                    cohort.starts[member] = start
        bits, modes = (list(cohort.bits), list(cohort.modes)) if is_late else (cohort.bits, cohort.modes)
        self.changes(source, members, bits, modes)
        if not is_late:
            cohort.time, cohort.step = time, step
        if not is_late or is_absolute:
            cohort.last_seq = seq
        self.rows.append((seq, time, [(cohort.members[m], bits[m], start) for m, start in zip(members, starts)]))

    def take_starts(self, source, time, starts):
        at, last = 0, time
        for _ in range(source.varint()):
            at += source.varint()
            length = source.varint() + 1
            last = signed(last + source.zigzag())
            starts[at:at + length] = [last] * length
            at += length

    def changes(self, source, members, bits, modes):
        at = 0
        while not source.is_empty():
            control = source.byte()
            skip, size = control & 31, control >> 5
            if skip == 31:
                skip += source.varint()
            at += skip
            member = members[at]
            at += 1
            mode = modes[member]
            if size == 7:
                escape = source.byte()
                mode, size = escape & 31, escape >> 5
                if mode == 30:
                    bits[member] = STALE
                    continue
            delta = unzigzag(int.from_bytes(source.take(size + 1), "little"))
            modes[member] = mode
            if mode == 31:
                bits[member] = bits[member] + delta & MASK
            elif mode <= 18:
                bits[member] = bits_of(float(signed(mantissa(bits[member], mode) + delta)) / float(f"1e{mode}"))
            else:
                raise Damage(f"{source.where}: mode {mode}")

    def histograms(self, seq, flags, source):
        cohort, back = self.cohorts[source.varint()], source.varint()
        if seq - back != cohort.new_seq or source.varint() != len(cohort.members):
            raise Damage(f"{source.where}: histograms {seq} build on another record")
        time, members, start, samples = source.zigzag(), self.list(source), 0, []
        for member in members:
            if flags & 0x20:
                start = signed(start + source.zigzag())
            above, kind = divmod(source.varint(), 4)
            if kind == 0:
                defined, layout = self.layouts[above]
                if seq - source.varint() != defined:
                    raise Damage(f"{source.where}: record {seq}: a layout of another record")
            elif kind == 1:
                layout = source.take(source.varint())
                self.layouts[above] = seq, layout
            else:
                layout = source.take(above)
            rest = source.take(source.varint())
            samples.append((cohort.members[member], put_varint(len(layout)) + layout + rest, start))
        self.rows.append((seq, time, samples))


# ---- a folder

def is_stopped_early(data):
    """A segment that was made, but not begun, when the process ended."""
    return len(data) < 128 or data[0] == 0 or data[127] == 0


def pairs_of(labels):
    items, texts = Bytes(labels, "labels"), []
    while not items.is_empty():
        texts.append(items.take(items.varint()))
    return dict(zip(texts[::2], texts[1::2]))


def matches(labels, matchers):
    pairs, items = pairs_of(labels), Bytes(matchers, "matchers")
    while not items.is_empty():
        kind, name, value = items.byte(), items.take(items.varint()), items.take(items.varint())
        there = pairs.get(name, b"")
        same = re.fullmatch(value, there, re.DOTALL) is not None if kind >= 2 else there == value
        if same == bool(kind & 1):
            return False
    return True


def is_deleted(catalogue, stream, seq, t, labels):
    """Of what is deleted of a later run's log all partitions of this one's are, if this one is still there."""
    return any(low <= t <= high and (before > seq if of == stream else of[0] > stream[0]) and matches(labels, matchers)
               for of, before, low, high, _, _, matchers in catalogue.deletions)


def read_log(folder, catalogue):
    """Rows of all streams, by epoch."""
    streams, rows = {}, []
    for name in sorted(os.listdir(os.path.join(folder, "wal"))):
        if name.endswith(".wal"):
            epoch, shard, number = (int(part, 16) for part in name[:-4].split("-"))
            streams.setdefault((epoch, shard), []).append((number, os.path.join(folder, "wal", name)))
    for stream, segments in sorted(streams.items()):
        first, seq_min = catalogue.marks.get(stream, (0, 0))
        if stream in catalogue.done:
            continue
        end = None
        loaded = []
        for number, path in reversed([s for s in segments if s[0] >= first]):
            with open(path, "rb") as file:
                data = file.read()
            if end is None and is_stopped_early(data):
                continue
            segment = Segment(data, path, end, None)
            if (segment.epoch, segment.shard, segment.number) != (*stream, number):
                if end is None:
                    continue  # it had another name before
                raise Damage(f"{path}: the header is of another segment")
            end = segment.previous_end or None
            loaded.append(segment)
        for segment in reversed(loaded):
            rows += [(seq, t, [s for s in samples if not (s[0] and is_deleted(catalogue, stream, seq, t, s[0]))])
                     for seq, t, samples in segment.rows if seq >= seq_min]
    return rows


def read_folder(folder):
    """{labels: {time: (value, start)}}: of two samples with one time that of the lower generation, files before the log."""
    with open(os.path.join(folder, "catalogue"), "rb") as file:
        catalogue = Catalogue(file.read())
    out = {}
    for info in sorted(catalogue.files.values(), key=lambda info: info["generation"]):
        path = os.path.join(folder, "blocks", f"{info['id']:016x}.block")
        block = BlockFile(path)
        told = {"size": block.size, "series": block.series_n, "samples": block.samples_n}
        if any(info[name] != value for name, value in told.items()):
            raise Damage(f"{path}: the catalogue says {info}, the footer {told}")
        shown = block.read()
        if info["id"] in catalogue.tombstones:
            block.hide(shown, catalogue.tombstones[info["id"]])
        for labels, samples in shown.items():
            series = out.setdefault(labels, {})
            for t, sample in samples.items():
                series.setdefault(t, sample)
    for _, time, samples in read_log(folder, catalogue):
        for labels, value, start in samples:
            if labels:
                out.setdefault(labels, {}).setdefault(time, (value, start))
    return out


def lines(samples):
    for labels in sorted(labels for labels in samples if samples[labels]):
        line = labels.hex()
        for t in sorted(samples[labels]):
            value, start = samples[labels][t]
            line += f" [{value.hex()}]" if isinstance(value, bytes) else f" {value:016x}"
            line += f"@{t}" + (f"<{start}" if start else "")
        yield line


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: naive_reader.py FOLDER")
    for row in lines(read_folder(sys.argv[1])):
        print(row)
