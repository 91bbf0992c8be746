"""Runs tshark once per capture and keeps what it read: the second opinion of this folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

FIELD_NAMES = (
    "frame.number frame.time_epoch frame.protocols ip.src ip.dst ip.len ip.hdr_len ip.reassembled.length "
    "ipv6.src ipv6.dst ipv6.plen udp.srcport udp.dstport udpencap.nat_keepalive "
    "esp.spi esp.sequence ah.spi ah.sequence "
    "isakmp.ispi isakmp.rspi isakmp.version isakmp.exchangetype isakmp.flags isakmp.messageid isakmp.length "
    "isakmp.typepayload isakmp.payloadlength isakmp.notify.msgtype isakmp.notify.protoid isakmp.vid_bytes "
    "isakmp.nonce isakmp.key_exchange.dh_group isakmp.ike.nat_hash isakmp.frag.number isakmp.frag.total "
    "isakmp.prop.number isakmp.prop.protoid isakmp.tf.type isakmp.tf.id.encr isakmp.tf.id.prf isakmp.tf.id.integ "
    "isakmp.tf.id.dh isakmp.tf.id.esn isakmp.tf.id isakmp.ike2.attr.key_length "
    "isakmp.trans.number isakmp.trans.id isakmp.ike.attr.encryption_algorithm isakmp.ike.attr.hash_algorithm "
    "isakmp.ike.attr.authentication_method isakmp.ike.attr.group_description isakmp.ike.attr.key_length "
    "isakmp.ike.attr.life_duration"
)
FIELDS = FIELD_NAMES.split()
PROTOCOLS = {"isakmp": "ike", "esp": "esp", "ah": "ah"}


@dataclass(frozen=True)
class Row:
    """What tshark says of one frame; fields that occur several times keep their order."""

    fields: dict[str, list[str]]

    def texts(self, name: str) -> list[str]:
        """All values of a field."""
        return self.fields[name]

    def numbers(self, name: str) -> list[int]:
        """All values of a field as numbers (tshark writes some in hexadecimal)."""
        return [int(text, 0) for text in self.fields[name]]

    @property
    def frame(self) -> int:
        """The frame's number."""
        return self.numbers("frame.number")[0]

    @property
    def time_ns(self) -> int:
        """When it was captured."""
        seconds, _, fraction = self.texts("frame.time_epoch")[0].partition(".")
        return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))

    @property
    def source(self) -> str:
        """The outer source address."""
        return [*self.texts("ip.src"), *self.texts("ipv6.src")][0]

    @property
    def destination(self) -> str:
        """The outer destination address."""
        return [*self.texts("ip.dst"), *self.texts("ipv6.dst")][0]

    @property
    def kind(self) -> str | None:
        """Which protocol of IPsec is on the outside; None for keepalives and for packets quoted in ICMP errors."""
        for name in self.texts("frame.protocols")[0].split(":"):
            if name in PROTOCOLS:
                return PROTOCOLS[name]
            if name in {"icmp", "icmpv6"}:
                return None
        return None

    @property
    def ip_payload(self) -> int:
        """Octets that the outer IP packet carries, reassembled."""
        reassembled = self.numbers("ip.reassembled.length")
        if reassembled:
            return reassembled[0]
        if self.texts("ip.len"):
            return self.numbers("ip.len")[0] - self.numbers("ip.hdr_len")[0]
        return self.numbers("ipv6.plen")[0]


@pytest.fixture(scope="session")
def tshark(tshark_path: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], list[Row]]:
    """Read a capture with tshark: the frames that have to do with IPsec."""
    settings = tmp_path_factory.mktemp("tshark")

    @cache
    def read(path: Path) -> list[Row]:
        command = [tshark_path, "-n", "-r", str(path), "-Y", "isakmp || esp || ah || udpencap", "-T", "fields"]
        command += [word for name in FIELDS for word in ("-e", name)]
        # The user's own preferences must not change what is read.
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"WIRESHARK_CONFIG_DIR": str(settings)}
        )
        values = (line.split("\t") for line in done.stdout.splitlines())
        return [
            Row({name: text.split(",") if text else [] for name, text in zip(FIELDS, row, strict=True)})
            for row in values
        ]

    return read
