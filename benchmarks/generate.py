"""Makes captures of any size for benchmarks: ESP traffic, many IKE SAs, floods of half-open ones.

    python benchmarks/generate.py esp   out.pcap --packets 10000000 --sas 128 --other 0.15      # IMIX, 4 GB
    python benchmarks/generate.py esp   out.pcap --packets 10000000 --sizes small              # ESP of 64 octets
    python benchmarks/generate.py esp   out.pcap --packets 4000000 --sas 1000000 --sizes small # a million SPIs
    python benchmarks/generate.py esp   out.pcap --fragmented 0.1 --vlan 0.5 --udp 0.3 --loss 0.01
    python benchmarks/generate.py esp   out.pcapng --format pcapng
    python benchmarks/generate.py ike   out.pcap --sas 50000
    python benchmarks/generate.py flood out.pcap --packets 200000

The same arguments give the same octets.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

from blocks import Block
from frames import fragments, ipv4, tagged, udp
from ike_messages import ike_auth, sa_init
from writer import CaptureFile

#: Octets of ESP per packet, with their weights: the simple IMIX of 64, 594 and 1518 octet frames (7:4:1).
SIZES = {
    "imix": ((68, 7), (556, 4), (1444, 1)),
    "small": ((64, 1),),
    "large": ((1444, 1),),
}
#: Packets that are made one by one; a longer capture repeats them (see blocks.py).
_BLOCK = 65_536


def _address(number: int) -> bytes:
    """10.0.0.0/8, one address per number."""
    return (0x0A000000 | number & 0xFFFFFF).to_bytes(4)


def write_esp(
    path: str | Path,
    *,
    packets: int,
    sas: int = 10,
    sizes: str = "imix",
    other: float = 0.0,
    udp_share: float = 0.0,
    vlan_share: float = 0.0,
    fragmented: float = 0.0,
    loss: float = 0.0,
    form: str = "pcap",
    seed: int = 1,
) -> int:
    """Write ESP of `sas` one-way SAs, each with as many packets, in random order. Returns packets.

    Shares of the packets: `other` traffic, `fragmented` in two, lost (`loss`); of the SAs: in UDP 4500, in a VLAN.
    """
    random = Random(seed)
    noise = random.randbytes(4096)
    spis = random.sample(range(0x1000, 1 << 32), sas)
    strangers = _other_frames(noise)
    block = Block(form=form)
    turns = [turn % sas for turn in range(min(packets, max(_BLOCK, sas)))]
    random.shuffle(turns)
    table, weights = zip(*SIZES[sizes], strict=True)
    for sa, size in zip(turns, random.choices(table, weights, k=len(turns)), strict=True):
        if random.random() < other:
            block.add(random.choice(strangers))
            continue
        peers = _address(2 * sa + 1), _address(2 * sa + 2)
        head = udp(*peers, (4500, 4500), size) if sa < sas * udp_share else ipv4(*peers, 50, size)
        number_at = len(head) + 4
        frame = head + spis[sa].to_bytes(4) + bytes(4) + noise[: size - 8]
        parts = [frame]
        if random.random() < fragmented:
            parts = list(fragments(frame, len(block) & 0xFFFF))
        if sa >= sas * (1.0 - vlan_share):
            parts = [tagged(part, 100 + sa % 16) for part in parts]
            number_at += 4
        block.add(parts[0], stream=sa, number_at=number_at, skipped=int(random.random() < loss))
        for part in parts[1:]:
            block.add(part)
    block.write(path, packets)
    return packets


def _other_frames(noise: bytes) -> list[bytes]:
    """TLS and QUIC data, a DNS query, a TCP acknowledgement, an ARP request."""
    source, destination = _address(0xF00001), _address(0xF00002)
    tcp = bytes.fromhex("01bb c350 00000001 00000001 5018 ffff 0000 0000")
    tls = bytes.fromhex("17 0303 03e3") + noise[:995]
    query = bytes.fromhex("1234 0100 0001 0000 0000 0000 03777777 076578616d706c65 03636f6d 00 0001 0001")
    request = bytes.fromhex("0001 0800 06 04 0001 020000000001") + source + bytes(6) + destination
    return [
        ipv4(source, destination, 6, len(tcp) + len(tls)) + tcp + tls,
        udp(source, destination, (443, 50_000), 1200) + noise[:1200],
        udp(destination, source, (40_000, 53), len(query)) + query,
        ipv4(source, destination, 6, len(tcp)) + tcp,
        bytes.fromhex("ffffffffffff 020000000001 0806") + request + bytes(18),
    ]


def write_ike(path: str | Path, *, sas: int, form: str = "pcap", seed: int = 1, at_once: int = 64) -> int:
    """Write `sas` complete IKEv2 setups of four messages, `at_once` of them interleaved. Returns packets."""
    random = Random(seed)
    with CaptureFile(path, form=form, step_ns=200_000) as capture:
        for start in range(0, sas, at_once):
            setups = [_setup(number, random) for number in range(start, min(start + at_once, sas))]
            for step in range(4):
                for setup in setups:
                    capture.write(setup[step])
        return capture.packets


def _setup(number: int, random: Random) -> list[bytes]:
    initiator, responder = _address(number + 256), _address(number % 200 + 1)
    spi_i, spi_r = random.randbytes(8), random.randbytes(8)
    messages = [
        sa_init((spi_i, bytes(8)), initiator, responder, random),
        sa_init((spi_i, spi_r), responder, initiator, random, response=True),
        ike_auth((spi_i, spi_r), random),
        ike_auth((spi_i, spi_r), random, response=True),
    ]
    pairs = [(initiator, responder), (responder, initiator)] * 2
    return [udp(*pair, (500, 500), len(message)) + message for pair, message in zip(pairs, messages, strict=True)]


def write_flood(path: str | Path, *, packets: int, form: str = "pcap", seed: int = 1) -> int:
    """Write IKE_SA_INIT requests to one responder, each from another spoofed address. Returns packets."""
    random = Random(seed)
    responder = bytes((192, 0, 2, 1))
    with CaptureFile(path, form=form, step_ns=50_000) as capture:
        for _ in range(packets):
            source = random.randbytes(4)
            message = sa_init((random.randbytes(8), bytes(8)), source, responder, random)
            capture.write(udp(source, responder, (500, 500), len(message)) + message)
        return capture.packets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("esp", "ike", "flood"))
    parser.add_argument("path")
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--sas", type=int, default=100)
    parser.add_argument("--sizes", choices=sorted(SIZES), default="imix")
    parser.add_argument("--other", type=float, default=0.0, help="share of traffic that is not IPsec")
    parser.add_argument("--udp", type=float, default=0.0, help="share of the SAs that run in UDP port 4500")
    parser.add_argument("--vlan", type=float, default=0.0, help="share of the SAs that have a VLAN tag")
    parser.add_argument("--fragmented", type=float, default=0.0, help="share of packets that are two IP fragments")
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets that are missing")
    parser.add_argument("--format", choices=("pcap", "pcapng"), default="pcap")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start = time.perf_counter()
    if given.kind == "esp":
        count = write_esp(
            given.path,
            packets=given.packets,
            sas=given.sas,
            sizes=given.sizes,
            other=given.other,
            udp_share=given.udp,
            vlan_share=given.vlan,
            fragmented=given.fragmented,
            loss=given.loss,
            form=given.format,
            seed=given.seed,
        )
    elif given.kind == "ike":
        count = write_ike(given.path, sas=given.sas, form=given.format, seed=given.seed)
    else:
        count = write_flood(given.path, packets=given.packets, form=given.format, seed=given.seed)
    seconds = time.perf_counter() - start
    print(
        f"{given.path}: {count:,} packets, {Path(given.path).stat().st_size:,} octets, {count / seconds:,.0f} packets/s"
    )


if __name__ == "__main__":
    main()
