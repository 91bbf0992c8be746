"""Runs inside the lab's nodes: waits until a file has a line that matches, without a fixed sleep for the user to guess.

    await_log.py FILE OFFSET SECONDS PATTERN

Prints the offset behind the line and the line; the exit code is 1 where the time was over first.
"""

from __future__ import annotations

import re
import sys
import time


def main(words: list[str]) -> int:
    """Wait; returns the exit code."""
    path, offset, seconds, pattern = words
    wanted = re.compile(pattern.encode())
    end = time.monotonic() + float(seconds)
    with open(path, "rb") as stream:  # noqa: PTH123 - nothing but what Python's smallest package has
        stream.seek(int(offset))
        line = b""
        while True:
            piece = stream.readline()
            line += piece
            if line.endswith(b"\n"):
                if wanted.search(line):
                    sys.stdout.write(f"{stream.tell()} {line.decode('utf-8', 'replace')}")
                    return 0
                line = b""
            elif time.monotonic() > end:
                return 1
            elif not piece:
                time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
