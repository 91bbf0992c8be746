#!/bin/sh
# Runs tests of the C core with a build that finds wrong memory accesses, leaks and undefined behaviour (gcc's sanitizers).
#
#     tests/fuzz/sanitized.sh FOLDER [arguments of pytest; tests/fast without]
#
# Works on a copy in FOLDER; what is installed stays as it is. PYTHON and CC choose others.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:?where to}
shift
python=${PYTHON:-python3} cc=${CC:-gcc}
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -rf "$out/ipsecanalyze" "$out/tests"
cp -r "$here/ipsecanalyze" "$here/tests" "$here/pyproject.toml" "$out/"
cd "$out"
rm -f ipsecanalyze/_fast/_core*.so
"$cc" -std=c11 -g -O1 -fno-omit-frame-pointer -shared -fPIC -Wall -Wextra \
    -fsanitize=address,undefined -fno-sanitize-recover=all \
    $("$python" -c 'import sysconfig; print("-I" + sysconfig.get_path("include"))') \
    -o ipsecanalyze/_fast/_core.abi3.so ipsecanalyze/_fast/core/*.c
# All memory through malloc, so that all of it is watched. Leaks: only those in the core count, Python leaves much behind.
export PYTHONPATH="$out" PYTHONMALLOC=malloc UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:log_path=$out/report"
libraries="$("$cc" -print-file-name=libasan.so):$("$cc" -print-file-name=libubsan.so)"
rm -f "$out"/report.*
[ $# -gt 0 ] || set -- tests/fast
LD_PRELOAD="$libraries" CI=true "$python" -m pytest -q -p no:cacheprovider "$@"
ASAN_OPTIONS="detect_leaks=1:log_path=$out/leaks:exitcode=0" LD_PRELOAD="$libraries" "$python" - <<'LEAKS'
import sys
from pathlib import Path
from ipsecanalyze._fast import _core, make_scanner
sys.path.insert(0, "tests/fast")
from conftest import octets_of, told
assert str(Path(_core.__file__).resolve()).startswith(str(Path.cwd().resolve())), _core.__file__
for path in sorted(Path("tests/captures").glob("*/wan*.pcap*")):
    told("c", octets_of(path)[:50_000], protected_datagrams=True)
LEAKS
if cat "$out"/report.* 2>/dev/null || grep -H "_fast/core/" "$out"/leaks.* 2>/dev/null; then
    echo "the sanitizers found something" >&2
    exit 1
fi
echo "the sanitizers found nothing"
