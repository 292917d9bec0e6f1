#include "engine/tsdb/note.h"

#include "engine/base/bits.h"
#include "engine/model/labels.h"
#include "engine/tsdb/block_cursor.h"

static void put_key(struct buf *out, uint32_t partition, struct str key)
{
    buf_put_varint(out, partition);
    buf_put_varint(out, key.n);
    buf_put_str(out, key);
}

void note_put_exemplar(struct buf *out, uint32_t partition, const struct tsdb_exemplar *x)
{
    put_key(out, partition, x->series);
    buf_put_varint(out, zigzag(x->t_ms));
    buf_put_le64(out, x->bits);
    buf_put_str(out, x->labels);
}

void note_put_metadata(struct buf *out, uint32_t partition, uint64_t run,
                       const struct tsdb_metadata *m)
{
    put_key(out, partition, m->family);
    buf_put_varint(out, run);
    buf_put_char(out, (char)m->type);
    buf_put_varint(out, m->help.n);
    buf_put_str(out, m->help);
    buf_put_str(out, m->unit);
}

static struct block_cursor take_key(struct str note, uint32_t *out_partition, struct str *out_key)
{
    const uint8_t *const p = (const uint8_t *)note.p;
    struct block_cursor c = {p, note.n ? p + note.n : p, false};
    *out_partition = block_number_below(&c, TSDB_PARTITIONS);
    *out_key = block_bytes(&c, block_number(&c));
    return c;
}

static struct str take_rest(struct block_cursor *c)
{
    return block_bytes(c, (uint64_t)(c->end - c->at));
}

bool note_get_exemplar(struct str note, uint32_t *out_partition, struct tsdb_exemplar *out)
{
    struct block_cursor c = take_key(note, out_partition, &out->series);
    out->t_ms = unzigzag(block_number(&c));
    out->untimed = false;
    const struct str bits = block_bytes(&c, sizeof out->bits);
    out->labels = take_rest(&c);
    if (c.failed || !labels_check(out->series) || !labels_check(out->labels))
        return false;
    out->bits = load_le64((const uint8_t *)bits.p);
    return true;
}

bool note_get_metadata(struct str note, uint32_t *out_partition, uint64_t *out_run,
                       struct tsdb_metadata *out)
{
    struct block_cursor c = take_key(note, out_partition, &out->family);
    *out_run = block_number(&c);
    const struct str type = block_bytes(&c, 1);
    out->help = block_bytes(&c, block_number(&c));
    out->unit = take_rest(&c);
    if (c.failed)
        return false;
    out->type = (uint8_t)type.p[0];
    return true;
}

uint32_t note_partition(struct str note)
{
    uint32_t partition;
    struct str key;
    (void)take_key(note, &partition, &key);
    return partition;
}

static int number_cmp(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int note_cmp(enum note_kind kind, struct str a, struct str b)
{
    uint32_t x, y;
    struct str key_a, key_b;
    struct block_cursor in_a = take_key(a, &x, &key_a), in_b = take_key(b, &y, &key_b);
    if (in_a.failed || in_b.failed)
        return in_b.failed - in_a.failed;
    int order = number_cmp(x, y);
    order = order ? order : str_cmp(key_a, key_b);
    if (order || kind == NOTE_METADATA)
        return order;
    const int64_t t = unzigzag(block_number(&in_a)), u = unzigzag(block_number(&in_b));
    const struct str rest_a = take_rest(&in_a), rest_b = take_rest(&in_b);
    return t != u ? (t < u ? -1 : 1) : str_cmp(rest_a, rest_b);
}
