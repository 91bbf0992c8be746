"""Scans mutated captures with both cores and compares all that comes out; README.md here says how to run it.

    python tests/fuzz/mutate.py [CAPTURES [SEED [PROCESSES]]]

The same seed makes the same captures, however many processes share them.
"""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import repeat
from pathlib import Path
from random import Random
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1] / "fast"))

from conftest import differences, octets_of, told
from mutations import Record, mutated, split

from ipsecanalyze._fast.contract import Limits

CAPTURES = Path(__file__).parents[1] / "captures"
BATCH = 500
SMALL = 200_000  # octets
OPTIONS = (
    {},
    {},
    {},
    {"protected_datagrams": True},
    {"size": 57},
    {"size": 1000},
    {"limits": Limits(flows=1, gaps=1)},
    {"limits": Limits(flows=3, gaps=1, fragments=1, streams=1, conversations=1, notices=2)},
)


@cache
def seeds() -> list[tuple[int, list[Record]]]:
    """The records of the shipped captures that are small."""
    captures = (octets_of(path) for path in sorted(CAPTURES.glob("*/wan*.pcap*")))
    return [split(octets[:SMALL]) for octets in captures]


def run(numbers: list[int], seed: int) -> tuple[Counter[str], list[str]]:
    """Compare the captures of these numbers; what was scanned, and what differed."""
    counts: Counter[str] = Counter()
    found = []
    for number in numbers:
        random = Random(f"{seed}/{number}")
        octets = mutated(*random.choice(seeds()), random)
        options = random.choice(OPTIONS)
        try:
            expected = told("python", octets, **options)
            texts = differences(told("c", octets, **options), expected)
        except Exception as error:
            expected, texts = {}, [repr(error)]
        counts["captures"] += 1
        counts["octets"] += len(octets)
        if "facts" in expected:
            counts["packets"] += expected["facts"]["packets"]
            counts["flows"] += len(expected["flows"])
            counts["datagrams"] += len(expected["datagrams"])
            counts["captures with notices"] += bool(expected["facts"]["notices"])
        if texts:
            Path(f"differs-{number}.pcap").write_bytes(octets)
            found.append(f"capture {number} with {options}: " + "; ".join(texts[:3]))
    return counts, found


def main(captures: int = 100_000, seed: int = 1, processes: int = 2) -> int:
    """Compare so many captures; the exit status."""
    start = monotonic()
    counts: Counter[str] = Counter()
    found: list[str] = []
    batches = [range(captures)[at : at + BATCH] for at in range(0, captures, BATCH)]
    with ProcessPoolExecutor(processes) as pool:
        for more, differing in pool.map(run, map(list, batches), repeat(seed)):
            counts += more
            found += differing
            for text in differing:
                print(text, flush=True)  # noqa: T201
    print(", ".join(f"{number:,} {name}" for name, number in counts.items()))  # noqa: T201
    result = f"{len(found)} differ; seed {seed}, {monotonic() - start:.0f} s in {processes} processes"
    print(result)  # noqa: T201
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
