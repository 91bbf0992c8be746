"""Runs inside the lab's router: loses, holds back, duplicates and delays packets, by counting and not by lot.

The kernel's netem would do this too, but not every kernel has it, and what it drops differs from run to run. All
forwarded packets are routed into a TUN device; this program reads them there, and writes back what is to go on.

    shaper.py DEVICE DROP_EVERY HOLD_EVERY HOLD_BEHIND DUPLICATE_EVERY DELAY_MS

Only ESP is touched (in IP or in UDP port 4500), each direction counted on its own: IKE gets through, so that what is
seen is what the numbers say.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
MOST_HELD_SECONDS = 0.25
"""A packet that is held back goes on after this time even where no others follow."""


def direction_of_esp(packet: bytes) -> bytes | None:
    """Source address of an ESP packet; None for anything else."""
    if packet[0] >> 4 == 4:
        start, protocol, source = (packet[0] & 15) * 4, packet[9], packet[12:16]
    else:
        start, protocol, source = 40, packet[6], packet[8:24]
    if protocol == 50:
        return source
    if protocol == 17 and len(packet) > start + 12:
        ports = struct.unpack_from(">HH", packet, start)
        is_esp = 4500 in ports and packet[start + 8 : start + 12] != bytes(4)
        return source if is_esp else None
    return None


class Direction:
    """What was counted and what is held of one direction."""

    def __init__(self) -> None:
        self.seen = 0
        self.held: tuple[int, float, bytes] | None = None


class Shaper:
    """Decides what becomes of packets; knows no device, so that it can be tested."""

    def __init__(self, drop: int, hold: int, behind: int, duplicate: int, delay: float) -> None:
        self.drop, self.hold, self.behind, self.duplicate, self.delay = drop, hold, behind, duplicate, delay
        self.directions: dict[bytes, Direction] = {}
        self.later: deque[tuple[float, bytes]] = deque()

    def take(self, packet: bytes, now: float) -> list[bytes]:
        """What goes on at once, now that this packet came."""
        source = direction_of_esp(packet)
        if source is None:
            return self._after_delay([packet], now)
        one = self.directions.setdefault(source, Direction())
        one.seen += 1
        if self.drop and one.seen % self.drop == 0:
            return []
        if self.hold and one.seen % self.hold == 0 and one.held is None:
            one.held = (one.seen + self.behind, now + MOST_HELD_SECONDS, packet)
            return []
        out = [packet]
        if self.duplicate and one.seen % self.duplicate == 0:
            out.append(packet)
        if one.held is not None and one.seen >= one.held[0]:
            out.append(one.held[2])
            one.held = None
        return self._after_delay(out, now)

    def due(self, now: float) -> list[bytes]:
        """What goes on because time has passed."""
        out = []
        for one in self.directions.values():
            if one.held is not None and now >= one.held[1]:
                out.append(one.held[2])
                one.held = None
        while self.later and self.later[0][0] <= now:
            out.append(self.later.popleft()[1])
        return out

    def _after_delay(self, packets: list[bytes], now: float) -> list[bytes]:
        if not self.delay:
            return packets
        self.later.extend((now + self.delay, packet) for packet in packets)
        return []


def main(words: list[str]) -> None:
    """Shape until killed."""
    name, *numbers = words
    drop, hold, behind, duplicate, delay_ms = map(int, numbers)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
    shaper = Shaper(drop, hold, behind, duplicate, delay_ms / 1000)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        readable, _, _ = select.select([device], [], [], 0.01)
        out = []
        if readable:
            try:
                out = shaper.take(os.read(device, 1 << 16), time.monotonic())
            except OSError:  # the device is not up yet
                time.sleep(0.01)
        for packet in out + shaper.due(time.monotonic()):
            os.write(device, packet)


if __name__ == "__main__":
    main(sys.argv[1:])
