# Everything that is done with this repository. `make` alone lists the commands.
# Each one sets up what it needs and is still missing; repeated runs skip what is done.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(abspath $(VENV))/bin
MADE := $(VENV)/.made
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# $(call install,ARGUMENTS): uv takes a tenth of the time, but pip may know a mirror that uv has not been told of.
# Bytecode is compiled now, for where PYTHONDONTWRITEBYTECODE is set every start would compile everything again.
install = $(BIN)/uv pip install --quiet --system-certs --compile-bytecode --python $(BIN)/python $(1) || $(PIP) install $(1)
NPM := npm --prefix sdk_js --loglevel=error
SDK := sdk_js/dist/sdk.js
SDK_SOURCES := $(shell find sdk_js -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test/*' -not -name '*.md')
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-header $(if $(UPGRADE),--upgrade)

# Tools of the virtual environment go first; Node may be one of them.
export PATH := $(BIN):$(PATH)

.PHONY: help demo test check lint types unit format sdk bench bench-quick soak lock wheel clean node system

help:  ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(MADE)/run $(SDK)  ## run collector and demo shop (DEMO_PORT, DEMO_SHOP_PORT choose the ports)
	@exec $(BIN)/python scripts/demo.py

# What needs no browser and kills nothing runs on all cores at once; the rest waits more than it computes. With ARGS
# there is one run, of what they choose.
test: $(MADE)/dev $(SDK) system  ## run all tests (ARGS="-k name" goes to pytest)
	$(NPM) test
ifdef ARGS
	$(BIN)/pytest $(ARGS)
else
	$(BIN)/pytest --numprocesses=auto --dist=worksteal tests/unit tests/store tests/http
	$(BIN)/pytest --numprocesses=3 --dist=worksteal tests/browser tests/faults
endif

check: $(MADE)/dev $(SDK)  ## format, lint, types, import directions, unit tests: under a minute
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target types lint unit

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(NPM) run --silent check

types:
	$(BIN)/mypy

unit:
	$(BIN)/pytest -q --numprocesses=auto tests/unit

format: $(MADE)/dev  ## rewrite the Python files as `make check` wants them
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

sdk: $(SDK)  ## build the browser SDK into sdk_js/dist

bench: $(MADE)/dev $(SDK) system  ## measure, and rewrite benchmarks/RESULTS.md
	scripts/need.sh wrk=wrk
	$(BIN)/python -m benchmarks

bench-quick: $(MADE)/dev $(SDK) system  ## measure in two minutes
	scripts/need.sh wrk=wrk
	$(BIN)/python -m benchmarks --quick

soak: $(MADE)/dev $(SDK) system  ## the long tests
	REGULARS_SOAK=1 $(BIN)/pytest -m soak -o faulthandler_timeout=0 $(ARGS)

wheel: $(MADE)/run $(SDK)  ## build dist/regulars-*.whl, with the SDK in it
	rm -f dist/regulars-*.whl
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/regulars-*.whl

lock: $(MADE)/build  ## compile the requirement files from pyproject.toml (UPGRADE=1 takes newer versions)
	$(LOCK) pyproject.toml --group dev --group demo --output-file requirements-dev.txt
	$(LOCK) pyproject.toml --group demo --constraint requirements-dev.txt --output-file requirements.txt
	$(LOCK) --group build --constraint requirements-dev.txt --output-file requirements-build.txt
	$(LOCK) --group node --output-file requirements-node.txt

clean:  ## remove everything that make made, but not the data of the demo
	rm -rf $(VENV) dist sdk_js/dist sdk_js/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- what the commands need ----

$(MADE)/venv:
	@BIN=$(BIN) VENV=$(VENV) scripts/venv.sh
	@mkdir -p $(MADE) && touch $@

$(MADE)/build: requirements-build.txt | $(MADE)/venv
	@echo "Installing the locked requirements"
	@$(PIP) install --require-hashes -r requirements-build.txt
	@touch $@

$(MADE)/run: requirements.txt pyproject.toml $(MADE)/build
	@$(call install,--require-hashes -r requirements.txt)
	@$(call install,--no-deps --no-build-isolation --editable .)
	@touch $@

$(MADE)/dev: requirements-dev.txt $(MADE)/run
	@$(call install,--require-hashes -r requirements-dev.txt)
	@touch $@

node: | $(MADE)/build
	@if ! { node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' && npm --version; } >/dev/null 2>&1; then \
		echo "Installing Node into $(VENV)"; \
		$(call install,--require-hashes -r requirements-node.txt); \
	fi

sdk_js/node_modules/.made: sdk_js/package.json sdk_js/package-lock.json | node
	@echo "Installing what builds the SDK"
	@$(NPM) ci >/dev/null
	@touch $@

$(SDK): $(SDK_SOURCES) sdk_js/node_modules/.made | node
	$(NPM) run build
	@touch $@

# Browsers for the browser tests, strace for the proof that a reply comes after its fsync, a PostgreSQL server, of which
# the tests start a cluster of their own.
system:
	@scripts/need.sh "$${REGULARS_CHROMIUM:-chromium}=chromium" "$${REGULARS_FIREFOX:-firefox-esr}=firefox-esr" strace=strace \
		pg_ctlcluster=postgresql
