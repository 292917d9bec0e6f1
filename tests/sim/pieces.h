// The longest pieces of work of a simulated world: between two questions of a flow whether a yield
// is due, in CPU time of the machine.
//
// The machine charges a thread with what it does meanwhile: interrupts, faults of pages, what a
// host takes away. But a seed does the same work in the same order again, so that what a piece
// takes is the least of several runs, piece by piece.
#ifndef TESTS_SIM_PIECES_H
#define TESTS_SIM_PIECES_H

#include "io/turn_watch.h"

enum { PIECES_MAX = 32 };

struct piece {
    uint64_t index; // among all of the world
    int64_t ns;
    char text[TURN_PIECE_TEXT_MAX];
};

struct pieces {
    uint64_t count;
    size_t n;
    struct piece longest[PIECES_MAX]; // longest first
};

// A piece has ended; p is a struct pieces. For struct loop_options.
bool pieces_note(void *p, int64_t ns, const struct turn_piece *piece);
// Each took what it took in the shorter of both runs of one seed.
void pieces_meet(struct pieces *p, const struct pieces *again);
int64_t pieces_ns_max(const struct pieces *p);

#endif
