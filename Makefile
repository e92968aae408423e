# The commands of the project. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

example := examples/csv-to-table
host := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
# The job and the function run in empty file systems, so they are linked statically, for the host's architecture.
example_target := $(subst -musl,-gnu,$(host))
example_bin := $(example)/target/$(example_target)/release
venv := .venv
python := $(venv)/bin/python

.PHONY: help
help: ## List these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: check-build ## Build Barge (debug profile): target/debug/barge
	cargo build -p barge

.PHONY: release
release: check-build ## Build Barge for use: target/release/barge
	cargo build --release -p barge

.PHONY: example
example: check-build ## Build the example's job, function and demo
	cd $(example) && cargo build --release --target $(example_target)

.PHONY: demo
demo: build example ## CSV -> S3 -> Lambda -> Batch -> container -> DynamoDB; KEEP=1 leaves the server up
	$(example_bin)/demo --barge target/debug/barge --binaries $(example_bin) --example $(example) $(if $(KEEP),--keep)

.PHONY: test
test: check-build lint docs unit e2e ## Everything: format, clippy, unit tests, end-to-end tests with real clients

.PHONY: lint
lint: ## Format and clippy, warnings as errors
	cargo fmt --all --check
	cd $(example) && cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cd $(example) && cargo clippy --release --all-targets --target $(example_target) -- -D warnings

.PHONY: unit
unit: ## Unit and integration tests in Rust
	cargo test --workspace --quiet
	cd $(example) && cargo test --release --quiet --target $(example_target)

.PHONY: e2e
e2e: build example $(venv)/installed check-clients ## End-to-end tests with boto3, the aws CLI and skopeo
	$(python) -m pytest tests -q -rf --ignore tests/slow $(PYTEST)

.PHONY: soak
soak: ## Random histories of Batch, a million events each, until one breaks or you stop it; SOAK_SEED begins with one
	for ((seed = $${SOAK_SEED:-$$RANDOM$$RANDOM};; seed++)); do \
	  echo "seed $$seed"; \
	  SOAK_SEED=$$seed SOAK_EVENTS=$${SOAK_EVENTS:-1000000} cargo test --release --quiet -p barge-batch --lib whatever_happens; \
	done

.PHONY: test-slow
test-slow: build example $(venv)/installed check-clients ## The CDK from npm, and other people's templates: target/others/others.md tells how each went
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || \
	  { echo "The CDK needs Node.js 20 or newer, and this is $$(node --version): https://nodejs.org" >&2; exit 1; }
	$(python) -m pytest tests/slow -q -rf $(PYTEST)
	$(python) tests/slow/others_templates.py target/others

.PHONY: bench
bench: release example $(venv)/installed ## Measure what we say of speed; prints tables
	$(venv)/bin/pip install --quiet --disable-pip-version-check -r benches/requirements.txt
	benches/all.sh $(abspath $(python))

.PHONY: docs
docs: ## API documentation of every crate, warnings as errors
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

$(venv)/installed: tests/requirements.txt
	python3 -m venv $(venv)
	$(venv)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

.PHONY: deps
deps: ## Install what building and testing need (Debian, as root); elsewhere, name it
	@tests/deps.sh

.PHONY: check-build
check-build:
	@tests/require.sh cargo:rust cc:build-essential

.PHONY: check-clients
check-clients:
	@tests/require.sh python3:python3-venv git:git skopeo:skopeo busybox:busybox-static node:nodejs npm:npm

.PHONY: clean
clean: ## Remove what was built
	cargo clean
	cd $(example) && cargo clean
	rm -rf $(venv)
