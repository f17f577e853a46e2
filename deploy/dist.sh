#!/usr/bin/env bash
# Makes the archive of a release: the binary, its manual pages and completions, the units, the documents, and checksums.
#   deploy/dist.sh BINARY FOLDER
# The same binary and sources make the same bytes: names are sorted, times are those of SOURCE_DATE_EPOCH (that of the last
# commit where it is not set), and every file belongs to user 0.
set -euo pipefail

binary=$(realpath -- "$1")
mkdir -p -- "$2"
folder=$(realpath -- "$2")
cd -- "$(dirname -- "$0")/.."

version=$("$binary" --version | cut -d' ' -f2)
name="starcell-$version-$(uname -m)"
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

root=$(mktemp -d)
trap 'rm -rf -- "$root"' EXIT
tree="$root/$name"

install -D -m 0755 -- "$binary" "$tree/bin/starcell"
install -D -m 0644 -t "$tree/lib/systemd/system" deploy/systemd/starcell.service deploy/systemd/starcell.socket
install -D -m 0644 -t "$tree/deploy/container" deploy/container/Containerfile
find deploy/kubernetes -type f -exec install -D -m 0644 {} "$tree/{}" \;
install -D -m 0644 -t "$tree" LICENSE README.md CHANGELOG.md SECURITY.md
install -D -m 0644 -t "$tree/docs" docs/*.md
install -D -m 0644 guest/interp/REFERENCE.md "$tree/docs/reference.md"

mkdir -p -- "$tree/share/bash-completion/completions" "$tree/share/zsh/site-functions" \
  "$tree/share/fish/vendor_completions.d" "$tree/share/man/man1"
"$binary" completions bash >"$tree/share/bash-completion/completions/starcell"
"$binary" completions zsh >"$tree/share/zsh/site-functions/_starcell"
"$binary" completions fish >"$tree/share/fish/vendor_completions.d/starcell.fish"
"$binary" docs --manual "$tree/share/man/man1"

(cd -- "$tree" && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum >SHA256SUMS)
tar --create --sort=name --format=gnu --mtime="@$epoch" --owner=0 --group=0 --numeric-owner \
  --mode='u+rwX,go+rX,go-w' --directory="$root" "$name" | gzip --no-name -9 >"$folder/$name.tar.gz"
(cd -- "$folder" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$folder/$name.tar.gz"
