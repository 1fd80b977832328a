# Everything runs from .venv, made from requirements/dev.txt on first use.

.DEFAULT_GOAL := help
.PHONY: help demo up down test test-fast test-long check format bench-detector measurements environment chromium

VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Without bytecode every start of Airflow takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: environment  ## everything on this machine: vLLM 0.32.0 against 0.31.0 on the CPU, then the verdicts
	tailwatch demo

up: environment  ## start Postgres, Airflow and the dashboard
	tailwatch up

down: environment  ## end what demo or up started; all data stays
	tailwatch down

test: check test-fast chromium  ## everything that CI runs: check, fast tests, slow tests
	pytest -m "(engine or airflow or browser) and not long"

test-long: check  ## nights that confirm a slow build and a slow host, a model over two workers; more than half an hour
	pytest -m long

test-fast: environment  ## tests that need no engine, no Airflow and no browser; a few minutes
	pytest -n 3 --dist worksteal -m "not engine and not airflow and not browser"

check: environment  ## format, lint, types, import contracts, migrations in step with the tables
	ruff format --check
	ruff check
	mypy
	lint-imports
	tailwatch db check

format: environment  ## format and repair what can be repaired
	ruff format
	ruff check --fix

bench-detector: environment  ## how well changes are detected, beside the peers' rules: docs/detector.md
	python benchmarks/detector.py

measurements: environment  ## what the launches in examples/ measured: docs/measurements.md
	tailwatch measurements --record examples -o docs/measurements.md

environment:
	@scripts/bootstrap.sh

chromium:
	@command -v chromium >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	  && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	} || echo "no chromium here and no right to install it: browser tests will be skipped"
