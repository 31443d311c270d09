# What every target needs is installed by `make deps`; slow builds are cached
# outside the checkout, in $(CACHE).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export SLIPWAY_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/slipway
CACHE := $(SLIPWAY_CACHE)
export CARGO_TARGET_DIR ?= $(CACHE)/target

KUBERNETES ?= 1.36.3
LAB ?= lab
ARCH := $(shell uname -m)
TARGET := $(ARCH)-unknown-linux-gnu
MIRROR := $(CACHE)/mirror
BUNDLE := $(CACHE)/bundles/slipway-$(KUBERNETES).bundle
SLIPWAY := target/release/slipway
STATIC := RUSTFLAGS='-C target-feature=+crt-static' cargo build --locked --release --target $(TARGET)

.PHONY: help deps build mirror bundle lab clean-lab check test test-full bench

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

deps: ## install what builds and labs need, through the package managers
	@tests/deps.sh

build: deps ## build the static binary; also reachable as target/release/slipway
	@echo "building slipway (release, static) in $(CARGO_TARGET_DIR)"
	@$(STATIC) -p slipway
	@mkdir -p target/release
	@ln -sfn $(CARGO_TARGET_DIR)/$(TARGET)/release/slipway $(SLIPWAY)
	@ls -lhL $(SLIPWAY) | awk '{print "$(SLIPWAY): " $$5}'

mirror: deps ## build a release source out of Go modules and Debian packages
	@cargo xtask mirror --out $(MIRROR) --kubernetes-version $(KUBERNETES)

bundle: build mirror ## make an offline bundle from the mirror
	@tests/make-bundle.sh $(SLIPWAY) $(MIRROR) $(KUBERNETES) $(BUNDLE)

lab: bundle ## bring up a real cluster of one control-plane node and two workers on this machine
	@$(SLIPWAY) lab up --name $(LAB) --bundle $(BUNDLE)

clean-lab: ## remove the lab
	@if [ -x $(SLIPWAY) ]; then $(SLIPWAY) lab down --name $(LAB); else echo "no slipway is built, so there is no lab"; fi

check: ## the quick inner loop: format, lints, arrows between crates, unit tests
	@tests/check.sh

test: ## all layers, real cluster included; ends with "N passed, N failed"
	@tests/run.sh test

test-full: ## every story, or one of them: make test-full GROUP=faults
	@tests/run.sh full "$(GROUP)"

bench: bundle ## figures beside their goals, kubeadm by hand among them
	@$(MAKE) --no-print-directory bundle KUBERNETES=1.35.4
	@$(STATIC) -q -p slipway-hosts --example upload_speed
	@tests/bench.sh $(CARGO_TARGET_DIR)/$(TARGET)/release/examples
	@tests/many-hosts.sh $(SLIPWAY) $(BUNDLE)
	@$(subst cargo build,cargo test,$(STATIC)) -q -p slipway-engine --test engine fifty_hosts -- --nocapture | grep ' hosts, fake transport'
