"""Hostile text is escaped whatever it is; DER names equal what an independent encoder put in."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ipsecanalyze.errors import WireError
from ipsecanalyze.ike.der import algorithm_text, certificate_facts, name_text, oid_text
from ipsecanalyze.ike.text import escape, escape_or_hex, hex_text, measured


@given(st.text())
def test_nothing_that_acts_on_a_terminal_gets_through(text):
    shown = escape(text)
    for character in shown:
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert shown.isprintable()
    shown.encode()


@given(st.binary())
def test_any_octets_are_shown(data):
    assert escape(data).isprintable()
    assert escape_or_hex(data).isprintable()
    assert hex_text(data).isprintable()
    assert measured(data).startswith(f"{len(data)} octets")


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\")))
def test_plain_text_stays_as_it_is(text):
    assert escape(text) == text
    assert escape(text.encode()) == text


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_escaping_is_unambiguous(one, other):
    if one != other:
        assert escape(one) != escape(other)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("\u200b\ufeff", "\\u200b\\ufeff"),
        ("\x85\x9b", "\\x85\\x9b"),
        ("\U000e0041", "\\U000e0041"),
        ("\u3164", "\\u3164"),
        ("\\x41", "\\\\x41"),
        ("Zürich 東京", "Zürich 東京"),
        (b"\xc3\xbc\xc3", "ü\\xc3"),
        ("\ud800", "\\ud800"),
    ],
)
def test_examples(text, shown):
    assert escape(text) == shown


def test_long_text_is_cut():
    assert escape("a" * 1000) == "a" * 512 + "… (1000 characters)"
    assert escape(b"a" * 70000, 10) == "a" * 10 + "… (70000 octets)"
    assert hex_text(bytes(100), 2) == "0000… (100 octets)"
    assert measured(bytes(100), 2) == "100 octets: 0000…"


NAMES = {
    "CN": x509.NameOID.COMMON_NAME, "O": x509.NameOID.ORGANIZATION_NAME, "OU": x509.NameOID.ORGANIZATIONAL_UNIT_NAME,
    "L": x509.NameOID.LOCALITY_NAME, "ST": x509.NameOID.STATE_OR_PROVINCE_NAME, "E": x509.NameOID.EMAIL_ADDRESS,
    "DC": x509.NameOID.DOMAIN_COMPONENT, "serialNumber": x509.NameOID.SERIAL_NUMBER,
}  # fmt: skip
VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\,"), min_size=1, max_size=40
)


@given(st.lists(st.tuples(st.sampled_from(sorted(NAMES)), VALUES), min_size=1, max_size=8))
def test_names_written_by_cryptography(parts):
    name = x509.Name([x509.NameAttribute(NAMES[key], value) for key, value in parts])
    assert name_text(name.public_bytes()) == ", ".join(f"{key}={value}" for key, value in parts)


def test_a_comma_of_theirs_does_not_look_like_ours():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a, O=Trusted")])
    assert name_text(name.public_bytes()) == "CN=a\\, O=Trusted"


def test_names_of_several_values():
    pair = x509.RelativeDistinguishedName(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, "x"), x509.NameAttribute(x509.NameOID.USER_ID, "y")]
    )
    assert sorted(name_text(x509.Name([pair]).public_bytes()).split("+")) == ["CN=x", "UID=y"]


def test_too_many_parts():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")] * 100)
    with pytest.raises(WireError):
        name_text(name.public_bytes())


@pytest.mark.parametrize(
    ("encoded", "text"),
    [("2a864886f70d01010b", "1.2.840.113549.1.1.11"), ("2b6570", "1.3.101.112"), ("8837", "2.999"), ("00", "0.0")],
)
def test_object_identifiers(encoded, text):
    assert oid_text(bytes.fromhex(encoded)) == text


@given(st.binary(max_size=200))
def test_no_octets_raise_anything_else(data):
    for read in (name_text, algorithm_text, certificate_facts, oid_text):
        with contextlib.suppress(WireError):
            read(data)


@given(st.data())
def test_mutated_names(data):
    name = bytearray(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "moon.example.org")]).public_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        name[data.draw(st.integers(0, len(name) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        assert name_text(bytes(name)).isprintable()
