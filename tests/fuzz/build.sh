#!/bin/sh
# Builds the libFuzzer target of the C core into a folder, and beside it seeds from the shipped captures; and a program
# in which each allocation of the core fails once.
#
#     tests/fuzz/build.sh FOLDER      then: FOLDER/core_fuzz FOLDER/corpus FOLDER/seeds
#                                           FOLDER/no_memory FOLDER/captures/*
#
# Needs clang with its runtime (Debian: clang libclang-rt-14-dev); CC chooses another one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
core=$here/../../ipsecanalyze/_fast/core
out=${1:?where to}
mkdir -p "$out/seeds" "$out/corpus" "$out/captures"
out=$(cd "$out" && pwd)
flags="-std=c11 -g -O1 -fno-omit-frame-pointer -Wall -Wextra -fno-sanitize-recover=all -DSETTLE_EVERY=16 -DLANE_FROM=17"
cd "$core"
sources="flows.c ip.c link.c merge.c reading.c records.c sequence.c"
# The settings let short inputs reach what otherwise long captures do.
"${CC:-clang}" $flags -fsanitize=fuzzer,address,undefined -I . -o "$out/core_fuzz" "$here/core_fuzz.c" $sources
mkdir -p "$out/objects"
for source in $sources; do
    "${CC:-clang}" $flags -fsanitize=address,undefined -Dmalloc=core_malloc -Dcalloc=core_calloc -Drealloc=core_realloc \
        -c -o "$out/objects/$source.o" "$source"
done
"${CC:-clang}" $flags -fsanitize=address,undefined -I . -o "$out/no_memory" "$here/no_memory.c" "$out"/objects/*.o
python3 - "$here/../captures" "$out/seeds" <<'SEEDS'
"""The first 6,000 octets of each capture, behind options and the sizes of pieces; and long flows of short packets."""
import gzip, pathlib, struct, sys
captures, seeds = map(pathlib.Path, sys.argv[1:])
for number, path in enumerate(sorted(captures.glob("*/wan*.pcap*"))):
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    head = bytes((number % 32, number % 7 * 5, number % 11 * 20, number % 3 * 99))
    (seeds / f"{path.parent.name}-{path.name}").write_bytes(head + data[:6000])
    if data[:4] == b"\xd4\xc3\xb2\xa1":
        (seeds.parent / "captures" / f"{path.parent.name}-{path.name}").write_bytes(data[:20_000])
numbers = [*range(1, 60), 70, 65, 65, 80, 100_000, *range(81, 110), 1, 2, 3, *range(0xFFFFFFF0, 1 << 32), *range(30)]
for options in range(32):
    data = bytes((options, 9, 0, 33)) + struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    for at, number in enumerate(numbers):
        ip = struct.pack(">BBHHHBBH8sII", 0x45, at // 90, 28, at, 0x4000, 64 - at // 99, 50, 0, b"source..", 7, number)
        data += struct.pack("<IIII", 1, 999 * at - at // 50 * 10_000, 42, 42) + bytes(12) + b"\x08\0" + ip
    (seeds / f"long-flow-{options}").write_bytes(data)
(seeds.parent / "captures" / "long-flow").write_bytes(data[4:])
SEEDS
