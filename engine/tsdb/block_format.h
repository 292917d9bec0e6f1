// The bytes of block files: what writer and reader share. Little-endian throughout.
//
//   header    24 bytes, the same in every version: "ferulabf", u32 version, tenant, tier, crc
//   chunks    of all sections, in the order they were written
//   tables    one a section: its chunks, ascending by their first item; of each u64 offset, u32
//   size
//             in the file, u32 size when decompressed (0: it is not LZ4), u32 number of the first
//             item, u32 crc
//   footer    the last thing written, a file without it is not complete: "ferulabf", u32 version,
//             tenant, tier, first and last partition, i64 first and last time, u64 series, samples,
//             bytes of the file; of each section in the order below, with zeros for the rest of the
//             16: u64 offset of its table, u32 chunks, u32 items, u32 crc of the table; crc
//
// A crc is CRC32C of the place in the file (u64; of the header 0) and the bytes from there on; the
// header's and footer's leave out the crc itself.
//
// A chunk is the unit of reading: some items of a section. Those of text and numbers of the index
// are LZ4 (a block, without a frame) where that saves a tenth.
//
// A label pair is a number: pairs are counted in order of (name, value). Sets (local labels) are
// counted in order of (metric name, labels), tuples in order of (partition, labels), series in
// order of (set, tuple), which is the order of their columns: one metric of all targets is one
// contiguous read. Numbers are varints unless said otherwise; lists ascend and are stored as gaps.
//
//   NAMES     of each name: size, bytes, how many pairs it has
//   PAIRS     of each pair: bytes shared with the one before (0 at the start of a chunk and of a
//             name), size of the rest, rest
//   SETS      of each set: how many pairs, first pair, gaps
//   TUPLES    of each tuple: partition less that of the one before in the chunk, then as SETS
//   SERIES    number of the chunk's first series; of each set: 0: the same tuples as the set
//             before; else how many tuples, the first, gaps (each 1 and more)
//   POSTINGS  of each pair: sets that have it, tuples that have it; a list is the number of its
//             runs, each: gap * 2 from the end of the one before, + 1 and (length - 2) when longer
//             than one item
//   TIMES     of each time column: how many times, size, column (column.h)
//   LAYOUTS   of each layout of histograms: size, bytes (engine/model/histogram.c)
//   EXEMPLARS, METADATA   of each note: size, bytes (note.h); by series and time, by family
//   EXEMPLAR_TIMES   one item: zigzag of the first and of the last time of all exemplars
//   COLUMNS   u32 size of the directory; directory, value columns.
//             Directory: of each series: how many parts; of each part: 2 * zigzag (number of its
//             time column - 1 - that of the part before in the chunk, at first 0) + whether flags
//             (BLOCK_PART_*) follow, a byte; HISTOGRAMS: number of the layout, START:
//             zigzag (start timestamp of all - that of the part before with one, at first 0);
//             BESIDE: how many chunks before this one the other column is (0: in this one), where
//             in the value columns of that chunk it begins, its size: those bytes are a column that
//             is told by itself, of as many values; size of its column, with that of the start
//             timestamps, which stands before it with its size, if STARTS. Value columns: of each
//             part its column (column.c, histogram_column.c), by directory.
//
// Version 1 had no flags in directories: zigzag (...), size. Its footer had room for 8 sections,
// that of later ones has it for 16: sections that a reader does not know are passed over, so adding
// one needs no new version. Until version 2 a chunk of COLUMNS began with u32 size of the directory
// and u32 size of the facts, which stood between directory and columns: first, last, min, max and
// sum of the parts that are not constant. They took 2 % of a file and the time to make them, and
// nothing asked for them: columns are decoded faster than they were. Version 3 brought SLOPE,
// XOR and BESIDE.
#ifndef ENGINE_TSDB_BLOCK_FORMAT_H
#define ENGINE_TSDB_BLOCK_FORMAT_H

#include "engine/tsdb/block_cursor.h"
#include "engine/tsdb/block_file.h"

enum { BLOCK_VERSION = 3, BLOCK_VERSION_MIN = 1 };

enum block_section {
    BLOCK_NAMES,
    BLOCK_PAIRS,
    BLOCK_SETS,
    BLOCK_TUPLES,
    BLOCK_SERIES,
    BLOCK_POSTINGS,
    BLOCK_TIMES,
    BLOCK_COLUMNS,
    BLOCK_LAYOUTS,
    BLOCK_EXEMPLARS,
    BLOCK_METADATA,
    BLOCK_EXEMPLAR_TIMES,
    BLOCK_SECTION_COUNT
};

enum block_part_flag {
    BLOCK_PART_HISTOGRAMS = 1,
    BLOCK_PART_START = 2,  // all have one start timestamp
    BLOCK_PART_STARTS = 4, // or each its own
    BLOCK_PART_BESIDE = 8, // floats told beside another column
};

struct block_chunk {
    uint64_t offset;
    uint32_t size;     // in the file
    uint32_t raw_size; // when it is LZ4; else 0
    uint32_t first;    // item
    uint32_t crc;      // of the offset and the bytes in the file
};

struct block_section_info {
    uint64_t table_offset;
    uint32_t chunks, items;
    uint32_t table_crc;
};

struct block_footer {
    uint32_t version;
    struct block_summary summary;
    struct block_section_info sections[BLOCK_SECTION_COUNT];
};

enum {
    BLOCK_HEADER_BYTES = 24,
    BLOCK_CHUNK_BYTES = 24,
    BLOCK_SECTION_BYTES = 20,
    BLOCK_SECTION_ROOM = 16,
    BLOCK_FOOTER_BYTES = 8 + 4 * 5 + 8 * 5 + BLOCK_SECTION_BYTES * BLOCK_SECTION_ROOM + 4,
    BLOCK_SECTIONS_1 = 8, // of version 1
    BLOCK_FOOTER_BYTES_1 =
        BLOCK_FOOTER_BYTES - BLOCK_SECTION_BYTES * (BLOCK_SECTION_ROOM - BLOCK_SECTIONS_1),
    BLOCK_RAW_MAX = 1 << 30, // of a chunk
};

uint32_t block_chunk_crc(uint64_t offset, const void *p, size_t n);
void block_header_store(uint32_t tenant, uint32_t tier, uint8_t *p);
err block_header_check(const uint8_t *p, const char *path, uint32_t *out_version, struct errmsg *e);
size_t block_footer_size(uint32_t version);
void block_chunk_store(const struct block_chunk *c, uint8_t *p);
struct block_chunk block_chunk_load(const uint8_t *p);
void block_footer_store(const struct block_footer *f, uint8_t *p);
// ERR_CORRUPT. Offsets are checked against file_size; version is the header's.
err block_footer_load(const uint8_t *p, uint64_t file_size, uint32_t version, const char *path,
                      struct block_footer *out, struct errmsg *e);

#endif
