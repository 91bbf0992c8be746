/* The lane of a busy flow: packets that go on just as the ones before, counted with as few instructions as can be.

   A packet stays in the lane while its number is the next one, its time no earlier, its size small, and its header as
   that of the packet before; fragments and cut packets stay out. Sizes are counted one by one, so that their sum, squares
   and extremes can be told at the end. Whatever does not fit goes through flow_take, behind lane_flush. */
#ifndef IPSECANALYZE_LANE_H
#define IPSECANALYZE_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "octets.h"

/* Packets after which a flow gets a lane. Fuzzing sets it low, to reach lanes with short inputs. */
#ifndef LANE_FROM
#define LANE_FROM 1024
#endif

enum {
    LANE_SIZES = 2048, /* sizes below are counted here */
    LANE_GAPS = 33,    /* gaps below 2^32 ns, by their bits */
};

typedef unsigned __int128 wide;

struct lane {
    uint32_t next;    /* the number that goes on, as on the wire */
    uint32_t pending; /* packets that the flow does not know of yet */
    uint32_t room;    /* how many these may be */
    uint32_t drain;   /* packets until the counts below must be emptied into the flow */
    uint64_t header[2]; /* of the last packet: lane_place, lane_header */
    int64_t last_arrival_ns;
    uint64_t last_frame;
    wide gaps_squared;
    uint64_t least_gap, most_gap;
    uint32_t gaps[LANE_GAPS];
    uint32_t sizes[LANE_SIZES];
};

/* Whether the packet was taken. */
static inline int lane_take(struct lane *lane, uint32_t number, uint64_t size, int64_t time_ns, uint64_t frame,
                            uint64_t header0, uint64_t header1)
{
    uint64_t gap = (uint64_t)time_ns - (uint64_t)lane->last_arrival_ns;
    if (number != lane->next || size >= LANE_SIZES || gap >> 32 || header0 != lane->header[0] ||
        header1 != lane->header[1] || lane->pending == lane->room)
        return 0;
    lane->next = number + 1;
    lane->pending++;
    lane->last_arrival_ns = time_ns;
    lane->last_frame = frame;
    lane->gaps_squared += gap * gap;
    if (gap < lane->least_gap)
        lane->least_gap = gap;
    if (gap > lane->most_gap)
        lane->most_gap = gap;
    lane->gaps[bit_length(gap)]++;
    lane->sizes[size]++;
    return 1;
}

#endif
