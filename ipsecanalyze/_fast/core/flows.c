#include "flows.h"

#include <stdlib.h>

#include "octets.h"

enum {
    BLOCK = 256, /* flows in a block: blocks do not move, so pointers to flows stay */
    DRAIN_EVERY = 1 << 30, /* packets that a lane counts in 32 bits */
    DRAIN_LEAST = 1 << 16, /* room for more than a lane holds between two looks (sequence_room) */
};

/* What a tally counts, as in esp/flow.py: TTLs from 0, traffic classes from 256, sizes (bits << 4 | the last four bits)
   from 512, bits of gaps from 4096. */
enum { TALLY_CLASS = 256, TALLY_SIZE = 512, TALLY_GAP = 4096, NOWHERE = UINT32_MAX };

/* Keyed hash: multiply, and fold the upper half of the product into the lower one. */

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* `size` is a multiple of 8. */
uint64_t keyed_hash(const uint64_t secret[4], const void *octets, unsigned size)
{
    const uint8_t *at = octets;
    uint64_t state = secret[0] ^ size;
    unsigned i = 0;
    for (; i + 16 <= size; i += 16)
        state = fold(host64(at + i) ^ secret[1], host64(at + i + 8) ^ state);
    if (i < size)
        state = fold(host64(at + i) ^ secret[2], secret[1] ^ state);
    return fold(state ^ secret[3], secret[2]);
}

/* Tallies */

static uint32_t tally_add(struct flow *flow, uint32_t key, uint64_t count)
{
    for (uint32_t i = 0; i < flow->tally_count; i++) {
        if (flow->tallies[i].key == key) {
            flow->tallies[i].count += count;
            return i;
        }
    }
    if (flow->tally_count == flow->tally_room) {
        uint32_t room = flow->tally_room ? flow->tally_room * 2 : 4;
        struct tally *grown = realloc(flow->tallies, room * sizeof *grown);
        if (!grown)
            return NOWHERE;
        flow->tallies = grown;
        flow->tally_room = room;
    }
    flow->tallies[flow->tally_count] = (struct tally){key, count};
    return flow->tally_count++;
}

static int tally_near(struct flow *flow, uint32_t *near, uint32_t key, uint64_t count)
{
    if (*near < flow->tally_count && flow->tallies[*near].key == key) {
        flow->tallies[*near].count += count;
        return 0;
    }
    *near = tally_add(flow, key, count);
    return *near == NOWHERE ? -1 : 0;
}

static int count_size(struct flow *flow, uint64_t size, uint64_t count)
{
    uint32_t key = TALLY_SIZE + (bit_length(size) << 4 | (uint32_t)(size & 15));
    return tally_add(flow, key, count) == NOWHERE ? -1 : 0;
}

static int count_gap(struct flow *flow, unsigned bits, uint64_t count)
{
    return tally_add(flow, TALLY_GAP + bits, count) == NOWHERE ? -1 : 0;
}

/* Flows */

static int note_variant(uint32_t **kept, uint8_t *count, uint32_t value)
{
    for (unsigned i = 0; i < *count; i++)
        if ((*kept)[i] == value)
            return 0;
    if (*count >= VARIANTS_KEPT)
        return 0;
    uint32_t *grown = realloc(*kept, (*count + 1u) * sizeof *grown);
    if (!grown)
        return -1;
    grown[(*count)++] = value;
    *kept = grown;
    return 0;
}

static void add_squares(struct flow *flow, wide squares)
{
    flow->gaps_squared += squares;
    flow->gaps_squared_high += flow->gaps_squared < squares;
}

static void widen_gaps(struct flow *flow, uint64_t least, uint64_t most)
{
    if (!flow->gap_count || least < flow->least_gap)
        flow->least_gap = least;
    if (!flow->gap_count || most > flow->most_gap)
        flow->most_gap = most;
}

static int flow_gap(struct flow *flow, int64_t time_ns)
{
    if (time_ns < flow->last_arrival_ns) {
        flow->time_reversals++;
        return 0;
    }
    uint64_t gap = (uint64_t)time_ns - (uint64_t)flow->last_arrival_ns;
    add_squares(flow, (wide)gap * gap);
    flow->gap_total += gap;
    widen_gaps(flow, gap, gap);
    flow->gap_count++;
    if (flow->first_gap_count < FIRST_KEPT)
        flow->first_values[FIRST_KEPT + flow->first_gap_count++] = gap;
    return count_gap(flow, bit_length(gap), 1);
}

static int flow_take(struct flow *flow, const struct arrival *packet, uint32_t gaps)
{
    int64_t time_ns = packet->time_ns;
    uint64_t size = packet->length;
    if (!flow->sequence.packets) {
        flow->first_frame = packet->frame;
        flow->first_arrival_ns = flow->first_time_ns = flow->last_time_ns = time_ns;
        flow->least_size = flow->most_size = size;
    } else {
        if (flow->sequence.packets == 1) {
            /* A flood makes flows of one packet: what these do not need is made for the second. */
            uint64_t *grown = realloc(flow->first_values, 2 * FIRST_KEPT * sizeof *grown);
            if (!grown)
                return -1;
            flow->first_values = grown;
        }
        if (flow_gap(flow, time_ns))
            return -1;
        if (time_ns < flow->first_time_ns)
            flow->first_time_ns = time_ns;
        if (time_ns > flow->last_time_ns)
            flow->last_time_ns = time_ns;
        if (size < flow->least_size)
            flow->least_size = size;
        if (size > flow->most_size)
            flow->most_size = size;
    }
    flow->last_frame = packet->frame;
    flow->last_arrival_ns = time_ns;
    flow->octets += size;
    flow->sizes_squared += (wide)size * size;
    if (flow->first_size_count < FIRST_KEPT)
        flow->first_values[flow->first_size_count++] = size;
    flow->dont_fragment += packet->dont_fragment;
    flow->in_fragments += packet->in_fragments;
    flow->truncated += packet->truncated;
    flow->inferred += packet->inferred;
    if (packet->ports != flow->last_ports) {
        flow->last_ports = packet->ports;
        if (packet->ports && note_variant(&flow->ports, &flow->port_count, packet->ports))
            return -1;
    }
    if (packet->vlan != flow->last_vlan) {
        flow->last_vlan = packet->vlan;
        if (packet->vlan && note_variant(&flow->vlans, &flow->vlan_count, packet->vlan))
            return -1;
    }
    if (count_size(flow, size, 1) || tally_near(flow, &flow->ttl_at, packet->ttl, 1) ||
        tally_near(flow, &flow->class_at, TALLY_CLASS + packet->traffic_class, 1))
        return -1;
    return sequence_take(&flow->sequence, packet->sequence, time_ns, packet->frame, gaps);
}

/* Lanes */

_Static_assert(LANE_FROM >= FIRST_KEPT, "the first sizes are kept before there is a lane");

/* Tell the flow of the packets that wait in its lane. */
static int lane_flush(struct flow *flow, uint32_t gaps)
{
    struct lane *lane = flow->lane;
    uint64_t count = lane->pending, header = lane->header[1];
    if (!count)
        return 0;
    lane->pending = 0;
    lane->drain -= (uint32_t)count;
    flow->gap_count += count;
    flow->gap_total += (uint64_t)lane->last_arrival_ns - (uint64_t)flow->last_arrival_ns;
    flow->last_arrival_ns = lane->last_arrival_ns;
    if (flow->last_time_ns < lane->last_arrival_ns)
        flow->last_time_ns = lane->last_arrival_ns;
    flow->last_frame = lane->last_frame;
    flow->dont_fragment += count * (header >> 16 & 1);
    if (tally_near(flow, &flow->ttl_at, header & 0xFF, count) ||
        tally_near(flow, &flow->class_at, TALLY_CLASS + (header >> 8 & 0xFF), count))
        return -1;
    return sequence_go_on(&flow->sequence, count, gaps);
}

/* Empty the lane's own counts into the flow. */
static int lane_drain(struct flow *flow)
{
    struct lane *lane = flow->lane;
    for (unsigned bits = 0; bits < LANE_GAPS; bits++)
        if (lane->gaps[bits] && count_gap(flow, bits, lane->gaps[bits]))
            return -1;
    for (uint64_t size = 0; size < LANE_SIZES; size++) {
        uint64_t count = lane->sizes[size];
        if (!count)
            continue;
        flow->octets += size * count;
        flow->sizes_squared += (wide)size * size * count;
        if (size < flow->least_size)
            flow->least_size = size;
        if (size > flow->most_size)
            flow->most_size = size;
        if (count_size(flow, size, count))
            return -1;
    }
    add_squares(flow, lane->gaps_squared);
    if (lane->least_gap <= lane->most_gap)
        widen_gaps(flow, lane->least_gap, lane->most_gap);
    memset(lane->gaps, 0, sizeof lane->gaps);
    memset(lane->sizes, 0, sizeof lane->sizes);
    lane->gaps_squared = 0;
    lane->least_gap = UINT64_MAX;
    lane->most_gap = 0;
    lane->drain = DRAIN_EVERY;
    return 0;
}

/* The next packet may come in the lane if it goes on as `packet` did. */
static void lane_open(struct flow *flow, const struct arrival *packet)
{
    struct lane *lane = flow->lane;
    lane->next = packet->sequence + 1;
    lane->room = sequence_room(&flow->sequence);
    lane->header[0] = lane_place(packet->ports, packet->vlan);
    lane->header[1] = lane_header(packet->ttl, packet->traffic_class, packet->dont_fragment);
    lane->last_arrival_ns = flow->last_arrival_ns;
    lane->last_frame = flow->last_frame;
}

static int flow_arrive(struct flow *flow, const struct arrival *packet, uint32_t gaps)
{
    struct lane *lane = flow->lane;
    if (!lane) {
        if (flow_take(flow, packet, gaps))
            return -1;
        /* Lanes do not keep the first values. Where times go backward, gaps take longer to come than packets. */
        if (flow->sequence.packets < LANE_FROM || flow->first_gap_count < FIRST_KEPT)
            return 0;
        flow->lane = calloc(1, sizeof *flow->lane);
        if (!flow->lane)
            return -1;
        flow->lane->least_gap = UINT64_MAX;
        flow->lane->drain = DRAIN_EVERY;
        lane_open(flow, packet);
        return 0;
    }
    int is_plain = !packet->in_fragments && !packet->truncated && !packet->inferred;
    if (is_plain && lane_take(lane, packet->sequence, packet->length, packet->time_ns, packet->frame,
                              lane_place(packet->ports, packet->vlan),
                              lane_header(packet->ttl, packet->traffic_class, packet->dont_fragment)))
        return 0;
    if (lane_flush(flow, gaps) || flow_take(flow, packet, gaps))
        return -1;
    if (lane->drain < DRAIN_LEAST && lane_drain(flow))
        return -1;
    lane_open(flow, packet);
    return 0;
}

int flows_settle(struct flows *table)
{
    if (table->is_broken)
        return -1;
    for (uint32_t i = 0; i < table->count; i++) {
        struct flow *flow = flows_at(table, i);
        if (!flow->lane)
            continue;
        if (lane_flush(flow, table->gaps) || lane_drain(flow)) {
            table->is_broken = 1;
            return -1;
        }
        flow->lane->room = 0;
    }
    return 0;
}

/* Joining */

static int flow_join(struct flow *flow, struct flow *following, uint64_t frames, uint32_t gaps)
{
    uint64_t first_frame = following->first_frame + frames;
    if (sequence_merge(&flow->sequence, &following->sequence, following->first_arrival_ns, first_frame, frames, gaps))
        return -1;
    if (flow->first_size_count + flow->first_gap_count < 2 * FIRST_KEPT) {
        uint64_t *grown = realloc(flow->first_values, 2 * FIRST_KEPT * sizeof *grown);
        if (!grown)
            return -1;
        flow->first_values = grown;
    }
    if (flow_gap(flow, following->first_arrival_ns))
        return -1;
    for (unsigned i = 0; i < following->first_size_count && flow->first_size_count < FIRST_KEPT; i++)
        flow->first_values[flow->first_size_count++] = following->first_values[i];
    for (unsigned i = 0; i < following->first_gap_count && flow->first_gap_count < FIRST_KEPT; i++)
        flow->first_values[FIRST_KEPT + flow->first_gap_count++] = following->first_values[FIRST_KEPT + i];
    if (following->first_time_ns < flow->first_time_ns)
        flow->first_time_ns = following->first_time_ns;
    if (following->last_time_ns > flow->last_time_ns)
        flow->last_time_ns = following->last_time_ns;
    flow->last_frame = following->last_frame + frames;
    flow->last_arrival_ns = following->last_arrival_ns;
    flow->octets += following->octets;
    flow->time_reversals += following->time_reversals;
    flow->dont_fragment += following->dont_fragment;
    flow->in_fragments += following->in_fragments;
    flow->truncated += following->truncated;
    flow->inferred += following->inferred;
    flow->sizes_squared += following->sizes_squared;
    if (following->least_size < flow->least_size)
        flow->least_size = following->least_size;
    if (following->most_size > flow->most_size)
        flow->most_size = following->most_size;
    if (following->gap_count)
        widen_gaps(flow, following->least_gap, following->most_gap);
    flow->gap_count += following->gap_count;
    flow->gap_total += following->gap_total;
    add_squares(flow, following->gaps_squared);
    flow->gaps_squared_high += following->gaps_squared_high;
    for (uint32_t i = 0; i < following->tally_count; i++)
        if (tally_add(flow, following->tallies[i].key, following->tallies[i].count) == NOWHERE)
            return -1;
    for (unsigned i = 0; i < following->port_count; i++)
        if (note_variant(&flow->ports, &flow->port_count, following->ports[i]))
            return -1;
    for (unsigned i = 0; i < following->vlan_count; i++)
        if (note_variant(&flow->vlans, &flow->vlan_count, following->vlans[i]))
            return -1;
    flow->last_ports = following->last_ports;
    flow->last_vlan = following->last_vlan;
    return 0;
}

static void flow_end(struct flow *flow)
{
    sequence_end(&flow->sequence);
    free(flow->lane);
    free(flow->tallies);
    free(flow->ports);
    free(flow->vlans);
    free(flow->first_values);
}

/* The table */

int flows_begin(struct flows *table, const uint8_t secret[32], uint32_t limit, uint32_t gaps, int continuing)
{
    memset(table, 0, sizeof *table);
    memcpy(table->secret, secret, sizeof table->secret);
    table->limit = limit;
    table->gaps = gaps ? gaps : 1;
    table->continuing = continuing;
    table->mask = 255;
    table->slots = calloc(table->mask + 1, sizeof *table->slots);
    return table->slots ? 0 : -1;
}

void flows_end(struct flows *table)
{
    for (uint32_t i = 0; i < table->count; i++)
        flow_end(flows_at(table, i));
    for (uint32_t i = 0; i < table->block_count; i++)
        free(table->blocks[i]);
    free(table->blocks);
    free(table->slots);
    memset(table, 0, sizeof *table);
}

struct flow *flows_at(const struct flows *table, uint32_t index)
{
    return table->blocks[index / BLOCK] + index % BLOCK;
}

/* The slot of a key, or the free one where it belongs. */
static struct slot *slot_of(const struct flows *table, const struct flow_key *key, uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    for (uint64_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        struct slot *slot = table->slots + at;
        if (!slot->place)
            return slot;
        if (slot->tag == tag && !memcmp(&flows_at(table, slot->place - 1)->key, key, sizeof *key))
            return slot;
    }
}

static int grow(struct flows *table)
{
    uint64_t mask = table->mask * 2 + 1;
    struct slot *slots = calloc(mask + 1, sizeof *slots);
    if (!slots)
        return -1;
    for (uint32_t i = 0; i < table->count; i++) {
        uint64_t hash = keyed_hash(table->secret, &flows_at(table, i)->key, sizeof(struct flow_key));
        uint64_t at = hash & mask;
        while (slots[at].place)
            at = (at + 1) & mask;
        slots[at] = (struct slot){(uint32_t)(hash >> 32), i + 1};
    }
    free(table->slots);
    table->slots = slots;
    table->mask = mask;
    return 0;
}

static struct flow *new_flow(struct flows *table, const struct flow_key *key)
{
    if (table->count == table->block_count * BLOCK) {
        if (table->block_count == table->block_room) {
            uint32_t room = table->block_room ? table->block_room * 2 : 16;
            struct flow **grown = realloc(table->blocks, room * sizeof *grown);
            if (!grown)
                return NULL;
            table->blocks = grown;
            table->block_room = room;
        }
        struct flow *block = malloc(BLOCK * sizeof *block);
        if (!block)
            return NULL;
        table->blocks[table->block_count++] = block;
    }
    struct flow *flow = flows_at(table, table->count);
    memset(flow, 0, sizeof *flow);
    flow->key = *key;
    flow->first_values = malloc(sizeof *flow->first_values);
    return flow->first_values ? flow : NULL;
}

int64_t flows_find(const struct flows *table, const struct flow_key *key)
{
    uint64_t hash = keyed_hash(table->secret, key, sizeof *key);
    return (int64_t)slot_of(table, key, hash)->place - 1;
}

static int64_t arrive(struct flows *table, const struct flow_key *key, const struct arrival *packet, uint32_t capture)
{
    uint64_t hash = keyed_hash(table->secret, key, sizeof *key);
    struct slot *slot = slot_of(table, key, hash);
    struct flow *flow;
    if (slot->place) {
        flow = flows_at(table, slot->place - 1);
    } else {
        if (table->count >= table->limit) {
            table->dropped_packets++;
            table->dropped_octets += packet->length;
            return -1;
        }
        flow = new_flow(table, key);
        if (!flow)
            return -2;
        flow->capture = capture;
        *slot = (struct slot){(uint32_t)(hash >> 32), ++table->count};
        if (sequence_begin(&flow->sequence, packet->sequence, table->continuing))
            return -2;
    }
    int64_t index = slot->place - 1;
    if (flow_arrive(flow, packet, table->gaps))
        return -2;
    if ((uint64_t)table->count * 5 > (table->mask + 1) * 3 && grow(table))
        return -2;
    return index;
}

int64_t flows_arrive(struct flows *table, const struct flow_key *key, const struct arrival *packet, uint32_t capture)
{
    if (table->is_broken)
        return -2;
    int64_t index = arrive(table, key, packet, capture);
    table->is_broken = index == -2;
    return index;
}

int flows_join(struct flows *table, struct flow *following, uint64_t frames)
{
    uint64_t hash = keyed_hash(table->secret, &following->key, sizeof following->key);
    struct slot *slot = slot_of(table, &following->key, hash);
    if (slot->place)
        return flow_join(flows_at(table, slot->place - 1), following, frames, table->gaps);
    if (table->count >= table->limit) {
        table->dropped_packets += following->sequence.packets;
        table->dropped_octets += following->octets;
        return 0;
    }
    struct flow *flow = new_flow(table, &following->key);
    if (!flow)
        return -1;
    free(flow->first_values);
    *flow = *following; /* with all that it points to */
    memset(following, 0, sizeof *following);
    flow->first_frame += frames;
    flow->last_frame += frames;
    sequence_become_first(&flow->sequence, frames);
    *slot = (struct slot){(uint32_t)(hash >> 32), ++table->count};
    return (uint64_t)table->count * 5 > (table->mask + 1) * 3 ? grow(table) : 0;
}
