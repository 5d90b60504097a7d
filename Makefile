# The two commands of a newcomer are `make run` and `make test`; README.md tells about them.

CARGO ?= cargo
RUN_FLAGS ?= --data-dir target/run/data --write-kubeconfig target/run/admin.kubeconfig

.PHONY: help run build test test-anyday e2e bench fuzz torture lint clean packages test-packages

help:
	@echo 'make run          build and start a server in the foreground; its data lies in target/run'
	@echo 'make build        build the release binary, target/release/corten'
	@echo 'make test         all tests: of the crates, of both stores, end to end by kube and kubectl'
	@echo 'make e2e          the tests end to end alone'
	@echo 'make test-anyday  all tests on other days, in other places and languages, on a busy machine'
	@echo 'make torture      hundreds of kills and power cuts under load, hostile crowds, 100,000 random interleavings'
	@echo 'make bench        measure the release build beside its budgets'
	@echo 'make fuzz         fuzz each target for FUZZ_SECONDS (60); needs a nightly toolchain'
	@echo 'make lint         formatting, clippy, dependencies, generated code, house rules'
	@echo 'make clean        remove what was built'

run: packages
	mkdir -p target/run
	$(CARGO) run --release --bin corten -- server $(RUN_FLAGS)

build: packages
	$(CARGO) build --release --bin corten

test:
	CARGO="$(CARGO)" scripts/test.sh

# Some twenty minutes; SETTINGS="years busy" for some of it.
test-anyday: packages test-packages
	CARGO="$(CARGO)" scripts/test-anyday.sh $(SETTINGS)

e2e: packages test-packages
	$(CARGO) build --workspace --bin corten
	$(CARGO) test --package corten-e2e

# Hostile crowds take a minute for each kind, or CORTEN_ATTACK_SECONDS.
# The store's own rounds cut the power of its simulated disk, and damage its files; those end to end kill real servers
# and a real etcd; the sequences are random requests at random interleavings, to one server and to two. The last two rows
# send large and crooked bodies of every kind: what they cost, by their growth, and in seconds.
# Whatever is built is selected from the whole workspace: of fewer packages the dependencies have other features, and are
# built again.
torture: packages test-packages
	$(CARGO) build --release --workspace --bin corten --bin corten-hostile
	CORTEN_TORTURE=50 $(CARGO) test --release --workspace --test all torture -- --nocapture --test-threads 1
	CORTEN_TORTURE=50 $(CARGO) test --release --workspace --test store torture -- --nocapture --test-threads 1
	CORTEN_TORTURE=200 $(CARGO) test --release --workspace --test store crashes -- --nocapture --test-threads 1
	CORTEN_TORTURE=500 $(CARGO) test --release --workspace --test store damage -- --nocapture --test-threads 1
	CORTEN_SEQUENCES=100000 $(CARGO) test --release --workspace --lib interleavings -- --nocapture --test-threads 1
	target/release/corten-hostile growth
	CORTEN_BIN=$(CURDIR)/target/release/corten target/release/corten-hostile limits

# A clean build is timed too, after the rest; BENCH_FLAGS= leaves it out, and `--help` tells what else there is.
BENCH_FLAGS ?= --build
bench: packages
	$(CARGO) build --release --bin corten
	$(CARGO) run --release --package corten-bench -- $(BENCH_FLAGS)

FUZZ_SECONDS ?= 60
# In KiB: as much as the server's threads have.
FUZZ_STACK = 131072
# Each run has a budget of time and memory (`within_budget`), which tells a slow input only when it is long enough. One
# that does not end is stopped after FUZZ_TIMEOUT seconds.
FUZZ_LENGTH = 65536
FUZZ_TIMEOUT = 60
fuzz: packages
	scripts/install-fuzz.sh
	for target in $$($(CARGO) fuzz list); do \
		mkdir -p fuzz/corpus/$$target; \
		(ulimit -s $(FUZZ_STACK); $(CARGO) +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=$(FUZZ_LENGTH) -timeout=$(FUZZ_TIMEOUT)) || exit 1; \
	done

lint: packages
	scripts/install-deny.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	scripts/install-packages.sh g++
	$(CARGO) clippy --manifest-path fuzz/Cargo.toml --locked --all-targets -- --deny warnings
	$(CARGO) deny --all-features check bans licenses sources
	$(CARGO) run --quiet --package corten-schema-generate -- --check
	$(CARGO) test --quiet --package corten-tidy

clean:
	$(CARGO) clean

packages:
	@scripts/install-build.sh

test-packages:
	@scripts/install-test.sh
