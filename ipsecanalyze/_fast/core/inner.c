#include "inner.h"

#include <string.h>

#include "octets.h"

enum { TRAILER = 2, IPV4 = 4, SHORTEST = 24 /* an IPv4 header and ports */ };

uint32_t inner_plain(const uint8_t *plain, size_t size, uint8_t key[INNER_KEY])
{
    if (size < SHORTEST + TRAILER || plain[size - 1] != IPV4)
        return 0;
    uint32_t padding = plain[size - 2];
    if (size < SHORTEST + TRAILER + padding)
        return 0;
    uint32_t inner = (uint32_t)(size - TRAILER - padding);
    for (uint32_t i = 0; i < padding; i++) /* RFC 4303 §2.4: padding is 1, 2, 3, ... */
        if (plain[inner + i] != i + 1)
            return 0;
    /* No options; flags and offset of what is no fragment. */
    if (plain[0] != 0x45 || be16(plain + 2) != inner || plain[6] & 0xBF || plain[7])
        return 0;
    key[0] = plain[9];
    memcpy(key + 1, plain + 12, INNER_KEY - 1);
    return inner;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
    return at + 4;
}

static uint8_t *put_octets(uint8_t *at, const void *octets, size_t size)
{
    memcpy(at, octets, size);
    return at + size;
}

static uint8_t *put_decimal(uint8_t *at, uint64_t value)
{
    uint8_t digits[20];
    int first = sizeof digits;
    do {
        digits[--first] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value);
    return put_octets(at, digits + first, sizeof digits - (size_t)first);
}

/* Zeros up to the next whole word of 32 bits from `start` on. */
static uint8_t *put_fill(uint8_t *at, const uint8_t *start)
{
    while ((at - start) & 3)
        *at++ = 0;
    return at;
}

size_t inner_block(uint8_t *out, const uint8_t *data, uint32_t size, int64_t time_ns, const struct comment *comment,
                   uint64_t frame, uint64_t sequence)
{
    uint8_t *at = put32(out, 6);
    at = put32(at + 4, 0); /* the block's octets are put in at the end; interface 0 */
    at = put32(at, (uint32_t)((uint64_t)time_ns >> 32));
    at = put32(at, (uint32_t)(uint64_t)time_ns);
    at = put32(at, size);
    at = put32(at, size);
    at = put_fill(put_octets(at, data, size), out);

    uint8_t *option = at, *text = at + 4;
    at = put_octets(text, comment->text, comment->head_size);
    at = put_decimal(at, frame);
    at = put_octets(at, comment->text + comment->head_size, comment->middle_size);
    at = put_decimal(at, sequence);
    put32(option, 1 | (uint32_t)(at - text) << 16); /* opt_comment */
    at = put32(put_fill(at, text), 0);              /* opt_endofopt */

    size_t total = (size_t)(at + 4 - out);
    put32(at, (uint32_t)total);
    put32(out + 4, (uint32_t)total);
    return total;
}
