#!/usr/bin/env bash
# Builds the guest: core module, component, split, ahead-of-time compilation, base image.
# Writes $CARGO_TARGET_DIR/guest/starcell_guest.{cwasm,image} (target/guest/... without CARGO_TARGET_DIR).
set -euo pipefail
cd "$(dirname "$0")/.."
. guest/toolchain.sh

root=${CARGO_TARGET_DIR:-$PWD/target}
out=$root/guest

find_toolchain
need_toolchain
# Flags in the environment would replace those of .cargo/config.toml, which the guest cannot do without.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
# cargo rebuilds only what changed. A folder of its own: the host's compiler may be another version.
"${build[@]}" --package starcell-guest --profile guest --target "$target" --target-dir "$out/build" --locked
# Selected like everything else of the host, or wasmtime would be compiled a second time for other features.
cargo build --release --workspace --exclude starcell-guest --bin starcell-xtask --locked
"$root/release/starcell-xtask" "$out/build/$target/guest/starcell_guest.wasm" "$out"
