// Inside of the printers: a tree walked without recursion, because input decides its depth.
//
// A node is a row of slots. Each slot is a text, and a child behind it or none: `a + b` is "" a,
// " + " b, "". A printer says what these are.
#ifndef ENGINE_PROMQL_PRINTER_WALK_H
#define ENGINE_PROMQL_PRINTER_WALK_H

#include "engine/base/buf.h"
#include "engine/promql/ast.h"

struct printer_slots {
    // Puts the text of e's slot; the child behind it, NULL: none. False: e has no such slot.
    bool (*put)(const struct promql_expr *e, size_t slot, struct buf *out,
                const struct promql_expr **out_child);
};

// Prints e from the slot first on, until more than limit bytes were printed.
void printer_walk(const struct printer_slots *slots, const struct promql_expr *e, size_t first,
                  size_t limit, struct buf *out);

// Parts of the one-line text that the one over several lines has too (printer.c).
extern const struct printer_slots printer_line;
void printer_put_aggregate_head(const struct promql_expr *e, struct buf *out); // sum by (a)
void printer_put_operator(const struct promql_expr *e, struct buf *out);       // with modifiers

#endif
