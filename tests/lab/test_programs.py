"""The programs that run inside nodes: shaper, traffic, await_log."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from .conftest import program


def esp(number: int, source: int = 1) -> bytes:
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 36, 0, 0, 64, 50, 0, bytes((10, 0, 0, source)), bytes((10, 0, 0, 9)))
    return head + struct.pack(">II", 0xC0FFEE, number) + bytes(8)


def udp(port: int, payload: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 17, 0, bytes(4), bytes(4))
    return head + struct.pack(">HHHH", port, port, 8 + len(payload), 0) + payload


def numbers(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(packet[24:28]) for packet in packets]


@pytest.fixture(scope="module")
def shaper():
    return program("shaper")


def test_what_is_esp(shaper) -> None:
    assert shaper.direction_of_esp(esp(1)) == bytes((10, 0, 0, 1))
    assert shaper.direction_of_esp(udp(4500, b"\0\0\0\1" + bytes(8))) == bytes(4)
    assert shaper.direction_of_esp(udp(4500, bytes(28))) is None  # IKE behind the non-ESP marker
    assert shaper.direction_of_esp(udp(500, b"\1" * 28)) is None
    assert shaper.direction_of_esp(udp(4500, b"\xff")) is None  # NAT keepalive


def test_dropping_counts_each_direction(shaper) -> None:
    one = shaper.Shaper(3, 0, 2, 0, 0.0)
    out = [packet for number in range(1, 10) for packet in one.take(esp(number), 0.0)]
    assert numbers(out) == [1, 2, 4, 5, 7, 8]
    assert one.take(esp(1, source=2), 0.0)


def test_holding_back(shaper) -> None:
    one = shaper.Shaper(0, 4, 2, 0, 0.0)
    out = [packet for number in range(1, 9) for packet in one.take(esp(number), 0.0)]
    assert numbers(out) == [1, 2, 3, 5, 6, 4, 7]
    assert numbers(one.due(0.1)) == []
    assert numbers(one.due(1.0)) == [8]


def test_duplicating_and_delaying(shaper) -> None:
    one = shaper.Shaper(0, 0, 2, 2, 0.0)
    assert numbers([packet for number in (1, 2, 3) for packet in one.take(esp(number), 0.0)]) == [1, 2, 2, 3]
    one = shaper.Shaper(0, 0, 2, 0, 0.5)
    assert one.take(esp(1), 10.0) == []
    assert one.due(10.4) == []
    assert numbers(one.due(10.5)) == [1]


def test_what_is_not_esp_passes(shaper) -> None:
    one = shaper.Shaper(1, 1, 2, 1, 0.0)
    assert one.take(udp(500, bytes(28)), 0.0) == [udp(500, bytes(28))]


def test_traffic_over_loopback(capsys) -> None:
    traffic = program("traffic")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        traffic.PORT = free.getsockname()[1]
    threading.Thread(target=traffic.serve, args=("127.0.0.1",), daemon=True).start()
    while "ready" not in capsys.readouterr().out:
        time.sleep(0.01)
    with socket.create_connection(("127.0.0.1", traffic.PORT)) as rude:  # ends with a reset, in the middle
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rude.sendall(bytes(100_000))
    assert traffic.send_tcp("127.0.0.1", 300_001) == 300_001
    assert traffic.send_tcp("127.0.0.1", 5_000_000) == 5_000_000
    assert traffic.send_udp("127.0.0.1", 3, 100, 0.0) == 3


def test_awaiting_a_line(tmp_path, capsys) -> None:
    await_log = program("await_log")
    log = tmp_path / "log"
    log.write_text("one\ntwo 42\nthree\n")
    assert await_log.main([str(log), "0", "1", r"two \d+"]) == 0
    place, _, line = capsys.readouterr().out.partition(" ")
    assert (place, line) == ("11", "two 42\n")
    assert await_log.main([str(log), place, "0", "two"]) == 1
