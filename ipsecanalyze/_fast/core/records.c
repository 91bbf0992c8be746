/* The records of pcap and pcapng that are whole and in order, as walk_pcap.py and walk_pcapng.py take them. */

#include <stdlib.h>

#include "octets.h"
#include "scan.h"
#include "shortcut.h"

enum { DAY = 86400, MAX_RECORD = 16 << 20, EPB = 6, EPB_SIZE = 32 };

static inline uint32_t field(const uint8_t *at, int big_endian) { return big_endian ? be32(at) : le32(at); }

/* What the loops over records count, kept in registers and put into the scan at the end of a run. */
struct counts {
    uint64_t frame, octets, truncated, esp;
    int64_t earliest_ns, latest_ns;
};

static inline struct counts begin_counts(const struct scan *scan)
{
    return (struct counts){scan->frame, 0, 0, 0, scan->earliest_ns, scan->latest_ns};
}

static inline void put_counts(struct scan *scan, const struct counts *counts)
{
    scan->frame = counts->frame;
    scan->octets += counts->octets;
    scan->truncated += counts->truncated;
    scan->verdicts[IS_ESP] += counts->esp;
    scan->earliest_ns = counts->earliest_ns;
    scan->latest_ns = counts->latest_ns;
}

static inline void count(struct counts *counts, uint32_t captured, uint32_t wire, int64_t time_ns)
{
    counts->frame++;
    counts->octets += wire;
    counts->truncated += captured < wire;
    counts->earliest_ns = time_ns < counts->earliest_ns ? time_ns : counts->earliest_ns;
    counts->latest_ns = time_ns > counts->latest_ns ? time_ns : counts->latest_ns;
}

/* Judge a packet that the shortcut did not take; 1 where the run has to end. */
static __attribute__((noinline)) int take(struct scan *scan, struct packet packet, uint32_t link_type,
                                          const uint8_t *buffer)
{
    enum verdict verdict = link_take(scan, &packet, link_type, buffer);
    scan->verdicts[verdict]++;
    if (verdict > UDP_STRANGE)
        return 0;
    scan->strange = packet;
    scan->verdict = verdict;
    return 1;
}

/* `big_endian`, `size` of a record's header: constants where they are common, so that the loop is made for them. */
static inline __attribute__((always_inline)) enum ending run_pcap_as(struct scan *scan, const uint8_t *buffer,
                                                                     size_t end, size_t *position, int big_endian,
                                                                     uint32_t size)
{
    const uint32_t units = scan->nanoseconds ? 1000000000 : 1000000, scale = scan->nanoseconds ? 1 : 1000;
    const uint32_t limit = scan->record_limit, link_type = scan->interfaces[0].link_type;
    struct counts counts = begin_counts(scan);
    size_t at = *position;
    int64_t last = scan->last_seconds;
    enum ending ending = NEEDS_MORE;
    while (end - at >= size) {
        const uint8_t *head = buffer + at, *data = head + size;
        uint32_t seconds = field(head, big_endian), fraction = field(head + 4, big_endian);
        uint32_t captured = field(head + 8, big_endian), wire = field(head + 12, big_endian);
        int64_t step = last < 0 ? 0 : (int64_t)seconds - last;
        if (captured > wire || captured > limit || fraction >= units || (uint64_t)(step + DAY) > 2 * DAY) {
            ending = ODD_RECORD;
            break;
        }
        if (captured > end - at - size)
            break;
        __builtin_prefetch(data + captured + 64);
        last = seconds;
        at += size + captured;
        int64_t time_ns = (int64_t)seconds * 1000000000 + (int64_t)fraction * scale;
        count(&counts, captured, wire, time_ns);
        if (link_type == 1 && shortcut_take(scan, data, captured, time_ns, counts.frame)) {
            counts.esp++;
            continue;
        }
        struct packet packet = {data, captured, wire, time_ns, counts.frame, 0};
        if (take(scan, packet, link_type, buffer)) {
            scan->record = (size_t)(head - buffer);
            ending = STRANGE_PACKET;
            break;
        }
    }
    scan->last_seconds = last;
    put_counts(scan, &counts);
    *position = at;
    return ending;
}

static enum ending run_pcap(struct scan *scan, const uint8_t *buffer, size_t end, size_t *position)
{
    if (!scan->big_endian && scan->record_header == 16)
        return run_pcap_as(scan, buffer, end, position, 0, 16);
    return run_pcap_as(scan, buffer, end, position, scan->big_endian, scan->record_header);
}

/* The time of a packet; 0 where it is beyond what is counted with. */
static inline int time_of(const struct interface *interface, uint64_t ticks, int64_t *time_ns)
{
    /* Dividing 128 bits is slow, and rare: most captures count micro- or nanoseconds. */
    wide time = (wide)ticks * interface->multiplier;
    if (interface->divisor != 1)
        time /= interface->divisor;
    if (time > (wide)FARTHEST_NS)
        return 0;
    *time_ns = (int64_t)time + interface->offset_ns;
    return *time_ns <= FARTHEST_NS && *time_ns >= -FARTHEST_NS;
}

static enum ending run_pcapng(struct scan *scan, const uint8_t *buffer, size_t end, size_t *position)
{
    const int big_endian = scan->big_endian;
    struct counts counts = begin_counts(scan);
    size_t at = *position;
    int64_t time_ns = scan->last_time_ns;
    enum ending ending = NEEDS_MORE;
    while (end - at >= EPB_SIZE) {
        const uint8_t *head = buffer + at, *data = head + 28;
        ending = ODD_RECORD;
        uint32_t length = field(head + 4, big_endian), index = field(head + 8, big_endian);
        uint32_t captured = field(head + 20, big_endian), wire = field(head + 24, big_endian);
        if (field(head, big_endian) != EPB || length & 3 || length > MAX_RECORD || length < EPB_SIZE ||
            captured > length - EPB_SIZE || captured > wire || index >= scan->interface_count)
            break;
        if (length > end - at) {
            ending = NEEDS_MORE;
            break;
        }
        const struct interface *interface = scan->interfaces + index;
        uint64_t ticks = (uint64_t)field(head + 12, big_endian) << 32 | field(head + 16, big_endian);
        int64_t its_time_ns;
        if (memcmp(head + 4, head + length - 4, 4) || !interface->is_known || !time_of(interface, ticks, &its_time_ns))
            break;
        __builtin_prefetch(data + length + 32);
        time_ns = its_time_ns;
        at += length;
        ending = NEEDS_MORE;
        count(&counts, captured, wire, time_ns);
        if (interface->link_type == 1 && shortcut_take(scan, data, captured, time_ns, counts.frame)) {
            counts.esp++;
            continue;
        }
        struct packet packet = {data, captured, wire, time_ns, counts.frame, scan->section_base + index};
        if (take(scan, packet, interface->link_type, buffer)) {
            scan->record = (size_t)(head - buffer);
            ending = STRANGE_PACKET;
            break;
        }
    }
    scan->last_time_ns = time_ns;
    put_counts(scan, &counts);
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
