"""Copies keys of the corpus beside the captures: `python tests/captures/import_keys.py CORPUS`.

Of each scenario the kernel's SAs, Wireshark's tables and `sas.json` (the makers' list); of some the daemons' logs and
configurations, packed; of logs only the lines that matter for keys. Writes the table of provenance into KEYS.md.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: Scenarios whose logs of charon are kept, of one gateway (the initiator's) or both.
CHARON = {
    "v1-aggr-psk-a": ("moon",),
    "v1-main-psk-a": ("moon", "sun"),
    "v1-rekey-pfs-a": ("moon", "sun"),
    "v2-ah-tunnel-a": ("moon",),
    "v2-ccm-a": ("moon",),
    "v2-cert-gcm-esn-a": ("sun",),
    "v2-chacha-a": ("moon",),
    "v2-ctr-a": ("moon",),
    "v2-eap-mschapv2-a": ("moon",),
    "v2-frag-a": ("moon",),
    "v2-gmac-a": ("sun",),
    "v2-pq-mlkem-a": ("moon", "sun"),
    "v2-psk-aescbc-a": ("moon", "sun"),
    "v2-rekey-nopfs-a": ("moon",),
    "v2-rekey-pfs-a": ("moon", "sun"),
}
CONFIGURED = {"v2-psk-aescbc-a": ("swanctl-moon.conf",), "lsw-v2-a": ("ipsec-secrets-moon",)}
PLUTO = {"lsw-v2-a": ("pluto-moon.log",)}
#: What a log keeps: everything but the daemon's start and configuration.
NOISE = re.compile(r"\[(?:LIB|JOB|DMN)\]|vici|\[CFG\]   |activating|queueing")


def trimmed(path: Path) -> bytes:
    """A log without the lines that say nothing of keys."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = data.decode().splitlines(keepends=True)
    return "".join(line for line in lines if not NOISE.search(line)).encode()


def sources(folder: Path) -> dict[str, tuple[Path, bytes]]:
    """Name in the folder of keys → (original, content)."""
    found = {}
    for pattern in ("xfrm-monitor-*.txt", "wireshark/*", "sas.json", "xfrm-moon.txt"):
        for path in sorted(folder.glob(pattern)):
            found[path.name] = (path, path.read_bytes())
    for side in CHARON.get(folder.name, ()):
        path = next(folder.glob(f"charon-{side}.log*"))
        found[f"charon-{side}.log.gz"] = (path, gzip.compress(trimmed(path), 9, mtime=0))
    if folder.name in CHARON:
        path = folder / "ike_keys.json"
        found["ike_keys.json.gz"] = (path, gzip.compress(path.read_bytes(), 9, mtime=0))
    for name in CONFIGURED.get(folder.name, ()):
        found[name] = (folder / name, (folder / name).read_bytes())
    for name in PLUTO.get(folder.name, ()):
        found[name + ".gz"] = (folder / name, gzip.compress((folder / name).read_bytes(), 9, mtime=0))
    return {name: pair for name, pair in found.items() if pair[1]}


def main() -> None:
    """Import every scenario that has keys."""
    rows = []
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        if not folder.is_dir() or not (HERE / folder.name).is_dir():
            continue
        target = HERE / folder.name / "keys"
        target.mkdir(exist_ok=True)
        for old in target.iterdir():
            old.unlink()
        for name, (path, data) in sources(folder).items():
            (target / name).write_bytes(data)
            original = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append(f"| {folder.name}/keys/{name} | {path.relative_to(folder)} | {original} |")
        if not any(target.iterdir()):
            target.rmdir()
    page = HERE / "KEYS.md"
    head, marker, _ = page.read_text().partition("<!-- table: import_keys.py -->\n")
    table = ["| File | Original | SHA-256 of the original |", "|---|---|---|", *rows]
    page.write_text(head + marker + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
