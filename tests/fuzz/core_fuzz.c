/* A libFuzzer target for the C core, without Python; README.md here says how to build and run it.

   Input: one octet of options, three octets for the sizes of the pieces, and a capture. It is scanned whole, in pieces,
   from a file, and in pieces into two tables that are merged then, as native.py and parallel.py do it: what the core leaves alone is
   stepped over here. All must give the same, and whatever they give must agree with itself. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "octets.h"
#include "scan.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { WANTS_PROTECTED = 1, FEW_FLOWS = 2, FEW_GAPS = 4, CONTINUING = 8, WATCHES = 16, OPTIONS = 4, HEAD = 24 };
enum { INTERFACES = 16, EPB = 6, IDB = 1 };

/* What came out of a scan. */
struct outcome {
    struct flows flows, following; /* the second one for what comes behind the middle, where they are merged */
    struct scan scan;
    uint64_t packets, rows, strange, odd;
    uint64_t digest; /* of the rows and the strange packets, in their order */
    uint64_t octets, truncated;
    int64_t earliest, latest;
    uint64_t verdicts[VERDICTS];
};

static const uint8_t secret[32] = "a secret that all runs share";

static void digest(struct outcome *outcome, const void *octets, size_t size)
{
    const uint8_t *at = octets;
    for (size_t i = 0; i < size; i++)
        outcome->digest = (outcome->digest ^ at[i]) * UINT64_C(0x100000001B3);
}

static void take_rows(struct outcome *outcome, const uint8_t *buffer, size_t end, size_t offset)
{
    struct scan *scan = &outcome->scan;
    for (size_t i = 0; i < scan->row_count; i++) {
        struct row row = scan->rows[i];
        CHECK(row.start + row.captured <= end && row.captured <= row.length);
        CHECK(row.kind == IS_IKE || (scan->wants_protected && (row.kind == IS_ESP || row.kind == IS_AH)));
        CHECK(row.version == 4 || row.version == 6);
        CHECK(row.frame && row.frame <= scan->frame && row.encapsulation <= IN_UDP);
        CHECK(row.kind == IS_IKE || row.flow == UINT32_MAX || row.flow < scan->flows->count);
        digest(outcome, buffer + row.start, row.captured);
        row.start += offset;
        digest(outcome, &row, sizeof row);
    }
    outcome->rows += scan->row_count;
}

static void take_counts(struct outcome *outcome)
{
    struct scan *scan = &outcome->scan;
    uint64_t packets = 0;
    for (int i = 0; i < VERDICTS; i++) {
        packets += scan->verdicts[i];
        outcome->verdicts[i] += scan->verdicts[i];
    }
    CHECK((packets > 0) == (scan->earliest_ns <= scan->latest_ns));
    outcome->packets += packets;
    outcome->octets += scan->octets;
    outcome->truncated += scan->truncated;
    if (scan->earliest_ns < outcome->earliest)
        outcome->earliest = scan->earliest_ns;
    if (scan->latest_ns > outcome->latest)
        outcome->latest = scan->latest_ns;
    scan_begin_counts(scan);
}

static void take_strange(struct outcome *outcome, const uint8_t *buffer, size_t end, size_t offset)
{
    struct scan *scan = &outcome->scan;
    const struct packet *packet = &scan->strange;
    CHECK(packet->data >= buffer && (size_t)(packet->data - buffer) + packet->captured <= end);
    CHECK(packet->captured <= packet->wire && scan->verdict <= UDP_STRANGE && scan->record < end);
    size_t record = scan->record + offset;
    digest(outcome, packet->data, packet->captured);
    digest(outcome, &packet->wire, sizeof packet->wire);
    digest(outcome, &packet->time_ns, sizeof packet->time_ns);
    digest(outcome, &packet->interface, sizeof packet->interface);
    digest(outcome, &record, sizeof record);
    outcome->strange++;
    if (outcome->scan.capture & WATCHES && packet->captured >= 36) {
        uint8_t one[18] = {0}, other[18] = {0};
        memcpy(one, packet->data + packet->captured - 8, 4);
        memcpy(other, packet->data + packet->captured - 4, 4);
        CHECK(!scan_watch(scan, one, other) && scan->watched_count);
        if (scan->watched_count > 100)
            scan_forget_watched(scan);
    }
}

static uint32_t field(const struct scan *scan, const uint8_t *at) { return scan->big_endian ? be32(at) : le32(at); }

/* What pcapng's own blocks say: an interface's link type and time stamps, with values that only damage has too. */
static void describe(struct scan *scan, const uint8_t *block, uint32_t length)
{
    static const uint64_t scales[][2] = {{1000, 1}, {1, 1}, {1, 1000}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {1953125, 4}};
    if (field(scan, block) != IDB || length < 20 || scan->interface_count == INTERFACES)
        return;
    struct interface *interface = scan->interfaces + scan->interface_count++;
    const uint64_t *scale = scales[block[12] % 6u];
    interface->link_type = scan->big_endian ? be16(block + 8) : (uint32_t)(block[9] << 8 | block[8]);
    interface->is_known = block[10] % 8 != 7;
    interface->multiplier = scale[0];
    interface->divisor = scale[1];
    interface->offset_ns = (int8_t)block[11] * ((int64_t)1 << 54);
}

/* Where to go on behind a record that the core leaves alone; 0 where it is not all there. */
static size_t step_over(struct outcome *outcome, const uint8_t *record, size_t there)
{
    struct scan *scan = &outcome->scan;
    outcome->odd++;
    if (scan->is_pcapng) {
        if (there < 12)
            return 0;
        uint32_t length = field(scan, record + 4);
        if (length < 12 || length & 3 || length > 1 << 20)
            return 4;
        if (length > there)
            return 0;
        describe(scan, record, length);
        return length;
    }
    uint32_t captured = field(scan, record + 8);
    if (captured > 4096)
        return 1;
    size_t size = (size_t)scan->record_header + captured;
    if (size > there)
        return 0;
    scan->last_seconds = field(scan, record);
    return size;
}

/* Take `buffer[:end]`, which stands at `offset` of the capture; how many octets were used up. */
static size_t take(struct outcome *outcome, const uint8_t *buffer, size_t end, size_t offset)
{
    struct scan *scan = &outcome->scan;
    size_t position = 0;
    for (;;) {
        size_t before = position;
        enum ending ending = scan_run(scan, buffer, end, &position);
        CHECK(position >= before && position <= end && !scan->is_out_of_memory);
        take_rows(outcome, buffer, end, offset);
        if (ending == STRANGE_PACKET) {
            CHECK(position > before);
            take_strange(outcome, buffer, end, offset);
            continue;
        }
        take_counts(outcome);
        if (ending == NEEDS_MORE) {
            /* The end, or a block of another kind that is shorter than the shortest packet's. */
            if (!scan->is_pcapng || end - position < 12 || field(scan, buffer + position) == EPB)
                return position;
        } else {
            CHECK(ending == ODD_RECORD);
        }
        size_t step = step_over(outcome, buffer + position, end - position);
        if (!step)
            return position;
        position += step;
    }
}

static void check_flow(const struct flow *flow, const struct outcome *outcome)
{
    const struct sequence *state = &flow->sequence;
    uint64_t classes[4] = {0}, size = (uint64_t)(state->tail.last - state->tail.first) + 1, holes;
    for (uint32_t i = 0; i < flow->tally_count; i++) {
        uint32_t key = flow->tallies[i].key;
        classes[key < 256 ? 0 : key < 512 ? 1 : key < 4096 ? 2 : 3] += flow->tallies[i].count;
    }
    CHECK(state->packets && classes[0] == state->packets && classes[1] == state->packets);
    CHECK(classes[2] == state->packets && classes[3] == flow->gap_count);
    CHECK(flow->gap_count + flow->time_reversals == state->packets - 1);
    CHECK(flow->first_time_ns <= flow->last_time_ns && flow->first_frame <= flow->last_frame);
    CHECK(flow->last_frame <= outcome->scan.frame && flow->least_size <= flow->most_size);
    CHECK(flow->octets >= flow->least_size * state->packets && flow->octets <= flow->most_size * state->packets);
    CHECK(flow->first_size_count == (state->packets < FIRST_KEPT ? state->packets : FIRST_KEPT));
    CHECK(flow->dont_fragment <= state->packets && flow->truncated <= state->packets && !flow->in_fragments);
    for (uint32_t i = 0; i < state->older.count; i++) {
        const struct run *run = state->older.at + i;
        int64_t following = i + 1 < state->older.count ? run[1].first : state->tail.first;
        CHECK(run->first <= run->last && run->last + 1 < following);
        size += (uint64_t)(run->last - run->first) + 1;
    }
    holes = state->settled ? state->settled->numbers : 0;
    CHECK(state->size == size && size - holes <= state->packets && state->older.count <= outcome->flows.gaps + 1024);
    CHECK(state->maximum == state->tail.last && state->position <= state->maximum);
    CHECK(state->records <= size - holes && state->records);
    CHECK((flow->key.encapsulation == IN_UDP) == (flow->port_count > 0));
}

static void check(struct outcome *outcome)
{
    struct flows *flows = &outcome->flows;
    uint64_t packets = flows->dropped_packets;
    CHECK(!flows_settle(flows) && flows->count <= flows->limit);
    for (uint32_t i = 0; i < flows->count; i++) {
        const struct flow *flow = flows_at(flows, i);
        CHECK(flows_find(flows, &flow->key) == i);
        check_flow(flow, outcome);
        packets += flow->sequence.packets;
    }
    CHECK(packets == outcome->verdicts[IS_ESP] + outcome->verdicts[IS_AH]);
    CHECK(outcome->scan.frame == outcome->packets);
    CHECK(outcome->rows == outcome->verdicts[IS_IKE] + (outcome->scan.wants_protected ? packets : 0));
    CHECK(outcome->strange == outcome->verdicts[STRANGE] + outcome->verdicts[UDP_STRANGE]);
}

static void begin_flows(struct flows *flows, uint8_t options, int continuing)
{
    CHECK(!flows_begin(flows, secret, options & FEW_FLOWS ? 2 : 1 << 20, options & FEW_GAPS ? 2 : 4096, continuing));
}

/* Set the format by the capture's first octets; where its records begin, 0 where it is none. */
static size_t begin(struct outcome *outcome, uint8_t options, const uint8_t *capture)
{
    struct scan *scan = &outcome->scan;
    memset(outcome, 0, sizeof *outcome);
    outcome->earliest = INT64_MAX;
    outcome->latest = INT64_MIN;
    begin_flows(&outcome->flows, options, !!(options & CONTINUING));
    scan->flows = &outcome->flows;
    scan->wants_protected = !!(options & WANTS_PROTECTED);
    scan->capture = options & WATCHES;
    scan_begin_counts(scan);
    scan->interfaces = calloc(INTERFACES, sizeof *scan->interfaces);
    CHECK(scan->interfaces);
    if (be32(capture) == 0x0A0D0D0A) {
        scan->is_pcapng = 1;
        scan->big_endian = capture[8] == 0x1A;
        return 0;
    }
    scan->big_endian = capture[0] == 0xA1;
    uint32_t magic = field(scan, capture), snaplen = field(scan, capture + 16);
    scan->nanoseconds = magic == 0xA1B23C4D;
    scan->record_header = magic == 0xA1B2CD34 ? 24 : 16;
    scan->record_limit = snaplen && snaplen < 256 << 10 ? snaplen : 256 << 10;
    scan->interfaces[0].link_type = field(scan, capture + 20) & 0xFFFF;
    scan->interface_count = 1;
    scan->last_seconds = -1;
    return HEAD;
}

static void end(struct outcome *outcome)
{
    flows_end(&outcome->flows);
    scan_end(&outcome->scan);
}

/* From here on, count in the other table. */
static void divide(struct outcome *outcome, uint8_t options)
{
    begin_flows(&outcome->following, options, 1);
    outcome->scan.flows = &outcome->following;
    memset(outcome->scan.shortcuts, 0, sizeof outcome->scan.shortcuts);
}

/* Whether there was anything to merge, and it could be merged. */
static int merge(struct outcome *outcome)
{
    struct flows *following = &outcome->following;
    if (outcome->scan.flows != following)
        return 0;
    CHECK(!flows_settle(&outcome->flows) && !flows_settle(following));
    int can = flows_can_merge(&outcome->flows, following);
    CHECK(!can || !flows_merge(&outcome->flows, following, 0));
    flows_end(following);
    outcome->scan.flows = &outcome->flows;
    return can;
}

/* Scan a capture in pieces of these sizes, by turns; 0: all that is there. With `divides`, into two tables. */
static void scan_pieces(struct outcome *outcome, uint8_t options, const uint8_t *capture, size_t size,
                        const uint8_t pieces[3], int divides)
{
    size_t start = begin(outcome, options, capture), offset = start;
    for (unsigned turn = 0; offset < size; turn = (turn + 1) % 3) {
        if (divides && offset > size / 2 && outcome->scan.flows == &outcome->flows)
            divide(outcome, options);
        size_t piece = pieces[turn] ? pieces[turn] * 4u + turn : size, there = size - start;
        offset = piece < size - offset ? offset + piece : size;
        there = offset - start;
        /* A copy of its own, so that a look beyond its end is found. */
        uint8_t *window = malloc(there ? there : 1);
        CHECK(window);
        memcpy(window, capture + start, there);
        start += take(outcome, window, there, start);
        free(window);
    }
}

/* Make the window large enough for what is left of the file, and read it. */
static void read_rest(struct window *window, int fd, size_t size)
{
    size_t rest = size - (size_t)window->begin;
    window->octets = realloc(window->octets, rest ? rest : 1);
    CHECK(window->octets);
    CHECK(pread(fd, window->octets, rest, (off_t)window->begin) == (ssize_t)rest);
    window->size = window->end = rest;
}

/* Scan a capture from a file, through a window of `room` octets at first. */
static void scan_from_file(struct outcome *outcome, uint8_t options, const uint8_t *capture, size_t size, size_t room,
                           uint64_t budget)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("capture", 0);
    CHECK(fd >= 0 && !ftruncate(fd, (off_t)size) && pwrite(fd, capture, size, 0) == (ssize_t)size);
    struct scan *scan = &outcome->scan;
    struct window window = {malloc(room), room, 0, 0, begin(outcome, options, capture)};
    CHECK(window.octets);
    for (;;) {
        enum ending ending = scan_read(scan, fd, &window, size, budget);
        CHECK(window.position <= window.end && window.end <= window.size && window.begin + window.end <= size);
        take_rows(outcome, window.octets, window.end, window.begin);
        if (ending == STRANGE_PACKET) {
            take_strange(outcome, window.octets, window.end, window.begin);
            continue;
        }
        take_counts(outcome);
        if (ending == NEEDS_MORE)
            continue;
        CHECK(ending == ENDED || ending == ODD_RECORD);
        if (window.begin + window.end < size) {
            read_rest(&window, fd, size);
            continue;
        }
        const uint8_t *record = window.octets + window.position;
        size_t there = window.end - window.position;
        if (ending == ENDED && (!scan->is_pcapng || there < 12 || field(scan, record) == EPB))
            break;
        size_t step = step_over(outcome, record, there);
        if (!step)
            break;
        window.position += step;
    }
    free(window.octets);
}

static void check_equal(const struct outcome *one, const struct outcome *other)
{
    CHECK(one->packets == other->packets && one->rows == other->rows && one->digest == other->digest);
    CHECK(one->octets == other->octets && one->truncated == other->truncated);
    CHECK(one->earliest == other->earliest && one->latest == other->latest);
    CHECK(!memcmp(one->verdicts, other->verdicts, sizeof one->verdicts));
}

static void check_equal_breaks(const struct breaks *one, const struct breaks *other)
{
    CHECK(!one == !other);
    if (!one)
        return;
    CHECK(one->count == other->count && one->settled == other->settled && one->kept_count == other->kept_count);
    CHECK(one->forward_restarts == other->forward_restarts && one->open_count == other->open_count);
    CHECK(!memcmp(one->open, other->open, one->open_count * sizeof *one->open));
    for (uint32_t i = 0; i < one->kept_count; i++) {
        const struct jump *a = one->kept + i, *b = other->kept + i;
        CHECK(a->packet == b->packet && a->before == b->before && a->after == b->after);
        CHECK(a->time_ns == b->time_ns && a->frame == b->frame);
    }
}

static void check_equal_flows(const struct outcome *one, const struct outcome *other)
{
    CHECK(one->flows.count == other->flows.count);
    CHECK(one->flows.dropped_octets == other->flows.dropped_octets);
    for (uint32_t i = 0; i < one->flows.count; i++) {
        const struct flow *a = flows_at(&one->flows, i), *b = flows_at(&other->flows, i);
        CHECK(!memcmp(&a->key, &b->key, sizeof a->key) && a->octets == b->octets);
        CHECK(a->gap_total == b->gap_total && a->gaps_squared == b->gaps_squared);
        CHECK(a->sizes_squared == b->sizes_squared && a->sequence.packets == b->sequence.packets);
        CHECK(a->sequence.size == b->sequence.size && a->sequence.records == b->sequence.records);
        CHECK(a->sequence.position == b->sequence.position && a->sequence.older.count == b->sequence.older.count);
        CHECK(a->sequence.largest == b->sequence.largest && a->sequence.ambiguous == b->sequence.ambiguous);
        CHECK(a->sequence.first == b->sequence.first && a->gap_count == b->gap_count);
        CHECK(a->first_frame == b->first_frame && a->last_frame == b->last_frame);
        CHECK(a->time_reversals == b->time_reversals && a->dont_fragment == b->dont_fragment);
        check_equal_breaks(a->sequence.breaks, b->sequence.breaks);
        CHECK(a->port_count == b->port_count && a->vlan_count == b->vlan_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t whole[3] = {0, 0, 0};
    struct outcome one, other;
    if (size < OPTIONS + HEAD)
        return 0;
    const uint8_t *capture = data + OPTIONS;
    size -= OPTIONS;
    scan_pieces(&one, data[0], capture, size, whole, 0);
    check(&one);
    scan_pieces(&other, data[0], capture, size, data + 1, 0);
    check(&other);
    check_equal(&one, &other);
    check_equal_flows(&one, &other);
    end(&other);
    scan_from_file(&other, data[0], capture, size, 16 + data[1] * 8u, 1 + data[2] * 16u);
    check(&other);
    check_equal(&one, &other);
    check_equal_flows(&one, &other);
    end(&other);
    scan_pieces(&other, data[0], capture, size, data + 1, 1);
    if (merge(&other)) {
        check(&other);
        check_equal_flows(&one, &other);
    }
    end(&one);
    end(&other);
    return 0;
}
