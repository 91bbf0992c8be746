"""Whatever octets come: `parse_ike` raises nothing but WireError, loses nothing, and prints nothing that acts."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from ipsecanalyze.ike.chain import parse_payloads, write_payloads
from ipsecanalyze.ike.message import IkeMessage, parse_ike
from ipsecanalyze.ike.payloads import (
    PARSERS,
    Attribute,
    ConfigPayload,
    ConfigurationAttribute,
    DeletePayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Proposal,
    SaPayload,
    TrafficSelector,
    TrafficSelectorPayload,
    Transform,
    VendorIdPayload,
)

U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
OCTETS = st.binary(max_size=40)
MAJORS = st.sampled_from((1, 2))
KINDS = st.sampled_from(sorted({kind for _, kind in PARSERS} | {0, 2, 3, 99, 255}))


def check(data):
    message = parse_ike(data)
    assert message.to_bytes() == data
    for line in message.describe():
        assert line.name.isprintable()
        assert line.value.isprintable()
        assert 0 <= line.offset <= len(data)
    for payload in message.payloads:
        assert payload.summary.isprintable()
    for notice in message.notices:
        assert notice.message.isprintable()
        assert notice.offset is None or 0 <= notice.offset <= len(data)
    return message


@given(st.binary(max_size=300), KINDS, st.integers(0x10, 0xFF), U8, U8, st.one_of(U32, st.none()))
@settings(max_examples=400)
def test_random_octets_behind_a_plausible_header(rest, kind, version, exchange, flags, length):
    declared = 28 + len(rest) if length is None else length
    check(struct.pack(">QQBBBBII", 1, 2, kind, version, exchange, flags, 0, declared) + rest)


@given(st.lists(st.tuples(KINDS, st.binary(max_size=60), U8, st.integers(-5, 5)), max_size=12), MAJORS)
@settings(max_examples=400)
def test_random_bodies_in_sound_and_unsound_frames(parts, major):
    chain = b""
    for index, (_, body, flags, lie) in enumerate(parts):
        following = parts[index + 1][0] if index + 1 < len(parts) else 0
        length = max(4 + len(body) + (lie if lie in (-5, 5) else 0), 0)
        chain += bytes((following, flags)) + length.to_bytes(2) + body
    first = parts[0][0] if parts else 0
    check(struct.pack(">QQBBBBII", 1, 2, first, major << 4, 34, 0, 0, 28 + len(chain)) + chain)


@given(st.data())
@settings(max_examples=300)
def test_mutated_messages(messages, data):
    original = data.draw(st.sampled_from(sorted(messages.values())))
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, min(len(mutated) - 1, 200)))
        mutated[position] = data.draw(U8)
    mutated[17] = original[17]
    check(bytes(mutated))


@given(st.data())
@settings(max_examples=200)
def test_mutated_chains(chains, data):
    found = data.draw(st.sampled_from(sorted(chains.values(), key=lambda chain: chain.data)))
    mutated = bytearray(found.data)
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(U8)
    payloads, trailing, _ = parse_payloads(bytes(mutated), found.first_type, found.major)
    assert write_payloads(payloads) + trailing == bytes(mutated)
    for payload in payloads:
        assert payload.summary.isprintable()
        assert all((line.name + line.value).isprintable() for line in payload.describe())


def test_every_truncation_of_every_message(messages):
    for data in messages.values():
        for size in range(28, min(len(data), 600)):
            message = parse_ike(data[:size])
            assert message.to_bytes() == data[:size]
            assert any(notice.slug == "truncated" for notice in message.notices)


def test_every_truncation_of_every_chain(chains):
    for chain in chains.values():
        for size in range(min(len(chain.data), 600)):
            payloads, trailing, _ = parse_payloads(chain.data[:size], chain.first_type, chain.major)
            assert write_payloads(payloads) + trailing == chain.data[:size]


ATTRIBUTES = st.builds(Attribute, st.integers(0, 0x7FFF), st.one_of(U16, OCTETS))
TRANSFORMS = st.builds(
    Transform, type=U8, id=U16, attributes=st.lists(ATTRIBUTES, max_size=3).map(tuple), protocol=st.just(3)
)
PROPOSALS = st.builds(
    Proposal, number=U8, protocol=st.just(3), spi=st.binary(max_size=8),
    transforms=st.lists(TRANSFORMS, max_size=5).map(tuple),
)  # fmt: skip
RANGES = st.builds(
    TrafficSelector, type=st.just(7), protocol=U8, start_port=U16, end_port=U16,
    start_address=st.binary(min_size=4, max_size=4), end_address=st.binary(min_size=4, max_size=4),
)  # fmt: skip
SELECTORS = st.lists(RANGES, max_size=4).map(tuple)
SPIS = st.lists(st.binary(min_size=4, max_size=4), max_size=5).map(tuple)
PAYLOADS = st.one_of(
    st.builds(SaPayload, type=st.just(33), proposals=st.lists(PROPOSALS, max_size=4).map(tuple)),
    st.builds(KePayload, type=st.just(34), group=U16, data=OCTETS, critical=st.booleans()),
    st.builds(IdPayload, type=st.sampled_from((35, 36)), id_type=U8, data=OCTETS),
    st.builds(NoncePayload, type=st.just(40), data=OCTETS, reserved=st.integers(0, 127)),
    st.builds(NotifyPayload, type=st.just(41), protocol=U8, spi=OCTETS, notify_type=U16, data=OCTETS),
    st.builds(DeletePayload, type=st.just(42), protocol=U8, spi_size=st.just(4), spis=SPIS),
    st.builds(VendorIdPayload, type=st.just(43), data=OCTETS),
    st.builds(TrafficSelectorPayload, type=st.sampled_from((44, 45)), selectors=SELECTORS),
    st.builds(
        ConfigPayload, type=st.just(47), config_type=U8,
        attributes=st.lists(st.builds(ConfigurationAttribute, st.integers(0, 0x7FFF), OCTETS), max_size=4).map(tuple),
    ),
)  # fmt: skip


@given(st.lists(PAYLOADS, max_size=10))
@settings(max_examples=200)
def test_what_is_written_is_read_again(payloads):
    chain = write_payloads(payloads)
    message = IkeMessage(
        spi_i=1, spi_r=2, next_payload=payloads[0].type if payloads else 0, major=2, minor=0, exchange_type=34,
        flags=8, message_id=0, length=28 + len(chain), payloads=tuple(payloads),
    )  # fmt: skip
    found = check(message.to_bytes())
    assert found == message
    assert found.notices == ()
