"""The table of key formats: how a line of each is recognised, and what reads it.

A new format is a file beside this one and a row here. The order matters where one line could be of two formats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ipsecanalyze.keys import (
    charon,
    document,
    pluto,
    secrets,
    setkey,
    tcpdump,
    wireshark_esp,
    wireshark_ike,
    xfrm,
)
from ipsecanalyze.keys.reader import Reader, Sink

__all__ = ["FORMATS", "Format", "detect"]


class Format(NamedTuple):
    """A row of the table."""

    title: str
    recognises: Callable[[str], bool]
    """Whether a line (without its end) is of this format; cheap, and never wrong with another row's lines."""
    reader: Callable[[Sink], Reader]
    only_first: bool = False
    """Whether it can begin only where a file does."""


FORMATS: Final = (
    Format("ipsecanalyze JSON", document.recognises, document.DocumentReader, only_first=True),
    Format("charon log", charon.recognises, charon.CharonReader),
    Format("pluto log", pluto.recognises, pluto.PlutoReader),
    Format("ip xfrm state", xfrm.recognises, xfrm.XfrmReader),
    Format("Wireshark esp_sa", wireshark_esp.recognises, wireshark_esp.EspSaReader),
    Format("Wireshark ikev2_decryption_table", wireshark_ike.recognises_v2, wireshark_ike.Ikev2TableReader),
    Format("Wireshark ikev1_decryption_table", wireshark_ike.recognises_v1, wireshark_ike.Ikev1TableReader),
    Format("setkey -D", setkey.recognises, setkey.SetkeyReader),
    Format("tcpdump -E", tcpdump.recognises, tcpdump.TcpdumpReader),
    Format("swanctl.conf", secrets.recognises_swanctl, secrets.SwanctlReader),
    Format("ipsec.secrets", secrets.recognises_ipsec_secrets, secrets.IpsecSecretsReader),
)


def detect(line: str, *, is_first: bool = False) -> Format | None:
    """The format of a line, None where it is of none; `is_first`: nothing but empty lines came before it."""
    for row in FORMATS:
        if (is_first or not row.only_first) and row.recognises(line):
            return row
    return None
