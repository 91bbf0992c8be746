"""What a pair of ports says of UDP and TCP packets, asked of the general rules once and remembered.

The rules are those of `capture/encapsulation.py` and `capture/tcp.py`; none is repeated here. What depends on
conversations that the decoder may have learnt of meanwhile is forgotten when the short path says so.
"""

from __future__ import annotations

from typing import Final

from ipsecanalyze.capture.conversations import Endpoint
from ipsecanalyze.capture.decoder import Decoder
from ipsecanalyze.capture.encapsulation import IKE_PORT, NAT_T_PORT, classify_udp
from ipsecanalyze.capture.tunnels import UDP_TUNNELS

__all__ = ["Meaning", "PortMeanings", "endpoints"]

#: Shown to the general rules: the first can be nothing but ESP on the NAT traversal port, the second is taken for IKE
#: on IKE's own port, and has no SPI that would be remembered.
_ESP_PROBE: Final = b"\x01" * 16
_IKE_PROBE: Final = bytes(16)
_KEPT: Final = 65_536


class Meaning:
    """Plain integers, as this is per-packet work."""

    UNSURE: Final = 0
    """The general path must look at every packet."""
    PLAIN: Final = 1
    """No IPsec unless a packet looks like IKE."""
    NAT_TRAVERSAL: Final = 2
    """Port 4500: ESP, or IKE behind a marker."""
    IKE: Final = 3
    """Port 500: IKE without a marker."""


class PortMeanings:
    """Remembers what ports mean, by a key of both addresses and both ports in a row."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.udp: dict[bytes, int] = {}
        """Key → `Meaning`, as far as `learn_udp` was asked."""
        self._fixed: dict[bytes, int] = {}  # ports alone, where addresses do not matter
        self._plain_tcp: set[bytes] = set()

    def forget(self, *, tcp: bool = True) -> None:
        """The decoder may have learnt of conversations."""
        self.udp.clear()
        if tcp:
            self._plain_tcp.clear()

    def plain_tcp(self, key: bytes) -> bool:
        """Whether a TCP connection is certainly no IKE (but for a segment that begins with the stream prefix)."""
        if key in self._plain_tcp:
            return True
        if self._decoder.connections.wants(*endpoints(key), b"", 0):
            return False
        if len(self._plain_tcp) >= _KEPT:
            self._plain_tcp.clear()
        self._plain_tcp.add(key)
        return True

    def learn_udp(self, key: bytes) -> int:
        """The meaning of a key that is not in `udp` yet."""
        meaning = self._fixed.get(key[-4:])
        if meaning is None:
            meaning = self._ask(key)
        if len(self.udp) >= _KEPT:
            self.udp.clear()
        self.udp[key] = meaning
        return meaning

    def _ask(self, key: bytes) -> int:
        source, destination = endpoints(key)
        ports = (source[1], destination[1])
        if not UDP_TUNNELS.isdisjoint(ports):
            return Meaning.UNSURE
        nat_traversal, ike = NAT_T_PORT in ports, IKE_PORT in ports
        probe = _IKE_PROBE if ike and not nat_traversal else _ESP_PROBE
        conversations = self._decoder.conversations
        verdict = classify_udp(source, destination, probe, 0, len(probe), len(probe), conversations)
        if not (nat_traversal or ike):
            return Meaning.PLAIN if verdict is None else Meaning.UNSURE
        if verdict is None or verdict[3]:  # inferred: these ports say nothing
            return Meaning.UNSURE
        meaning = self._fixed[key[-4:]] = Meaning.NAT_TRAVERSAL if nat_traversal else Meaning.IKE
        return meaning


def endpoints(key: bytes) -> tuple[Endpoint, Endpoint]:
    """Source and destination of addresses and ports in a row."""
    half = len(key) // 2 - 2
    return (key[:half], int.from_bytes(key[-4:-2])), (key[half : 2 * half], int.from_bytes(key[-2:]))
