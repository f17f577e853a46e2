#!/usr/bin/env bash
# Builds the guest: core module, component, split, ahead-of-time compilation, base image.
# Writes $CARGO_TARGET_DIR/guest/starcell_guest.{cwasm,memory.cwasm,image} (target/guest/... without CARGO_TARGET_DIR).
set -euo pipefail
cd "$(dirname "$0")/.."
. guest/toolchain.sh

root=${CARGO_TARGET_DIR:-$PWD/target}
out=$root/guest

guest/starlark/patch.sh

# The core module. Flags in the environment would replace those of .cargo/config.toml, which the guest cannot do without.
build_module() {
  # Installed here where there is none: all else that is built has no need of it.
  guest/toolchain.sh
  find_toolchain
  need_toolchain
  unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
  # Flags for the last step, where all crates are optimised together. What is small enough is inlined there, and LLVM's
  # own number is 225: a call costs more in a guest than elsewhere, since each asks how much stack and time there is. And
  # loops are left as they are: those of an interpreter go round once or twice, and vector code for them is only slower.
  # A sum in a loop takes a seventh less for both, the code a tenth more, and this build a minute.
  local flags=(-C llvm-args=-inline-threshold=500 -C no-vectorize-loops -C no-vectorize-slp)
  # cargo rebuilds only what changed. A folder of its own: the host's compiler may be another version.
  exec "${build[@]}" --package starcell-guest --lib --profile guest --target "$target" --target-dir "$out/build" \
    --locked -- "${flags[@]}"
}

# The compiler of the module, a program of its own in the guest's folder: the host has none in it.
build_compiler() {
  exec nice -n 5 cargo build --release --package starcell-codegen --features compiler --bin starcell-compile \
    --target-dir "$out/build" --locked
}

# The tool that makes the rest of it, and the libraries of the host: all but the binary is built beside the guest. Selected
# like everything else of the host, or wasmtime would be compiled once more for other features.
build_host() {
  exec nice -n 10 cargo build --release --workspace --exclude starcell-guest --lib --bin starcell-xtask --locked
}

# Side by side. The module goes first wherever both want a core: it ends in a long step on one of them, beside which the
# others go on.
build_module &
pids=($!)
build_compiler &
pids+=($!)
build_host &
pids+=($!)
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
# The first one to fail ends the others.
wait -n && wait -n && wait -n || exit
trap - EXIT

"$root/release/starcell-xtask" "$out/build/$target/guest/starcell_guest.wasm" "$out/build/release/starcell-compile" "$out"
