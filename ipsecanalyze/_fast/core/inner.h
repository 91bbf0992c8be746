/* Inner packets that are plain, as blocks of pcapng: what opening does around the cipher. The general way is
   opening/packets.py and opening/inner_file.py, which give the same octets. */
#ifndef IPSECANALYZE_INNER_H
#define IPSECANALYZE_INNER_H

#include <stddef.h>
#include <stdint.h>

enum {
    INNER_KEY = 13,        /* protocol, addresses and ports: what conversations are known by (opening/inside.py) */
    INNER_COMMENT = 160,   /* octets of a comment at most, its numbers not counted */
    INNER_BLOCK_MORE = 256 /* octets of a block, at most, that are not the packet's */
};

/* What the comments of a flow's packets say around frame and sequence number. */
struct comment {
    uint32_t head_size, middle_size;
    char text[INNER_COMMENT]; /* head, then middle */
};

/* The octets of the IPv4 packet in a plaintext with its trailer, and the key of its conversation; 0 where anything is
   out of the ordinary: padding, next header, options, fragments, TFC padding. */
uint32_t inner_plain(const uint8_t *plain, size_t size, uint8_t key[INNER_KEY]);

/* Write an Enhanced Packet Block with a comment, at most `size` + INNER_BLOCK_MORE octets; returns how many. */
size_t inner_block(uint8_t *out, const uint8_t *data, uint32_t size, int64_t time_ns, const struct comment *comment,
                   uint64_t frame, uint64_t sequence);

#endif
