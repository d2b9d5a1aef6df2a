# `make demo` and `make test` do all the set-up that is missing; `make help` lists the rest.
PYTHON ?= python3.11
JOBS ?= 2

TREE := $(if $(filter 1,$(DEBUG)),debug,release)
# `make PROFILE= build` does without.
PROFILE := $(if $(filter release,$(TREE)),build/profile/trained)
BIN := .venv/bin
DISTRIBUTIONS := . ./sdk $(patsubst %/pyproject.toml,./%,$(wildcard plugins/*/pyproject.toml))
# Installed here like the others, but no wheels are made of them.
EXAMPLES := $(patsubst %/pyproject.toml,./%,$(wildcard examples/*/pyproject.toml))
export PATH := $(CURDIR)/$(BIN):$(PATH)
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

.PHONY: help demo test build profile lint stubs differential asan tsan fuzz docs wheel first-backend bench clean
.DEFAULT_GOAL := help

help:
	@sed -nE 's/^([a-z -]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: build/$(TREE)/build.ninja $(PROFILE)  ## serve examples/pose and send it pictures (KEEP=1, MODEL=file.onnx, IMAGE=file)
	@echo "== Building the engine (build/$(TREE))"
	$(BIN)/cmake --build --preset $(TREE) --target engine_in_place image_preprocess pose_postprocess
	$(BIN)/python examples/pose/demo.py $(if $(KEEP),--keep) $(if $(MODEL),--model "$(MODEL)") $(if $(IMAGE),--image "$(IMAGE)")

test: build build/.packages-test  ## unit tests of the engine, then all of the Python tests
	@echo "== C++ unit tests"
	$(BIN)/ctest --preset $(TREE)
	@echo "== Python tests"
	$(BIN)/python -m pytest $(PYTEST_ARGS)

build: build/$(TREE)/build.ninja $(PROFILE)  ## compile the engine and its tests (DEBUG=1: without optimisation)
	@echo "== Building the engine (build/$(TREE))"
	$(BIN)/cmake --build --preset $(TREE)

profile: build/profile/trained  ## count (again) what the engine does under load; later builds are laid out by it
ifneq (,$(filter profile,$(MAKECMDGOALS)))
.PHONY: build/profile/trained
endif

lint: build/lint/build.ninja build/.packages-lint  ## ruff, mypy, clang-format, clang-tidy on changed files
	@echo "== Lint"
	scripts/lint.sh build/lint

stubs: build  ## write core/despina/_engine.pyi again after the bindings changed
	$(BIN)/python scripts/generate_stubs.py core/despina/_engine.pyi

differential: build/$(TREE)/build.ninja $(PROFILE)  ## the same requests to Despina and to the real Triton, answers compared
	@echo "== Building the engine (build/$(TREE))"
	$(BIN)/cmake --build --preset $(TREE) --target engine_in_place
	scripts/differential.sh $(PYTEST_ARGS)

asan tsan: %: build/%/build.ninja  ## unit tests of the engine under the sanitizers
	@echo "== Building the engine under $@ (build/$@)"
	$(BIN)/cmake --build --preset $@
	@echo "== C++ unit tests under $@"
	$(BIN)/ctest --preset $@

fuzz: build/asan/build.ninja  ## what comes from outside, under libFuzzer (FUZZ_SECONDS=15 each)
	@echo "== Building the fuzzers (build/asan)"
	$(BIN)/cmake --build --preset fuzz
	scripts/fuzz.sh build/asan

docs: .venv/.docs  ## the documentation site, into build/site; links are checked
	@echo "== Documentation"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "It is in build/site: open build/site/index.html"

wheel: .venv/.ready build/profile/trained  ## wheels of all distributions into dist/, checked in an empty environment
	scripts/build_wheels.sh $(DISTRIBUTIONS)
	@echo "== Tests of the wheels"
	$(BIN)/python -m pytest -m wheel tests/packaging

first-backend: .venv/.ready  ## the way of a new author, from the wheels in dist/ to an answer, timed
	$(BIN)/python scripts/first_backend.py

# Configured again: the benchmark library may have come after the first time.
bench: build/.packages-bench build/release/build.ninja $(PROFILE)  ## benchmarks of the engine's parts
	$(BIN)/cmake --preset release
	$(BIN)/cmake --build --preset release --target benchmarks
	@for bench in build/release/cpp/*/*_bench; do echo "== $$bench"; $$bench || exit 1; done

clean:  ## remove what was built (the virtual environment stays)
	rm -rf build dist core/despina/_engine*.so

# Set-up is stamped: it runs again when what it installs from has changed.
build/.packages-%: scripts/system_packages.sh
	@mkdir -p build
	@PYTHON=$(PYTHON) scripts/system_packages.sh $*
	@touch $@

build/asan/build.ninja build/tsan/build.ninja: | build/.packages-sanitize
build/%/build.ninja: CMakePresets.json | .venv/.ready
	$(BIN)/cmake --preset $*
	@touch $@

# Once; a later edit does not make it old. Builds see counts that are whole: they are moved to where
# those look. The backends that the loads need are those of the tree that is built next.
build/profile/trained: | build/profile/build.ninja build/release/build.ninja
	@echo "== Building an engine that counts what it does, once, for the layout of the others (build/profile)"
	@rm -rf build/profile/raw
	$(BIN)/cmake --build --preset profile
	$(BIN)/cmake --build --preset release --target identity repeat
	@echo "== Loads, for its counts"
	$(BIN)/python scripts/train_profile.py build/profile/cpp/bindings/_engine.*.so build/profile/raw
	@rm -rf build/profile/counts && mv build/profile/raw build/profile/counts
	@touch $@

.venv/.ready: $(wildcard requirements/*.txt) $(addsuffix /pyproject.toml,$(DISTRIBUTIONS) $(EXAMPLES)) scripts/setup_python.sh | build/.packages-build
	@PYTHON=$(PYTHON) scripts/setup_python.sh .venv $(DISTRIBUTIONS) $(EXAMPLES)
	@touch $@

.venv/.docs: requirements/docs.txt | .venv/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
