# Everything runs in a virtual environment that this file makes, from the versions in constraints.txt.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
CLIENTS = $(VENV)-clients
# Tests on all cores, and the suite: all of them but those of the documentation and of other packages.
PYTEST = $(BIN)/python -m pytest -n auto --dist worksteal
DOCS = tests/test_docs.py tests/test_docstrings.py tests/site
SUITE = $(PYTEST) $(RECORD) tests $(addprefix --ignore=,$(DOCS) tests/clients)

.PHONY: quickstart test slow coverage fuzz array-api clients lint types site pictures docs clean

quickstart: $(VENV)/installed
	$(BIN)/python examples/quickstart.py

test: $(VENV)/installed
	$(SUITE) -m "not slow"

# Full fits over several seeds, large data, subprocesses, kills and interrupts.
slow: $(VENV)/installed
	$(SUITE) -m slow

# Both of them, and the share of lines and branches of skae that they run.
coverage: $(VENV)/installed
	rm -f .coverage
	$(MAKE) test slow RECORD="--cov --cov-append --cov-report="
	$(BIN)/coverage report

# The tests of generated input, of files and of kills, with many more examples, others in every run: about ten minutes.
fuzz: $(VENV)/installed
	SKAE_FUZZ=random $(PYTEST) -q tests/fuzz tests/persistence tests/test_checkpoint.py

# scikit-learn's array API checks need the variable before the first import, so they have a process of their own.
array-api: $(VENV)/installed
	SCIPY_ARRAY_API=1 $(BIN)/python -m pytest -q -k array_api tests/test_sklearn_contract.py tests/estimators/test_tensors.py

# Packages that take scikit-learn's estimators, which need some older versions: in an environment of their own.
clients: $(CLIENTS)/installed
	$(CLIENTS)/bin/python -m pytest -q --clients tests/clients

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell skae tests docs examples *.md Makefile pyproject.toml

types: $(VENV)/installed
	$(BIN)/mypy

# The gallery runs in this. A script that has not changed is not run again, whatever has changed in skae: `make clean`.
site: $(VENV)/installed
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

# The two pictures of the README, which have to be there without a build.
pictures: site
	cp docs/auto_examples/images/sphx_glr_plot_compress_001.png docs/_static/compress.png
	cp docs/auto_examples/images/sphx_glr_plot_conditional_001.png docs/_static/generate.png

# The pages' snippets, the docstrings and their examples, then the site's links, pictures and behavior in Chromium.
docs: site $(VENV)/peers
	$(PYTEST) -q $(DOCS) skae --site docs/_build/html

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

$(VENV)/peers: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[peers]"
	touch $@

# A version that tests/clients names goes before the project's.
$(CLIENTS)/installed: pyproject.toml constraints.txt tests/clients/constraints.txt
	$(PYTHON) -m venv $(CLIENTS)
	awk -F== 'NR == FNR { own[$$1]; print; next } !($$1 in own)' tests/clients/constraints.txt constraints.txt > $(CLIENTS)/constraints.txt
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(CLIENTS)/constraints.txt --editable ".[clients]"
	touch $@

clean:
	rm -rf $(VENV) $(CLIENTS) .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis output build dist
	rm -rf docs/_build docs/auto_examples docs/api/backreferences docs/api/skae*.rst
