// Names of functions of this program, for messages about itself.
#ifndef IO_SYMBOL_H
#define IO_SYMBOL_H

#include <stddef.h>

enum { SYMBOL_TEXT_MAX = 64 };

// "conn_run"; in a library "gzip+0x1234"; where the program was stripped its own address. Bytes.
size_t symbol_text(const void *pc, char out[static SYMBOL_TEXT_MAX]);

#endif
