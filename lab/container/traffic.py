"""Runs inside the lab's nodes: one-file TCP and UDP traffic, so that the image needs no further package.

    traffic.py serve ADDRESS             echo TCP and UDP on port 7777 until killed; says "ready"
    traffic.py tcp ADDRESS OCTETS        send so many octets, and read them back
    traffic.py udp ADDRESS COUNT SIZE INTERVAL

The exit code is 0 where everything came back. There are no threads: a server that had them once stopped answering, and
a healthy tunnel seemed to have lost its traffic. Why was not found out; glibc bug 25847 would look like that.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

PORT = 7777
PATIENCE = 10.0
CHUNK = 1 << 16


def family_of(address: str) -> int:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Echo:
    """A connection whose octets go back where they came from."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._waiting = b""
        self._ended = False

    def turn(self) -> int:
        """Do what can be done now; returns the events to wait for, 0 when it is over."""
        try:
            if not self._waiting and not self._ended:
                self._waiting = self.connection.recv(CHUNK)
                self._ended = not self._waiting
            if self._waiting:
                self._waiting = self._waiting[self.connection.send(self._waiting) :]
        except BlockingIOError:
            pass
        except OSError:
            return 0
        if self._waiting:
            return selectors.EVENT_WRITE
        return 0 if self._ended else selectors.EVENT_READ


def serve(address: str) -> None:
    """Echo TCP and UDP."""
    udp = socket.socket(family_of(address), socket.SOCK_DGRAM)
    udp.bind((address, PORT))
    tcp = socket.create_server((address, PORT), family=family_of(address))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    answer(tcp, udp)


def answer(tcp: socket.socket, udp: socket.socket) -> None:
    """Give back what comes, until killed."""
    for one in (tcp, udp):
        one.setblocking(False)
    with selectors.DefaultSelector() as chooser:
        chooser.register(tcp, selectors.EVENT_READ)
        chooser.register(udp, selectors.EVENT_READ)
        while True:
            for key, _ in chooser.select():
                try:
                    if key.fileobj is udp:
                        udp.sendto(*udp.recvfrom(CHUNK))
                    elif key.fileobj is tcp:
                        connection, _ = tcp.accept()
                        chooser.register(connection, selectors.EVENT_READ, Echo(connection))
                    else:
                        go_on(chooser, key.data)
                except OSError:  # an error of the network is about one datagram, one connection
                    continue


def go_on(chooser: selectors.BaseSelector, echo: Echo) -> None:
    """The next step of a connection."""
    events = echo.turn()
    if events:
        chooser.modify(echo.connection, events, echo)
    else:
        chooser.unregister(echo.connection)
        echo.connection.close()


def send_tcp(address: str, octets: int) -> int:
    """Send and read back; returns the octets that came back."""
    back, left, pattern = 0, octets, bytes(range(256)) * 16
    with socket.create_connection((address, PORT), PATIENCE) as connection, selectors.DefaultSelector() as chooser:
        connection.setblocking(False)
        chooser.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while ready := chooser.select(PATIENCE):
            events = ready[0][1]
            if events & selectors.EVENT_WRITE:
                left -= connection.send(pattern[:left])
                if not left:
                    connection.shutdown(socket.SHUT_WR)
                    chooser.modify(connection, selectors.EVENT_READ)
            if events & selectors.EVENT_READ:
                data = connection.recv(CHUNK)
                if not data:
                    break
                back += len(data)
    return back


def send_udp(address: str, count: int, size: int, interval: float) -> int:
    """Send datagrams, and wait for each echo; returns how many came back."""
    back = 0
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as one:
        one.settimeout(1.0)
        for number in range(count):
            one.sendto(number.to_bytes(4, "big") + b"u" * max(size - 4, 0), (address, PORT))
            try:
                one.recv(CHUNK)
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
