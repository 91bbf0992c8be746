"""Coverage-guided fuzz targets for atheris; README.md here says how to run them.

    python tests/fuzz/fuzz.py TARGET [libFuzzer options] [corpus folders or inputs]

A target takes octets and returns, or raises for a finding.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ipsecanalyze"]):
    import ipsecanalyze
    import ipsecanalyze._fast
    import ipsecanalyze.documents
    import ipsecanalyze.report.terminal
    from ipsecanalyze import Analyzer, CaptureError, Limits, WireError

CAPTURES = Path(__file__).parents[1] / "captures"
#: Small limits, so that the code that enforces them is reached.
LIMITS = Limits(flows=8, gaps=4, fragments=4, fragment_octets=4096, streams=4, stream_octets=2048, conversations=4,
                notices=16, half_open=4, ike_sas=8, messages=16, message_octets=8192)  # fmt: skip


def parse_ike(data: bytes) -> None:
    """One IKE message: parsed, written back, described."""
    try:
        message = ipsecanalyze.parse_ike(data)
    except WireError:
        return
    if message.to_bytes() != data:
        raise AssertionError("not written back to the same octets")
    for payload in message.payloads:
        if not payload.summary.isprintable():
            raise AssertionError("raw text in a summary")
        payload.describe()


def scan(pieces: list[bytes]) -> str | None:
    """What a scan of these pieces results in, as text; None where they are no capture."""
    analyzer = Analyzer(limits=LIMITS)
    try:
        for piece in pieces:
            analyzer.feed(piece)
        analyzer.end_capture()
    except CaptureError:
        return None
    return json.dumps(analyzer.finish().to_dict())


def scanner(data: bytes) -> None:
    """A capture in one piece and in several gives the same."""
    if len(data) < 2:
        return
    size = 1 + data[0] % 97
    body = data[1:]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    if scan([body]) != scan(pieces):
        raise AssertionError(f"depends on the pieces ({size} octets each)")


def analyzer(data: bytes) -> None:
    """A capture to all its documents and to text."""
    run = Analyzer(limits=LIMITS)
    try:
        run.feed(data)
        run.end_capture()
    except CaptureError:
        return
    analysis = run.finish()
    json.dumps(analysis.messages_document())
    json.dumps(analysis.flows_document())
    text = analysis.summary(width=80)
    if any(ord(c) < 32 and c != "\n" for c in text):
        raise AssertionError("control characters in the summary")


TARGETS: dict[str, Callable[[bytes], None]] = {"parse_ike": parse_ike, "scanner": scanner, "analyzer": analyzer}


def write_seeds(target: str, folder: Path) -> None:
    """Small real inputs: the starts of captures, or IKE messages."""
    for path in sorted(CAPTURES.glob("*/wan*")):
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        if target != "parse_ike":
            (folder / f"{path.parent.name}-{path.name}").write_bytes(b"\x60" * (target == "scanner") + data[:4096])
            continue
        for record in ipsecanalyze.analyze(path).messages[:20]:
            (folder / f"{path.parent.name}-{record.datagram.frame}").write_bytes(record.datagram.payload)


def main() -> None:
    """Fuzz the target named first."""
    target = sys.argv.pop(1)
    with tempfile.TemporaryDirectory() as folder:
        if not any(Path(word).exists() for word in sys.argv[1:]):
            write_seeds(target, Path(folder))
            sys.argv.append(folder)
        atheris.Setup(sys.argv, TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
