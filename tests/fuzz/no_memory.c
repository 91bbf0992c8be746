/* Every allocation of the C core fails once: the scan must say so, take no more, and give back all that it holds.

   Arguments: captures (pcap, little-endian). build.sh builds it with the sanitizers, and with the core's allocations
   going through the functions here. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "octets.h"
#include "scan.h"

void *core_malloc(size_t size);
void *core_calloc(size_t count, size_t size);
void *core_realloc(void *old, size_t size);

static unsigned long until; /* allocations that succeed before one fails */
static int has_failed;

static int fails(void)
{
    has_failed |= !until;
    return !until--;
}

void *core_malloc(size_t size) { return fails() ? NULL : malloc(size); }
void *core_calloc(size_t count, size_t size) { return fails() ? NULL : calloc(count, size); }
void *core_realloc(void *old, size_t size) { return fails() ? NULL : realloc(old, size); }

/* Scan what stands behind the file header into one table; 0 where memory failed. */
static int take(struct scan *scan, const uint8_t *records, size_t size)
{
    static const uint8_t endpoint[2][18] = {{1}, {2}};
    scan->record_header = 16;
    scan->record_limit = 262144;
    scan->last_seconds = -1;
    scan->wants_protected = 1;
    scan_begin_counts(scan);
    if (scan_watch(scan, endpoint[0], endpoint[1]))
        return 0;
    size_t position = 0;
    enum ending ending;
    while ((ending = scan_run(scan, records, size, &position)) == STRANGE_PACKET)
        continue;
    return ending != NO_MEMORY;
}

/* Whether the `nth` allocation failed; exits where that was not told, or something was taken afterwards. */
static int run(const uint8_t *records, size_t size, uint32_t link_type, unsigned long nth)
{
    static const uint8_t secret[32] = {1};
    static const struct flow_key key = {.version = 4};
    static const struct arrival arrival = {.length = 8};
    struct flows flows[2] = {{0}};
    struct scan scans[2] = {{0}};
    int is_right = 1;
    until = nth;
    has_failed = 0;
    int is_well = !flows_begin(flows, secret, 1 << 20, 1, 1) && !flows_begin(flows + 1, secret, 1 << 20, 1, 1);
    flows[0].continuing = 0;
    for (int i = 0; is_well && i < 2; i++) {
        scans[i].flows = flows + i;
        scans[i].interfaces = calloc(1, sizeof *scans[i].interfaces);
        scans[i].interfaces->link_type = link_type;
        is_well = take(scans + i, records, size);
        if (flows[i].is_broken)
            is_right &= flows_settle(flows + i) < 0 && flows_arrive(flows + i, &key, &arrival, 0) == -2;
    }
    is_well = is_well && !flows_settle(flows) && !flows_settle(flows + 1);
    if (is_well && flows_can_merge(flows, flows + 1))
        is_well = !flows_merge(flows, flows + 1, 0);
    for (int i = 0; i < 2; i++) {
        if (scans[i].interfaces)
            scan_end(scans + i);
        flows_end(flows + i);
    }
    if (!is_right || is_well == has_failed) {
        fprintf(stderr, "allocation %lu %s, and that was %s\n", nth, has_failed ? "failed" : "succeeded",
                is_well ? "not told" : is_right ? "told as a failure" : "not heeded");
        exit(1);
    }
    return has_failed;
}

int main(int count, char **paths)
{
    unsigned long failures = 0;
    for (int i = 1; i < count; i++) {
        static uint8_t octets[1 << 16];
        FILE *file = fopen(paths[i], "rb");
        size_t size = file ? fread(octets, 1, sizeof octets, file) : 0;
        if (file)
            fclose(file);
        for (unsigned long nth = 0; size > 24 && run(octets + 24, size - 24, le32(octets + 20), nth); nth++)
            failures++;
    }
    printf("%d captures, %lu allocations failed, one at a time\n", count - 1, failures);
    return 0;
}
