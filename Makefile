# Two commands on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test tests test-lowest lint site clean

demo: $(VENV)/.installed
	$(BIN)/python train.py --config configs/demo.yaml
	@echo
	@echo "Open the report above in a browser to see and hear the samples. Next, with sounds or images of your own:"
	@echo "  . $(BIN)/activate                          makes the command pggan available in this shell"
	@echo "  pggan train FOLDER --minutes 10             trains on a folder of recordings or images"
	@echo "  pggan generate latest                       makes new samples"
	@echo "  pggan train --resume latest --minutes 10    trains ten minutes more"

# mypy takes a minute on one core: the tests run meanwhile.
test: $(VENV)/.installed-dev
	+$(MAKE) --jobs 2 lint tests

tests: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# The oldest versions that pyproject.toml allows, in a separate environment: make test-lowest PYTHON=python3.10
LOWEST := .venv-lowest
CORE := tests/config tests/audio tests/networks tests/losses tests/schedules tests/training/test_step.py \
	tests/training/test_checkpoint.py tests/launch tests/cli/test_runs.py tests/test_registry.py

test-lowest: $(LOWEST)/.installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest $(CORE)

$(LOWEST)/.installed: pyproject.toml tests/lowest.txt | $(BIN)/python
	$(BIN)/pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable . \
		--requirements tests/lowest.txt
	touch $@

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a website in build/site; a broken link is an error.
site: $(VENV)/.installed-dev
	$(BIN)/mkdocs build --strict

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) $(LOWEST) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
