// Turns of a loop that take longer than twice the quota, and where.
//
// Always: the flow that ran longest in such a turn is counted, by the time that passed; a thread
// that the system put aside meanwhile is counted, too. With a watch on, by the CPU time of the
// thread, and down to the piece between two questions whether a yield is due. A watch costs a few
// system calls a turn, so it is off in release builds unless it is asked for. Logged are turns
// beyond twice the quota, and pieces beyond the quota: a turn takes the quota and one piece.
//
// Watched is also that a query which is canceled, or whose time is up, ends: its own CPU time from
// then on, with all it has to free, is at most 100 ms.
//
// Builds for development end where a flow takes too long: not at the first turn, since what a host
// takes from a virtual machine, and faults of pages, count as the thread's time, but at the third
// of the same flow, each beyond twice the quota times TURN_SLOWNESS (io/meson.build): without
// optimization and under sanitizers everything takes longer.
#ifndef IO_TURN_WATCH_H
#define IO_TURN_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/log.h"

struct loop;

enum turn_watch_mode {
    TURN_WATCH_OFF,
    TURN_WATCH_LOG,
    TURN_WATCH_ABORT,  // after the log, at the third turn of a flow
    TURN_WATCH_PIECES, // for simulators, whose clock does not move with work: pieces are counted
};

enum turn_watch_mode turn_watch_default(void); // builds for development: TURN_WATCH_ABORT
const char *turn_watch_text(enum turn_watch_mode mode);

enum {
    TURN_TOLD_MS_MAX = 100,
    TURN_ABORTS_AT = 3,
    TURN_OFFENDERS_MAX = 16,
    TURN_FLOW_MAX = 64,
    TURN_PLACE_MAX = 384
};

// A flow that made turns too long.
struct turn_offender {
    const void *fn; // the fiber's function; NULL: no fiber, but what flow says
    uint8_t class;  // enum loop_class
    uint64_t count;
    int64_t ns_max;  // of its longest run without a pause, or of its longest piece
    int64_t told_ns; // loop time: when the log had it last
    char flow[TURN_FLOW_MAX];
    char place[TURN_PLACE_MAX]; // of that: where it began, where it ended; "" where not watched
};

// Worst ones first come, at most TURN_OFFENDERS_MAX; how many.
size_t turn_offenders(const struct loop *loop, const struct turn_offender **out);

// ns of the present piece were not the program's: a simulator's judging.
void turn_watch_forgive(struct loop *loop, int64_t ns);

// With TURN_WATCH_PIECES: hears of each piece, when it has ended. True: that took a while of its
// own.
struct turn_piece;
typedef bool turn_piece_fn(void *arg, int64_t ns, const struct turn_piece *piece);
enum { TURN_PIECE_TEXT_MAX = TURN_PLACE_MAX + TURN_FLOW_MAX + 32 };
void turn_piece_text(const struct turn_piece *piece, char text[TURN_PIECE_TEXT_MAX]);

#endif
