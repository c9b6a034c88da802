# The verbs of this project. Each installs what it needs and says so (scripts/setup).
.PHONY: demo test conformance bench book build dist profile guests reference simulate fuzz sbom fmt

demo: ## Build Sampan and the shopping cart, run it, print the URLs to open
	@scripts/setup demo
	@exec scripts/demo

test: ## Everything: formatting, lints, unit tests, simulation, whole-system tests
	@scripts/setup test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(MAKE) guests
	scripts/run-tests

conformance: ## Suites that others wrote, against expected.toml: make conformance [SUITES="h2spec oci"]
	@scripts/setup conformance
	cargo test --workspace --locked --no-run
	$(MAKE) guests
	tests/conformance/run $(SUITES)

bench: ## Print the figures of bench/README.md
	@scripts/setup bench
	scripts/profiled cargo build --profile dist --locked
	scripts/profiled cargo build --profile dist --locked -p sampan-gateway -p sampan-transport -p sampan-scheduler --examples
	$(MAKE) guests
	bench/run

book: ## The documentation as a book, into target/book
	@scripts/setup book
	PATH="$$PATH:$$PWD/target/tools/bin" mdbook build docs

build: ## The release binary
	@scripts/setup build
	cargo build --release --locked

dist: ## What users install, into target/dist-packages: make dist [KEY=signing.key]
	@scripts/setup dist
	scripts/dist $(if $(KEY),--key $(KEY))

profile: ## Count anew what of the program runs how often under load, by which dist and bench compile it
	@scripts/setup profile
	$(MAKE) guests
	scripts/profile

guests: ## The sample guests and the test guest, into target/guests
	@scripts/setup guests
	scripts/guests

reference: ## Write the pages of the book that are made from the code, and the code that is made from the protocol
	@scripts/setup build
	SAMPAN_WRITE_REFERENCE=1 cargo test --locked -p sampan-transport --test generated
	SAMPAN_WRITE_REFERENCE=1 cargo test --locked -p sampan --bin sampan reference::

simulate: ## Rerun one seed of the scheduler's simulation: make simulate SEED=123
	SAMPAN_SEED=$(SEED) cargo test --locked -p sampan-scheduler --test simulation -- --nocapture

fuzz: ## Fuzz what parses strangers' bytes, by default for a minute: make fuzz TARGET=yaml [SECONDS=600]
	@scripts/setup fuzz
	fuzz/run $(TARGET) $(or $(SECONDS),60)

sbom: ## The bill of materials of the program, in CycloneDX, to target/sampan.cdx.json
	@scripts/setup sbom
	scripts/sbom

fmt: ## Format everything
	cargo fmt --all
