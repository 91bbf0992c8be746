"""Tables that `keys convert` exports make tshark 4.0 open what it can: as much as the makers' own tables did."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from ipsecanalyze.keys import load_keys
from ipsecanalyze.keys.write import convert

CAPTURES = Path(__file__).parents[1] / "captures"
#: Captures that are kept whole, by algorithm; IKE secrets of those whose tables or logs are kept.
SCENARIOS = (
    "manual-algos-tunnel-a",
    "manual-one-a",
    "v1-main-psk-a",
    "v2-3des-weak-a",
    "v2-any-sll2-a",
    "v2-beet-a",
    "v2-ccm-a",
    "v2-cert-gcm-esn-a",
    "v2-ctr-a",
    "v2-frag-a",
    "v2-ipv6-in-ipv6-a",
    "v2-natt-a",
    "v2-null-a",
    "v2-pq-mlkem-a",
    "v2-psk-aescbc-a",
    "v2-rekey-pfs-a",
    "v2-transport-a",
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_tshark_opens_what_it_can(name: str, tshark_path: str, tmp_path: Path) -> None:
    folder = CAPTURES / name
    expected = json.loads((folder / "expected.json").read_text())
    # Not from Wireshark's tables, where there is another source.
    sources = [path for path in (folder / "keys").iterdir() if path.name.startswith(("xfrm", "charon"))]
    # The order of generations and the SPIs of a rekeyed IKE SA are known from the table alone.
    tables = list((folder / "keys").glob("ikev*"))
    for table, text in convert(load_keys(sources + tables), "wireshark").files.items():
        (tmp_path / table).write_text(text)
    capture = next(folder.glob("wan.pcap*"))
    fields = ["esp.spi", "esp.icv_good", "esp.decrypted_data", "esp.protocol", "isakmp.enc.decrypted"]
    command = [tshark_path, "-n", "-r", str(capture), "-Y", "esp || isakmp", "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    for option in ("encryption_decode", "authentication_check"):
        command += ["-o", f"esp.enable_{option}:TRUE"]
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "esp_sa" not in done.stderr
    assert "decryption_table" not in done.stderr
    opened: Counter[str] = Counter()
    good: Counter[str] = Counter()
    messages = 0
    for line in done.stdout.splitlines():
        spi, icv, _, protocol, decrypted = line.split("\t")
        messages += bool(decrypted)
        if spi and protocol:
            opened[spi.split(",")[0]] += 1
        if spi and icv.split(",")[0] in ("1", "True"):
            good[spi.split(",")[0]] += 1
    assert opened == expected["tshark_esp"]["decrypted_per_spi"]
    assert good == expected["tshark_esp"]["icv_good_per_spi"]
    if any(path.name.startswith("ikev2") for path in tables):  # of IKEv1 tshark does not say whether it opened it
        assert messages == expected["tshark_ike"]["encrypted_messages_decrypted"]
