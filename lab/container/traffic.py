"""Runs inside the lab's nodes: one-file TCP and UDP traffic, so that the image needs no further package.

    traffic.py serve ADDRESS             echo TCP and UDP on port 7777 until killed; says "ready"
    traffic.py tcp ADDRESS OCTETS        send so many octets, and read them back
    traffic.py udp ADDRESS COUNT SIZE INTERVAL

The exit code is 0 where everything came back.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

PORT = 7777
PATIENCE = 10.0


def family_of(address: str) -> int:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def echo(connection: socket.socket) -> None:
    """Give back what comes until it ends."""
    with connection:
        while data := connection.recv(1 << 16):
            connection.sendall(data)


def serve(address: str) -> None:
    """Echo TCP and UDP."""
    udp = socket.socket(family_of(address), socket.SOCK_DGRAM)
    udp.bind((address, PORT))
    tcp = socket.create_server((address, PORT), family=family_of(address))

    def echo_datagrams() -> None:
        while True:
            data, peer = udp.recvfrom(1 << 16)
            udp.sendto(data, peer)

    threading.Thread(target=echo_datagrams, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        connection, _ = tcp.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def send_tcp(address: str, octets: int) -> int:
    """Send and read back; returns the octets that came back."""
    back = 0
    with socket.create_connection((address, PORT), PATIENCE) as connection:

        def read() -> None:
            nonlocal back
            while data := connection.recv(1 << 16):
                back += len(data)

        reader = threading.Thread(target=read)
        reader.start()
        pattern = bytes(range(256)) * 16
        left = octets
        while left > 0:
            left -= connection.send(pattern[:left])
        connection.shutdown(socket.SHUT_WR)
        reader.join(PATIENCE)
    return back


def send_udp(address: str, count: int, size: int, interval: float) -> int:
    """Send datagrams, and wait for each echo; returns how many came back."""
    back = 0
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as one:
        one.settimeout(1.0)
        for number in range(count):
            one.sendto(number.to_bytes(4, "big") + b"u" * max(size - 4, 0), (address, PORT))
            try:
                one.recv(1 << 16)
                back += 1
            except TimeoutError:
                continue
            time.sleep(interval)
    return back


def main(words: list[str]) -> int:
    """Do what the words say."""
    match words:
        case ["serve", address]:
            serve(address)
            return 0
        case ["tcp", address, octets]:
            wanted, back = int(octets), send_tcp(address, int(octets))
        case ["udp", address, count, size, interval]:
            wanted, back = int(count), send_udp(address, int(count), int(size), float(interval))
        case _:
            sys.stderr.write(__doc__ or "")
            return 2
    sys.stdout.write(f"{back} of {wanted}\n")
    return 0 if back == wanted else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
