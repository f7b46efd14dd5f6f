# Everything a fresh checkout needs is Python 3.11 or 3.12: `make demo`, then `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PIP := .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))

# The second cohort of the demo is the real one where its data is at hand, and a synthetic one elsewhere.
DATA := $(or $(CONSILIUM_DATA),../shared/data)
SECOND := $(if $(wildcard $(DATA)/tcga/brca),tcga-brca,synthetic)

.PHONY: help demo test test-system test-tracking test-cuda attack lint bench-figures bench-dp bench-privacy bench-deployment bench-rounds bench-scale bench-wire architecture docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.ready-to-run ## two federations of simulated hospitals, each with a report
	@.venv/bin/consilium simulate --folds 2 --out out/lung
	@.venv/bin/consilium simulate $(SECOND) --fold 0 --out out/$(SECOND)
	@echo "Reports: $(CURDIR)/out/lung and $(CURDIR)/out/$(SECOND)"

test: .venv/.ready-to-test ## the tests, without the slow ones, and the ten that took longest
	@.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

test-system: .venv/.ready-to-test ## the slow tests: real processes, whole deployments
	@.venv/bin/python -m pytest -m "slow and not attack"

attack: .venv/.ready-to-test ## every attack that once succeeded, tried again: finding, promised, measured
	@.venv/bin/python -m pytest -m attack

test-tracking: .venv/.ready-to-test ## sinks of figures against a real MLflow and TensorBoard, which it installs
	@$(PIP) --editable ".[mlflow,tensorboard]"
	@.venv/bin/python -m pytest tests/server/tracking -m "slow or not slow" -rs

test-cuda: .venv/.ready-to-test ## what needs a GPU, where torch finds one; elsewhere it is skipped
	@.venv/bin/python -m pytest -m cuda -rs

lint: .venv/.ready-to-test ## style, format and types
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

bench-figures: .venv/.ready-to-test ## the figures of the documentation, measured again
	@.venv/bin/consilium bench figures out/figures

bench-table: .venv/.ready-to-test ## what every part of the model is worth, over seeds and folds, measured anew
	@.venv/bin/consilium bench table --out out/table
	@.venv/bin/consilium bench table --ablations --out out/table

bench-dp: .venv/.ready-to-run ## what a private training step costs, measured again
	@.venv/bin/consilium bench dp --out out/dp.json

bench-privacy: .venv/.ready-to-run ## what privacy costs in accuracy, measured again
	@.venv/bin/consilium bench privacy out/privacy

bench-deployment: .venv/.ready-to-run ## what a round of real processes costs, and what leaves, measured again
	@.venv/bin/consilium bench deployment --out out/deployment.json
	@.venv/bin/consilium bench message tcga-pan5 fed-heart --out out/message.json

bench-rounds: .venv/.ready-to-test ## what an engine adds to each message, beside Flower's on Ray, measured again
	@.venv/bin/consilium bench rounds --out out/rounds.json

bench-scale: .venv/.ready-to-run ## what more hospitals, patients and genes cost, measured again
	@.venv/bin/consilium bench scale --out out/scale.json

bench-wire: .venv/.ready-to-test ## what an update weighs in every encoding, and costs in accuracy, measured again
	@.venv/bin/consilium bench wire --accuracy out/wire --out out/wire.json

architecture: .venv/.ready-to-test ## picture and table of the rooms, made from the imports again
	@.venv/bin/python -m docs.draw_rooms

docs: .venv/.ready-to-test ## the documentation as a site, in out/docs
	@.venv/bin/python -m sphinx -b html -q -W --keep-going docs out/docs
	@echo "Documentation: $(CURDIR)/out/docs/index.html"

lock: .venv/.ready-to-test ## the dependencies of an install, each file by its hash, made again
	@PATH="$(CURDIR)/.venv/bin:$$PATH" deploy/lock/make.sh

clean: ## remove the environment, caches and results
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist out
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@for python in python3 python3.12 python3.11; do \
		if "$$python" -c "$(USABLE)" >/dev/null 2>&1; then exec "$$python" -m venv .venv; fi; \
	done; \
	echo "Consilium needs Python 3.11 or 3.12 with its venv module, and found neither." >&2; exit 1

.venv/.ready-to-run: pyproject.toml | .venv/bin/python
	@echo "Installing into .venv (once; a few minutes)"
	@$(PIP) --editable ".[baselines]"
	@touch $@

.venv/.ready-to-test: pyproject.toml | .venv/bin/python
	@echo "Installing into .venv (once; a few minutes)"
	@$(PIP) --editable ".[baselines,dev,ray]"
	@touch $@ .venv/.ready-to-run
