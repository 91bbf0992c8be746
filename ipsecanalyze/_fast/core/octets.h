/* Integers as they stand in packets and files. */
#ifndef IPSECANALYZE_OCTETS_H
#define IPSECANALYZE_OCTETS_H

#include <stdint.h>
#include <string.h>

static inline uint16_t be16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

static inline uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint32_t le32(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static inline uint64_t host64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* How many bits a number needs; 0 for zero. */
static inline unsigned bit_length(uint64_t value) { return value ? 64u - (unsigned)__builtin_clzll(value) : 0u; }

#endif
