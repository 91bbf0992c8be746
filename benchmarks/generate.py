"""Makes captures of any size for benchmarks: ESP traffic, many IKE SAs, floods of half-open ones.

    python benchmarks/generate.py esp   out.pcap --packets 1000000 --sas 100 --sizes imix --other 0.1
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

from frames import ipv4, udp
from ike_messages import ike_auth, sa_init
from writer import CaptureFile

#: Octets of ESP per packet, with their weights: the simple IMIX of 64, 594 and 1518 octet frames (7:4:1).
SIZES = {
    "imix": ((68, 7), (556, 4), (1444, 1)),
    "small": ((68, 1),),
    "large": ((1444, 1),),
}
_BATCH = 65_536


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
    loss: float = 0.0,
    form: str = "pcap",
    seed: int = 1,
) -> int:
    """Write ESP of `sas` one-way SAs; shares of other traffic, of SAs in UDP 4500, of lost packets. Returns packets."""
    random = Random(seed)
    noise = random.randbytes(4096)
    table, weights = zip(*SIZES[sizes], strict=True)
    peers = [(_address(2 * k + 1), _address(2 * k + 2), random.getrandbits(32) | 0x1000) for k in range(sas)]
    heads = [_esp_heads(peer, table, in_udp=k < sas * udp_share) for k, peer in enumerate(peers)]
    tails = {size: noise[: size - 8] for size in table}
    strangers = _other_frames(random, noise)
    sequences = [0] * sas
    with CaptureFile(path, form=form) as capture:
        write = capture.write
        while capture.packets < packets:
            count = min(_BATCH, packets - capture.packets)
            chosen = random.choices(range(sas), k=count)
            lengths = random.choices(table, weights, k=count)
            dice = [random.random() for _ in range(count)] if other or loss else [1.0] * count
            for sa, size, die in zip(chosen, lengths, dice, strict=True):
                if die < other:
                    write(strangers[size % len(strangers)])
                    continue
                if die > 1.0 - loss:
                    sequences[sa] += 1
                sequence = sequences[sa] = sequences[sa] + 1
                write(heads[sa][size] + sequence.to_bytes(4) + tails[size])
        return capture.packets


def _esp_heads(peer: tuple[bytes, bytes, int], sizes: tuple[int, ...], *, in_udp: bool) -> dict[int, bytes]:
    """Everything in front of the sequence number, by size."""
    source, destination, spi = peer
    if in_udp:
        return {size: udp(source, destination, (4500, 4500), size) + spi.to_bytes(4) for size in sizes}
    return {size: ipv4(source, destination, 50, size) + spi.to_bytes(4) for size in sizes}


def _other_frames(random: Random, noise: bytes) -> list[bytes]:
    """Web, QUIC, DNS and ARP traffic."""
    source, destination = _address(0xF00001), _address(0xF00002)
    tcp = bytes.fromhex("01bb c350 00000001 00000001 5018 ffff 0000 0000")
    return [
        ipv4(source, destination, 6, len(tcp) + 1000) + tcp + noise[:1000],
        udp(source, destination, (443, 50_000), 1200) + noise[:1200],
        udp(source, destination, (53, 40_000), 80) + noise[:80],
        ipv4(source, destination, 6, len(tcp)) + tcp,
        bytes.fromhex("ffffffffffff 020000000001 0806") + random.randbytes(46),
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
