/* The records of pcap and pcapng that are whole and in order, as walk_pcap.py and walk_pcapng.py take them. */

#include <stdlib.h>

#include "octets.h"
#include "scan.h"

enum { DAY = 86400, MAX_RECORD = 16 << 20, EPB = 6, EPB_SIZE = 32 };

static inline uint32_t field(const struct scan *scan, const uint8_t *at)
{
    return scan->big_endian ? be32(at) : le32(at);
}

/* Count a packet and judge it; 1 where the run has to end. */
static inline int take(struct scan *scan, const struct packet *packet, uint32_t link_type, const uint8_t *buffer)
{
    scan->octets += packet->wire;
    scan->truncated += packet->captured < packet->wire;
    if (packet->time_ns < scan->earliest_ns)
        scan->earliest_ns = packet->time_ns;
    if (packet->time_ns > scan->latest_ns)
        scan->latest_ns = packet->time_ns;
    if (link_type == 1 && shortcut_take(scan, packet->data, packet->captured, packet->time_ns, packet->frame)) {
        scan->verdicts[IS_ESP]++;
        return 0;
    }
    enum verdict verdict = link_take(scan, packet, link_type, buffer);
    scan->verdicts[verdict]++;
    if (verdict > UDP_STRANGE)
        return 0;
    scan->strange = *packet;
    scan->verdict = verdict;
    return 1;
}

static enum ending run_pcap(struct scan *scan, const uint8_t *buffer, size_t end, size_t *position)
{
    const uint32_t units = scan->nanoseconds ? 1000000000 : 1000000, scale = scan->nanoseconds ? 1 : 1000;
    const uint32_t size = scan->record_header, limit = scan->record_limit, link_type = scan->interfaces[0].link_type;
    size_t at = *position;
    enum ending ending = NEEDS_MORE;
    while (end - at >= size) {
        const uint8_t *head = buffer + at;
        uint32_t seconds = field(scan, head), fraction = field(scan, head + 4);
        uint32_t captured = field(scan, head + 8), wire = field(scan, head + 12);
        int64_t step = scan->last_seconds < 0 ? 0 : (int64_t)seconds - scan->last_seconds;
        if (captured > wire || captured > limit || fraction >= units || step < -DAY || step > DAY) {
            ending = ODD_RECORD;
            break;
        }
        if (captured > end - at - size)
            break;
        scan->last_seconds = seconds;
        struct packet packet = {
            .data = head + size,
            .captured = captured,
            .wire = wire,
            .time_ns = (int64_t)seconds * 1000000000 + (int64_t)fraction * scale,
            .frame = ++scan->frame,
        };
        __builtin_prefetch(packet.data + captured + 64);
        scan->record = at;
        at += size + captured;
        if (take(scan, &packet, link_type, buffer)) {
            ending = STRANGE_PACKET;
            break;
        }
    }
    *position = at;
    return ending;
}

static enum ending run_pcapng(struct scan *scan, const uint8_t *buffer, size_t end, size_t *position)
{
    size_t at = *position;
    enum ending ending = NEEDS_MORE;
    while (end - at >= EPB_SIZE) {
        const uint8_t *head = buffer + at;
        ending = ODD_RECORD;
        uint32_t length = field(scan, head + 4), index = field(scan, head + 8);
        uint32_t captured = field(scan, head + 20), wire = field(scan, head + 24);
        if (field(scan, head) != EPB || length & 3 || length > MAX_RECORD || length < EPB_SIZE ||
            captured > length - EPB_SIZE || captured > wire || index >= scan->interface_count)
            break;
        if (length > end - at) {
            ending = NEEDS_MORE;
            break;
        }
        const struct interface *interface = scan->interfaces + index;
        if (memcmp(head + 4, head + length - 4, 4) || !interface->is_known)
            break;
        uint64_t ticks = (uint64_t)field(scan, head + 12) << 32 | field(scan, head + 16);
        wide time = (wide)ticks * interface->multiplier / interface->divisor;
        if (time > (wide)FARTHEST_NS)
            break;
        int64_t time_ns = (int64_t)time + interface->offset_ns;
        if (time_ns > FARTHEST_NS || time_ns < -FARTHEST_NS)
            break;
        scan->last_time_ns = time_ns;
        struct packet packet = {
            .data = head + 28,
            .captured = captured,
            .wire = wire,
            .time_ns = time_ns,
            .frame = ++scan->frame,
            .interface = scan->section_base + index,
        };
        __builtin_prefetch(packet.data + length + 32);
        scan->record = at;
        at += length;
        ending = NEEDS_MORE;
        if (take(scan, &packet, interface->link_type, buffer)) {
            ending = STRANGE_PACKET;
            break;
        }
    }
    *position = at;
    return ending;
}

enum ending scan_run(struct scan *scan, const uint8_t *buffer, size_t end, size_t *position)
{
    scan->row_count = 0;
    if (scan->flows->is_broken)
        return NO_MEMORY;
    enum ending ending = scan->is_pcapng ? run_pcapng(scan, buffer, end, position) : run_pcap(scan, buffer, end, position);
    return scan->is_out_of_memory ? NO_MEMORY : ending;
}

void scan_begin_counts(struct scan *scan)
{
    scan->octets = scan->truncated = 0;
    scan->earliest_ns = INT64_MAX;
    scan->latest_ns = INT64_MIN;
    memset(scan->verdicts, 0, sizeof scan->verdicts);
}

/* What Python follows */

static uint64_t watch_hash(const struct scan *scan, const uint8_t *one, const uint8_t *other)
{
    /* Both directions are one conversation: the sum does not care which is first. */
    uint8_t padded[2][24] = {{0}, {0}};
    memcpy(padded[0], one, 18);
    memcpy(padded[1], other, 18);
    uint64_t hash = keyed_hash(scan->flows->secret, padded[0], 24) + keyed_hash(scan->flows->secret, padded[1], 24);
    return hash ? hash : 1;
}

static int put(uint64_t *slots, uint64_t mask, uint64_t hash)
{
    uint64_t at = hash & mask;
    while (slots[at] && slots[at] != hash)
        at = (at + 1) & mask;
    int is_new = !slots[at];
    slots[at] = hash;
    return is_new;
}

int scan_watch(struct scan *scan, const uint8_t *one, const uint8_t *other)
{
    if (scan->watched_count * 2 >= scan->watched_mask) {
        uint64_t mask = scan->watched_mask ? scan->watched_mask * 2 + 1 : 63;
        uint64_t *slots = calloc(mask + 1, sizeof *slots);
        if (!slots)
            return -1;
        for (uint64_t i = 0; scan->watched && i <= scan->watched_mask; i++)
            if (scan->watched[i])
                put(slots, mask, scan->watched[i]);
        free(scan->watched);
        scan->watched = slots;
        scan->watched_mask = mask;
    }
    scan->watched_count += (uint64_t)put(scan->watched, scan->watched_mask, watch_hash(scan, one, other));
    return 0;
}

int scan_is_watched(const struct scan *scan, const uint8_t *source, const uint8_t *destination, uint32_t size,
                    uint32_t ports)
{
    uint8_t one[18] = {0}, other[18] = {0};
    memcpy(one, source, size);
    memcpy(other, destination, size);
    one[16] = (uint8_t)(ports >> 24);
    one[17] = (uint8_t)(ports >> 16);
    other[16] = (uint8_t)(ports >> 8);
    other[17] = (uint8_t)ports;
    uint64_t hash = watch_hash(scan, one, other);
    for (uint64_t at = hash & scan->watched_mask; scan->watched[at]; at = (at + 1) & scan->watched_mask)
        if (scan->watched[at] == hash)
            return 1;
    return 0;
}

void scan_forget_watched(struct scan *scan)
{
    free(scan->watched);
    scan->watched = NULL;
    scan->watched_mask = scan->watched_count = 0;
}

void scan_end(struct scan *scan)
{
    scan_forget_watched(scan);
    free(scan->rows);
    free(scan->interfaces);
    memset(scan, 0, sizeof *scan);
}
