#!/usr/bin/env bash
# Writes guest/starlark/patched/: the sources of starlark and starlark_syntax as cargo fetches them, with the patches of
# guest/starlark/patches applied in the order of their names. The [patch.crates-io] tables of the workspace and of the
# fuzz targets use that folder, so this script runs before any other cargo command. When nothing changed it only
# compares a checksum; when the crates are in cargo's cache it needs no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

crates=(starlark starlark_syntax)
out=patched

say() { printf 'starlark: %s\n' "$*" >&2; }

# The folder of the fetched sources of crate $1, from the JSON of `cargo metadata` in $2.
folder_of() {
  local manifest
  manifest=$(grep -oE "\"manifest_path\":\"[^\"]*/$1(-[0-9.]+)?/Cargo\.toml\"" <<<"$2" | head -n 1 | cut -d'"' -f4)
  [ -n "$manifest" ] || { say "cargo metadata names no sources of $1"; return 1; }
  dirname "$manifest"
}

# Copies crate $1 from $2 into the folder $3. Times are new: cargo compares them with those of the last build.
copy() {
  cp -R "$2" "$3/$1"
  chmod -R u+w "$3/$1"
  rm -f "$3/$1"/{.cargo-ok,.cargo_vcs_info.json,Cargo.lock,Cargo.toml.orig}
  # cargo silences the warnings of crates from a registry, but not of those in a folder.
  printf '\n[lints.rust.warnings]\nlevel = "allow"\npriority = 1\n' >>"$3/$1/Cargo.toml"
}

# Applies the patch in file $1 inside folder $2.
apply() {
  if command -v patch >/dev/null; then
    patch --directory="$2" --strip=1 --forward --silent --no-backup-if-mismatch <"$1"
  else
    # Outside of any repository, or git would look for the paths in this one.
    GIT_CEILING_DIRECTORIES=$PWD git -C "$2" apply -p1 "$PWD/$1"
  fi
}

made_of() { cat sources/Cargo.{toml,lock} patch.sh patches/*.patch | sha256sum; }

stamp=$(made_of)
[ "$(cat "$out/.made-of" 2>/dev/null)" != "$stamp" ] || exit 0

# Two runs must not write the folder at once; the second finds the work done.
mkdir -p "$out"
exec 9>"$out/.lock"
if command -v flock >/dev/null; then flock 9; fi
[ "$(cat "$out/.made-of" 2>/dev/null)" != "$stamp" ] || exit 0

# This fetches what is not in the cache. The filter leaves out what only other platforms need.
metadata=$(cargo metadata --manifest-path sources/Cargo.toml --format-version 1 --locked --filter-platform "$(rustc -vV | sed -n 's/^host: //p')")
new=$(mktemp -d "$PWD/$out/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
for crate in "${crates[@]}"; do
  copy "$crate" "$(folder_of "$crate" "$metadata")" "$new"
done
for file in patches/*.patch; do
  apply "$file" "$new" || { say "$file does not apply"; exit 1; }
done
for crate in "${crates[@]}"; do
  # A crate that comes out as it was keeps its times, and so what was built from it.
  if ! diff -rq "$new/$crate" "$out/$crate" >/dev/null 2>&1; then
    rm -rf "${out:?}/$crate"
    mv "$new/$crate" "$out/$crate"
  fi
done
printf '%s\n' "$stamp" >"$out/.made-of"
say "patched ${crates[*]} ($(ls patches | wc -l) patches)"
