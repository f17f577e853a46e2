#!/usr/bin/env bash
# Builds the fuzz targets and runs each of them for a while: tests/fuzz/run.sh [TARGET...]
#
# FUZZ_SECONDS says how long each runs (5), CARGO_TARGET_DIR where all of it goes: fuzz/ in there holds the build, the
# inputs that were worth keeping (corpus/) and what a target could not stand (findings/). cargo-fuzz is not needed: it
# would set the flags below. They take RUSTC_BOOTSTRAP, as AddressSanitizer is not yet an option of stable compilers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${FUZZ_SECONDS:-5}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: FUZZ_SECONDS must be a number of seconds, got '$seconds'" >&2; exit 2; }
work=${CARGO_TARGET_DIR:-target}
mkdir -p "$work"
work=$(cd "$work" && pwd)/fuzz
machine=$(rustc -vV | sed -n 's/^host: //p')

# libFuzzer itself is C++.
command -v "${CXX:-c++}" >/dev/null || .ci/install g++

# Coverage of branches and comparisons, as libFuzzer wants it, in everything but build scripts and macros.
flags=(
  -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares
  -Zsanitizer=address
)
guest/starlark/patch.sh
# Not --locked: the lock file follows the crates of the product, and nothing that ships is built from it.
env -u CARGO_BUILD_RUSTFLAGS RUSTC_BOOTSTRAP=1 RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR="$work" \
  cargo build --manifest-path tests/fuzz/Cargo.toml --release --target "$machine"
fuzzer=$work/$machine/release/starcell-fuzz

# What a target prints is of interest when it ends in a finding, and then all of it.
fuzz() {
  local name=$1 corpus=$work/corpus/$1 log=$work/$1.log
  mkdir -p "$corpus" "$work/findings/$name"
  STARCELL_FUZZ=$name STARCELL_FUZZ_SEEDS=$work/seeds/$name "$fuzzer"
  local options=(
    -max_total_time="$seconds" -dict="$work/seeds/$name.dict" -artifact_prefix="$work/findings/$name/"
    -max_len=8192 -timeout=60 -rss_limit_mb=4096 -detect_leaks=0 -print_final_stats=1
  )
  if ! STARCELL_FUZZ=$name ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0 \
    "$fuzzer" "${options[@]}" "$corpus" "$work/seeds/$name" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "fuzz: $name: FOUND something: $work/findings/$name; the output is in $log" >&2
    return 1
  fi
  awk -v name="$name" '/^stat::number_of_executed_units/ { runs = $2 }
    / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
    END { printf "fuzz: %-9s %9d inputs, %6d edges\n", name, runs, cov }' "$log"
}

if [ $# -gt 0 ]; then names=("$@"); else mapfile -t names < <("$fuzzer"); fi
status=0
for name in "${names[@]}"; do
  fuzz "$name" || status=1
done
exit "$status"
