# Every task of this repository; `make` alone explains them.

PYTHON ?= python3
# What a shell, another environment or conda has set for another Python.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONSAFEPATH PYTHONNOUSERSITE VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX
VENV := $(shell sh requirements/venv.sh)
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
BIN := $(VENV)/bin
# A Ctrl-C ends it without Python's traceback.
MAKE_VENV = $(PYTHON) -c 'import signal, venv; signal.signal(signal.SIGINT, signal.SIG_DFL); venv.main()'
UV_VERSION := 0.13.9
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL_OWN = $(PIP) install --quiet --no-deps --no-build-isolation
PROGRESS := awk -v live="$$(test -t 2 && echo 1)" \
  '/^Collecting/ {++n; if (live) printf "\r  collecting %d", n} /^Installing/ {printf "\r  unpacking and compiling %d packages\n", n} {fflush()}'
TESTS ?= tests
DURATIONS = --durations=15 --durations-min=0.5
# What `make check` runs is not run again.
FAST = -m "not slow" --ignore=tests/test_house.py --ignore=tests/test_assertions.py
# The tests of one file stay together, and more than two whole systems at once would want more memory than many machines have.
PARALLEL = -n auto --maxprocesses 2 --dist loadfile
# Each of them has a core: threads of a fit that wait for each other on a core that another one uses cost more than they save.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Those that other measurements start in an interpreter of their own are left out.
MEASUREMENTS = $(subst /,.,$(patsubst benchmarks/%.py,%,$(patsubst %/__main__.py,%.py,$(filter-out %/by_onnx.py %/by_dlt.py \
  %/mlflow_model.py %/dagster_load.py benchmarks/models/replica.py benchmarks/chaos/%, $(shell grep -l '"__main__"' benchmarks/*/*.py)))))
SOURCES := penstock model_tools schemas resources assets serve_app benchmarks tests docs setup.py
# Images carry the time of the commit, so that two builds of one commit are the same bytes.
IMAGES ?= service pipeline
BUILDER := $(shell command -v buildah || command -v docker || command -v podman)
CODE_VERSION ?= $(shell git describe --always --dirty --abbrev=12 2>/dev/null)
EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
BUILDER_OPTIONS = $(if $(findstring buildah,$(BUILDER)),--isolation chroot --layers --timestamp $(EPOCH))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup up down status test test-fast check format lock bench chaos-publish chaos-serve chaos-deploy chaos-cluster images test-images base-image pictures

help: ## Explain every target
	@awk 'BEGIN {FS = ":.*## "} /^[a-z%-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "The measurements: $(addprefix bench-,$(MEASUREMENTS))"

setup: $(DEV) ## Create .venv/ from the pinned requirements, those of the tests included

$(STAMP): requirements/run.txt pyproject.toml setup.py $(wildcard penstock/*.c penstock/*/*.c penstock/*/*/*.c)
	@$(PYTHON) requirements/check_machine.py $(VENV)
	@echo "Creating $(VENV)/ with $$($(PYTHON) --version) and $$(grep -c '^[a-z0-9].*==' requirements/run.txt) pinned packages. The first time, this downloads them."
	@rm -f $@
	@# What an interrupted installation has left may be half a package that pip takes for whole.
	@if test -e $(VENV)/.installing || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then $(MAKE_VENV) --clear $(VENV); fi
	@touch $(VENV)/.installing
	$(call install,run)
	@if test -w .; then $(INSTALL_OWN) -e .; \
	else rm -rf $(VENV)/source && mkdir $(VENV)/source && tar -c --exclude=./.git . | tar -x -C $(VENV)/source && \
	  $(INSTALL_OWN) $(VENV)/source; fi
	@rm $(VENV)/.installing
	@test -e .venv || ! test -w . || ln -s $(VENV) .venv
	@touch $@
	@echo "$(VENV)/ is ready."

$(DEV): $(STAMP) requirements/dev.txt
	@! test -e $(VENV)/.installing || { rm -f $(STAMP) && $(MAKE) --no-print-directory $(STAMP); }
	@echo "Adding what the tests need."
	@touch $(VENV)/.installing
	$(call install,dev)
	@rm $(VENV)/.installing
	@touch $@

# pip's own progress is a line per package; what a recipe pipes loses its exit status, so a file says that it ended well.
define install
	@{ $(PIP) install --require-hashes --no-deps -r requirements/$(1).txt && touch $(VENV)/.part; } | $(PROGRESS)
	@test -e $(VENV)/.part || { echo "Installing the packages failed, see above." >&2; exit 1; }
	@rm $(VENV)/.part
endef

up: $(STAMP) ## Start everything, up to the first answered prediction
	@$(BIN)/python -m penstock up

down: ## Stop exactly what `make up` started
	@test ! -e $(STAMP) || $(BIN)/python -m penstock down

status: $(STAMP) ## Show what runs: pid, port, memory, health
	@$(BIN)/python -m penstock status

test: $(DEV) ## Run the tests (TESTS=tests/engine/publish runs a part)
	@$(ONE_THREAD) $(BIN)/python -m pytest $(DURATIONS) $(PARALLEL) $(TESTS)

test-fast: $(DEV) ## Run the tests that take no Ray, no Dagster process, no browser and little time
	@$(ONE_THREAD) $(BIN)/python -m pytest $(DURATIONS) $(PARALLEL) $(FAST) $(TESTS)

check: $(DEV) ## Formatting, lint, types and the rules of the house
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "Run \`make format\`." >&2; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >/dev/null || { $(BIN)/lint-imports; exit 1; }
	@$(BIN)/python -m pytest -q --no-header -p no:cacheprovider tests/test_house.py tests/test_assertions.py

format: $(DEV) ## Format the code and sort its imports
	@$(BIN)/ruff check --quiet --fix-only $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)

lock: ## Pin the requirements again (UPGRADE=1 takes the newest versions)
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@for name in run serve dev images; do build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) \
	  requirements/$$name.in -o requirements/$$name.txt >/dev/null || exit 1; done
	@for name in project/dev images; do build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url requirements/$$name.in -o build/lock/pylock.$$(basename $$name).toml >/dev/null || exit 1; done
	@$(PYTHON) requirements/project_lock.py build/lock/pylock.dev.toml build/lock/pylock.images.toml requirements/project

bench-%: $(DEV) ## One measurement of benchmarks/, for instance bench-publish
	@$(BIN)/python -m benchmarks.$*

bench: $(DEV) ## Every measurement behind the figures in the docs
	@for name in $(MEASUREMENTS); do $(BIN)/python -m benchmarks.$$name || exit 1; done

chaos-publish: $(DEV) ## Kill publishers at random and count what readers see
	@$(BIN)/python -m benchmarks.chaos.publish

chaos-serve: $(DEV) ## Kill the service's parts at random under load and count what was lost
	@$(BIN)/python -m benchmarks.chaos.serve

chaos-deploy: $(DEV) ## Deploy under load with 1, 2 and 3 replicas and count what failed
	@$(BIN)/python -m benchmarks.chaos.deploy

chaos-cluster: $(DEV) ## As root: kill, cut off, drain and replace nodes of a cluster under load and count what failed
	@$(BIN)/python -m benchmarks.chaos.cluster

images: ## Build the images of service and pipeline, by buildah or docker (BASE=, IMAGE_OPTIONS=, TAG=)
	@test -n "$(BUILDER)" || { echo "Install buildah or docker." >&2; exit 1; }
	@for target in $(IMAGES); do $(BUILDER) build $(BUILDER_OPTIONS) $(BUILDER_AGAIN) $(if $(BASE),--build-arg BASE=$(BASE)) \
	  --build-arg CODE_VERSION=$(CODE_VERSION) --build-arg SOURCE_DATE_EPOCH=$(EPOCH) $(IMAGE_OPTIONS) \
	  --file Containerfile --target $$target --tag penstock-$$target$(TAG) . || exit 1; done

test-images: $(DEV) images ## As root, with buildah: build the images, and run them to a first prediction
	@PENSTOCK_TEST_IMAGES=1 $(BIN)/python -m pytest $(DURATIONS) tests/images

base-image: ## As root, with debootstrap and buildah: a BASE of the images from Debian's packages, where no registry is in reach
	@set -e; root=$$(mktemp -d); trap 'rm -rf "$$root"' EXIT; chmod 755 "$$root"; debootstrap --variant=minbase bookworm "$$root" >/dev/null; \
	  rm -rf "$$root"/var/log/* "$$root"/var/cache/apt/*; made=$$(buildah from scratch); buildah add --quiet "$$made" "$$root" / >/dev/null; \
	  buildah commit --quiet --timestamp 0 "$$made" penstock-debian; buildah rm "$$made" >/dev/null

pictures: $(DEV) ## Take the README's pictures in a real browser
	@$(BIN)/python -m docs.pictures
