// Turns of a loop that take longer than twice the quota, and where.
//
// Always: the flow that ran longest in such a turn is counted, by the time that passed; a thread
// that the system put aside meanwhile is counted, too. With a watch on, by the CPU time of the
// thread, and down to the piece between two questions whether a yield is due. A watch costs a few
// system calls a turn, so it is off in release builds unless it is asked for.
#ifndef IO_TURN_WATCH_H
#define IO_TURN_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/log.h"

struct loop;

enum turn_watch_mode {
    TURN_WATCH_OFF,
    TURN_WATCH_LOG,
    TURN_WATCH_ABORT,  // after the log
    TURN_WATCH_PIECES, // for simulators, whose clock does not move with work: pieces are counted
};

// What a build for development has: on, except under sanitizers, where everything is slower.
enum turn_watch_mode turn_watch_default(void);

enum { TURN_OFFENDERS_MAX = 16, TURN_FLOW_MAX = 64, TURN_PLACE_MAX = 384 };

// A flow that made turns too long.
struct turn_offender {
    const void *fn; // the fiber's function; NULL: no fiber, but what flow says
    uint8_t class;  // enum loop_class
    uint64_t count;
    int64_t ns_max; // of its longest run without a pause, or of its longest piece
    char flow[TURN_FLOW_MAX];
    char place[TURN_PLACE_MAX]; // of that: where it began, where it ended; "" where not watched
};

// Worst ones first come, at most TURN_OFFENDERS_MAX; how many.
size_t turn_offenders(const struct loop *loop, const struct turn_offender **out);

// ns of the present piece were not the program's: a simulator's judging.
void turn_watch_forgive(struct loop *loop, int64_t ns);

#endif
