/* Link layers: to the IP header behind Ethernet, VLAN tags, SLL, SLL2, loopback, PPPoE, MPLS and raw IP. */

#include "octets.h"
#include "scan.h"

enum {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_RAW_OLD = 12,
    LINK_RAW_BSD = 14,
    LINK_RAW = 101,
    LINK_LOOP = 108,
    LINK_SLL = 113,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_SLL2 = 276,
};

enum {
    TYPE_IPV4 = 0x0800,
    TYPE_ARP = 0x0806,
    TYPE_ETHERNET = 0x6558,
    TYPE_VLAN = 0x8100,
    TYPE_IPV6 = 0x86DD,
    TYPE_MPLS = 0x8847,
    TYPE_MPLS_MULTICAST = 0x8848,
    TYPE_PPPOE = 0x8864,
    TYPE_PPP = 0x880B,
    TYPE_QINQ = 0x88A8,
};

/* A VLAN stack in 24 bits and one: no tag 0, one tag 1 + id, two tags 1 + (1 << 24 | outer << 12 | inner). */
static uint32_t stack_one(uint32_t id) { return id + 1; }
static uint32_t stack_two(uint32_t outer, uint32_t inner) { return ((uint32_t)1 << 24 | outer << 12 | inner) + 1; }

static int is_tag(uint32_t type)
{
    return type == TYPE_VLAN || type == TYPE_QINQ || type == 0x9100 || type == 0x9200 || type == 0x9300;
}

static enum verdict any_ip(struct scan *scan, const struct packet *packet, uint32_t at, uint32_t vlan,
                           const uint8_t *buffer)
{
    if (packet->captured <= at)
        return STRANGE;
    int version = packet->data[at] >> 4;
    return version == 4 || version == 6 ? ip_take(scan, packet, at, vlan, version, buffer) : STRANGE;
}

static enum verdict pppoe(struct scan *scan, const struct packet *packet, uint32_t at, uint32_t vlan,
                          const uint8_t *buffer)
{
    const uint8_t *data = packet->data + at;
    if (packet->captured < at + 8 || data[0] != 0x11 || data[1])
        return STRANGE;
    uint32_t protocol = be16(data + 6);
    if (protocol == 0x0021)
        return ip_take(scan, packet, at + 8, vlan, 4, buffer);
    return protocol == 0x0057 ? ip_take(scan, packet, at + 8, vlan, 6, buffer) : STRANGE;
}

static enum verdict mpls(struct scan *scan, const struct packet *packet, uint32_t at, uint32_t vlan,
                         const uint8_t *buffer)
{
    for (int labels = 0; labels < 8; labels++, at += 4) {
        if (packet->captured < at + 5)
            return STRANGE;
        if (packet->data[at + 2] & 1)
            return any_ip(scan, packet, at + 4, vlan, buffer);
    }
    return STRANGE;
}

/* Behind a header with an EtherType, at `at`. */
static enum verdict ether_type(struct scan *scan, const struct packet *packet, uint32_t type, uint32_t at,
                               const uint8_t *buffer)
{
    uint32_t vlan = 0;
    if (is_tag(type)) {
        const uint8_t *tag = packet->data + at;
        if (packet->captured < at + 8)
            return STRANGE;
        uint32_t outer = be16(tag) & 0xFFFu;
        vlan = stack_one(outer);
        type = be16(tag + 2);
        at += 4;
        if (is_tag(type)) {
            vlan = stack_two(outer, be16(tag + 4) & 0xFFFu);
            type = be16(tag + 6);
            at += 4;
        }
    }
    switch (type) {
    case TYPE_IPV4:
        return ip_take(scan, packet, at, vlan, 4, buffer);
    case TYPE_IPV6:
        return ip_take(scan, packet, at, vlan, 6, buffer);
    case TYPE_PPPOE:
        return pppoe(scan, packet, at, vlan, buffer);
    case TYPE_MPLS:
    case TYPE_MPLS_MULTICAST:
        return mpls(scan, packet, at, vlan, buffer);
    case TYPE_ETHERNET:
    case TYPE_PPP:
        return STRANGE;
    default:
        /* Below 0x0600 it is the length of an LLC frame. */
        return type < 0x0600 || is_tag(type) ? STRANGE : IS_OTHER;
    }
}

static enum verdict loopback(struct scan *scan, const struct packet *packet, const uint8_t *buffer)
{
    if (packet->captured < 4)
        return STRANGE;
    uint32_t family = be32(packet->data), swapped = le32(packet->data);
    if (family == 2 || swapped == 2)
        return ip_take(scan, packet, 4, 0, 4, buffer);
    switch (family < swapped ? family : swapped) {
    case 10:
    case 23:
    case 24:
    case 28:
    case 30:
        return ip_take(scan, packet, 4, 0, 6, buffer);
    default:
        return STRANGE;
    }
}

enum verdict link_take(struct scan *scan, const struct packet *packet, uint32_t link_type, const uint8_t *buffer)
{
    const uint8_t *data = packet->data;
    switch (link_type) {
    case LINK_ETHERNET:
        return packet->captured < 14 ? STRANGE : ether_type(scan, packet, be16(data + 12), 14, buffer);
    case LINK_SLL:
        return packet->captured < 16 ? STRANGE : ether_type(scan, packet, be16(data + 14), 16, buffer);
    case LINK_SLL2:
        return packet->captured < 20 ? STRANGE : ether_type(scan, packet, be16(data), 20, buffer);
    case LINK_RAW_OLD:
    case LINK_RAW_BSD:
    case LINK_RAW:
        return any_ip(scan, packet, 0, 0, buffer);
    case LINK_IPV4:
        return ip_take(scan, packet, 0, 0, 4, buffer);
    case LINK_IPV6:
        return ip_take(scan, packet, 0, 0, 6, buffer);
    case LINK_NULL:
    case LINK_LOOP:
        return loopback(scan, packet, buffer);
    default:
        return STRANGE;
    }
}
