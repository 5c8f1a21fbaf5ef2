# The commands of the README. Everything that a fresh machine lacks is installed or built by tools/setup.

SHELL      := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO_SOURCES := $(shell find . -path ./.repos -prune -o -path './bazel-*' -prune -o -name '*.go' -print) go.mod go.sum
CLUSTER    ?= .cluster

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

bin/countersign: $(GO_SOURCES)
	go build -trimpath -o $@ ./cmd/countersign

bin/nomad-driver-countersign: $(GO_SOURCES)
	go build -trimpath -o $@ ./cmd/nomad-driver-countersign

.PHONY: build
build: bin/countersign bin/nomad-driver-countersign ## build the command and the driver plugin

.PHONY: setup
setup: ## install or build what this machine lacks: Bazel, vault, consul, nomad, registry
	tools/setup

.PHONY: up
up: setup build .repos ## start a local cluster (NODES=3 for more than one node); then: source .cluster/env
	bin/countersign cluster up -dir $(CLUSTER) $(if $(NODES),-nodes $(NODES))

# The git repositories that repos.bzl pins.
.repos:
	tools/repos

.PHONY: down
down: bin/countersign ## stop the local cluster and leave nothing behind
	bin/countersign cluster down -dir $(CLUSTER)

.PHONY: demo
demo: setup build ## deploy and call a multi-repository application on a cluster of its own
	tools/demo

.PHONY: test
test: setup build ## every check and test, real servers included, side by side
	tools/test

.PHONY: lint
lint: ## gofmt, vet, staticcheck, buildifier
	tools/lint/run

.PHONY: unit
unit: ## fast tests that need no server
	tools/unit

.PHONY: integration
integration: setup build ## tests on real Nomad, Consul, Vault, Bazel and registry
	tools/integration

.PHONY: bench
bench: setup build ## ratios: signed calls, starts, deploys
	tools/bench

.PHONY: generate
generate: ## regenerate BUILD files and go_deps.bzl
	tools/gazelle
