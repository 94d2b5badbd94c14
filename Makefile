# Everything that a contributor or CI runs. The services that tests need are
# the business of integration/services.

MODULES := . otelsignal examples integration
SERVICES := integration/services

# For example: make test TESTFLAGS='-run TestFlush'
TESTFLAGS ?=
# For example: make bench QUICK=1 BENCHFLAGS='-only FlushMany'
BENCHFLAGS ?=
BENCH ?= .
FUZZTIME ?= 20s
KILLS ?= 500
PAIRKILLS ?= 50
OUTAGE ?= 60s

MAKEFLAGS += --no-print-directory --no-builtin-rules

# The ent projects of the examples and the tests, and what their code is
# generated from. Most of that code isn't committed; see .gitignore.
PROJECTS := $(patsubst %/entc.go,%/signal_bus.go,$(wildcard examples/*/ent/entc.go integration/*/ent/entc.go))
GENERATOR := go.mod $(wildcard */go.mod) entsignal/annotation.go $(shell find entsignal/codegen mixin -path '*/testdata' -prune -o \( -name '*.go' ! -name '*_test.go' -o -name '*.tmpl' \) -print)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run the quickstart: SQLite and a sender that prints
	cd examples && go run ./quickstart

.PHONY: demo-web
demo-web: ## run a shop whose broker comes and goes, and the page that shows it, at http://127.0.0.1:8080/
	@go -C examples build -buildvcs=false -o ../bin/oncall ./oncall
	@exec bin/oncall

.PHONY: demo-pair
demo-pair: ## run examples/pair: two banks that are killed; starts the services that it needs
	@go -C examples build -buildvcs=false -o ../bin/pair ./pair
	@exec $(SERVICES) run sh -c 'NORTH_DATABASE_URL=$$ENTSIGNAL_TEST_POSTGRES SOUTH_DATABASE_DSN=$$ENTSIGNAL_TEST_MARIADB AMQP_URL=$$ENTSIGNAL_TEST_AMQP exec bin/pair demo'

# -count=1, because the cache doesn't know when a database or a broker changed.
# -vet=off, because make lint vets, and here it would cost the time twice.
# -timeout, because on a slow machine some packages take longer than go test's 10
# minutes; only a hang reaches this one.
# -p and -parallel, because tests wait for databases more than for the processor; more of
# them at once make the databases so slow that flushes reach their timeouts,
# and for the same reason the longest packages start first.
# -gcflags, because SQLite, which is C that was translated to Go, is much faster
# without the race detector. It works on memory of its own, by mutexes that the detector
# still sees. Don't leave out a package with generic functions or atomic operations of
# others in it: the program may get that copy of them, and report races that are none.
# exec, because make tells only its own child to end, and a shell in between
# doesn't pass it on.
RACE := -race -gcflags='modernc.org/sqlite/lib=-race=false'
FIRST := integration:./shop:./tool:./retry:./bank

.PHONY: test
test: race-compiler browser projects ## run all tests of all modules; starts the services that it needs
	@go build -buildvcs=false -o bin/testsummary ./internal/cmd/testsummary
	@CGO_ENABLED=1 exec $(SERVICES) run bin/testsummary $(MODULES:integration=$(FIRST)) -- $(RACE) -p 2 -parallel 4 -count=1 -vet=off -timeout 30m $(TESTFLAGS) ./...

.PHONY: soak
soak: race-compiler projects ## run the crash test with KILLS=500 in each mode (ENTSIGNAL_CRASH_SEED=N: again), examples/pair with PAIRKILLS=50, and a broker that is down or flaps for OUTAGE=60s
	@cd integration && CGO_ENABLED=1 ENTSIGNAL_CRASH_KILLS=$(KILLS) exec ./services run \
		go test $(RACE) -count=1 -v -timeout 12h ./crash
	@cd integration && CGO_ENABLED=1 ENTSIGNAL_PAIR_KILLS=$(PAIRKILLS) exec ./services run \
		go test $(RACE) -count=1 -v -timeout 1h ./pair
	@cd integration && CGO_ENABLED=1 ENTSIGNAL_OUTAGE=$(OUTAGE) exec ./services run \
		go test $(RACE) -count=1 -v -run 'DownUnderLoad|Flapping' ./faults

.PHONY: bench
bench: projects ## measure the library beside its baselines, in 50 minutes; QUICK=1: in 7 minutes
	@go -C integration build -buildvcs=false -o ../bin/bench ./bench
	@cd integration && ENTSIGNAL_SERVICES_FSYNC=on exec ./services run ../bin/bench $(if $(QUICK),-quick) $(BENCHFLAGS)

.PHONY: bench-peers
bench-peers: projects ## measure the library beside River, oagudo/outbox and Watermill; BENCHFLAGS='-n 5000 -rounds 1': less
	@go -C integration/peers build -buildvcs=false -o ../../bin/peers .
	@cd integration && ENTSIGNAL_SERVICES_FSYNC=on exec ./services run ../bin/peers $(BENCHFLAGS)

.PHONY: microbench
microbench: projects ## run the benchmarks of the packages; BENCH=REGEXP chooses
	@ENTSIGNAL_SERVICES_FSYNC=on exec $(SERVICES) run sh -ec 'for m in . integration; do go -C $$m test -run "^$$" -bench "$$0" -benchmem -timeout 30m ./...; done' '$(BENCH)'

# go test runs one fuzz test at a time. The seeds are a part of make test.
.PHONY: fuzz
fuzz: projects ## run each fuzz test for FUZZTIME (20s)
	@set -e; grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9]*' . | sort | \
	while IFS=: read -r file func; do \
		(set -x; cd "$${file%/*}" && go test -run '^$$' -fuzz "^$${func#func }$$" -fuzztime $(FUZZTIME) .) </dev/null; \
	done

.PHONY: generate
generate: ## generate all code anew
	@$(MAKE) --always-make --jobs=2 $(PROJECTS)

.PHONY: projects
projects: ## generate the code that is missing, or older than its schema or the generator
	@$(MAKE) --jobs=2 $(PROJECTS)

.SECONDEXPANSION:
%/ent/signal_bus.go: %/ent/entc.go $$(wildcard $$*/ent/schema/*.go) $(GENERATOR)
	cd $(@D) && go generate . && touch $(@F)

.PHONY: api
api: ## record the exported API, after a change that is meant
	@go test -count=1 ./internal/cmd/apilist -update

# What golangci-lint runs is in .golangci.yml, go vet among it. Its version is that of
# internal/tools/go.mod.
.PHONY: lint
lint: projects ## check format and correctness of all modules
	@unformatted=$$(find . -name '.?*' -prune -o -name '*.go' -print | xargs -r gofmt -l) && \
	if [ -n "$$unformatted" ]; then echo "gofmt:"; echo "$$unformatted"; exit 1; fi
	@go build -C internal/tools -buildvcs=false -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@set -e; for m in $(MODULES); do (cd $$m && GOGC=400 $(CURDIR)/bin/golangci-lint run ./...); done
	@go -C integration/peers vet ./...
	@go build -C internal/tools -buildvcs=false -o ../../bin/typecheck ./typecheck
	@bin/typecheck windows/amd64 darwin/arm64 linux/386
	@if command -v shellcheck >/dev/null; then shellcheck $(SERVICES) .ci/run; \
	else echo "lint: shellcheck is not installed, left out" >&2; fi

.PHONY: services-up
services-up: ## start PostgreSQL, MariaDB and RabbitMQ for tests, and print their addresses
	@$(SERVICES) up
	@$(SERVICES) env

.PHONY: services-down
services-down: ## stop them
	@$(SERVICES) down

# The race detector needs a C compiler, which a fresh Debian lacks.
.PHONY: race-compiler
race-compiler:
	@command -v "$$(CGO_ENABLED=1 go env CC)" >/dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo "the race detector needs a C compiler; as root: apt-get install gcc libc6-dev" >&2; exit 1; }; \
		apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends gcc libc6-dev; \
	}

# The tests of the page need a browser, and npm for axe-core.
.PHONY: browser
browser:
	@missing=; command -v chromium >/dev/null || missing=chromium; command -v npm >/dev/null || missing="$$missing npm"; \
	[ -z "$$missing" ] || { \
		[ "$$(id -u)" = 0 ] || { echo "the tests of the page need a browser; as root: apt-get install --no-install-recommends $$missing" >&2; exit 1; }; \
		apt-get -q -o DPkg::Lock::Timeout=300 update && DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $$missing; \
	}
