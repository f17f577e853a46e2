#!/usr/bin/env bash
# Builds the guest: core module, component, split, ahead-of-time compilation, base image.
# Writes $CARGO_TARGET_DIR/guest/starcell_guest.{cwasm,image} (target/guest/... without CARGO_TARGET_DIR).
#
# Needs a toolchain for wasm32-unknown-unknown, either of:
#   rustup target add wasm32-unknown-unknown
#   apt-get install rustc-web cargo-web rust-web-src lld    (Debian; std is built from its sources)
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
root=${CARGO_TARGET_DIR:-$PWD/target}
out=$root/guest

say() { printf 'guest: %s\n' "$*" >&2; }

# Which cargo can build for wasm32? Sets the array `build`.
find_toolchain() {
  local sysroot
  if sysroot=$(rustc --print sysroot 2>/dev/null) && [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
    build=(cargo build)
    return
  fi
  local missing=()
  [ -x /usr/bin/rustc ] || missing+=(rustc-web)
  [ -x /usr/bin/cargo ] || missing+=(cargo-web)
  local std_sources=
  if [ -x /usr/bin/rustc ]; then
    std_sources=$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library
    [ -d "$std_sources" ] || missing+=(rust-web-src)
  fi
  command -v wasm-ld >/dev/null || missing+=(lld)
  if [ ${#missing[@]} -gt 0 ]; then
    say "no toolchain for $target found. Install one of:"
    say "  with rustup:  rustup target add $target"
    say "  on Debian:    apt-get install rustc-web cargo-web rust-web-src lld   (missing here: ${missing[*]})"
    exit 1
  fi
  # Debian ships no std for this target but its sources, which a released compiler builds only when asked this way.
  build=(env RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld
    /usr/bin/cargo build -Z "build-std=std,panic_abort")
}

find_toolchain
# cargo rebuilds only what changed. A folder of its own: the host's compiler may be another version.
"${build[@]}" --package starcell-guest --profile guest --target "$target" --target-dir "$out/build" --locked
cargo run --release --workspace --exclude starcell-guest --bin starcell-xtask --locked -- \
  "$out/build/$target/guest/starcell_guest.wasm" "$out"
