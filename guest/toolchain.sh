#!/usr/bin/env bash
# The toolchain for wasm32-unknown-unknown, either of:
#   rustup target add wasm32-unknown-unknown
#   apt-get install rustc-web cargo-web rust-web-src lld    (Debian; std is built from its sources)
# Run, as guest/build.sh does, it installs Debian's where none is found; sourced, it only looks for one.
set -euo pipefail

target=wasm32-unknown-unknown
packages='rustc-web cargo-web rust-web-src lld'

say() { printf 'guest: %s\n' "$*" >&2; }

# Is $1 a Rust tool that is new enough for the workspace? Debian's older ones have the same path.
recent() {
  local least version
  least=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  version=$("$1" --version 2>/dev/null | cut -d' ' -f2) || return 1
  [ -n "$version" ] && printf '%s\n' "$least" "$version" | sort --check=silent --version-sort
}

# Sets the array `build`, the command that builds a crate for wasm32, or the array `missing`, the packages that are
# needed.
# shellcheck disable=SC2034 # `build` is for whoever sources this.
find_toolchain() {
  local sysroot
  build=() missing=()
  if sysroot=$(rustc --print sysroot 2>/dev/null) && [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
    build=(cargo rustc)
    return
  fi
  recent /usr/bin/rustc || missing+=(rustc-web)
  recent /usr/bin/cargo || missing+=(cargo-web)
  sysroot=$(/usr/bin/rustc --print sysroot 2>/dev/null) || sysroot=
  [ -d "$sysroot/lib/rustlib/src/rust/library" ] || missing+=(rust-web-src)
  command -v wasm-ld >/dev/null || missing+=(lld)
  # Debian ships no std for this target but its sources, which a released compiler builds only when asked this way.
  build=(env RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld
    /usr/bin/cargo rustc -Z "build-std=std,panic_abort")
}

# Fails, with what to do about it, when find_toolchain has found something missing.
need_toolchain() {
  [ ${#missing[@]} -gt 0 ] || return 0
  say "no toolchain for $target found. Install one of:"
  say "  with rustup:  rustup target add $target"
  say "  on Debian:    apt-get install $packages   (missing here: ${missing[*]})"
  exit 1
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  cd "$(dirname "$0")/.."
  find_toolchain
  if [ ${#missing[@]} -gt 0 ]; then
    say "no toolchain for $target found; trying Debian's"
    # Its failure is told by what is still missing.
    .ci/install "${missing[@]}" || true
    find_toolchain
  fi
  need_toolchain
fi
