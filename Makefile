# Two commands on a fresh machine: `make demo` and `make test`. Both set up `.venv` first.
PYTHON ?= python3
DATA ?= embedded
BIN := .venv/bin
# nbgrader runs `alembic` by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)
ASSIGNMENT := multiview_vae
ASSIGNMENTS := $(sort $(patsubst solutions/%/,%,$(dir $(wildcard solutions/*/*.ipynb))))
EXAMPLE := examples/numpy_course

DEMO := results/demo

.PHONY: setup sandbox demo test train solutions release bundle site clean

setup: .venv/installed

.venv/installed: pyproject.toml nbverdict/pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable './nbverdict[nbgrader]' --editable '.[dev]'
	touch $@

sandbox:  ## install bubblewrap, a layer of the confinement, where that is possible
	@if command -v bwrap >/dev/null; then bwrap --version; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	    && (timeout 60 apt-get update && timeout 60 apt-get install -y bubblewrap) >/dev/null 2>&1; then bwrap --version; \
	else echo "bubblewrap is not here and cannot be installed: what needs it is skipped, and says so"; fi

demo: setup  ## grade the made-up class, in a course of its own, and show who lost which points
	rm -rf $(DEMO) && mkdir -p $(DEMO) && cp -R nbgrader_config.py solutions $(DEMO)
	cd $(DEMO) && nbgrader generate_assignment $(ASSIGNMENT) --log-level=WARN
	python examples/make_class.py --into $(DEMO)/submitted
	cd $(DEMO) && autograder grade $(ASSIGNMENT)
	cd $(DEMO) && nbgrader generate_feedback $(ASSIGNMENT) --log-level=WARN
	@echo "Feedback pages: $(DEMO)/feedback/STUDENT/$(ASSIGNMENT)/NOTEBOOK.html, for example"
	@echo "  $(CURDIR)/$(DEMO)/feedback/cleo_averages/$(ASSIGNMENT)/2_product_of_experts.html"

# One thread for each of three test processes: with more, they fight for the cores. Files in their order: sorted by their
# number of tests, as pytest-xdist has it, the longest would come last. Loading nbval takes each process seconds, and only
# its own run needs it.
test: setup  ## lint, types, layers, unit tests, release, made-up class, and the solutions' outputs
	ruff check . && ruff format --check . && mypy && lint-imports
	OMP_NUM_THREADS=1 pytest -p no:nbval --numprocesses 3 --dist loadfile --no-loadscope-reorder
	OMP_NUM_THREADS=1 pytest --numprocesses 3 --dist loadfile --nbval solutions $(EXAMPLE)/solutions

train: setup  ## train core and extension in full; figures and metrics to results/; a killed recipe resumes
	mkdir -p results/multiview_vae results/cross_view
	LAB_DATA=$(DATA) LAB_RESULTS=$(CURDIR)/results/multiview_vae \
	  python solutions/execute.py --to results/multiview_vae solutions/multiview_vae/3_multiview_vae.ipynb
	LAB_DATA=$(DATA) LAB_RESULTS=$(CURDIR)/results/cross_view \
	  python solutions/execute.py --to results/cross_view solutions/cross_view/*.ipynb
	rm -f results/cross_view/checkpoint.pt  # the run is complete: the next one starts anew
	cp results/cross_view/metrics.json results/
	@echo "figures, metrics.json of the recipe, and the executed notebooks: $(CURDIR)/results"

solutions: setup  ## execute the solutions and store their outputs
	python solutions/execute.py solutions/*/*.ipynb

release: setup  ## make assignments/ from solutions/
	for name in $(ASSIGNMENTS); do nbgrader generate_assignment $$name --force || exit 1; done

bundle: setup  ## what students are given, as one zip file: notebooks, this package, a README
	python examples/make_bundle.py

site: setup  ## the documentation site, to build/site/
	python -m pip install --quiet --editable '.[site]'
	python docs/assemble.py build/site-source
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

clean:
	rm -rf .venv build results submitted autograded feedback grades gradebook.db* grades.csv .nbgrader.log
