# make run     builds everything and serves the example on port 8080
# make test    runs all tests
# make test-fast  runs the tests that open no socket and start no process: some minutes after a build
# make lint    format, clippy, rustdoc, layers, licences, shell scripts
# make bench   measures, against baselines in the same run
# make fuzz    runs each fuzz target for FUZZ_SECONDS (5), after building them
# make dist    makes the archive of a release in target/dist
# make guest   builds the guest: needed before any other cargo command that builds the host
#
# Always one profile and one selection of packages, so that wasmtime is compiled once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-builtin-rules

PACKAGES := --release --workspace --exclude starcell-guest --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
# A backtrace for each error that a test provokes on purpose costs time and says nothing.
QUIET := env -u RUST_BACKTRACE

SCRIPT = tests/scripts/hello.star

# The patched crates: without them no cargo command finds its dependencies. Cheap when they are up to date.
.PHONY: .sources
.sources:
	guest/starlark/patch.sh

.PHONY: build run guest test test-fast lint bench format fuzz dist
build: guest
	cargo build $(PACKAGES)

# Of the workspace the command alone.
run: guest
	cargo build $(PACKAGES) --bin starcell
	exec "$(RELEASE)/starcell" run --allow-local "$(SCRIPT)"

guest: .sources
	guest/build.sh

# Built first: the system tests start the binary.
test: build .test-tools
	$(QUIET) cargo test $(PACKAGES) --no-fail-fast

# The unit tests, and the integration tests of the packages by name: the selection of packages stays the same, so that no
# dependency is compiled again. Left out are the whole-system tests, and those below, which open sockets or start
# processes; tests/structure checks that no other test does.
SLOW_FILES := host/audit/tests/anchors.rs host/audit/tests/disk.rs host/audit/tests/log.rs host/edge/tests/edge.rs host/registry/tests/registry.rs host/telemetry/tests/collector.rs
SLOW_UNITS := memory::tests socket::tests ground::tests handover::tests sockets::tests
FAST_FILES := $(filter-out $(SLOW_FILES),$(wildcard guest/*/tests/*.rs host/*/tests/*.rs))
FAST := --lib $(foreach test,$(FAST_FILES),--test $(basename $(notdir $(test)))) \
  $(foreach test,$(wildcard guest/*/tests/*/main.rs host/*/tests/*/main.rs tests/structure/main.rs),\
    --test $(notdir $(patsubst %/main.rs,%,$(test)))) \
  -- $(foreach unit,$(SLOW_UNITS),--skip $(unit))
test-fast: guest
	$(QUIET) cargo test $(PACKAGES) --no-fail-fast $(FAST)

dist: build
	deploy/dist.sh "$(RELEASE)/starcell" "$(TARGET)/dist"

bench: build
	$(QUIET) "$(RELEASE)/starcell-bench"

# Needs neither the guest nor the host: the targets are of the pure crates, built with coverage of their own.
fuzz: .sources
	tests/fuzz/run.sh

format: .sources
	cargo fmt --all
	cargo fmt --manifest-path tests/fuzz/Cargo.toml

# What the tests start besides our own binary. They manage without strace, and look less closely then.
.PHONY: .test-tools
.test-tools:
	@need=(); \
	type -P curl >/dev/null || need+=(curl); \
	type -P kill >/dev/null || need+=(procps); \
	type -P kubectl >/dev/null || need+=(kubernetes-client); \
	type -P openssl >/dev/null || need+=(openssl); \
	type -P prlimit >/dev/null || need+=(util-linux); \
	type -P haproxy >/dev/null || need+=(haproxy); \
	type -P h2load >/dev/null || need+=(nghttp2-client); \
	type -P slowhttptest >/dev/null || need+=(slowhttptest); \
	type -P redis-server >/dev/null || need+=(redis-server); \
	compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || need+=(postgresql); \
	type -P promtool >/dev/null || need+=(prometheus); \
	type -P chromium-headless-shell >/dev/null || need+=(chromium-headless-shell); \
	/usr/bin/python3 -c 'import h2, httpx' 2>/dev/null || need+=(python3-httpx python3-h2); \
	if [ $${#need[@]} -gt 0 ]; then .ci/install "$${need[@]}"; fi
	@type -P strace >/dev/null || .ci/install strace || true

.PHONY: .lint-tools .lint-format .lint-clippy .lint-guest .lint-doc .lint-layers .lint-deny .lint-shell
lint: .lint-format .lint-layers .lint-shell .lint-deny .lint-clippy .lint-guest .lint-doc
	@echo 'lint: passed'

.lint-tools:
	@cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	@cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

.lint-format: .sources .lint-tools
	cargo fmt --all -- --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml -- --check

.lint-clippy: guest .lint-tools
	cargo clippy $(PACKAGES) --all-targets --keep-going -- -D warnings
	cargo clippy --release --package starcell-codegen --features compiler --bin starcell-compile \
	  --target-dir "$(TARGET)/guest/build" --locked -- -D warnings

# The guest's crate is for wasm32 alone, and Debian's toolchain for that has no clippy; rustup's has.
WASM := wasm32-unknown-unknown
.lint-guest: guest .lint-tools
	@if [ -d "$$(rustc --print sysroot)/lib/rustlib/$(WASM)/lib" ]; then \
	  set -x; env -u RUSTFLAGS cargo clippy --package starcell-guest --profile guest --target $(WASM) \
	    --target-dir "$(TARGET)/guest/build" --locked -- -D warnings; \
	else echo 'lint: skipped clippy for starcell-guest: rustup has no target $(WASM)'; fi

.lint-doc: guest
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc $(PACKAGES) --no-deps

# $(call without,PACKAGE,CRATES): no dependency of PACKAGE, however far, is one of CRATES or their satellites.
define without
	@tree=$$(cargo tree --locked --package $(1) --edges normal,build --prefix none --format '{p}'); \
	found=$$(cut -d' ' -f1 <<<"$$tree" | sort -u | grep -vxF '$(1)' | grep -xE '($(2))([-_].*)?' | paste -sd' ') || true; \
	if [ -n "$$found" ]; then echo "lint: $(1) must not depend on: $$found" >&2; exit 1; fi; \
	echo 'lint: $(1) depends on none of $(2)'
endef

.lint-layers: .sources
	$(call without,starcell-policy,tokio|hyper|wasmtime|starcell-runtime)
	$(call without,starcell-bundle,tokio|hyper|wasmtime|starcell-runtime)
	$(call without,starcell-check,tokio|hyper|wasmtime|starcell-runtime)
	$(call without,starcell-config,tokio|hyper|wasmtime|starcell-runtime)
	$(call without,starcell-binary,cranelift-codegen|winch-codegen)
	$(call without,starcell-edge,wasmtime|starcell-node|starcell-runtime)
	$(call without,starcell-links,hyper|tokio|wasmtime|starcell-audit|starcell-runtime)
	$(call without,starcell-log,hyper|wasmtime|starcell-edge|starcell-node|starcell-runtime)
	$(call without,starcell-registry,rustls|wasmtime|starcell-edge|starcell-node|starcell-runtime)
	$(call without,starcell-runtime,starcell-edge|starcell-node)
	$(call without,starcell-audit,hyper|wasmtime|starcell-runtime)
	$(call without,starcell-telemetry,wasmtime|starcell-edge|starcell-node|starcell-runtime)
	$(call without,starcell-text,starcell|tokio|hyper|wasmtime)
	$(call without,starcell-interp,wit-bindgen|wasmtime|starcell-policy)

# Licences, bans, sources, and advisories where their database is at hand. In CI .ci/run has installed cargo-deny, and its
# absence is a failure.
.lint-deny: .sources
	@if type -P cargo-deny >/dev/null; then .ci/deny; \
	elif [ -z "$${CI:-}" ]; then echo 'lint: skipped licences, bans and sources: cargo-deny is not installed'; \
	else echo 'lint: cargo-deny is not installed' >&2; exit 1; fi

.lint-shell:
	@if type -P shellcheck >/dev/null; then set -x; shellcheck -x .ci/run .ci/deny .ci/install guest/*.sh guest/starlark/*.sh tests/fuzz/*.sh deploy/*.sh; \
	else echo 'lint: skipped shell scripts: shellcheck is not installed'; fi
