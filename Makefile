# make demo: an answer from the embedded model, then the whole chain on the shipped sample. make test, make check: as named.
# pip, not uv: where a CPU build of torch is on offer beside the index, only pip finds it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test check clean
setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

LARAVEL := A deserialization vulnerability in the destruct() function of Laravel v8.5.9 allows \
attackers to execute arbitrary commands.

demo: setup
	$(BIN)/cybersecqwen classify "$(LARAVEL)"
	$(BIN)/cybersecqwen ask "Which mitigations does ATT&CK list for T1059.001?"
	$(BIN)/cybersecqwen run smoke --out runs/smoke

test: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) runs build dist
