// Sample values: every bit is kept. Two NaNs have a meaning of their own.
#ifndef ENGINE_MODEL_VALUE_H
#define ENGINE_MODEL_VALUE_H

#include "engine/base/bits.h"

#define VALUE_STALE_BITS 0x7ff0000000000002u      // the series ended here
#define VALUE_NORMAL_NAN_BITS 0x7ff8000000000001u // every NaN that text gives

static inline bool value_is_stale(double v)
{
    return bits_from_double(v) == VALUE_STALE_BITS;
}

#endif
