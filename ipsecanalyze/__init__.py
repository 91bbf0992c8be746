"""Reads packet captures and tells what the IPsec in them did.

    >>> import ipsecanalyze
    >>> analysis = ipsecanalyze.analyze("capture.pcap")
    >>> for sa in analysis.ike_sas:
    ...     print(sa.initiator.address, sa.responder.address, sa.state)

Names are loaded when they are first used, so that importing the package is cheap. What is not in `__all__` is not
public.
"""

from __future__ import annotations

from importlib import import_module

from ipsecanalyze._version import __version__

# What type checkers take for true; importing typing would cost a third of `--version`.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from ipsecanalyze._fast import IMPLEMENTATION as IMPLEMENTATION
    from ipsecanalyze._fast.contract import Limits as Limits
    from ipsecanalyze.analysis import Analysis as Analysis
    from ipsecanalyze.analysis import Analyzer as Analyzer
    from ipsecanalyze.analysis import analyze as analyze
    from ipsecanalyze.capture.decoder import datagrams as datagrams
    from ipsecanalyze.capture.packet import Datagram as Datagram
    from ipsecanalyze.capture.packet import Packet as Packet
    from ipsecanalyze.capture.reader import open_capture as open_capture
    from ipsecanalyze.capture.writer import write_capture as write_capture
    from ipsecanalyze.comparison import Comparison as Comparison
    from ipsecanalyze.comparison import compare as compare
    from ipsecanalyze.errors import CaptureError as CaptureError
    from ipsecanalyze.errors import DecryptError as DecryptError
    from ipsecanalyze.errors import IpsecAnalyzeError as IpsecAnalyzeError
    from ipsecanalyze.errors import KeyFileError as KeyFileError
    from ipsecanalyze.errors import Notice as Notice
    from ipsecanalyze.errors import UsageError as UsageError
    from ipsecanalyze.errors import WireError as WireError
    from ipsecanalyze.esp.flow import Flow as Flow
    from ipsecanalyze.findings.model import Finding as Finding
    from ipsecanalyze.findings.model import Severity as Severity
    from ipsecanalyze.ike.message import IkeMessage as IkeMessage
    from ipsecanalyze.ike.message import parse_ike as parse_ike
    from ipsecanalyze.keys import load_keys as load_keys
    from ipsecanalyze.keys.ring import KeyRing as KeyRing
    from ipsecanalyze.opening.esp import decrypt as decrypt
    from ipsecanalyze.opening.packets import DecryptedPacket as DecryptedPacket
    from ipsecanalyze.sa.records import ChildSa as ChildSa
    from ipsecanalyze.sa.records import IkeSa as IkeSa

#: Public name → the module that defines it.
_HOMES = {
    "Analysis": "analysis",
    "Analyzer": "analysis",
    "CaptureError": "errors",
    "ChildSa": "sa.records",
    "Comparison": "comparison",
    "Datagram": "capture.packet",
    "DecryptedPacket": "opening.packets",
    "DecryptError": "errors",
    "Finding": "findings.model",
    "Flow": "esp.flow",
    "IMPLEMENTATION": "_fast",
    "IkeMessage": "ike.message",
    "IkeSa": "sa.records",
    "IpsecAnalyzeError": "errors",
    "KeyFileError": "errors",
    "KeyRing": "keys.ring",
    "Limits": "_fast.contract",
    "Notice": "errors",
    "Packet": "capture.packet",
    "Severity": "findings.model",
    "UsageError": "errors",
    "WireError": "errors",
    "analyze": "analysis",
    "compare": "comparison",
    "datagrams": "capture.decoder",
    "decrypt": "opening.esp",
    "load_keys": "keys",
    "open_capture": "capture.reader",
    "parse_ike": "ike.message",
    "write_capture": "capture.writer",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'ipsecanalyze' has no attribute {name!r}")
    value = getattr(import_module(f"ipsecanalyze.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
