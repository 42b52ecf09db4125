# `make help` lists the targets. Everything is installed into $(VENV), nothing into the system.

PYTHON ?= python3
VENV ?= .venv
INPUT ?=
OUT ?= out

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
# Without --no-compile pip byte-compiles every file of every package, most of which never run.
INSTALL := $(PIP) install --quiet --no-compile --constraint constraints.txt
SAMPLE := $(OUT)/astronaut.png
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The stubs of a numpy for Python 3.11 and later do not resolve as 3.10: some of its calls become Any.
NUMPY_LEFT_3_10 := --no-warn-return-any

.DELETE_ON_ERROR:
.PHONY: help run test standin native lint wheel clean

# opencv-python needs libraries of the window system (libGL and others) that slim containers lack;
# opencv-python-headless is the same library without windows. The two overwrite each other's files, so
# both go before one comes. $(1) is a virtual environment.
define ensure_opencv
$(1)/bin/python -c 'import cv2' 2>/dev/null || { \
  echo 'OpenCV cannot load the window system libraries here: taking opencv-python-headless instead.'; \
  $(1)/bin/python -m pip uninstall -qq --yes opencv-python opencv-python-headless; \
  $(1)/bin/python -m pip install --quiet --no-compile --constraint constraints.txt opencv-python-headless; \
  $(1)/bin/python -c 'import cv2'; }
endef

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-7s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.ready-run  ## a sample photo, or INPUT=photo.jpg or INPUT=folder, into out/
	@mkdir -p "$(OUT)"
	@if [ -z "$(INPUT)" ]; then $(BIN)/python examples/demo.py sample "$(SAMPLE)"; fi
	@$(BIN)/idrn-trt upscale "$(or $(INPUT),$(SAMPLE))" -o "$(OUT)/clear/" --json "$(OUT)/result.json"
	@$(BIN)/python examples/demo.py compare "$(or $(INPUT),$(SAMPLE))" "$(OUT)/comparison.png"

test: $(VENV)/.ready-test  ## install what the tests need and run them all
	$(BIN)/python -m pytest

standin: $(VENV)/.ready-standin  ## build pycuda without a GPU, for the tests against a stand-in of the driver

native: $(VENV)/.ready-run  ## build the C library and the GStreamer element into build/ and test them
	cmake -B build -D IDRN_WERROR=ON \
	  -D OpenVINO_DIR="$$($(BIN)/python -c 'import openvino.utils as u; print(u.get_cmake_path())')"
	cmake --build build -j 4
	ctest --test-dir build --output-on-failure

lint: $(VENV)/.ready-lint  ## ruff and mypy, for every Python that is supported
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict --python-version 3.10 $(NUMPY_LEFT_3_10)
	$(BIN)/mypy --strict --python-version 3.11
	$(BIN)/mypy --strict --python-version 3.12
	$(BIN)/mypy --strict --python-version 3.13

wheel: $(VENV)/.ready-test  ## build the wheel into dist/, install it elsewhere and run it on a photo
	rm -rf dist
	$(BIN)/python -m hatchling build --target wheel --directory dist
	@set -e; place=$$(mktemp -d); trap 'rm -rf "$$place"' EXIT; \
	  $(PYTHON) -m venv "$$place/venv"; \
	  "$$place/venv/bin/python" -m pip install --quiet --no-compile --constraint constraints.txt dist/*.whl; \
	  $(call ensure_opencv,"$$place/venv"); \
	  $(BIN)/python examples/demo.py sample "$$place/photo.png"; \
	  cd "$$place"; \
	  venv/bin/idrn-trt doctor; \
	  venv/bin/idrn-trt upscale photo.png -o clear.png --json result.json; \
	  venv/bin/python -c 'import json, pathlib, idrn_trt; \
	    faces = json.load(open("result.json"))["summary"]["faces"]; \
	    home = pathlib.Path(idrn_trt.__file__).parent; \
	    assert "site-packages" in home.parts, home; \
	    assert faces == 1, f"expected 1 face in the sample, got {faces}"; \
	    print("the installed wheel found and upscaled the face")'

clean:  ## remove what make and the tools made, but not trained runs
	rm -rf $(VENV) $(OUT) build dist .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-run: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing into $(VENV) (about half a minute) ...'
	@$(INSTALL) --editable '.[demo]'
	@$(call ensure_opencv,$(VENV))
	@touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing the tests and what they need into $(VENV) (some minutes: torch) ...'
	@$(INSTALL) pip
	@$(INSTALL) --editable '.[bench,demo,metrics,onnxruntime,train,virtualcam]' --group test
	@$(call ensure_opencv,$(VENV))
	@touch $@

$(VENV)/.ready-standin: $(VENV)/.ready-test tests/standin/install_pycuda.py
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python tests/standin/install_pycuda.py
	@touch $@

$(VENV)/.ready-lint: $(VENV)/.ready-test
	@$(INSTALL) --group lint --group typing
	@touch $@
