"""Which files the workflow's rules read and make, by the config."""

import glob
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType

from pipeline.blocks import block_name, seed_range
from pipeline.claims.claims import Claim
from pipeline.config import Adaptive, Cell, Config, CurveAddress, Experiment, Figure

# The result file of a training job, for commands beside the workflow: it is the output of the rule train.
RUN_FILE = "results/runs/{data}/{function}/{model}/{training}/k{k}/T{T}/n{n}/seeds{seeds}.parquet"


def present_blocks(pattern: str, folder: Path = Path()) -> dict[Cell, list[range]]:
    """The blocks of seeds that there are result files of, by cell; files of other names, such as copies, are let be.

    Args:
        pattern: the path of a result file with the wildcards of a training job.
        folder: where the path starts.
    """
    forms = {"k": r"\d+", "T": r"\d+", "n": r"\d+", "seeds": r"\d+-\d+"}
    parts = re.compile(
        re.sub(r"\\{(\w+)\\}", lambda name: f"(?P<{name[1]}>{forms.get(name[1], '[^/]+')})", re.escape(pattern))
    )
    present = defaultdict(list)
    paths = glob.iglob(re.sub(r"\{\w+\}", "*", pattern), root_dir=folder)
    for match in filter(None, map(parts.fullmatch, paths)):
        found = match.groupdict()
        seeds = seed_range(found.pop("seeds"))
        present[Cell(**found | {name: int(found[name]) for name in ("k", "T", "n")})].append(seeds)
    return present


def run_files(
    config: Config,
    experiments: Iterable[Experiment],
    pattern: str,
    present: Mapping[Cell, list[range]] = MappingProxyType({}),
) -> list[str]:
    """The result files of all blocks of runs of some experiments, each once.

    Args:
        config: the config, which sets the size of a block.
        experiments: the experiments; cells that they share give one file.
        pattern: a path with the wildcards of a training job.
        present: the blocks that there are result files of.
    """
    cells = [cells for experiment in experiments for cells in experiment.cells().items()]
    return list(dict.fromkeys(_block_files(config, cells, pattern, present)))


def _block_files(
    config: Config, cells: Iterable[tuple[Cell, int]], pattern: str, present: Mapping[Cell, list[range]]
) -> Iterator[str]:
    """The files of the blocks of some cells, up to a number of runs of each."""
    blocks = config.seed_blocks(present)
    for cell, count in cells:
        for seeds in blocks[cell]:
            if seeds[0] < count:
                yield pattern.format(**cell._asdict(), seeds=block_name(seeds))


def adaptive_files(experiments: Iterable[Experiment], pattern: str) -> list[str]:
    """The result files of all adaptive rounds of some experiments.

    Args:
        experiments: the experiments; of those without adaptive rounds there are none.
        pattern: a path with the wildcards of a training job of an adaptive round.
    """
    return [
        path
        for experiment in experiments
        if (adaptive := experiment.adaptive)
        for curve in experiment.curves()
        for path in _round_files(curve, adaptive, adaptive.rounds, pattern)
    ]


def _round_files(curve: CurveAddress, adaptive: Adaptive, rounds: int, pattern: str) -> Iterator[str]:
    """The files of the first rounds of a curve; rounds and sizes count from 1."""
    for one, size in product(range(1, rounds + 1), range(1, adaptive.sizes + 1)):
        yield pattern.format(**curve._asdict(), round=one, size=size)


def design_inputs(
    config: Config,
    curve: CurveAddress,
    one: int,
    pattern: str,
    adaptive_pattern: str,
    present: Mapping[Cell, list[range]] = MappingProxyType({}),
) -> dict[str, list[str]]:
    """The result files by which a round chooses its sizes: of the curve's grid, and of the rounds before."""
    experiment = config.adaptive[curve]
    return {
        "grid": list(_block_files(config, experiment.curves()[curve].items(), pattern, present)),
        "rounds": list(_round_files(curve, experiment.adaptive, one - 1, adaptive_pattern)),
    }


def attention_steps_inputs(
    config: Config, dataset: str, holdout: str, present: Mapping[Cell, list[range]]
) -> dict[str, list[str]]:
    """The data of the cells of the figure attention_map: the block of each with its first seed, and its holdout.

    Args:
        config: the config.
        dataset: the path of a block of training sets, with its wildcards.
        holdout: that of a cell's holdout.
        present: the blocks of runs that there are result files of.
    """
    cells, blocks = [cell for _, cell in mapped_cells(config)], config.seed_blocks(present)
    return {
        "datasets": [dataset.format(**cell._asdict(), seeds=block_name(min(blocks[cell], key=min))) for cell in cells],
        "holdouts": [holdout.format(**cell._asdict()) for cell in cells],
    }


def mapped_cells(config: Config) -> list[tuple[str, Cell]]:
    """The cells of the figure attention_map with their experiments, but for those of adaptive rounds."""
    return [(name, cell) for name, one in shown(config, "attention_map").items() for cell in one.cells()]


def shown(config: Config, figure: str) -> dict[str, Experiment]:
    """The experiments that a figure shows, by name: of those it names the ones that are on."""
    drawn: Figure | None = getattr(config.figures, figure)
    return {name: config.enabled[name] for name in drawn.experiments if name in config.enabled} if drawn else {}


THEORY_FIGURES = {"representation": ("representation",), "capacity": ("representation", "heads"), "basin": ("basin",)}


def theory_parts(config: Config) -> set[str]:
    """The parts of the section ``theory`` that are on."""
    return {name for name, part in config.theory or () if part}


def theory_figures(config: Config) -> list[str]:
    """The figures of the theory that are asked for and whose parts are on."""
    parts = theory_parts(config)
    return [name for name, needs in THEORY_FIGURES.items() if getattr(config.figures, name) and parts.issuperset(needs)]


def theory_tables(config: Config) -> list[str]:
    """The tables of the theory."""
    parts = theory_parts(config)
    tables = {"representation": {"representation"}, "head_norms": {"heads"}, "basin": {"basin"}}
    tables |= {"capacity": {"representation", "heads"}}
    return [name for name, needs in tables.items() if needs <= parts]


def theory_cells(config: Config, part: str, pattern: str) -> list[str]:
    """The files of the cells that ``theory.heads`` or ``theory.basin`` trains; none if it is off.

    Args:
        config: the config.
        part: ``heads`` or ``basin``.
        pattern: a path with the wildcards of a block of training sets, or of a holdout.
    """
    return [pattern.format(**address) for address in theory_addresses(config, part)]


def theory_addresses(config: Config, part: str) -> list[dict[str, str]]:
    """Of each of these cells, the wildcards of its training sets."""
    one = getattr(config.theory, part, None)
    if not one:
        return []
    lengths, sizes = ((value,) if isinstance(value, int) else value for value in (one.T, one.n))
    values = {"data": one.data, "function": one.function, "k": str(one.k), "seeds": block_name(range(one.seeds))}
    return [{**values, "T": str(T), "n": str(n)} for T in lengths for n in sizes]


def drawn(config: Config) -> list[str]:
    """The figures that show anything; last, those of the theory."""
    of_experiments = [name for name, _ in config.figures if name not in THEORY_FIGURES and shown(config, name)]
    return [*of_experiments, *theory_figures(config)]


def figure_files(config: Config, folder: str) -> list[str]:
    """The files of all figures that show anything."""
    return [f"{folder}/{name}.{suffix}" for name in drawn(config) for suffix in ("svg", "png", "html")]


def claims_tables(config: Config, claims: Mapping[str, Claim], folder: str) -> list[str]:
    """The files of the tables that claims read, of those that the config's experiments give, and the table of runs.

    Args:
        config: the config.
        claims: by id.
        folder: where the workflow puts tables.
    """
    named = {"runs"} | {table for claim in claims.values() for table in claim.tables}
    return [path for path in table_files(config, folder) if Path(path).stem in named]


def table_files(config: Config, folder: str) -> list[str]:
    """The files of all tables that the workflow makes.

    Args:
        config: the config.
        folder: where the workflow puts tables.
    """
    made = {"runs", "success_rates", "critical_sample_size", "scaling_fits"}
    made |= {"law_fits", "law_verdicts", "law_sizes", "law_curves"}
    made |= set(theory_tables(config))
    if config.online:
        made |= {"transitions", "transition_fits"}
    shown_in = {"learning_curves": "learning_curves", "sensitivity": "sensitivity"}
    shown_in |= {"attention_maps": "attention_map", "attention_steps": "attention_map"}
    made |= {table for table, figure in shown_in.items() if shown(config, figure)}
    made |= {what for what in ("attention", "progress") if config.recording(what)}
    return [f"{folder}/{name}.parquet" for name in sorted(made)]
