#include "engine/http/unpack.h"

#include "io/fiber.h"
#include "protocol/gzip.h"
#include "protocol/zstd_frames.h"

// What is done at once: half of a turn's quota, as decoders go (some GB/s of output). Input of more
// than a quarter of that is taken to become more.
enum { GZIP_AT_ONCE = 384 * 1024, ZSTD_AT_ONCE = 256 * 1024 };

struct job {
    struct op op;
    struct str in;
    size_t limit;
    struct buf *out;
    err code;
    struct errmsg e;
};

static void run_gzip(struct op *op) // on a helper thread
{
    struct job *job = container_of(op, struct job, op);
    struct gzip_reader *reader = gzip_reader_create();
    job->code = gzip_decompress(reader, job->in, job->limit, job->out, &job->e);
    gzip_reader_destroy(reader);
}

static void run_zstd(struct op *op) // on a helper thread
{
    struct job *job = container_of(op, struct job, op);
    struct zstd_reader *reader = zstd_reader_create();
    job->code = zstd_decompress(reader, job->in, job->limit, job->out, &job->e);
    zstd_reader_destroy(reader);
}

static err run_apart(void (*work)(struct op *), struct str in, size_t limit, struct buf *out,
                     struct errmsg *e)
{
    struct job job = {.op = {.kind = OP_WORK, .work = work}, .in = in, .limit = limit, .out = out};
    const size_t before = out->n;
    const int32_t result = fiber_await(&job.op);
    const err status = fiber_status();
    if (result < 0) { // it was not begun
        out->n = before;
        return err_set(e, status, "%s",
                       status == ERR_TIMEOUT ? "context deadline exceeded" : "context canceled");
    }
    if (job.code && e)
        *e = job.e;
    return job.code;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

err unpack_gzip(struct gzip_reader *reader, struct str in, size_t limit, struct buf *out,
                struct errmsg *e)
{
    struct errmsg at_once;
    if (in.n > GZIP_AT_ONCE / 4)
        return run_apart(run_gzip, in, limit, out, e);
    const size_t most = min_size(limit, GZIP_AT_ONCE);
    const err code = gzip_decompress(reader, in, most, out, &at_once);
    if (code == ERR_LIMIT && limit > most)
        return run_apart(run_gzip, in, limit, out, e);
    if (code && e)
        *e = at_once;
    return code;
}

err unpack_zstd(struct zstd_reader *reader, struct str in, size_t limit, struct buf *out,
                struct errmsg *e)
{
    struct errmsg at_once;
    if (in.n > ZSTD_AT_ONCE / 4)
        return run_apart(run_zstd, in, limit, out, e);
    const size_t most = min_size(limit, ZSTD_AT_ONCE);
    const err code = zstd_decompress(reader, in, most, out, &at_once);
    if (code == ERR_LIMIT && limit > most)
        return run_apart(run_zstd, in, limit, out, e);
    if (code && e)
        *e = at_once;
    return code;
}
