/* From an IP header on: ESP and AH into flows, IKE into rows, and what cannot be IPsec.

   The rules are those of capture/encapsulation.py and capture/decoder.py; where these depend on more than the packet,
   the packet is STRANGE. Sources: RFC 791, RFC 8200, RFC 3948, RFC 4302, RFC 4303. */

#include <stdlib.h>

#include "octets.h"
#include "scan.h"
#include "shortcut.h"

enum { ICMP = 1, IPIP = 4, TCP = 6, UDP = 17, IPV6_IN_IP = 41, GRE = 47, ESP = 50, AH = 51, ICMPV6 = 58 };
enum { IKE_PORT = 500, NAT_T_PORT = 4500, VXLAN_PORT = 4789, GENEVE_PORT = 6081 };

/* An IP payload. */
struct payload {
    uint32_t start;    /* in the packet */
    uint32_t captured; /* octets of it in the capture */
    uint32_t length;   /* octets of it on the wire */
    int version;
    uint8_t protocol, ttl, traffic_class, dont_fragment;
    uint16_t ip_id;
    uint32_t vlan;
    const uint8_t *source, *destination;
};

/* Read the plain IP header at `start` of a packet of which `captured` octets are there, `wire` were; 0 where it is not
   plain. */
static int read_header(const uint8_t *packet, uint32_t start, uint32_t captured, uint32_t wire, int version,
                       struct payload *payload)
{
    const uint8_t *data = packet + start;
    uint32_t header = version == 4 ? 20 : 40;
    if (captured < start + header + 8)
        return 0;
    payload->start = start + header;
    payload->version = version;
    if (version == 4) {
        uint32_t total = be16(data + 2), place = be16(data + 6);
        if (data[0] != 0x45 || place & 0xBFFF || total < 28)
            return 0;
        payload->length = total - 20;
        payload->traffic_class = data[1];
        payload->ip_id = be16(data + 4);
        payload->dont_fragment = place >> 14 & 1;
        payload->ttl = data[8];
        payload->protocol = data[9];
        payload->source = data + 12;
        payload->destination = data + 16;
    } else {
        uint32_t first = be32(data);
        payload->length = be16(data + 4);
        if (first >> 28 != 6 || payload->length < 8)
            return 0;
        payload->traffic_class = (uint8_t)(first >> 20);
        payload->protocol = data[6];
        payload->ttl = data[7];
        payload->source = data + 8;
        payload->destination = data + 24;
    }
    /* Beyond the frame on the wire: the header contradicts it. */
    if (payload->length > wire - payload->start)
        return 0;
    uint32_t there = captured - payload->start;
    payload->captured = payload->length < there ? payload->length : there;
    return 1;
}

static void fill_addresses(uint8_t *source, uint8_t *destination, const struct payload *payload)
{
    if (payload->version == 4) {
        memcpy(source, payload->source, 4);
        memcpy(destination, payload->destination, 4);
    } else {
        memcpy(source, payload->source, 16);
        memcpy(destination, payload->destination, 16);
    }
}

static int add_row(struct scan *scan, const struct packet *packet, const struct payload *payload, struct row row,
                   uint32_t at, const uint8_t *buffer)
{
    if (scan->row_count == scan->row_room) {
        size_t room = scan->row_room ? scan->row_room * 2 : 64;
        struct row *grown = realloc(scan->rows, room * sizeof *grown);
        if (!grown)
            return -1;
        scan->rows = grown;
        scan->row_room = room;
    }
    row.start = (uint64_t)(packet->data - buffer) + at;
    row.time_ns = packet->time_ns;
    row.frame = packet->frame;
    row.interface = packet->interface;
    row.vlan = payload->vlan;
    row.ip_id = payload->ip_id;
    row.version = (uint8_t)payload->version;
    row.ttl = payload->ttl;
    row.traffic_class = payload->traffic_class;
    row.dont_fragment = payload->dont_fragment;
    fill_addresses(row.source, row.destination, payload);
    scan->rows[scan->row_count++] = row;
    return 0;
}

/* Put an ESP or AH packet into its flow; its header begins `skip` octets into the payload, the SPI at `spi`. */
static enum verdict protected_packet(struct scan *scan, const struct packet *packet, const struct payload *payload,
                                     enum protocol protocol, uint32_t skip, uint32_t spi, uint32_t ports,
                                     const uint8_t *buffer)
{
    const uint8_t *data = packet->data + payload->start;
    struct flow_key key = {.spi = be32(data + spi),
                           .version = (uint8_t)payload->version,
                           .protocol = (uint8_t)protocol,
                           .encapsulation = (uint8_t)(ports ? IN_UDP : PLAIN)};
    fill_addresses(key.source, key.destination, payload);
    struct arrival arrival = {
        .time_ns = packet->time_ns,
        .frame = packet->frame,
        .length = payload->length - skip,
        .sequence = be32(data + spi + 4),
        .ports = ports,
        .vlan = payload->vlan,
        .ttl = payload->ttl,
        .traffic_class = payload->traffic_class,
        .dont_fragment = payload->dont_fragment,
        .truncated = payload->captured < payload->length,
    };
    int64_t flow = flows_arrive(scan->flows, &key, &arrival, scan->capture);
    if (flow == -2) {
        scan->is_out_of_memory = 1;
        return STRANGE;
    }
    if (flow >= 0)
        shortcut_learn(scan, &key, (uint32_t)flow);
    enum verdict verdict = protocol == PROTOCOL_ESP ? IS_ESP : IS_AH;
    if (scan->wants_protected) {
        struct row row = {
            .captured = payload->captured - skip,
            .length = payload->length - skip,
            .source_port = (uint16_t)(ports >> 16),
            .destination_port = (uint16_t)ports,
            .kind = (uint8_t)verdict,
            .encapsulation = key.encapsulation,
            .flow = flow < 0 ? UINT32_MAX : (uint32_t)flow,
        };
        if (add_row(scan, packet, payload, row, payload->start + skip, buffer)) {
            scan->is_out_of_memory = 1;
            return STRANGE;
        }
    }
    return verdict;
}

static int is_ike_version(uint8_t version) { return version == 0x10 || version >> 4 == 2; }

/* Whether octets are strictly an IKE message (`looks_like_ike`). */
static int looks_like_ike(const uint8_t *data, uint32_t captured, uint32_t length)
{
    static const uint64_t exchanges_v1 = 1u << 1 | 1u << 2 | 1u << 4 | 1u << 5 | 1u << 6 | (uint64_t)7 << 32;
    static const uint64_t exchanges_v2 = (uint64_t)0xFF << 34 | (uint64_t)1 << 43 | (uint64_t)1 << 44;
    if (captured < 28 || length < 28 || !is_ike_version(data[17]) || be32(data + 24) != length || !host64(data))
        return 0;
    uint8_t next = data[16], exchange = data[18], flags = data[19];
    int has_responder = host64(data + 8) != 0;
    if (data[17] == 0x10) {
        int is_payload = (next >= 1 && next <= 16) || next == 20 || next == 21 || (next >= 130 && next <= 132);
        if (exchange > 63 || !(exchanges_v1 >> exchange & 1) || !is_payload || flags & 0xF8)
            return 0;
        if (!has_responder && exchange != 1 && exchange != 2 && exchange != 4 && exchange != 5)
            return 0;
        if (flags & 1)
            return 1;
    } else {
        if (exchange > 63 || !(exchanges_v2 >> exchange & 1) || next < 33 || next > 54 || flags & 0xC7)
            return 0;
        if (!has_responder && exchange != 34 && exchange != 38)
            return 0;
    }
    if (captured < 32)
        return length >= 32;
    uint32_t first = be16(data + 30);
    return first >= 4 && first <= length - 28;
}

static enum verdict ike(struct scan *scan, const struct packet *packet, const struct payload *payload, uint32_t ports,
                        uint32_t skip, const uint8_t *buffer)
{
    uint32_t captured = payload->captured - 8;
    if (payload->vlan || payload->captured < payload->length || captured < 12)
        return UDP_STRANGE;
    struct row row = {
        .captured = captured - skip,
        .length = payload->length - 8 - skip,
        .source_port = (uint16_t)(ports >> 16),
        .destination_port = (uint16_t)ports,
        .kind = IS_IKE,
        .encapsulation = skip ? IN_UDP : PLAIN,
    };
    if (add_row(scan, packet, payload, row, payload->start + 8 + skip, buffer)) {
        scan->is_out_of_memory = 1;
        return STRANGE;
    }
    return IS_IKE;
}

/* Towards these services only an IKE header counts, whatever the other port. */
static int is_other_service(uint32_t port)
{
    switch (port) {
    case 53: case 67: case 68: case 69: case 123: case 137: case 138: case 161: case 162: case 443: case 514:
    case 1812: case 1813: case 1900: case 5353:
        return 1;
    default:
        return 0;
    }
}

/* `is_inside`: what AH protects, which is not taken. */
static enum verdict udp(struct scan *scan, const struct packet *packet, const struct payload *payload, int is_inside,
                        const uint8_t *buffer)
{
    const uint8_t *data = packet->data + payload->start;
    if (payload->captured < 8 || be16(data + 4) != payload->length)
        return STRANGE;
    uint32_t ports = be32(data), source = ports >> 16, destination = ports & 0xFFFF;
    uint32_t captured = payload->captured - 8, length = payload->length - 8;
    const uint8_t *inner = data + 8;
    if (source == VXLAN_PORT || destination == VXLAN_PORT || source == GENEVE_PORT || destination == GENEVE_PORT)
        return UDP_STRANGE;
    int nat_traversal = source == NAT_T_PORT || destination == NAT_T_PORT;
    if (!nat_traversal && source != IKE_PORT && destination != IKE_PORT) {
        int marked = captured >= 4 && !be32(inner);
        uint32_t skip = marked ? 4 : 0;
        if (looks_like_ike(inner + skip, captured - skip, length - skip))
            return UDP_STRANGE;
        uint32_t size = payload->version == 4 ? 4 : 16;
        if (scan->watched_count && scan_is_watched(scan, payload->source, payload->destination, size, ports))
            return UDP_STRANGE;
        return IS_OTHER;
    }
    if (is_inside || captured < 8 || is_other_service(source) || is_other_service(destination))
        return UDP_STRANGE;
    int marked = !be32(inner);
    if (marked || !nat_traversal)
        return marked == nat_traversal ? ike(scan, packet, payload, ports, marked ? 4 : 0, buffer) : UDP_STRANGE;
    if (captured > 28 && is_ike_version(inner[17]) && looks_like_ike(inner, captured, length))
        return UDP_STRANGE;
    return protected_packet(scan, packet, payload, PROTOCOL_ESP, 8, 8, ports, buffer);
}

static enum verdict tcp(struct scan *scan, const struct packet *packet, const struct payload *payload)
{
    const uint8_t *data = packet->data + payload->start;
    if (payload->captured < 20)
        return STRANGE;
    uint32_t size = (uint32_t)(data[12] >> 4) * 4, ports = be32(data);
    if (size < 20 || size > payload->captured)
        return STRANGE;
    if (packet->captured - payload->start >= size + 6 && !memcmp(data + size, "IKETCP", 6))
        return STRANGE;
    if (ports >> 16 == NAT_T_PORT || (ports & 0xFFFF) == NAT_T_PORT)
        return STRANGE;
    uint32_t addresses = payload->version == 4 ? 4 : 16;
    if (scan->watched_count && scan_is_watched(scan, payload->source, payload->destination, addresses, ports))
        return STRANGE;
    return IS_OTHER;
}

/* Whether ICMP that is no error: echoes, and ICMPv6's neighbour discovery. */
static enum verdict icmp(const struct packet *packet, const struct payload *payload)
{
    if (payload->captured < 8)
        return STRANGE;
    uint8_t type = packet->data[payload->start];
    if (payload->protocol == ICMP)
        return type == 0 || type == 8 ? IS_OTHER : STRANGE;
    return type == 128 || type == 129 || (type >= 133 && type <= 136) ? IS_OTHER : STRANGE;
}

/* What AH protects, which nothing is done with: IS_OTHER where it cannot be IPsec. */
static enum verdict behind_ah(struct scan *scan, const struct packet *packet, const struct payload *inside,
                              const uint8_t *buffer)
{
    switch (inside->protocol) {
    case TCP:
        return tcp(scan, packet, inside);
    case UDP:
        return udp(scan, packet, inside, 1, buffer);
    case ICMP:
    case ICMPV6:
        return icmp(packet, inside);
    default:
        return STRANGE;
    }
}

static enum verdict ah(struct scan *scan, const struct packet *packet, const struct payload *payload,
                       const uint8_t *buffer)
{
    const uint8_t *data = packet->data + payload->start;
    if (payload->captured < 12)
        return STRANGE;
    uint32_t size = ((uint32_t)data[1] + 2) * 4;
    if (size < 12 || size > payload->captured)
        return STRANGE;
    struct payload inside = *payload;
    inside.protocol = data[0];
    inside.start += size;
    inside.captured -= size;
    inside.length -= size;
    if (inside.protocol == IPIP || inside.protocol == IPV6_IN_IP) {
        /* Tunnel mode. */
        struct payload tunnelled = {.vlan = payload->vlan};
        if (!read_header(packet->data, inside.start, inside.start + inside.captured, inside.start + inside.length,
                         inside.protocol == IPIP ? 4 : 6, &tunnelled))
            return STRANGE;
        inside = tunnelled;
    }
    if (behind_ah(scan, packet, &inside, buffer) != IS_OTHER)
        return STRANGE;
    return protected_packet(scan, packet, payload, PROTOCOL_AH, 0, 4, 0, buffer);
}

static enum verdict payload_take(struct scan *scan, const struct packet *packet, const struct payload *payload,
                                 const uint8_t *buffer)
{
    switch (payload->protocol) {
    case ESP:
        return protected_packet(scan, packet, payload, PROTOCOL_ESP, 0, 0, 0, buffer);
    case UDP:
        return udp(scan, packet, payload, 0, buffer);
    case TCP:
        return tcp(scan, packet, payload);
    case AH:
        return ah(scan, packet, payload, buffer);
    case ICMP:
    case ICMPV6:
        return icmp(packet, payload);
    case IPIP: case IPV6_IN_IP: case GRE: case 97: case 137: /* tunnels */
        return STRANGE;
    case 0: case 43: case 44: case 59: case 60: case 135: case 139: case 140: /* extension headers of IPv6 */
        return STRANGE;
    default:
        return IS_OTHER;
    }
}

enum verdict ip_take(struct scan *scan, const struct packet *packet, uint32_t start, uint32_t vlan, int version,
                     const uint8_t *buffer)
{
    struct payload payload = {.vlan = vlan};
    if (!read_header(packet->data, start, packet->captured, packet->wire, version, &payload))
        return STRANGE;
    return payload_take(scan, packet, &payload, buffer);
}
