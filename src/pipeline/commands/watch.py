"""Follows a run of the workflow from its run files alone: what is done, how fast, what is left, and what came out.

``python -m pipeline.commands.watch CONFIG`` shows the state in the terminal, again every few seconds, and draws the
critical sample sizes of the runs that are there into ``results/watch.svg``. It takes no lock and disturbs no run of
Snakemake.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import vl_convert

from pipeline.commands.forecast import job_seconds, learning_jobs
from pipeline.commands.shared import parser_of, workflow_of
from pipeline.config import Cell, Config, Experiment
from pipeline.durations import duration
from pipeline.families import FAMILY
from pipeline.figures import critical_sample_size
from pipeline.figures.parts import style
from pipeline.statistics.critical_sample_size import critical_sample_sizes
from pipeline.statistics.success_rates import success_rates
from pipeline.storage import TornFileError, read_table, whole_file
from pipeline.workflow import targets
from pipeline.workflow.targets import RUN_FILE

FIGURE = "critical_sample_size"
WINDOW = 30 * 60  # seconds that the rate looks back
BOOTSTRAP = 100  # resamples, fewer than the workflow's, for a figure that is drawn again and again
BAR_WIDTH = 24  # characters

Blocks = Mapping[Cell, list[range]]

_COLUMNS = ["function", "data", "model", "training", "k", "T", "n", "seed", "success", "status"]
_NO_FITS = pd.DataFrame(columns=[*FAMILY, "law", "a", "b", "r_squared"])


@dataclass
class Run:
    """What is known of a run of the workflow: each finished file's time and rows, and each damaged file's time."""

    folder: Path
    finished: dict[str, float] = field(default_factory=dict)
    rows: dict[str, pd.DataFrame] = field(default_factory=dict)
    damaged: dict[str, float] = field(default_factory=dict)

    def look(self, costs: Mapping[str, float]) -> None:
        """Reads the files that came or changed since the last look, and forgets those that are gone."""
        for name in {**costs, **self.finished, **self.damaged}:
            path = self.folder / name
            changed = path.stat().st_mtime if path.exists() else None
            if changed != self.finished.get(name, self.damaged.get(name)):
                for known in (self.finished, self.rows, self.damaged):
                    known.pop(name, None)
                if changed is not None:
                    self._read(name, path, changed)

    def _read(self, name: str, path: Path, changed: float) -> None:
        try:
            self.rows[name] = read_table(path, _COLUMNS).to_pandas()
            self.finished[name] = changed
        except TornFileError:
            self.damaged[name] = changed


def job_costs(config: Config, present: Blocks = MappingProxyType({})) -> dict[str, float]:
    """Every run file of a config with the forecast of its job, in seconds of one core.

    Args:
        config: the config.
        present: the blocks of runs that there are files of, which are kept.
    """
    jobs = learning_jobs(config, present)
    return {RUN_FILE.format(**block): job_seconds(config, rule, block) for rule, block in jobs}


def pace(costs: Mapping[str, float], finished: Mapping[str, float], now: float) -> tuple[float, float] | None:
    """Files a minute, and the seconds that the rest takes at the pace of the last half hour.

    A file counts by the forecast of its job, since one at a long T takes longer than one at a short T.

    Args:
        costs: of every file.
        finished: when each file that is there was finished.
        now: the time, in the same seconds.

    Returns:
        None, if fewer than two files were finished within ``WINDOW``.
    """
    recent = sorted((when, name) for name, when in finished.items() if when >= now - WINDOW)
    if len(recent) < 2 or now <= recent[0][0]:
        return None
    span, later = now - recent[0][0], recent[1:]  # the work on the first lies before the span
    left = sum(cost for name, cost in costs.items() if name not in finished)
    return 60 * len(later) / span, left * span / sum(costs[name] for _, name in later)


def report(
    config: Config, run: Run, costs: Mapping[str, float], now: float, present: Blocks = MappingProxyType({})
) -> Iterator[str]:
    """The state in lines: the whole, the pace, each experiment, damaged files."""
    yield _bar("all", len(run.finished), len(costs)) + _outcomes([*run.rows.values()])
    measured = pace(costs, run.finished, now)
    if len(run.finished) == len(costs):
        yield "All run files are there."
    elif measured:
        yield f"{measured[0]:.1f} files a minute, about {duration(measured[1])} left at this pace."
    else:
        yield f"Fewer than two run files in the last {duration(WINDOW)}: no pace yet."
    for name, experiment in config.enabled.items():
        files = targets.run_files(config, [experiment], RUN_FILE, present)
        own = [run.rows[file] for file in files if file in run.rows]
        yield _bar(name, len(own), len(files)) + _outcomes([runs_of(experiment, rows) for rows in own])
    for name in sorted(run.damaged):
        yield f"damaged: {name}; the next start makes it again"


def _bar(name: str, done: int, total: int) -> str:
    filled = BAR_WIDTH * done // total
    return f"{name:<24} {'█' * filled}{'·' * (BAR_WIDTH - filled)} {done:>5} of {total} files"


def _outcomes(files: list[pd.DataFrame]) -> str:
    """How the runs of some files ended, in words; nothing, if there are none."""
    if not files:
        return ""
    counts = pd.concat(files)["status"].value_counts()
    parts = [f"{counts.get(status, 0)} {status}" for status in ("succeeded", "failed")]
    parts += [f"{counts['diverged']} diverged"] if "diverged" in counts else []
    return f", runs: {', '.join(parts)}"


def runs_of(experiment: Experiment, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that are an experiment's: another that shares a cell may ask for more seeds of it."""
    cells = pd.DataFrame([cell._asdict() | {"seeds": seeds} for cell, seeds in experiment.cells().items()])
    shared = rows.merge(cells, on=[*Cell._fields])
    return shared[shared["seed"] < shared["seeds"]].drop(columns="seeds")


def rates_so_far(experiments: Mapping[str, Experiment], run: Run, confidence: float) -> pd.DataFrame:
    """The success rates of the cells that have runs; empty if none has."""
    if not run.rows:
        return pd.DataFrame()
    rows = pd.concat(run.rows.values())
    found = pd.concat([runs_of(one, rows).assign(experiment=name) for name, one in experiments.items()])
    return success_rates(found, confidence) if len(found) else found


def draw(config: Config, run: Run, path: Path) -> bool:
    """Draws the critical sample sizes of the runs that are there; False if there are none yet."""
    rates = rates_so_far(targets.shown(config, FIGURE), run, config.analysis.confidence)
    if rates.empty:
        return False
    bootstrap = min(config.analysis.bootstrap, BOOTSTRAP)
    sizes = critical_sample_sizes(rates, config.analysis.success_share, config.analysis.confidence, bootstrap)
    style.know_models(config.models)
    svg = vl_convert.vegalite_to_svg(critical_sample_size.chart(sizes, _NO_FITS, rates).to_dict(), style.VEGA_LITE)
    with whole_file(path) as temporary:
        temporary.write_text(svg, encoding="utf-8")
    return True


def follow(config: Config, folder: Path, picture: Path, interval: float | None) -> None:
    """Shows the state until all run files are there, every so many seconds; once, if ``interval`` is None."""
    run, drawn = Run(folder), None
    while True:
        present = targets.present_blocks(RUN_FILE, folder)
        costs = job_costs(config, present)
        run.look(costs)
        lines = [*report(config, run, costs, time.time(), present)]
        if targets.shown(config, FIGURE) and drawn != run.finished and draw(config, run, picture):
            drawn = dict(run.finished)
        lines += [f"Critical sample sizes so far: {picture}"] if drawn else []
        print(("\x1b[H\x1b[J" if interval and sys.stdout.isatty() else "") + "\n".join(lines), flush=True)
        if interval is None or len(run.finished) == len(costs):
            return
        time.sleep(interval)


def main() -> None:
    """The command."""
    parser = parser_of(__doc__)
    parser.add_argument("--picture", type=Path, help="where the figure goes; default: results/watch.svg there")
    parser.add_argument("--interval", type=float, default=10, help="seconds between two looks")
    parser.add_argument("--once", action="store_true", help="look once")
    given = parser.parse_args()
    workflow, config = workflow_of(given)
    picture = given.picture or workflow.directory / "results/watch.svg"
    try:
        follow(config, workflow.directory, picture, None if given.once else given.interval)
    except OSError as error:
        raise SystemExit(": ".join(filter(None, (error.filename, error.strerror)))) from None
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
