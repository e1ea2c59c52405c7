# Each target is one command from a fresh clone.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
RUN = snakemake --cores all
# Of run, forecast, watch, report, figures, stale and profile: make stale CONFIG=config/quick.yaml, or of several files,
# each laid over those before it: make stale CONFIG="config/config.yaml my-changes.yaml"
CONFIG ?= config/config.yaml
# Of these and of quick, paper, smoke, paper-ready and crate, a folder of one's own for results/: make run DIRECTORY=my-run
DIRECTORY ?= .
IN = $(if $(filter-out .,$(DIRECTORY)),--directory $(DIRECTORY))

# make passes over what it does not know, and CONFIGS=my.yaml would run the paper's set.
KNOWN = PYTHON CONFIG DIRECTORY SET TEMPLATE COMMAND RUN
GIVEN := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
UNKNOWN := $(strip $(filter-out $(KNOWN) SHELL MAKE% PIP_%,$(GIVEN)))
$(if $(UNKNOWN),$(error no variable $(UNKNOWN) here; known are $(KNOWN); one of the environment stands before make))
FILES := $(filter %.yaml %.yml,$(MAKECMDGOALS))
$(if $(FILES),$(error no target $(FILES) here; name config files by CONFIG, several in quotes))
OWN := $(filter quick paper smoke,$(MAKECMDGOALS))
$(if $(and $(OWN),$(filter CONFIG,$(GIVEN))),$(error make $(OWN) runs a config of its own; yours is run by make run CONFIG=$(CONFIG)))

.PHONY: env quick paper smoke run forecast figures reanalyse stale profile watch report test test-page bench simulate lint docs site paper-ready crate clean

env: .venv/installed

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	pip install --quiet torch==2.13.0
	pip install --quiet --editable '.[dev,slurm,triton]'
	touch $@

quick: env
	$(RUN) $(IN) --configfile config/quick.yaml

paper: env
	$(RUN) $(IN)

smoke: env
	$(RUN) $(IN) --configfile config/smoke.yaml

# make run CONFIG=my.yaml: checks a config, says how long it will take, and runs it; make forecast stops before the run
run: forecast
	$(RUN) $(IN) --configfile $(CONFIG)

forecast: env
	@PYTHONPATH=src python -m pipeline.commands.forecast $(CONFIG)

# Draws the figures that are stale; trains nothing.
figures: env
	python -m pipeline.commands.redraw $(CONFIG) $(IN)

# make reanalyse SET=extended: tables, figures and verdicts again from the runs published in docs/results, compared with those there
reanalyse: env
	python -m pipeline.commands.reanalysis $(or $(SET),paper)

# Says what would run, and why.
stale: env
	python -m pipeline.commands.stale $(CONFIG) $(IN)

# Says where the time of a finished run went.
profile: env
	python -m pipeline.commands.profiling $(CONFIG) $(IN)

# make watch CONFIG=my.yaml: follows a run that goes on in another terminal; make report: Snakemake's own report
watch: env
	@PYTHONPATH=src python -m pipeline.commands.watch $(CONFIG) $(IN)

report: env
	python -m pipeline.commands.report $(CONFIG) $(IN)

test: env
	pytest

# make test-page: the results page in Chromium, the system's or, if there is none, one that Playwright fetches
test-page: env
	pip install --quiet --editable '.[browser]'
	command -v chromium || command -v google-chrome || playwright install chromium
	pytest tests/test_page.py

bench: env
	python benchmarks

simulate: env
	OMP_NUM_THREADS=1 python benchmarks/simulate.py

lint: env
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow
	snakemake --lint

docs: env
	python -m pipeline.commands.config_reference
	python -m pipeline.commands.rule_graph
	python -m pipeline.commands.published_claims

site: env
	pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

paper-ready: env
	python -m pipeline.paper_ready --template $(or $(TEMPLATE),icml) --results $(DIRECTORY)/results

crate: env
	python -m pipeline.commands.crate --results $(DIRECTORY)/results --command "$(or $(COMMAND),$(error which command made the results? make crate COMMAND="make paper"))"

# What Snakemake knows of results/ stays: without it nothing there would count as stale.
clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis
