"""charon's log where it is harder than in the corpus: threads that interleave, dumps that break off, missing lines."""

from __future__ import annotations


def dump(prefix: str, label: str, data: bytes) -> list[str]:
    lines = [f"{prefix}{label} => {len(data)} bytes @ 0x7f0000000000"]
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        # The text column can look like hexadecimal digits.
        lines.append(f"{prefix}{start:4}: {row.hex(' ').upper():47}  {'AB CD 12'[: len(row)]}")
    return lines


def ike(prefix: str, fill: int) -> list[str]:
    labels = ("SKEYSEED", "Sk_d secret", "Sk_ai secret", "Sk_ar secret", "Sk_ei secret", "Sk_er secret")
    lines = []
    for number, label in enumerate((*labels, "Sk_pi secret", "Sk_pr secret")):
        lines += dump(prefix, label, bytes([fill + number]) * 20)
    return lines


def child(prefix: str, fill: int) -> list[str]:
    lines = [f"{prefix}  using AES_CBC for encryption", f"{prefix}  using HMAC_SHA1_96 for integrity"]
    sizes = {"encryption": 16, "integrity": 20}
    labels = [(f"{kind} {side} key", sizes[kind]) for kind in sizes for side in ("initiator", "responder")]
    for number, (label, size) in enumerate(labels):
        lines += dump(prefix, label, bytes([fill + number]) * size)
    return lines


def spis(prefix: str, inbound: int, outbound: int) -> list[str]:
    return [
        f"{prefix}adding inbound ESP SA",
        f"{prefix}  SPI 0x{inbound:08x}, src 198.51.100.1 dst 192.0.2.1",
        f"{prefix}adding outbound ESP SA",
        f"{prefix}  SPI 0x{outbound:08x}, src 192.0.2.1 dst 198.51.100.1",
    ]


def text(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def test_threads_interleave_in_syslogs(ring_of) -> None:
    first = ike("Nov 23 05:58:14 moon charon: 09[IKE] <a|1> ", 0x10)
    second = ike("Nov 23 05:58:14 moon charon: 11[IKE] <b|2> ", 0x50)
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    noisy = [line for entry in mixed for line in (entry, "Nov 23 05:58:14 moon kernel: something else")]
    ring = ring_of(text(*noisy))
    assert [keys.sk_d[0] for keys in ring.ike] == [0x11, 0x51]
    assert not ring.problems


def test_old_logs_do_not_name_the_ike_sa(ring_of) -> None:
    natd = bytes(range(1, 17)) + b"\xc0\x00\x02\x01\x01\xf4"
    ring = ring_of(text(*dump("09[IKE] ", "natd_chunk", natd), *ike("09[IKE] ", 0x10)))
    (keys,) = ring.ike
    assert (keys.spi_i, keys.spi_r) == (0x0102030405060708, 0x090A0B0C0D0E0F10)


def test_spis_of_the_manager(ring_of) -> None:
    lines = ike("09[IKE] <a|1> ", 0x10)
    checkin = "09[MGR] <a|1> checkin IKEv2 SA a[1] with SPIs 0102030405060708_i 090a0b0c0d0e0f10_r"
    (keys,) = ring_of(text(*lines, checkin)).ike
    assert (keys.spi_i, keys.spi_r) == (0x0102030405060708, 0x090A0B0C0D0E0F10)


def test_without_spis_keys_are_to_be_tried(ring_of) -> None:
    ring = ring_of(text(*ike("09[IKE] <a|1> ", 0x10)))
    assert ring.ike_for(1, 2) == ring.ike
    assert ring.ike[0].spi_i == 0


def test_a_dump_that_breaks_off_is_told(ring_of) -> None:
    lines = dump("09[IKE] <a|1> ", "Sk_d secret", b"\x11" * 20)[:-1]
    ring = ring_of(text(*lines, *ike("09[IKE] <a|1> ", 0x20)))
    assert [(problem.line, problem.what) for problem in ring.problems] == [(1, "a dump of a key breaks off")]
    assert [keys.sk_d[0] for keys in ring.ike] == [0x21]


def test_the_response_tells_who_began(ring_of) -> None:
    prefix = "05[CHD] <a|1> "
    for message, inbound_key in (("response", 0x11), ("request", 0x10)):
        parsed = f"05[ENC] <a|1> parsed IKE_AUTH {message} 1 [ IDr AUTH SA TSi TSr ]"
        ring = ring_of(text(parsed, *child(prefix, 0x10), *spis(prefix, 0xC1, 0xC2)))
        assert {keys.spi: keys.encryption_key[0] for keys in ring.esp}[0xC1] == inbound_key
        assert len(ring.esp) == 2


def test_without_it_each_spi_gets_both(ring_of) -> None:
    prefix = "05[CHD] <a|1> "
    ring = ring_of(text(*child(prefix, 0x10), *spis(prefix, 0xC1, 0xC2)))
    assert len(ring.esp_for("198.51.100.1", "192.0.2.1", 0xC1)) == 2
    assert len(ring.esp) == 4


def test_spis_of_the_line_that_ends_it(ring_of) -> None:
    lines = child("05[CHD] <a|1> ", 0x10)
    parsed = "05[ENC] <a|1> parsed IKE_AUTH response 1 [ SA ]"
    end = "05[IKE] <a|1> CHILD_SA net{1} established with SPIs c1cf6862_i c21a9f0d_o and TS 10.1.0.0/24 === 10.2.0.0/24"
    ring = ring_of(text(parsed, *lines, end))
    assert {keys.spi for keys in ring.esp} == {0xC1CF6862, 0xC21A9F0D}
    ring = ring_of(text(parsed, *lines))
    assert [keys.spi for keys in ring.esp] == [None, None]


def test_a_ppk(ring_of) -> None:
    prefix = "09[IKE] <a|1> "
    again = [*dump(prefix, "Sk_d secret", b"\x77" * 20), *dump(prefix, "Sk_pi secret", b"\x78" * 20)]
    ring = ring_of(text(*ike(prefix, 0x10), f"{prefix}derive keys using PPK", *again))
    assert [keys.sk_d[0] for keys in ring.ike] == [0x11, 0x77]
    assert ring.ike[0].sk_ei == ring.ike[1].sk_ei


def test_a_daemon_that_starts_again_counts_from_one(ring_of) -> None:
    natd = b"\xc0\x00\x02\x01\x01\xf4"
    prefix = "09[IKE] <a|1> "
    first = [*dump(prefix, "natd_chunk", b"\x01" * 16 + natd), *ike(prefix, 0x10)]
    second = [*ike(prefix, 0x30), *dump(prefix, "natd_chunk", b"\x02" * 16 + natd)]
    ring = ring_of(text(*first, "00[DMN] Starting IKE charon daemon (strongSwan 5.9.8)", *second))
    assert [keys.spi_i for keys in ring.ike] == [0x0101010101010101, 0x0202020202020202]


def test_unknown_algorithms_are_told(ring_of) -> None:
    lines = [line.replace("AES_CBC", "ROT_13") for line in child("05[CHD] <a|1> ", 0x10)]
    ring = ring_of(text(*lines))
    assert len(ring) == 0
    assert "unknown algorithm" in ring.problems[0].what
