/* Records of pcap that are passed over: where a file can be cut, and how many packets are in front of that. */
#ifndef IPSECANALYZE_SKIP_H
#define IPSECANALYZE_SKIP_H

#include <stddef.h>
#include <stdint.h>

/* Pass over whole records until one ends at `until` or behind it, or one is not whole or has more than `limit` octets;
   `stop` gets where that is. Returns how many records. */
uint64_t skip_records(const uint8_t *octets, size_t size, size_t until, size_t *stop, int big_endian,
                      uint32_t record_header, uint32_t limit);

#endif
