"""The short way of opening gives the octets of the ordinary one, whatever is in the packets."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze._fast import IMPLEMENTATION
from ipsecanalyze.capture.packet import Packet
from ipsecanalyze.crypto.material import EspKeys
from ipsecanalyze.keys import KeyRing
from ipsecanalyze.opening import export
from ipsecanalyze.opening.export import write_inner

sys.path.insert(0, str(Path(__file__).parent))
from esp_made import Cbc, Gcm, capture, frames, inner, ipv4, udp

pytestmark = pytest.mark.skipif(IMPLEMENTATION != "c", reason="there is one way only without the C core")

V6 = b"\x60\0\0\0" + (20).to_bytes(2) + bytes((17, 64)) + bytes(range(32)) + udp(53, bytes(12))
PLAIN = inner(1, 40)


def changed(packet: bytes, **octets: int) -> bytes:
    """The packet with other octets at places: `at6=32`."""
    made = bytearray(packet)
    for place, value in octets.items():
        made[int(place[2:])] = value
    return bytes(made)


#: What may be inside, its next header.
INSIDE = {
    "plain": (PLAIN, 4),
    "another conversation": (ipv4("10.9.0.1", "10.9.0.2", 6, bytes(30)), 4),
    "IPv6": (V6, 41),
    "IPv6 called IPv4": (V6, 4),
    "dummy": (bytes(40), 59),
    "transport mode": (udp(500, bytes(20)), 17),
    "no ports": (ipv4("10.1.0.1", "10.2.0.1", 1, b""), 4),
    "half a port": (ipv4("10.1.0.1", "10.2.0.1", 17, bytes(3)), 4),
    "options": (changed(PLAIN, at0=0x46), 4),
    "shorter than it says": (changed(PLAIN, at3=0xFF), 4),
    "longer than it says": (changed(PLAIN, at3=24), 4),
    "fragment": (changed(PLAIN, at6=0x20), 4),
    "last fragment": (changed(PLAIN, at7=9), 4),
    "evil bit": (changed(PLAIN, at6=0x80), 4),
    "nothing": (b"", 4),
    "one octet": (b"\x45", 4),
}
PADDINGS = [None, b"", b"\1", b"\2", b"\1\2\3\4\5", bytes(5), bytes(range(1, 256))]


def both(packets: list[Packet], *keys: EspKeys) -> tuple[bytes, dict[Any, Any]]:
    """What the short way gives, which is what the ordinary one gives."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = capture(Path(folder) / "a.pcap", packets)
        for way in ("c", "python"):
            out = io.BytesIO()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(export, "IMPLEMENTATION", way)
                opening, _ = write_inner([path], KeyRing(keys), out)
            found.append((out.getvalue(), opening.results()))
    assert found[0] == found[1]
    return found[0]


packets = st.lists(
    st.tuples(
        st.sampled_from(sorted(INSIDE)),
        st.sampled_from(PADDINGS),
        st.sampled_from([0, 0, 0, 1, 40]),
        st.sampled_from(["", "", "", "", "forged", "cut", "short", "gap"]),
    ),
    max_size=40,
)


@given(st.booleans(), packets)
def test_odd_packets_of_gcm(extended: bool, made: list[tuple[str, bytes | None, int, str]]) -> None:
    sa = Gcm(extended=extended, sequence=2**32 - 10 if extended else 0)
    payloads, cuts = [sa.protect(PLAIN), sa.protect(PLAIN)], set()
    for what, padding, tfc, damage in made:
        data, next_header = INSIDE[what]
        sa.sequence += damage == "gap"
        payload = sa.protect(data, next_header, tfc=tfc, padding=padding)
        if damage == "forged":
            payload = payload[:-1] + bytes((payload[-1] ^ 1,))
        elif damage == "short":
            payload = payload[:20]
        elif damage == "cut":
            cuts.add(len(payloads))
        payloads.append(payload)
    seen = frames(payloads)
    for number in cuts:
        seen[number].data = seen[number].data[:-3]
    both(seen, sa.keys)


@given(st.sampled_from([16, 12]), st.lists(st.tuples(st.sampled_from(sorted(INSIDE)), st.booleans()), max_size=40))
def test_odd_packets_of_cbc(icv: int, made: list[tuple[str, bool]]) -> None:
    sa = Cbc(icv=icv)
    payloads = [sa.protect(PLAIN), sa.protect(PLAIN)]
    for what, forged in made:
        payload = sa.protect(*INSIDE[what])
        payloads.append(payload[:-1] + bytes((payload[-1] ^ 1,)) if forged else payload)
    both(frames(payloads), sa.keys)


def test_the_short_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else all of this would compare the ordinary way with itself."""
    from ipsecanalyze.opening import rows

    odd: list[bytes] = []
    usual = rows._RowIntake._take_odd

    def note(self: Any, row: bytes, octets: Any, found: Any) -> None:
        odd.append(row)
        usual(self, row, octets, found)

    monkeypatch.setattr(rows._RowIntake, "_take_odd", note)
    ends = {"source": "10.9.8.7", "destination": "10.6.5.4"}
    sas = [Gcm(**ends), Cbc(**ends), Gcm(7, extended=True, **ends)]
    both(frames([sa.protect(inner(number)) for number in range(50) for sa in sas], **ends), *(sa.keys for sa in sas))
    assert len(odd) == 3  # the first packet of each flow: its key is not known yet


def test_a_conversation_with_more_packets_than_room_for_blocks() -> None:
    sa = Gcm()
    blocks, _ = both(frames([sa.protect(inner(number, 9_000)) for number in range(300)]), sa.keys)
    assert len(blocks) > 2 << 20


def test_wrong_words_to_the_core() -> None:
    from ipsecanalyze._fast import _core

    opener = _core.Opener((ValueError,))
    words = (0, bytes, None, 16, 34, {}, list, b"salt", b"head", b"middle")
    opener.enter(1, *words)
    for place, wrong in ((0, -1), (0, 3), (3, 99), (4, 3), (7, b"saltier"), (8, bytes(161)), (9, bytes(157))):
        with pytest.raises(ValueError, match=r"kind|long"):
            opener.enter(1, *words[:place], wrong, *words[place + 1 :])
    with pytest.raises(ValueError, match="no such flow"):
        opener.enter(0xFFFFFFFF, *words)
    with pytest.raises(ValueError, match="no such row"):
        opener.run(b"", -1, b"", bytearray(9))
    assert opener.run(b"", 0, b"", bytearray(9)) == (0, 0, 0, None)
    opener.leave(77)


def test_rows_of_other_octets() -> None:
    from ipsecanalyze._fast import _core
    from ipsecanalyze._fast.columns import ROW

    opener = _core.Opener((ValueError,))
    opener.enter(0, 0, bytes, None, 16, 34, {}, list, b"salt", b"", b"")
    row = ROW.pack(5, 0, 1, 40, 40, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 0, bytes(16), bytes(16), 0)
    with pytest.raises(ValueError, match="other octets"):
        opener.run(row, 0, bytes(44), bytearray(1000))
    assert opener.run(row, 0, bytes(45), bytearray(100)) == (0, 0, 0, None)  # no room
    with pytest.raises(TypeError):  # what the cipher raises that is no refusal
        opener.run(row, 0, bytes(45), bytearray(1000))
