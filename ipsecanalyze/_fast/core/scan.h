/* One pass over the packets of a capture: from octets to flows, and rows of what Python must see.

   It takes what the short path of shortpath.py takes, and says STRANGE to the rest, which the general path of capture/
   then decodes: whatever is odd in the least is not judged here. */
#ifndef IPSECANALYZE_SCAN_H
#define IPSECANALYZE_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "flows.h"

/* What is said of a packet, as in shortpath.py. */
enum verdict { STRANGE = 0, UDP_STRANGE = 1, IS_ESP = 2, IS_AH = 3, IS_OTHER = 4, IS_IKE = 5, VERDICTS = 6 };

/* Why a run ended. */
enum ending {
    NEEDS_MORE = 0, /* the octets are used up but for a record that is not all there */
    ODD_RECORD = 1, /* the walkers of capture/ must look at the record */
    STRANGE_PACKET = 2, /* the general path must look at the packet; the record is used up */
    ENDED = 3, /* scan_read: nothing more comes, or the window is full */
    NO_MEMORY = -1,
    READ_FAILED = -2, /* scan_read: see errno */
};

/* A datagram that Python must see: IKE, and ESP and AH when asked. Read with `ROW` in columns.py. */
struct row {
    uint64_t start; /* of the payload, in the buffer that was scanned */
    int64_t time_ns;
    uint64_t frame;
    uint32_t captured, length; /* octets of the payload: in the capture, on the wire */
    uint32_t interface;
    uint32_t vlan; /* as in struct arrival */
    uint16_t source_port, destination_port, ip_id;
    uint8_t kind, version, encapsulation, ttl, traffic_class, dont_fragment;
    uint8_t source[16], destination[16];
    uint32_t flow; /* of ESP and AH; UINT32_MAX where the limit dropped it */
};

_Static_assert(sizeof(struct row) == 88, "a row has no padding: columns.py reads it field by field");

/* An interface of a pcapng section, or that of a pcap file. */
struct interface {
    uint32_t link_type;
    uint32_t is_known; /* its times fit; all packets of others are odd records */
    uint64_t multiplier, divisor; /* from ticks to nanoseconds */
    int64_t offset_ns; /* within FARTHEST_NS where it is known */
};

/* Where plain ESP over IPv4 was counted last, by a hash of its addresses and SPI; see shortcut.h. */
struct shortcut {
    uint64_t addresses;
    struct lane *lane;
    uint32_t spi;
};

enum { SHORTCUTS = 1024 };

/* A packet on its way through the layers. */
struct packet {
    const uint8_t *data;
    uint32_t captured, wire;
    int64_t time_ns;
    uint64_t frame;
    uint32_t interface;
};

struct scan {
    struct flows *flows;
    uint32_t capture;
    int wants_protected; /* ESP and AH as rows too */

    /* The records */
    int is_pcapng, big_endian, nanoseconds;
    uint32_t record_header, record_limit;
    struct interface *interfaces; /* of the section; a pcap file has one */
    uint32_t interface_count, section_base;

    /* Where it is */
    uint64_t frame;       /* of the last packet */
    int64_t last_time_ns; /* pcapng: of the last packet */
    int64_t last_seconds; /* pcap: of the last record, -1 before the first */

    /* Counts */
    uint64_t octets, truncated;
    int64_t earliest_ns, latest_ns;
    uint64_t verdicts[VERDICTS];

    /* Conversations on ports that say nothing, and TCP connections, that Python follows */
    uint64_t *watched;
    uint64_t watched_mask, watched_count;

    struct shortcut shortcuts[SHORTCUTS];

    /* Results of a run */
    struct row *rows;
    size_t row_count, row_room;
    int is_out_of_memory;
    struct packet strange; /* where it ended with STRANGE_PACKET */
    size_t record;         /* where the record of that packet begins */
    enum verdict verdict;
};

/* Take records from `position` on, up to `end`; `position` gets where the first other one begins. */
enum ending scan_run(struct scan *scan, const uint8_t *buffer, size_t end, size_t *position);

/* Octets of a file: those in `position` to `end` are still to be taken, the first one stands at `begin` in the file. */
struct window {
    uint8_t *octets;
    size_t size, position, end;
    uint64_t begin;
};

/* The same for a file up to `stop`, read into the window until Python must see something, or `budget` octets were read. */
enum ending scan_read(struct scan *scan, int fd, struct window *window, uint64_t stop, uint64_t budget);

void scan_begin_counts(struct scan *scan);

/* The verdict on a packet, which was taken where that is not STRANGE or UDP_STRANGE. */
enum verdict link_take(struct scan *scan, const struct packet *packet, uint32_t link_type, const uint8_t *buffer);

/* The same from the IP header at `start` on, `vlan` as in struct arrival. */
enum verdict ip_take(struct scan *scan, const struct packet *packet, uint32_t start, uint32_t vlan, int version,
                     const uint8_t *buffer);

/* Watch the packets between two endpoints, given as address[16] and port in network order, each 18 octets. */
int scan_watch(struct scan *scan, const uint8_t *one, const uint8_t *other);
int scan_is_watched(const struct scan *scan, const uint8_t *source, const uint8_t *destination, uint32_t size,
                    uint32_t ports);
void scan_forget_watched(struct scan *scan);
void scan_end(struct scan *scan);

#endif
