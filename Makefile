# Stoker. `make demo` shows it at work, `make test` proves it; `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.DEFAULT_GOAL := help

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The webhook Lambda's: x86_64 or arm64. The others host policies, which are compiled for x86_64.
ARCH ?= x86_64
# Where Terraform is applied: this module, or one that calls it.
TERRAFORM ?= terraform
say = printf '\n== %s\n'

.PHONY: help demo test check fmt clippy no-compiler setup policies examples worker lambdas build dist deploy-aws deploy-edge edge-secrets publish-policy check-terraform check-shell deny bench-sync bench-policy bench-languages bench-admission bench-why bench-burst bench-retire sim clean

help: ## this list
	echo "make demo      build what the demo needs and show a job's way, from webhook to retired runner"
	echo "make test      install what the tests need, build everything, run all tests"
	echo "make check     formatting, clippy with warnings denied, and no compiler where none may be"
	echo "make check-terraform  terraform/: form, tests, examples, and checkov (make test does it too)"
	echo "make check-shell      shellcheck of all scripts (make test does it too)"
	echo "make setup     install what the tests need: wasm32 targets, npm packages, Worker tools, moto, componentizers"
	echo "make policies  build the shipped policies and the tests' policies as components"
	echo "make examples  build the example policies in other languages"
	echo "make worker    build the Cloudflare Worker"
	echo "make lambdas   build the Lambdas, each by itself, into target/lambdas"
	echo "make build     build all that is deployed: Lambdas (ARCH=arm64: the webhook Lambda's), policies, Worker"
	echo "make dist      the same, packed into dist/ with a list of it (the first time half an hour)"
	echo "make deploy-aws      terraform init and apply (TERRAFORM=folder of your own module)"
	echo "make deploy-edge     build and deploy the Worker, with the queue of that Terraform"
	echo "make edge-secrets    hand the Worker its secrets, without showing them"
	echo "make publish-policy  publish a policy: POLICY=file SCOPE=default|owner|owner/repo [SETTINGS=file]"
	echo "make sim       run the control plane through drawn histories of faults (SEEDS=10000; SEED=n tells one)"
	echo "make deny      licences, sources and double versions of dependencies (needs cargo-deny)"
	echo "make bench-policy  measure what a decision costs (builds for some ten minutes the first time)"
	echo "make bench-admission  measure what admission costs and how long a hot swap takes"
	echo "make bench-languages  the same for the example policies in other languages"
	echo "make bench-why  measure how long stoker why takes with a million decisions in the journal (2 GB of disk)"
	echo "make bench-burst  measure how 1,000 and 10,000 jobs at once are launched for, and what that costs (some minutes; SCENARIO=ten-thousand for one)"
	echo "make bench-sync     measure how much memory mirroring a 200 MB runner takes"
	echo "make bench-retire  measure how long 500 idle runners of 1,000 take to be retired, and how often GitHub is asked (some minutes)"
	echo "make clean     remove what was built here (not the shared cache of tools)"

demo:
	scripts/check-rust
	$(say) "building stoker (the first time takes a few minutes)"
	$(CARGO) build --locked -p stoker-cli
	$(say) "building the default policy"
	scripts/build-policies
	$(say) "the demo"
	$(TARGET)/debug/stoker demo --policies $(TARGET)/policies

test: setup check-shell check-terraform
	$(say) "building everything (the first time takes some ten minutes)"
	$(CARGO) build --locked --workspace --lib --bins --tests --features stoker-policy/compiler
	$(say) "building the policies"
	scripts/build-policies --tests
	$(say) "building the example policies in other languages"
	scripts/build-examples
	$(say) "building the Worker"
	scripts/build-worker
	$(say) "building the Lambdas, each by itself"
	scripts/build-lambdas
	$(say) "running all tests"
	$(CARGO) test --locked --workspace --features stoker-policy/compiler

check: fmt clippy no-compiler

fmt:
	scripts/check-rust
	$(say) "formatting"
	$(CARGO) fmt --all --check

clippy:
	scripts/setup-wasm
	$(say) "clippy"
	$(CARGO) clippy --locked --workspace --all-targets --features stoker-policy/compiler -- -D warnings
	$(say) "clippy for the Worker and the policies, as they are built for wasm32"
	$(CARGO) clippy --locked --target wasm32-unknown-unknown -p stoker-edge -p stoker-policy-default \
		-p stoker-policy-fair-share -p stoker-policy-budget -p stoker-policy-pinned-sync -- -D warnings

no-compiler:
	$(say) "neither the policy host by itself nor a deciding Lambda has a compiler"
	tree=$$($(CARGO) tree --locked -p stoker-policy -e normal --prefix none)
	grep -q '^wasmtime v' <<<"$$tree"
	if grep -E '^(cranelift-codegen|regalloc2|winch-codegen|wasmtime-internal-(cranelift|winch)) ' <<<"$$tree"; then exit 1; fi
	tree=$$($(CARGO) tree --locked -p stoker-scale-up -p stoker-scale-down -p stoker-syncer -e normal --prefix none)
	grep -q '^wasmtime v' <<<"$$tree"
	if grep -E '^(cranelift-codegen|regalloc2|winch-codegen|wasmtime-internal-(cranelift|winch)) ' <<<"$$tree"; then exit 1; fi
	$(say) "stoker can be built by itself, as the demo builds it"
	$(CARGO) tree --locked -p stoker-cli -e features -i stoker-lambda --prefix none | grep -q '^stoker-lambda feature "policies"'

check-shell:
	$(say) "the scripts, by shellcheck"
	scripts/check-shell

check-terraform:
	$(say) "Terraform"
	scripts/check-terraform

setup:
	$(say) "set-up"
	scripts/check-rust
	scripts/setup-wasm
	scripts/setup-python
	scripts/setup-edge
	scripts/setup-languages

policies:
	$(CARGO) build --locked -p stoker-cli
	scripts/build-policies --tests

examples:
	scripts/build-examples

worker:
	scripts/build-worker

lambdas:
	scripts/build-lambdas

build:
	scripts/check-rust
	$(say) "building the Lambdas (the first time takes half an hour)"
	scripts/build-lambdas --release --arch $(ARCH)
	$(say) "building the policies"
	$(CARGO) build --locked -p stoker-cli
	scripts/build-policies
	$(say) "building the Worker"
	scripts/build-worker

dist: build
	$(say) "packing"
	scripts/pack --arch $(ARCH) --lambdas $(TARGET)/lambdas-release --policies $(TARGET)/shipped

deploy-aws:
	[ -f dist/manifest.json ] || { echo "there is no dist/: 'make dist' makes it" >&2; exit 1; }
	terraform -chdir=$(TERRAFORM) init
	terraform -chdir=$(TERRAFORM) apply

deploy-edge:
	scripts/deploy-edge --terraform $(TERRAFORM) $(if $(WRANGLER),$(WRANGLER))

edge-secrets:
	scripts/edge-secrets --terraform $(TERRAFORM) $(if $(WRANGLER),$(WRANGLER))

publish-policy:
	[ -n "$(POLICY)" ] && [ -n "$(SCOPE)" ] || { echo "say what and where: make publish-policy POLICY=policy.wasm SCOPE=default" >&2; exit 2; }
	$(CARGO) build --locked -p stoker-cli
	scripts/publish-policy --terraform $(TERRAFORM) --stoker $(TARGET)/debug/stoker "$(POLICY)" --scope "$(SCOPE)" $(if $(SETTINGS),--settings "$(SETTINGS)")

deny:
	$(CARGO) deny --locked check bans licenses sources

bench-policy:
	$(CARGO) build --locked -p stoker-cli
	scripts/build-policies --tests
	$(say) "building a deciding process without a compiler"
	$(CARGO) build --locked --release -p stoker-policy --bin first-decision
	$(say) "measuring"
	$(CARGO) bench --locked -p stoker-policy-testkit --bench decision

bench-admission:
	$(CARGO) build --locked -p stoker-cli
	scripts/build-policies --tests
	scripts/build-examples
	$(say) "measuring"
	$(CARGO) bench --locked -p stoker-policy-admission --bench admission

bench-languages:
	scripts/build-examples
	$(say) "measuring"
	$(CARGO) bench --locked -p stoker-policy-testkit --bench languages

bench-why:
	scripts/check-rust
	$(say) "building stoker as make test builds it, and measuring"
	$(CARGO) bench --locked --profile dev -p stoker-cli --bench why $(if $(DECISIONS),-- $(DECISIONS))

bench-burst:
	$(say) "building the benchmark"
	$(CARGO) bench --locked --profile sim -p stoker-batch --bench burst --no-run
	$(say) "measuring"
	$(CARGO) bench --locked --profile sim -p stoker-batch --bench burst $(if $(SCENARIO),-- $(SCENARIO))

bench-sync:
	$(say) "building as make test builds it, and measuring"
	$(CARGO) bench --locked --profile dev -p stoker-syncer --bench mirror

bench-retire:
	$(say) "building the benchmark"
	$(CARGO) bench --locked --profile sim -p stoker-batch --bench retire --no-run
	$(say) "measuring"
	$(CARGO) bench --locked --profile sim -p stoker-batch --bench retire

sim:
	$(say) "building the simulation"
	$(CARGO) build --locked --profile sim -p stoker-simulation
	$(say) "drawing histories"
	$(TARGET)/sim/sim $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) $(if $(STEPS),--steps $(STEPS))

clean:
	rm -rf build dist node_modules .wrangler
	$(CARGO) clean
