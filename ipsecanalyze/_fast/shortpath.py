"""The short path for plain packets: one look at fixed offsets instead of a full decoding.

It takes what most captures are full of: Ethernet (one VLAN tag at most), SLL, SLL2 or raw IP; IPv4 without options and
not a fragment, IPv6 without extension headers; ESP, AH, ESP in UDP 4500, IKE, and TCP and UDP that cannot be IPsec. It
must give exactly what the general path gives; whatever is odd in the least is left to that (verdict STRANGE or UDP).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Final

from ipsecanalyze._fast.intake import FLUSH_EVERY, Intake, circumstances
from ipsecanalyze._fast.ports import Meaning, PortMeanings, endpoints
from ipsecanalyze.capture.encapsulation import IKE_PORT, NAT_T_PORT, looks_like_ike
from ipsecanalyze.capture.ip import address_text
from ipsecanalyze.capture.packet import Datagram, DatagramKind, Encapsulation, Packet
from ipsecanalyze.capture.tcp_stream import PREFIX
from ipsecanalyze.capture.transport import AH, ESP, ICMP, ICMPV6, TCP, UDP
from ipsecanalyze.esp.arrival import Circumstances

__all__ = ["ShortPath", "Take", "Verdict"]

#: take(data, start, stop, lost, time_ns, frame) → verdict. The packet is data[start:stop]; `lost` octets of it were on
#: the wire and are not in the capture.
Take = Callable[[bytes, int, int, int, int, int], int]


class Verdict:
    """What the short path says of a packet; plain integers, indexes of `Intake.quick`."""

    STRANGE: Final = 0
    """For the general path."""
    UDP: Final = 1
    """For the general path; a UDP packet in plain headers."""
    ESP: Final = 2
    """Taken."""
    AH: Final = 3
    """Taken."""
    OTHER: Final = 4
    """Taken: nothing to do with IPsec."""
    IKE: Final = 5
    """Taken."""


_IPV4: Final = Struct(">BBH2xHBB2x12sI").unpack_from
_IPV6: Final = Struct(">IHBB36sI").unpack_from
_SPI_SEQUENCE: Final = Struct(">4sI").unpack_from
_TYPE_IPV4, _TYPE_IPV6, _TYPE_ARP, _TYPE_VLAN = b"\x08\x00", b"\x86\xdd", b"\x08\x06", b"\x81\x00"
_ETHERNET_SIZE: Final = 14
#: LINKTYPE → where the EtherType is, and the octets of the header: Ethernet, SLL, SLL2.
_ETHERTYPE_AT: Final = {1: (12, _ETHERNET_SIZE), 113: (14, 16), 276: (0, 20)}
_MARKER: Final = b"\0\0\0\0"
_IKE_VERSIONS: Final = frozenset((0x10, *range(0x20, 0x30)))
_ECHOES: Final = frozenset((0, 8, 128, 129))
#: Members of enums are looked up slowly, and these are for every packet.
_IKE, _UDP_CARRIES, _NOTHING_CARRIES = DatagramKind.IKE, Encapsulation.UDP, Encapsulation.NONE


class ShortPath:
    """Puts plain packets into the lanes of an intake."""

    def __init__(self, intake: Intake, *, enabled: bool = True) -> None:
        self._intake = intake
        self._enabled = enabled
        self._lanes = intake.lanes
        self._quick_esp = not intake.protected_datagrams
        self._ports = PortMeanings(intake.decoder)

    def for_link(self, link_type: int) -> Take:
        """The function for packets of that LINKTYPE; where there is no short path, one that finds all strange."""
        if not self._enabled:
            return _strange
        if link_type in _ETHERTYPE_AT:
            return self._make_take(*_ETHERTYPE_AT[link_type])
        takers: dict[int, Take] = {
            12: self._raw,
            14: self._raw,
            101: self._raw,
            228: self._ipv4_only,
            229: self._ipv6_only,
        }
        return takers.get(link_type, _strange)

    def general(self, packet: Packet, verdict: int = Verdict.STRANGE) -> None:
        """Send a packet through the general path, which may learn of conversations: what ports mean may change."""
        found = self._intake.decode(packet)
        if verdict == Verdict.STRANGE:
            self._ports.forget()
        elif found and found[0].kind is DatagramKind.IKE:
            ports = (found[0].source_port, found[0].destination_port)
            if IKE_PORT not in ports and NAT_T_PORT not in ports:
                self._ports.forget(tcp=False)

    def odd(self, packet: Packet) -> None:
        """Count a packet that no tight loop has counted, and send it through the general path."""
        intake = self._intake
        intake.count(packet)
        self.general(packet)
        if intake.packets % FLUSH_EVERY == 0:
            intake.flush_if_worth(intake.packets)

    # Link layers

    def _make_take(self, kind_at: int, size: int) -> Take:
        """The function for a link header of `size` octets with the EtherType at `kind_at`.

        IPv4 right behind it, which is most of all packets, is read by the same `unpack`: this is the innermost loop,
        and a call costs as much here as all the comparisons.
        """
        unpack = Struct(f">{kind_at}x2s{size - kind_at - 2}xBBH2xHBB2x12sI").unpack_from
        least, payload_at, lanes, new_lane = size + 28, size + 20, self._lanes, self._intake.lane
        network, udp, tcp, quick_esp = self._ethertype, self._udp, self._tcp, self._quick_esp

        def take(data: bytes, start: int, stop: int, lost: int, time_ns: int, frame: int) -> int:
            if stop - start < least:
                return network(data, start, stop, lost, time_ns, frame, kind_at, size)
            kind, first, service, total, place, ttl, protocol, key, word = unpack(data, start)
            end = start + size + total
            if kind != _TYPE_IPV4 or first != 0x45 or place & 0xBFFF or total < 28 or end > stop:
                return network(data, start, stop, lost, time_ns, frame, kind_at, size)
            if protocol == ESP and quick_esp:
                lane = lanes.get(key)
                if lane is None:
                    lane = new_lane(key, "ESP", key[:8], int.from_bytes(key[8:]), Encapsulation.NONE, 0)
                lane[0].append((word, total - 20, time_ns, frame, ttl, service, place >= 0x4000, 0, None))
                return Verdict.ESP
            if protocol == UDP:
                header = (time_ns, frame, ttl, service, place >= 0x4000)
                return udp(data, start + payload_at, end, stop, key, word, header, None)
            if protocol == TCP:
                return tcp(data, start + payload_at, end, stop, key)
            return network(data, start, stop, lost, time_ns, frame, kind_at, size)

        return take

    def _ethertype(
        self, data: bytes, start: int, stop: int, lost: int, time_ns: int, frame: int, kind_at: int, size: int
    ) -> int:
        kind = data[start + kind_at : start + kind_at + 2]
        vlan: tuple[int, ...] = ()
        if kind == _TYPE_VLAN and size == _ETHERNET_SIZE:
            kind = data[start + 16 : start + 18]
            vlan = ((data[start + 14] << 8 | data[start + 15]) & 0xFFF,)
            size += 4
        # Where the record is too short for these octets, it is too short for IP, which is looked at next.
        if kind == _TYPE_IPV4:
            return self._ipv4(data, start + size, stop, lost, time_ns, frame, vlan)
        if kind == _TYPE_IPV6:
            return self._ipv6(data, start + size, stop, lost, time_ns, frame, vlan)
        if kind == _TYPE_ARP and stop - start >= size:
            return Verdict.OTHER
        return Verdict.STRANGE

    def _raw(self, data: bytes, start: int, stop: int, lost: int, time_ns: int, frame: int) -> int:
        if stop - start < 20:
            return Verdict.STRANGE
        if data[start] == 0x45:
            return self._ipv4(data, start, stop, lost, time_ns, frame, ())
        return self._ipv6(data, start, stop, lost, time_ns, frame, ())

    def _ipv4_only(self, data: bytes, start: int, stop: int, lost: int, time_ns: int, frame: int) -> int:
        return self._ipv4(data, start, stop, lost, time_ns, frame, ())

    def _ipv6_only(self, data: bytes, start: int, stop: int, lost: int, time_ns: int, frame: int) -> int:
        return self._ipv6(data, start, stop, lost, time_ns, frame, ())

    # Network layers. Where the header is whole, `key` is source, destination and the first four octets behind the
    # header (the SPI, or both ports), and `word` the four octets behind these.

    def _ipv4(
        self, data: bytes, start: int, stop: int, lost: int, time_ns: int, frame: int, vlan: tuple[int, ...]
    ) -> int:
        if stop - start < 28:
            return Verdict.STRANGE
        first, service, total, place, ttl, protocol, key, word = _IPV4(data, start)
        end = start + total
        if first != 0x45 or place & 0xBFFF or total < 28 or end > stop + lost:
            return Verdict.STRANGE
        special: Circumstances | None = None
        if vlan or end > stop:
            special = circumstances(vlan, 1, end > stop)
        if protocol == ESP:
            if not self._quick_esp:
                return Verdict.STRANGE
            lane = self._lanes.get(key)
            if lane is None:
                spi = int.from_bytes(key[8:])
                lane = self._intake.lane(key, "ESP", key[:8], spi, Encapsulation.NONE, 0)
            lane[0].append((word, total - 20, time_ns, frame, ttl, service, place >= 0x4000, 0, special))
            return Verdict.ESP
        if protocol == TCP:
            return self._tcp(data, start + 20, end, stop, key)
        if protocol == UDP:
            header = (time_ns, frame, ttl, service, place >= 0x4000)
            return self._udp(data, start + 20, end, stop, key, word, header, special)
        if protocol == AH:
            header = (time_ns, frame, ttl, service, place >= 0x4000)
            return self._ah(data, start + 20, end, stop, key[:8], header, special, vlan)
        return Verdict.STRANGE

    def _ipv6(
        self, data: bytes, start: int, stop: int, lost: int, time_ns: int, frame: int, vlan: tuple[int, ...]
    ) -> int:
        if stop - start < 48:
            return Verdict.STRANGE
        first, length, protocol, hops, key, word = _IPV6(data, start)
        end = start + 40 + length
        if first >> 28 != 6 or length < 8 or end > stop + lost:
            return Verdict.STRANGE
        special = circumstances(vlan, 1, end > stop) if vlan or end > stop else None
        header = (time_ns, frame, hops, first >> 20 & 0xFF, False)
        if protocol == ESP:
            if not self._quick_esp:
                return Verdict.STRANGE
            lane = self._lanes.get(key)
            if lane is None:
                spi = int.from_bytes(key[32:])
                lane = self._intake.lane(key, "ESP", key[:32], spi, Encapsulation.NONE, 0)
            lane[0].append((word, length, *header, 0, special))
            return Verdict.ESP
        if protocol == TCP:
            return self._tcp(data, start + 40, end, stop, key)
        if protocol == UDP:
            return self._udp(data, start + 40, end, stop, key, word, header, special)
        if protocol == AH:
            return self._ah(data, start + 40, end, stop, key[:32], header, special, vlan)
        return Verdict.STRANGE

    # Behind IP: the payload is data[start:end] on the wire, data[start:min(end, stop)] in the capture.

    def _ah(
        self,
        data: bytes,
        start: int,
        end: int,
        stop: int,
        addresses: bytes,
        header: tuple[int, int, int, int, bool],
        special: Circumstances | None,
        vlan: tuple[int, ...],
    ) -> int:
        captured = min(end, stop)
        if not self._quick_esp or captured - start < 12:
            return Verdict.STRANGE
        size = (data[start + 1] + 2) * 4
        if size < 12 or start + size > captured:
            return Verdict.STRANGE
        spi, sequence = _SPI_SEQUENCE(data, start + 4)
        key = b"AH" + addresses + spi
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._intake.lane(key, "AH", addresses, int.from_bytes(spi), Encapsulation.NONE, 0)
        if not self._behind_ah(data[start], data, start + size, end, captured, addresses, header, vlan):
            return Verdict.STRANGE
        lane[0].append((sequence, end - start, *header, 0, special))
        return Verdict.AH

    def _behind_ah(
        self,
        protocol: int,
        data: bytes,
        start: int,
        end: int,
        stop: int,
        addresses: bytes,
        header: tuple[int, int, int, int, bool],
        vlan: tuple[int, ...],
    ) -> bool:
        """Whether what AH protects was taken, or is nothing to take; nothing was done where it is not."""
        room = stop - start
        if protocol == TCP and room >= 20:
            key = addresses + data[start : start + 4]
            return self._tcp(data, start, end, stop, key) == Verdict.OTHER
        if protocol == UDP and room >= 8:
            key, word = addresses + data[start : start + 4], int.from_bytes(data[start + 4 : start + 8])
            return self._udp(data, start, end, stop, key, word, header, None, take=False) == Verdict.OTHER
        if protocol in (ICMP, ICMPV6) and room >= 8:
            return data[start] in _ECHOES
        # AH within is left to the general path: here it would be recursion on input.
        if protocol == 4 and room >= 28 and data[start + 9] in (ESP, TCP, UDP):
            return self._ipv4(data, start, stop, end - stop, *header[:2], vlan) > Verdict.UDP
        if protocol == 41 and room >= 48 and data[start + 6] in (ESP, TCP, UDP):
            return self._ipv6(data, start, stop, end - stop, *header[:2], vlan) > Verdict.UDP
        return False

    def _tcp(self, data: bytes, start: int, end: int, stop: int, key: bytes) -> int:
        if min(end, stop) - start < 20:
            return Verdict.STRANGE
        size = data[start + 12] >> 4
        payload = start + size * 4
        if size < 5 or payload > end or payload > stop or data.startswith(PREFIX, payload):
            return Verdict.STRANGE
        return Verdict.OTHER if self._ports.plain_tcp(key) else Verdict.STRANGE

    def _udp(
        self,
        data: bytes,
        start: int,
        end: int,
        stop: int,
        key: bytes,
        word: int,
        header: tuple[int, int, int, int, bool],
        special: Circumstances | None,
        *,
        take: bool = True,
    ) -> int:
        if word >> 16 != end - start:
            return Verdict.STRANGE
        meaning = self._ports.udp.get(key) or self._ports.learn_udp(key)
        captured = min(end, stop)
        payload = start + 8
        if meaning == Meaning.PLAIN:
            if captured - payload >= 28 and (
                data[payload + 17] in _IKE_VERSIONS or data[payload : payload + 4] == _MARKER
            ):
                return Verdict.UDP
            return Verdict.OTHER
        if not meaning or not take or captured - payload < 8:
            return Verdict.UDP
        spi, sequence = _SPI_SEQUENCE(data, payload)
        if spi == _MARKER or meaning == Meaning.IKE:
            return self._ike(data, payload, captured, end, key, header, special, marked=spi == _MARKER)
        if not self._quick_esp or (
            captured - payload > 28
            and data[payload + 17] in _IKE_VERSIONS
            and looks_like_ike(data, payload, captured, end - payload)
        ):
            return Verdict.UDP
        lane = self._lanes.get(key + spi)
        if lane is None:
            ports = int.from_bytes(key[-4:])
            lane = self._intake.lane(key + spi, "ESP", key[:-4], int.from_bytes(spi), Encapsulation.UDP, ports)
        lane[0].append((sequence, end - payload, *header, lane[1], special))
        return Verdict.ESP

    def _ike(
        self,
        data: bytes,
        start: int,
        captured: int,
        end: int,
        key: bytes,
        header: tuple[int, int, int, int, bool],
        special: Circumstances | None,
        *,
        marked: bool,
    ) -> int:
        """An IKE message on port 4500 behind a marker, or on port 500 without one."""
        source, source_port, destination, destination_port = _route(key)
        nat_traversal = source_port == NAT_T_PORT or destination_port == NAT_T_PORT
        if special is not None or marked != nat_traversal or captured < start + 12:
            return Verdict.UDP
        if marked:
            start += 4
        intake, ip_header = self._intake, start - (32 if marked else 28)
        intake.decoder.conversations.remember_spi(data[start : start + 8])
        time_ns, frame, ttl, service, dont_fragment = header
        intake.datagrams.append(
            Datagram(
                _IKE,
                source,
                destination,
                data[start:captured],
                frame,
                time_ns,
                end - start,
                source_port,
                destination_port,
                _UDP_CARRIES if marked else _NOTHING_CARRIES,
                False,
                ttl,
                service,
                dont_fragment,
                data[ip_header + 4] << 8 | data[ip_header + 5] if len(key) == 12 else 0,
                (),
                1,
                None,
                intake.interface,
                intake.capture,
            )
        )
        return Verdict.IKE


@lru_cache(maxsize=4096)
def _route(key: bytes) -> tuple[str, int, str, int]:
    """Source and destination in words: address and port of each."""
    source, destination = endpoints(key)
    return address_text(source[0]), source[1], address_text(destination[0]), destination[1]


def _strange(*_packet: object) -> int:
    """No short path."""
    return Verdict.STRANGE
