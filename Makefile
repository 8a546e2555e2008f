# Everything a person does with this checkout. Without a target: help.
# PYTHON=python3.12 chooses the Python that .venv is made with.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo run dashboard test test-drawn test-engines stalls test-cluster test-deployment test-runbooks test-ui bench-ui screenshots fuzz exhaust test-install chaos check check-dashboard bench bench-peers lock-peers format lock lock-chart release release-build third-party audit test-upgrade test-matrix site test-site diagrams lock-site clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16 | sed 's/^/  make /'

demo: .venv/.runs ## the whole engine in a throwaway folder, a workflow in Python and one in JSON
	@$(BIN)/flower demo

run: .venv/.runs ## the engine with its data in .flower/, API and dashboard on 127.0.0.1:8000; Ctrl-C stops it
	@$(BIN)/python dashboard/bundle.py || echo "the engine runs without its dashboard; the page says how to build it"
	@$(BIN)/flower up

dashboard: .venv/.runs ## build the dashboard, where it is not of these sources; with npm, or with pip that fetches it
	@$(BIN)/python dashboard/bundle.py

# Many tests wait for real processes, so three times as many at once as there are cores do well. The files keep the
# order that tests/conftest.py gives them, the long ones first; tests/copied_runs.py says what the copies are.
# What is compiled is kept, whatever the environment says: else each of many hundred processes does it again.
JOBS ?= 6

# What has a target of its own: whole engines here, and folders that .ci/run has no time for.
ENGINES := $(addprefix tests/,acceptance compat newcomer poolers growing/test_live.py cli/test_demo.py cli/test_up.py)
ELSEWHERE := $(addprefix --ignore tests/,cluster deployment runbooks upgrade)
NO_ENGINES := $(ELSEWHERE) $(addprefix --ignore ,$(ENGINES))

test: .venv/.tests ## all tests but what `make test-drawn` and `make test-engines` run
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --copies $(JOBS) -m "not hypothesis" $(NO_ENGINES)

test-drawn: .venv/.tests ## what Hypothesis draws: state machines, each call of the API, rules for whatever values; `make fuzz` draws others
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --copies $(JOBS) -m hypothesis $(NO_ENGINES)

test-engines: .venv/.tests ## whole engines: under load, killed, behind poolers, beside the version before, as they grow, as newcomers meet them
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --copies $(JOBS) $(ENGINES)

stalls: SEED := $(or $(SEED),$(shell od -An -N3 -tu4 /dev/urandom | tr -d ' '))
stalls: .venv/.tests ## the whole test suite beside busy loops, while processes and threads of it stand still at random (Linux); SEED=
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --copies $(JOBS) --stalls $(SEED) $(ELSEWHERE)

test-cluster: .venv/.tests ## whole engines on clusters and on sets that sentinels watch, whose servers are killed and moved
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 3 --dist worksteal tests/cluster

test-ui: .venv/.tests dashboard/node_modules/.installed dashboard ## the dashboard in a real Chromium, before a real engine; needs node and npm
	@PYTHONPATH=tests $(BIN)/python -m ui

bench-ui: .venv/.tests dashboard/node_modules/.installed dashboard ## what the dashboard costs a Chromium: each view's first paint, script, heap; UI_TASKS=10000; UI_BEFORE=another bundle, in turns with this
	@FLOWER_UI_LARGE=$(UI_TASKS) FLOWER_UI_BEFORE=$(UI_BEFORE) PYTHONPATH=tests $(BIN)/python -m ui tests/run.mjs bench.ts

screenshots: .venv/.tests dashboard/node_modules/.installed dashboard ## pictures of each screen of the dashboard, into docs/screenshots
	@FLOWER_UI_PICTURES=$(CURDIR)/docs/screenshots PYTHONPATH=tests $(BIN)/python -m ui tests/run.mjs screenshots.ts

UI_TASKS ?= 10000
UI_BEFORE ?=
FUZZ ?= 20
SEED ?=

fuzz: SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))
fuzz: .venv/.tests ## the tests of Hypothesis with random examples, many times as many as in the suite; FUZZ=20 SEED=
	@echo "make fuzz FUZZ=$(FUZZ) SEED=$(SEED) repeats this"
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(JOBS) -m hypothesis --fuzz $(FUZZ) --hypothesis-seed=$(SEED)

TASKS ?= 4
EVERY ?= 1
CLEAN ?= 97
FROM ?= 0

exhaust: .venv/.tests ## every flow of up to 4 tasks, all outcomes in all orders, by the fold and by the oracle of rules; EVERY=20 one in so many of the largest, CLEAN=97 of those that clean up, FROM=0 the first of these, TASKS=3
	@PYTHONPATH=tests $(BIN)/python -m small_flows --tasks $(TASKS) --every $(EVERY) --clean $(CLEAN) --from $(FROM)

test-deployment: .venv/.tests .venv-chart/.installed ## the Helm chart against the schemas of Kubernetes, and services on a file system that is read-only
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest tests/deployment

test-runbooks: .venv/.tests ## what docs/operations.md says to do when a store fails, is restored, or changes its password, on real servers
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest tests/runbooks tests/poolers

test-install: .venv/.runs test-deployment ## the README's first commands and the whole tutorial in empty folders, from wheels alone
	@PYTHONPATH=tests $(BIN)/python -m install

SECONDS ?= 120
REDIS ?=

chaos: .venv/.tests ## a storm of kills, stops, cut connections and clock steps over a whole engine, whose programs fork; SECONDS=120 SEED= REDIS=cluster, sentinel
	@PYTHONPATH=tests $(BIN)/python -m chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(REDIS),--$(REDIS))

check: .venv/.tests ## format, lint (Lua too, where luacheck is installed), types, import contracts, unit tests
	@$(BIN)/ruff format --no-cache --check --quiet .
	@$(BIN)/ruff check --no-cache --quiet .
	@PYTHONPATH=tests $(BIN)/python -m lua_check
	@$(if $(NPM),$(MAKE) --no-print-directory check-dashboard,echo "npm is not installed; the dashboard was not linted" >&2)
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports --no-cache --no-logo > .venv/imports.log || { cat .venv/imports.log; exit 1; }
	@$(BIN)/pytest tests/unit

ARGS ?=

bench: .venv/.runs ## the speed of this machine, against a floor measured in the same run; ARGS="--only chains"
	@$(BIN)/python -m benchmarks $(ARGS)

# Each peer has a virtual environment of its own, as they ask for different versions of the same packages.
PEER_LOCKS := $(wildcard benchmarks/peers/requirements/*.lock)
PEERS ?=

bench-peers: .venv/.runs $(PEER_LOCKS:benchmarks/peers/requirements/%.lock=.venv-peers/%/.installed) ## Flower against other engines, 15 minutes; PEERS="huey dbos" for some
	@$(BIN)/python -m benchmarks.peers $(PEERS)

# One that cannot be installed is reported as such; the others are measured.
.venv-peers/%/.installed: benchmarks/peers/requirements/%.lock | .venv/bin/python
	@echo "installing $* into .venv-peers/$* ..."
	@rm -rf .venv-peers/$* && .venv/bin/python -m venv .venv-peers/$* && \
		{ .venv-peers/$*/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r $< && touch $@ \
		|| echo "$* cannot be installed here; it will be left out" >&2; }

# npm runs no script of a package; --ignore-scripts says so whatever the machine's settings are.
NPM := $(shell command -v npm 2>/dev/null)

check-dashboard: dashboard/node_modules/.installed
	@cd dashboard && npm run --silent check

dashboard/node_modules/.installed: dashboard/package-lock.json
	@cd dashboard && npm ci --ignore-scripts --no-audit --no-fund --silent && touch node_modules/.installed

format: .venv/.tests ## write the code in the one format
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .
	@$(if $(NPM),$(MAKE) --no-print-directory dashboard/node_modules/.installed && cd dashboard && npm run --silent format,true)

lock: ## take the newest versions that pyproject.toml allows into the lock files, with the hashes of their files
	@rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install -qq uv
	@$(call named,) > requirements.lock.new
	@$(call named,--extra dev) | grep -vxFf requirements.lock.new > requirements-dev.lock.new
	@$(call hashed,requirements.lock,run) && $(call hashed,requirements-dev.lock,test)
	@rm -rf .venv-lock

# For every Python from the first of 3.11 on, not for the one that runs this: some packages ask for others only there.
# What they ask for on Windows is left out, where Flower does not run.
compile = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11.0 --no-annotate --no-header
named = $(compile) $(1) --no-emit-package flower-engine --no-emit-package colorama pyproject.toml

# The hashes are those of every file of a version that the index has, for whatever machine it is.
hashed = { echo "\# What Flower needs to $(2), in exact versions with the hashes of their files; made by 'make lock'."; \
	$(compile) --no-deps --generate-hashes $(1).new; } > $(1).hashed && rm $(1).new && mv $(1).hashed $(1)

lock-chart: ## take the newest versions that deploy/helm/requirements.in allows into its lock
	@rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install -qq uv
	@{ echo "# What renders and checks the chart, in exact versions with the hashes of their files; made of deploy/helm/requirements.in by 'make lock-chart'."; \
		$(compile) --generate-hashes deploy/helm/requirements.in; } > deploy/helm/requirements.lock
	@rm -rf .venv-lock

lock-peers: ## the same for benchmarks/peers/requirements/
	@for lock in $(PEER_LOCKS); do \
		rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock && \
		.venv-lock/bin/pip install -qq --disable-pip-version-check -r $${lock%.lock}.in && \
		.venv-lock/bin/pip freeze > $$lock.new && mv $$lock.new $$lock || exit 1; \
	done; rm -rf .venv-lock

VERSION ?=

release: .venv/.runs .venv-release/.installed ## commit, tag and build a version into dist/; nothing is sent; VERSION=1.2.3
	@$(if $(VERSION),,echo "say which: make release VERSION=1.2.3" >&2; exit 1)
	@.venv-release/bin/python -m release $(VERSION)

release-build: .venv-release/.installed ## build what is committed into dist/, twice, and compare
	@.venv-release/bin/python -m release

third-party: .venv/.runs ## write THIRD_PARTY.md
	@$(BIN)/python -m release.third_party

audit: .venv-release/.installed ## compare the lock files with the advisories that are published
	@.venv-release/bin/python -m release.audit

.venv-chart/.installed: deploy/helm/requirements.lock | .venv/bin/python
	@echo "installing what renders the chart into .venv-chart ..."
	@rm -rf .venv-chart && $(PYTHON) -m venv .venv-chart
	@.venv-chart/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-compile -r $<
	@touch $@

.venv-release/.installed: release/requirements.lock | .venv/bin/python
	@echo "installing the tools of a release into .venv-release ..."
	@rm -rf .venv-release && $(PYTHON) -m venv .venv-release
	@.venv-release/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r $<
	@touch $@

test-upgrade: .venv/.tests .venv-release/.installed ## from the version before (release/before) to this one under load, service by service, and back
	@python=$$(.venv-release/bin/python -m release.version_before) && \
		FLOWER_PYTHON_BEFORE=$$python PYTHONDONTWRITEBYTECODE= $(BIN)/pytest tests/upgrade

test-matrix: .venv/.tests ## on each Python from 3.11 to 3.14 that is found, and on the Redis and the Postgres of the system; PYTHONS="python3.12" for some
	@PYTHONPATH=tests JOBS=$(JOBS) $(if $(filter undefined,$(origin PYTHONS)),,PYTHONS="$(PYTHONS)") PYTHONDONTWRITEBYTECODE= $(BIN)/python -m matrix

site: .venv/.runs .venv-site/.installed ## the documentation as a site, in build/website/site
	@$(BIN)/python -m website
	@cd build/website && $(CURDIR)/.venv-site/bin/zensical build --strict
	@$(BIN)/python -m website check

test-site: .venv/.runs .venv-site/.installed ## build the site where there is no network, with no warning and no link that leads nowhere
	@PYTHONPATH=tests:. $(BIN)/python -m site_build

diagrams: .venv/.runs dashboard/node_modules/.installed ## draw the diagrams of docs/ that have no picture yet; needs npm
	@$(BIN)/python -m website.diagrams

lock-site: ## take the newest versions that website/requirements.in allows into its lock
	@rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install -qq uv
	@{ echo "# What makes the site, in exact versions; made of website/requirements.in by 'make lock-site'."; \
		$(compile) website/requirements.in; } > website/requirements.lock
	@rm -rf .venv-lock

.venv-site/.installed: website/requirements.lock | .venv/bin/python
	@echo "installing what makes the site into .venv-site ..."
	@rm -rf .venv-site && $(PYTHON) -m venv .venv-site
	@.venv-site/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r $<
	@touch $@

clean: ## remove what was made here, except the data in .flower/
	@rm -rf .venv .venv-chart .venv-lock .venv-peers .venv-release .venv-site .venv-before .venv-matrix build dist dashboard/node_modules services/flower_api/dashboard_bundle .hypothesis .schemathesis .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -not -path './.flower/*' -prune -exec rm -rf {} +

# The stamps: what is needed to run, and what is needed to test besides. They age with the files they follow.

.venv/.runs: pyproject.toml requirements.lock | .venv/bin/python
	@echo "installing Flower into .venv ..."
	@$(call install,--no-deps -r requirements.lock)
	@$(call install,--no-deps -e .)
	@touch $@

.venv/.tests: .venv/.runs requirements-dev.lock
	@echo "installing the tools for tests and checks into .venv ..."
	@$(call install,--no-deps -r requirements-dev.lock)
	@touch $@

.venv/bin/python:
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Flower needs Python 3.11 or newer, which '$(or $(PYTHON),python3)' is not;" \
			"name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(if $(UV),$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv,$(PYTHON) -m venv .venv) || { \
		echo "could not make .venv: is Python's venv module there (Debian: apt install python3-venv)?" >&2; \
		exit 1; }

install = $(if $(UV),$(UV) pip install --quiet --python .venv/bin/python $(1),.venv/bin/python -m pip install -qq --disable-pip-version-check $(1))
