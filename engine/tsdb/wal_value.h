// Values as the write-ahead log codes them: decimal mantissas where dividing gives back the same
// bits, raw bits otherwise. Encoder and decoder share this, so that both see the same bases.
#ifndef ENGINE_TSDB_WAL_VALUE_H
#define ENGINE_TSDB_WAL_VALUE_H

#include "engine/base/bits.h"

enum {
    WAL_MODE_DECIMAL_MAX = 18, // modes 0..18: value = mantissa / 10^mode
    WAL_MODE_STALE = 30,       // only in an escape: the stale marker; the mode stays as it was
    WAL_MODE_RAW = 31,         // the value's bits as an integer
};

static const double WAL_POW10[WAL_MODE_DECIMAL_MAX + 2] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                                           1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                                           1e14, 1e15, 1e16, 1e17, 1e18, 1e19};

// Below this the product of a decimal and a power of ten is off by less than half, so that
// rounding finds the mantissa, and adding WAL_ROUND rounds to an integer.
#define WAL_MANTISSA_BOUND 0x1p51
#define WAL_ROUND 0x1.8p52

// round(value * 10^mode); 0 where that is out of bounds or not a number. A base needs no more.
static inline int64_t wal_mantissa(uint64_t bits, unsigned mode)
{
    const double t = double_from_bits(bits) * WAL_POW10[mode];
    if (!(t < WAL_MANTISSA_BOUND && t > -WAL_MANTISSA_BOUND))
        return 0;
    return (int64_t)((t + WAL_ROUND) - WAL_ROUND);
}

static inline uint64_t wal_decimal(int64_t mantissa, unsigned mode)
{
    return bits_from_double((double)mantissa / WAL_POW10[mode]);
}

// What both sides subtract from: the last value, seen in the given mode.
static inline uint64_t wal_base(uint64_t last_bits, unsigned mode)
{
    return mode == WAL_MODE_RAW ? last_bits : (uint64_t)wal_mantissa(last_bits, mode);
}

#endif
