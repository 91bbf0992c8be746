"""Opens every scenario of the corpus with each source of keys that it has, and compares with what it knows of itself.

    python check_corpus.py CORPUS [SCENARIO ...]

A line for each scenario and source: ESP and AH packets, how many were opened, and what became of the inner packets.
The truth is, as far as a scenario has it:

* its clear-text side (`lan*.pcap[.gz]`): each inner packet has to be there, but for TTL and header checksum. Of GRE it
  is what GRE carries that is there.
* the checksums inside, which are over the addresses too: all there is where the clear-text side is between the gateways
  themselves (transport mode, BEET), or was not captured.
* the second oracle (`verify.json`): how many packets OpenSSL opened with the keys of the kernel.

"ok": all packets opened, all inner packets right. "part": those that were opened are right, and for the others there is
no key, or nothing can compute it, or the snap length cut them. "none": there are no packets. "WRONG": anything else;
then the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from import_clear import clear_packets, digest

from ipsecanalyze.keys import KeyRing, load_keys
from ipsecanalyze.opening.complete import complete_ring
from ipsecanalyze.opening.esp import Opening, open_file

#: Source → the files of a scenario that it consists of; "SK_d" and "g^ir" are the least that is enough, of a log.
_FILES = {
    "xfrm": ("xfrm-*",),
    "monitor": ("xfrm-monitor-*",),
    "charon": ("charon-*",),
    "pluto": ("pluto-*",),
    "tables": ("wireshark/*",),
    "SK_d": ("charon-*",),
    "g^ir": ("charon-*", "swanctl-*.conf"),
}
#: Reasons that are no fault: there is no key, nothing can compute it, or the packet is not whole.
_EXCUSES = frozenset(("", "no-key", "unsupported", "truncated"))
_ICMP, _TCP, _UDP, _GRE, _ICMPV6 = 1, 6, 17, 47, 58
#: Where a protocol has its checksum; those with a pseudo-header in front.
_CHECKSUM_AT = {_ICMP: 2, _TCP: 16, _UDP: 6, _ICMPV6: 2}
_LEAST = 10  # packets on the clear-text side; fewer are not the traffic


@dataclass
class Outcome:
    """What came of one scenario with one source."""

    packets: int = 0
    opened: int = 0
    wrong: int = 0
    inner: int = 0
    elsewhere: int = 0
    """Inner packets that are not on the clear-text side."""
    checksums: Counter[str] = field(default_factory=Counter)
    """"right", "wrong", "none" (fragments, protocols without)."""
    reasons: Counter[str] = field(default_factory=Counter)

    def verdict(self, *, has_clear: bool) -> str:
        """In one word."""
        is_right = not self.elsewhere if has_clear else not self.checksums["wrong"]
        if self.wrong or not is_right or not set(self.reasons) <= _EXCUSES:
            return "WRONG"
        if not self.packets:
            return "none"
        return "ok" if self.opened == self.packets else "part"


def ring_of(folder: Path, source: str) -> KeyRing | None:
    """The keys of a source; None where the scenario does not have it."""
    patterns = _FILES[source]
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    if source == "xfrm":
        paths = [path for path in paths if "-monitor-" not in path.name]
    ring = load_keys(paths) if paths else KeyRing()
    if source == "SK_d":
        ring = KeyRing(ring.ike)
    elif source == "g^ir":
        ring = KeyRing([*ring.shared_secrets, *ring.psks])
    return ring if ring.esp or ring.ike or ring.shared_secrets else None


def check(folder: Path, ring: KeyRing, clear: set[bytes]) -> Outcome:
    """Open the scenario's capture."""
    capture = next(path for path in sorted(folder.glob("wan.pcap*")))
    opening, outcome = Opening(complete_ring([capture], ring)), Outcome()
    for packet in open_file(opening, capture):
        outcome.inner += 1
        outcome.checksums[checksums(packet.data)] += 1
        outcome.elsewhere += bool(clear) and digest(without_gre(packet.data)) not in clear
    for result in opening.results().values():
        outcome.packets += result.packets
        outcome.opened += result.opened
        outcome.wrong += result.icv_wrong + result.padding_wrong + result.malformed + result.skipped
        outcome.reasons[result.reason] += result.packets - result.opened
    outcome.reasons = +outcome.reasons
    return outcome


def without_gre(packet: bytes) -> bytes:
    """What plain GRE carries (RFC 2784): IPv4, without checksum, key and sequence number; else the packet itself."""
    return packet[24:] if packet[0] >> 4 == 4 and packet[9] == _GRE and packet[20:24] == b"\0\0\x08\0" else packet


def checksums(packet: bytes) -> str:
    """Whether the checksums of an IP packet are right (RFC 1071): "right", "wrong", "none"."""
    if packet[0] >> 4 == 4:
        head = (packet[0] & 15) * 4
        if total(packet[:head]):
            return "wrong"
        if int.from_bytes(packet[6:8]) & 0x3FFF:
            return "none"
        protocol, addresses = packet[9], packet[12:20]
    else:
        head, protocol, addresses = 40, packet[6], packet[8:40]
    payload = packet[head:]
    if protocol == _GRE and without_gre(packet) is not packet:
        return checksums(payload[4:])
    at = _CHECKSUM_AT.get(protocol)
    if at is None or len(payload) < at + 2 or (protocol == _UDP and payload[6:8] == b"\0\0"):
        return "none"
    pseudo = b"" if protocol == _ICMP else addresses + len(payload).to_bytes(4) + protocol.to_bytes(4)
    return "wrong" if total(pseudo + payload) else "right"


def total(data: bytes) -> int:
    """The complement of the sum: 0 where the checksum in it is right."""
    data += bytes(len(data) & 1)
    found = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    while found >> 16:
        found = (found & 0xFFFF) + (found >> 16)
    return 0xFFFF - found


def oracle(folder: Path) -> str:
    """How many packets the second oracle opened; it does not look at IP fragments."""
    path = folder / "verify.json"
    found = json.loads(path.read_text()).get("total", {}).get("decrypted") if path.exists() else None
    return "-" if found is None else str(found)


def lines(folder: Path) -> Iterator[tuple[str, str]]:
    """(verdict, line of the table) for each source."""
    clear = clear_packets(folder)
    clear = clear if len(clear) >= _LEAST else set()
    for source in _FILES:
        ring = ring_of(folder, source)
        if ring is None:
            continue
        outcome = check(folder, ring, clear)
        verdict = outcome.verdict(has_clear=bool(clear))
        right, wrong = outcome.checksums["right"], outcome.checksums["wrong"]
        truth = f"{outcome.inner - outcome.elsewhere}/{outcome.inner}" if clear else "-"
        reasons = " ".join(f"{name or 'lost'}:{count}" for name, count in outcome.reasons.items())
        yield (
            verdict,
            (
                f"{folder.name:24} {source:8} {outcome.packets:7} {outcome.opened:7} {oracle(folder):>7} {truth:>12} "
                f"{f'{right}/{right + wrong}':>12}  {verdict:6}{reasons}"
            ),
        )


def main() -> int:
    """Print the table, and a sum at its end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("scenario", nargs="*", help="only these")
    arguments = parser.parse_args()
    verdicts: Counter[str] = Counter()
    say = partial(print, flush=True)
    columns = ("scenario", "keys", "packets", "opened", "oracle", "in clear", "checksums", "what")
    say("{:24} {:8} {:>7} {:>7} {:>7} {:>12} {:>12}  {}".format(*columns))
    for folder in sorted(path for path in arguments.corpus.iterdir() if list(path.glob("wan.pcap*"))):
        if arguments.scenario and folder.name not in arguments.scenario:
            continue
        for verdict, line in lines(folder):
            verdicts[verdict] += 1
            say(line)
    say(" · ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
    return 1 if verdicts["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
