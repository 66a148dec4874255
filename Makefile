# `make` lists the targets; the text after ## is the help.
.DEFAULT_GOAL := help
.PHONY: help deps demo run test short race chaos containers clients alerts chart tested lint fmt vuln check build reference release snapshot clean

TOOL := go tool -modfile=$(CURDIR)/tools/go.mod

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Download the modules of the service, the tools and the tests
	go mod download
	go mod download -modfile=tools/go.mod
	go mod download -modfile=tools/sbom/go.mod
	go -C test/containers mod download
	go -C test/servers mod download
	go -C test/prometheus mod download
	go -C test/collector mod download
	go -C test/clients mod download
	go -C test/helm mod download

demo: ## Start a service with clinic APIs to integrate with, and show what it does
	go run ./cmd/integrations demo

run: ## Run the service on ./data, listening on 127.0.0.1:8080
	go run ./cmd/integrations serve

test: ## Run all tests
	go test -timeout 1h ./...

short: ## Run the tests that take less than a few seconds each
	go test -short ./...

race: ## Run all tests under the race detector; needs a C compiler
	go test -race -timeout 1h $(PACKED) ./...

# A program with the race detector sleeps for a second before it exits, in case another
# goroutine is still in a race. Tests end hundreds of programs, whose goroutines have ended.
race chaos: export GORACE ?= atexit_sleep_ms=20

CHAOS_FOR ?= 9m

chaos: ## Kill the service, kill NATS and cut the power under load, for CHAOS_FOR (9m; at most 10m)
	CHAOS_FOR=$(CHAOS_FOR) go test $(RACE) -count=1 -v -timeout 30m -artifacts -outputdir "$${TMPDIR:-/tmp}" -run '^TestChaos' ./cmd/integrations

containers: ## Run the service and the tests of its stores in containers; needs a Docker daemon
	CGO_ENABLED=0 go test -C test/containers -count=1 -v -timeout=20m .

clients: ## Generate, compile and drive clients by ten generators; lint and fuzz the API description
	python3 test/clients/run.py

alerts: ## Evaluate the alerts on recorded faults, and parse the queries of the dashboards
	CGO_ENABLED=0 go test -C test/prometheus -trimpath .

chart: ## Render the Helm chart, and validate what comes out by the types and schemas of Kubernetes
	CGO_ENABLED=0 go test -C test/helm -trimpath -count=1 .
	go test . -run TheHelmChart -update

# The linter reads compiled packages: of this module those that `make race` compiles if
# RACE is -race, of the others those that the tests build.
lint: linter = $(NICE) "$$(CGO_ENABLED=0 GOFLAGS= $(TOOL) -n golangci-lint)"
lint: ## Check the code against .golangci.yml, its formatting included
	CGO_ENABLED=$(if $(RACE),1,0) GOFLAGS="$$GOFLAGS $(RACE)" $(linter) run ./...
	cd test/containers && CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath" $(linter) run ./...
	cd test/servers && CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath" $(linter) run ./...
	cd test/collector && CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath" $(linter) run ./...
	cd test/prometheus && CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath" $(linter) run ./...

fmt: ## Format the code
	$(TOOL) golangci-lint fmt ./...

vuln: ## Look for known vulnerabilities in the code that is called
	tools/vuln

check: ## Run race, lint, vuln and half a minute of chaos: what CI runs
	go list -race -export -test -deps ./... >/dev/null # compiles once what the tests and the linter share
	$(MAKE) --jobs 2 tested lint vuln NICE='nice -n 19' RACE=-race

# Many tests wait, so one package more than there are CPUs is tested at a time. What make
# chaos runs afterwards is left out before.
tested: PACKED = -p $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -skip '^TestChaos'
tested: race alerts
	$(MAKE) chaos CHAOS_FOR=30s RACE=-race

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
