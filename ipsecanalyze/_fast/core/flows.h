/* Flows: ESP or AH packets of one SPI, one way, and the table that finds them.

   A flow counts what esp/flow.py counts, in integers that cannot overflow. The table is a keyed hash: who does not know
   the key cannot make it slow with chosen SPIs. */
#ifndef IPSECANALYZE_FLOWS_H
#define IPSECANALYZE_FLOWS_H

#include <stdint.h>

#include "lane.h"
#include "sequence.h"

enum { FIRST_KEPT = 16, VARIANTS_KEPT = 64 };

enum protocol { PROTOCOL_ESP = 0, PROTOCOL_AH = 1 };
enum encapsulation { PLAIN = 0, IN_UDP = 1, IN_TCP = 2 };

/* What a flow is known by. No padding: it is hashed and compared as octets. */
struct flow_key {
    uint8_t source[16], destination[16]; /* IPv4: the first four octets, zeros behind */
    uint32_t spi;
    uint8_t version; /* 4 or 6 */
    uint8_t protocol, encapsulation, unused;
};

_Static_assert(sizeof(struct flow_key) == 40, "a key has no padding, and a size that keyed_hash takes");

/* Times are within this of 1970, either way: then two of them differ by less than 2^63 (years 1823 to 2116). */
#define FARTHEST_NS ((int64_t)1 << 62)

/* A packet of a flow. */
struct arrival {
    int64_t time_ns;
    uint64_t frame;
    uint64_t length; /* from the ESP or AH header to the end of the IP payload, on the wire */
    uint32_t sequence;
    uint32_t ports; /* source << 16 | destination; 0 without */
    uint32_t vlan;  /* VLAN stack + 1; 0 without */
    uint8_t ttl, traffic_class;
    uint8_t dont_fragment, in_fragments, truncated;
    uint8_t inferred; /* nothing but its looks says that it is ESP */
};

/* How often a key came; see tally_key in flows.c. */
struct tally {
    uint32_t key;
    uint64_t count;
};

struct flow {
    struct flow_key key;
    struct sequence sequence;
    uint64_t octets, first_frame, last_frame;
    int64_t first_time_ns, last_time_ns; /* the earliest and the latest */
    int64_t first_arrival_ns, last_arrival_ns;
    uint64_t time_reversals, dont_fragment, in_fragments, truncated, inferred;
    wide sizes_squared;
    wide gap_total;
    wide gaps_squared; /* the low 128 bits, above them: */
    uint64_t gaps_squared_high;
    uint64_t gap_count;
    uint64_t least_size, most_size, least_gap, most_gap;
    struct lane *lane; /* of a busy flow; what it holds is not in the figures above until lane_close */
    struct tally *tallies;
    uint32_t tally_count, tally_room;
    uint32_t ttl_at, class_at; /* where in the tallies the last packet was counted */
    uint32_t capture;
    uint32_t last_ports, last_vlan;
    uint32_t *ports, *vlans; /* in order of appearance, as in struct arrival */
    uint8_t port_count, vlan_count;
    uint8_t first_size_count, first_gap_count;
    uint64_t *first_values; /* FIRST_KEPT sizes, then FIRST_KEPT gaps */
};

/* What packets in a lane have in common, in two words: ports and VLAN stack, and what stands in the IP header. */
static inline uint64_t lane_place(uint32_t ports, uint32_t vlan) { return (uint64_t)ports << 32 | vlan; }

static inline uint64_t lane_header(uint8_t ttl, uint8_t traffic_class, uint8_t dont_fragment)
{
    return ttl | (uint64_t)traffic_class << 8 | (uint64_t)dont_fragment << 16;
}

struct slot {
    uint32_t tag, place; /* place: index of the flow + 1 */
};

struct flows {
    uint64_t secret[4];
    uint32_t limit, gaps;
    int continuing; /* the capture's beginning is in another table */
    uint32_t count;
    struct slot *slots;
    uint64_t mask;
    struct flow **blocks;
    uint32_t block_count, block_room;
    uint64_t dropped_packets, dropped_octets;
    int is_broken; /* memory failed in the middle of a packet, or it was merged: it takes no more, and is not settled */
};

int flows_begin(struct flows *table, const uint8_t secret[32], uint32_t limit, uint32_t gaps, int continuing);
void flows_end(struct flows *table);
struct flow *flows_at(const struct flows *table, uint32_t index);
/* The index of a flow; -1 where it is not there. */
int64_t flows_find(const struct flows *table, const struct flow_key *key);
/* Count a packet; the index of its flow, -1 where the limit drops it, -2 where there is no memory. */
int64_t flows_arrive(struct flows *table, const struct flow_key *key, const struct arrival *packet, uint32_t capture);
/* Put all that lanes hold into their flows; 0, or -1 where there is no memory. */
int flows_settle(struct flows *table);
/* Whether the flows of the following piece of the capture can be merged exactly behind these. Both are settled. */
int flows_can_merge(const struct flows *table, const struct flows *following);
/* Put them there; `following` is used up. `frames` is added to its frame numbers. 0, or -1 without memory. */
int flows_merge(struct flows *table, struct flows *following, uint64_t frames);
/* The same for one flow. */
int flows_join(struct flows *table, struct flow *following, uint64_t frames);
uint64_t keyed_hash(const uint64_t secret[4], const void *octets, unsigned size);

#endif
