"""How often the suite of ESP is guessed right without keys: every flow of the scenarios in a folder against the truth.

    python benchmarks/inference.py tests/captures [--least 20] [--all] [--no-octets] [--no-ike]

A scenario is a folder with captures `wan*.pcap*` and `sas.json` (also in `keys/`), in which the kernel's SAs are.
Right: the first candidate's format has the suite that the kernel used, by name or among `alike` (docs/inference.md).
Sure and wrong must not be: a probability beyond 0.95 of a candidate without it. Exit code 1 if there is such a flow.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ipsecanalyze import Analysis, analyze
from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.findings.inference import infer_flows, infer_suite

CIPHERS = {
    "ecb(cipher_null)": "NULL",
    "cbc(aes)": "AES_CBC",
    "cbc(des3_ede)": "3DES",
    "cbc(des)": "DES",
    "cbc(blowfish)": "BLOWFISH",
    "cbc(cast5)": "CAST",
    "cbc(camellia)": "CAMELLIA_CBC",
    "cbc(serpent)": "SERPENT_CBC",
    "cbc(twofish)": "TWOFISH_CBC",
    "rfc3686(ctr(aes))": "AES_CTR",
    "rfc4106(gcm(aes))": "AES_GCM",
    "rfc4309(ccm(aes))": "AES_CCM",
    "rfc4543(gcm(aes))": "NULL_AUTH_AES_GMAC",
    "rfc7539esp(chacha20,poly1305)": "CHACHA20_POLY1305",
}
MACS = {
    None: "NONE",
    "hmac(md5)": "HMAC_MD5",
    "hmac(sha1)": "HMAC_SHA1",
    "hmac(sha256)": "HMAC_SHA2_256",
    "hmac(sha384)": "HMAC_SHA2_384",
    "hmac(sha512)": "HMAC_SHA2_512",
    "xcbc(aes)": "AES_XCBC",
    "cmac(aes)": "AES_CMAC",
}
SURE = 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """One flow, the truth, and what was guessed."""

    scenario: str
    flow: Flow
    truth: str
    mode: str
    """Of the SA."""

    @property
    def is_right(self) -> bool:
        """Whether the first candidate's format is the right one."""
        best = self.flow.guess.candidates[0]  # type: ignore[union-attr]
        return self.truth in (best.name, *best.alike)

    @property
    def is_named(self) -> bool:
        """Whether the first candidate has the very name."""
        return self.truth == self.flow.guess.candidates[0].name  # type: ignore[union-attr]

    @property
    def is_sure_and_wrong(self) -> bool:
        """What must not be."""
        return not self.is_right and self.flow.guess.candidates[0].probability > SURE  # type: ignore[union-attr]


def suite(sa: dict[str, object]) -> str:
    """The suite of a kernel's SA, as candidates name it."""
    combined, bits = sa.get("aead"), sa.get("icv_bits")
    if combined:
        name = CIPHERS[str(combined)]
        return f"{name}_{int(bits or 0) // 8}" if name in ("AES_GCM", "AES_CCM") else name  # type: ignore[call-overload]
    auth = sa.get("auth")
    mac = MACS[auth]  # type: ignore[index]
    return f"{CIPHERS[str(sa['enc'])]}/{mac}" + (f"_{bits}" if auth else "")


def truths(folder: Path) -> dict[int, tuple[str, str]]:
    """SPI → suite and mode of the ESP SAs of a scenario."""
    path = next((path for path in (folder / "sas.json", folder / "keys" / "sas.json") if path.exists()), None)
    if path is None:
        return {}
    known: dict[int, tuple[str, str]] = {}
    for sa in json.loads(path.read_text("utf-8")):
        if (sa["proto"] == "esp" and sa.get("enc")) or sa.get("aead"):
            known[int(sa["spi"], 16)] = suite(sa), sa.get("mode", "")
    return known


def rows(folder: Path, least: int, octets: bool, ike: bool) -> Iterator[Row]:
    """The flows of a scenario that have so many packets, judged; of several captures of it the first."""
    known = truths(folder)
    captures = sorted(folder.glob("wan.pcap*")) or sorted(folder.glob("wan*.pcap*"))
    if not known or not captures:
        return
    analysis: Analysis = analyze(captures[0])
    chosen = {sa.id: sa for sa in analysis.ike_sas} if ike else {}
    if octets:
        infer_flows(analysis.captures, analysis.flows, chosen)
    for flow in analysis.flows:
        if flow.protocol != "ESP" or flow.packets < least or flow.spi not in known:
            continue
        if not octets:
            sa = chosen.get(flow.ike_sa or "")
            flow.guess = infer_suite(flow, (), sa.chosen if sa else ())
        yield Row(folder.name, flow, *known[flow.spi])


def main() -> int:
    """Print the table and the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--least", type=int, default=20, metavar="N", help="flows of at least N packets")
    parser.add_argument("--all", action="store_true", help="flows that were guessed right too")
    parser.add_argument("--no-octets", action="store_true", help="by lengths only")
    parser.add_argument("--no-ike", action="store_true", help="without what the IKE SA uses itself")
    options = parser.parse_args()
    found = [
        row
        for folder in sorted(path for path in options.folder.iterdir() if path.is_dir())
        for row in rows(folder, options.least, not options.no_octets, not options.no_ike)
    ]
    for row in found:
        guess = row.flow.guess
        if guess is None or (row.is_right and not options.all):
            continue
        best = guess.candidates[0]
        sys.stdout.write(
            f"{'right' if row.is_right else 'WRONG'}  {row.scenario:22} {row.flow.spi:08x} {row.flow.packets:6}"
            f"  {row.truth:26} {best.name:26} {best.probability:.2f}"
            f"  {row.mode:9} {guess.mode:9} {guess.mode_probability:.2f}\n"
        )
    score(found)
    return 1 if any(row.is_sure_and_wrong for row in found) else 0


def score(found: list[Row]) -> None:
    """How many are right, by suite and in all."""
    by_suite: dict[str, Counter[str]] = {}
    for row in found:
        counts = by_suite.setdefault(row.truth, Counter())
        counts["flows"] += 1
        counts["right"] += row.is_right
        counts["named"] += row.is_named
        counts["sure and wrong"] += row.is_sure_and_wrong
        counts["mode"] += row.mode == row.flow.guess.mode  # type: ignore[union-attr]
    total = sum(by_suite.values(), Counter())
    sys.stdout.write(f"{'suite':30} {'flows':>6} {'right':>6} {'named':>6} {'mode':>6} {'sure and wrong':>15}\n")
    for name, counts in (*sorted(by_suite.items()), ("all", total)):
        cells = (counts["flows"], counts["right"], counts["named"], counts["mode"])
        sys.stdout.write(f"{name:30} " + " ".join(f"{cell:6}" for cell in cells) + f" {counts['sure and wrong']:15}\n")
    if found:
        share = 100 * total["right"] / len(found)
        sys.stdout.write(f"right in the first candidate: {total['right']} of {len(found)} flows ({share:.1f}%)\n")


if __name__ == "__main__":
    sys.exit(main())
