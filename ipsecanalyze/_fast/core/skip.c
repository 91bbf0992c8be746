#include "skip.h"

#include "octets.h"

enum { CAPTURED_AT = 8, LEAST_HEADER = 16 };

uint64_t skip_records(const uint8_t *octets, size_t size, size_t until, size_t *stop, int big_endian,
                      uint32_t record_header, uint32_t limit)
{
    uint64_t records = 0;
    size_t at = 0;
    while (record_header >= LEAST_HEADER && at < until && size - at >= record_header) {
        const uint8_t *field = octets + at + CAPTURED_AT;
        uint32_t captured = big_endian ? be32(field) : le32(field);
        if (captured > limit || captured > size - at - record_header)
            break;
        at += record_header + captured;
        records++;
    }
    *stop = at;
    return records;
}
