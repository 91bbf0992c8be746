/* The shortcut for the most frequent packets of all: plain ESP over IPv4 in Ethernet, of a busy flow.

   A cache in front of the table of flows: what is not found here takes the ordinary way. Inline, because the loop over
   the records then keeps what it counts in registers. */
#ifndef IPSECANALYZE_SHORTCUT_H
#define IPSECANALYZE_SHORTCUT_H

#include "octets.h"
#include "scan.h"

_Static_assert(SHORTCUTS == 1 << 10, "`shortcut_place` gives ten bits");

static inline uint32_t shortcut_place(const struct scan *scan, uint64_t addresses, uint32_t spi)
{
    return (uint32_t)((addresses ^ scan->flows->secret[0] ^ spi) * UINT64_C(0x9E3779B97F4A7C15) >> 54);
}

/* Whether the packet was taken. */
static inline int shortcut_take(struct scan *scan, const uint8_t *data, uint32_t captured, int64_t time_ns,
                                uint64_t frame)
{
    if (captured < 14 + 28 || be16(data + 12) != 0x0800 || data[14] != 0x45 || data[23] != 50)
        return 0;
    uint32_t total = be16(data + 16), fragment = be16(data + 20), spi = be32(data + 34);
    uint64_t addresses = host64(data + 26);
    const struct shortcut *known = scan->shortcuts + shortcut_place(scan, addresses, spi);
    if (known->addresses != addresses || known->spi != spi || !known->lane)
        return 0;
    if (fragment & 0xBFFF || total < 28 || total + 14 > captured || scan->wants_protected)
        return 0;
    return lane_take(known->lane, be32(data + 38), total - 20, time_ns, frame, 0,
                     lane_header(data[22], data[15], fragment >> 14 & 1));
}

static inline void shortcut_learn(struct scan *scan, const struct flow_key *key, uint32_t flow)
{
    struct lane *lane = flows_at(scan->flows, flow)->lane;
    if (!lane || key->version != 4 || key->protocol != PROTOCOL_ESP || key->encapsulation != PLAIN)
        return;
    uint8_t both[8];
    memcpy(both, key->source, 4);
    memcpy(both + 4, key->destination, 4);
    uint64_t addresses = host64(both);
    scan->shortcuts[shortcut_place(scan, addresses, key->spi)] = (struct shortcut){addresses, lane, key->spi};
}

#endif
