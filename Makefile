# `make` lists the targets; the text after ## is the help.
.DEFAULT_GOAL := help
.PHONY: help deps demo run test short race chaos containers clients tested lint fmt vuln check build reference release snapshot clean

TOOL := go tool -modfile=tools/go.mod

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Download the modules of the service, the tools and the tests
	go mod download
	go mod download -modfile=tools/go.mod
	go mod download -modfile=tools/sbom/go.mod
	go -C test/containers mod download
	go -C test/servers mod download
	go -C test/clients mod download

demo: ## Start a service with clinic APIs to integrate with, and show what it does
	go run ./cmd/integrations demo

run: ## Run the service on ./data, listening on 127.0.0.1:8080
	go run ./cmd/integrations serve

test: ## Run all tests
	go test -timeout 1h ./...

short: ## Run the tests that take less than a few seconds each
	go test -short ./...

race: ## Run all tests under the race detector; needs a C compiler
	go test -race -timeout 1h ./...

CHAOS_FOR ?= 9m

chaos: ## Kill the service, kill NATS and cut the power under load, for CHAOS_FOR (9m; at most 10m)
	CHAOS_FOR=$(CHAOS_FOR) go test $(RACE) -count=1 -v -timeout 30m -artifacts -outputdir "$${TMPDIR:-/tmp}" -run '^TestChaos' ./cmd/integrations

containers: ## Run the service and the tests of its stores in containers; needs a Docker daemon
	CGO_ENABLED=0 go test -C test/containers -count=1 -v -timeout=20m .

clients: ## Generate, compile and drive clients by ten generators; lint and fuzz the API description
	python3 test/clients/run.py

lint: export CGO_ENABLED = 0
lint: ## Check the code against .golangci.yml, its formatting included
	$(NICE) $(TOOL) golangci-lint run ./...
	cd test/containers && $(NICE) go tool -modfile=../../tools/go.mod golangci-lint run ./...
	cd test/servers && $(NICE) go tool -modfile=../../tools/go.mod golangci-lint run ./...

fmt: ## Format the code
	$(TOOL) golangci-lint fmt ./...

vuln: ## Look for known vulnerabilities in the code that is called
	tools/vuln

check: ## Run race, lint, vuln and a minute of chaos: what CI runs
	$(MAKE) --jobs 2 tested lint vuln NICE='nice -n 19'

tested: race
	$(MAKE) chaos CHAOS_FOR=1m RACE=-race

build: ## Build bin/integrations, a static binary without local paths
	CGO_ENABLED=0 go build -trimpath -o bin/integrations ./cmd/integrations

reference: ## Write docs/reference from the code
	go test . ./cmd/integrations -run Reference -update

release: ## Make the files of a release in dist/ from the tag that is checked out
	tools/release

snapshot: ## Make the same files from any commit, to try it
	tools/release --snapshot

clean: ## Remove bin and dist
	rm -rf bin dist
