# make demo and make test work on a fresh machine: both create .venv and install first.
PYTHON ?= python3
# A CPU build of torch saves gigabytes where the index has one, for example
# make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

.PHONY: demo test check lint types doctest interpreter aot docs notebooks protocol families bench recipes \
	install clean

demo: install
	$(BIN)/mechsteer demo

test: install
	$(BIN)/python -m pytest

check: lint types doctest test

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# What ships is what is checked: the built package holds kernels/ as mechsteer.kernels.
types: install
	rm -rf build && $(BIN)/python setup.py -q build_py
	$(BIN)/mypy build/lib/mechsteer

doctest: install
	$(BIN)/python -m pytest --doctest-modules mechsteer

# Triton's kernels without a GPU: interpreted by the newest Triton and by the oldest supported one
# (which needs an older numpy), and compiled for three generations of GPUs.
OLD_TRITON := .venv/triton-3.6

interpreter: install $(OLD_TRITON)
	TRITON_INTERPRET=1 $(BIN)/python -m pytest tests/kernels -m triton
	TRITON_INTERPRET=1 PYTHONPATH=$(OLD_TRITON) $(BIN)/python -m pytest tests/kernels -m triton -q -W ignore

$(OLD_TRITON): | .venv/installed
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --target $@ triton==3.6.0 numpy==2.3.5

aot: install
	$(BIN)/python benchmarks/aot.py

docs: install
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

notebooks: install
	$(BIN)/python -m pytest --nbmake experiments/notebooks

# The README's table of supported models, from self-tests of tiny checkpoints.
families: install
	$(BIN)/python -m experiments.model_families.table

# The whole protocol of the paper, made small; the full one is in the experiment's README.
protocol: install
	$(BIN)/python -m experiments.new_embedding_spaces.run embedded --quick \
		--work build/protocol --output build/protocol/results

bench: install
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only

recipes: install
	$(PIP) -e '.[eval]'
	$(BIN)/python -m pytest tests/recipes

install: .venv/installed

# torch goes first: a range asked for by another package could pull in a larger build.
.venv/installed: pyproject.toml constraints.txt setup.py
	$(PYTHON) -m venv .venv
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info mechsteer-demo
