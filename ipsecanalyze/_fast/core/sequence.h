/* What the sequence numbers of one flow say: the state of esp/sequence.py, number for number.

   The rules stand there, with their sources. Here a number is taken at a time, in constant time where packets come in
   order. All functions that take numbers return 0, or -1 where there is no memory. */
#ifndef IPSECANALYZE_SEQUENCE_H
#define IPSECANALYZE_SEQUENCE_H

#include <stdint.h>

enum { WINDOWS = 5, BREAKS_KEPT = 64, OPEN_KEPT = 256 };
extern const int64_t replay_windows[WINDOWS];

/* Consecutive numbers, both included. */
struct run {
    int64_t first, last;
};

/* Disjoint runs in order, never adjacent. */
struct runs {
    struct run *at;
    uint32_t count, room;
};

/* Holes that were given up. */
struct settled {
    int64_t lowest, highest;
    uint64_t holes, numbers, longest;
};

/* A large jump between two packets. */
struct jump {
    uint64_t packet;
    int64_t before, after, time_ns;
    uint64_t frame;
};

struct breaks {
    uint64_t count, settled, forward_restarts;
    uint32_t kept_count, open_count;
    int knows_forward; /* `forward` is kept, for merging this piece behind another */
    struct jump kept[BREAKS_KEPT];
    int64_t open[OPEN_KEPT];
    struct runs forward;
};

/* The first packets of a piece that continues another. */
struct head {
    struct runs runs; /* in order of arrival */
    uint64_t packets;
    int closed;
    int64_t reach;
};

struct sequence {
    uint64_t packets;
    int64_t position; /* the last number, unwrapped */
    struct run tail;  /* the highest run of the numbers seen */
    uint64_t size;    /* numbers in all runs */
    int64_t maximum;
    uint64_t records, largest;
    uint64_t checkpoint;
    uint64_t ambiguous;
    struct runs older; /* the runs below the tail: as many as there are holes */
    uint32_t most_holes;
    uint64_t *outside; /* packets to the left of each replay window */
    struct settled *settled;
    struct breaks *breaks;
    struct head *head;
    uint32_t first; /* as on the wire */
};

int sequence_begin(struct sequence *state, uint32_t number, int continuing);
int sequence_take(struct sequence *state, uint32_t number, int64_t time_ns, uint64_t frame, uint32_t gaps);
/* How many numbers may go on from the last one by sequence_go_on; 0 where they need a closer look. */
uint32_t sequence_room(const struct sequence *state);
/* Take `count` numbers that go on from the last one, at most sequence_room. */
int sequence_go_on(struct sequence *state, uint64_t count, uint32_t gaps);
/* Whether the state of the following piece can be merged exactly behind this one; see SequenceState.merge. */
int sequence_can_merge(const struct sequence *state, const struct sequence *following, uint32_t gaps);
/* Put it there; `following` is used up. `time_ns` and `frame` are those of its first packet, `frames` is what its own
   frame numbers lack. */
int sequence_merge(struct sequence *state, struct sequence *following, int64_t time_ns, uint64_t frame,
                   uint64_t frames, uint32_t gaps);
/* Let it be the first piece, though it was begun as one that continues another. */
void sequence_become_first(struct sequence *state, uint64_t frames);
void sequence_end(struct sequence *state);

#endif
