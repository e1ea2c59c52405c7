"""From the result files of training jobs to the tables of runs, of their curves and of their attention."""

from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.families import CELL
from pipeline.results import SCHEMA
from pipeline.storage import TornFileError, read_table

KEY = [*CELL, "seed"]
OUTCOME = ["success", "success_step", "best_holdout_accuracy", "train_loss", "steps", "status"]
DETAILS = ["data", "training", "unique", "redraws"]
CURVES = {"curve_steps": "step", "curve_train_loss": "train_loss", "curve_holdout_accuracy": "holdout_accuracy"}
PROGRESS = CURVES | {
    "curve_distance": "distance",
    "curve_support_mass": "support_mass",
    "curve_fourier_coefficient": "fourier_coefficient",
}


def read_runs(files: Iterable[Path], columns: list[str], adaptive: Iterable[Path] = ()) -> pd.DataFrame:
    """The rows of all result files, with their address, ``adaptive`` and the given columns.

    ``adaptive`` marks the rows of the files of that name: runs that an adaptive design chose. Where the grid of another
    experiment has the same run, it is in both kinds of files.

    Raises:
        TornFileError: a file is damaged, or another program wrote it; the message says which file to delete.
    """
    address = ["function", "data", "model", "training", "k", "T", "n", "seed"]
    kinds = [(path, False) for path in files] + [(path, True) for path in adaptive]
    tables = [(_read(path, list(dict.fromkeys(address + columns))), kind) for path, kind in kinds]
    runs = pa.concat_tables(table for table, _ in tables).to_pandas()
    return runs.assign(adaptive=np.repeat([kind for _, kind in tables], [len(table) for table, _ in tables]))


def _read(path: Path, columns: list[str]) -> pa.Table:
    """Columns of a result file, each of the type that its job writes."""
    table = read_table(path, columns)
    types = dict(zip(table.column_names, table.schema.types, strict=True))
    for name in columns:
        if types.get(name) != SCHEMA.field(name).type:
            wrong = f"its column {name} is not as its job writes it, so another program did"
            raise TornFileError(f"{path} is damaged ({wrong}); delete it and run snakemake again to rebuild it")
    return table


def assign_experiments(runs: pd.DataFrame, experiments: Mapping[str, Mapping]) -> pd.DataFrame:
    """The runs of each experiment, stacked, with a column ``experiment``; a run may belong to several.

    Args:
        runs: rows with an address (function, data, model, training, k, T, n, seed) and ``adaptive``.
        experiments: by name, the ``experiments`` section of the config.

    Raises:
        ValueError: an experiment lacks some of its runs.
    """
    parts = [_runs_of(runs, name, experiment) for name, experiment in experiments.items()]
    return pd.concat(parts, ignore_index=True).sort_values(KEY, ignore_index=True)


def _runs_of(runs: pd.DataFrame, name: str, experiment: Mapping) -> pd.DataFrame:
    grids = [experiment["grid"], *experiment["more_grids"]]
    for column in ("function", "data", "model", "training"):
        runs = runs[runs[column] == experiment[column]]
    chosen = ~runs["adaptive"] & np.logical_or.reduce([_in_grid(runs, grid) for grid in grids])
    expected = sum(grid["seeds"] * len(grid["k"]) * len(grid["T"]) * len(grid["n"]) for grid in grids)
    if adaptive := experiment["adaptive"]:
        curves = {curve for grid in grids for curve in product(grid["k"], grid["T"])}
        chosen |= runs["adaptive"] & pd.MultiIndex.from_frame(runs[["k", "T"]]).isin(curves)
        expected += len(curves) * adaptive["rounds"] * adaptive["sizes"] * adaptive["seeds"]
    if chosen.sum() != expected:
        raise ValueError(
            f"experiments.{name}: {chosen.sum()} of {expected} runs found; run snakemake to train the rest"
        )
    return runs[chosen].assign(experiment=name)


def _in_grid(runs: pd.DataFrame, grid: Mapping) -> pd.Series:
    """Whether a run is one of the grid's."""
    values = {column: grid[column] for column in ("k", "T", "n")}
    return (runs["seed"] < grid["seeds"]) & runs[list(values)].isin(values).all(axis=1)


def runs_table(
    files: Iterable[Path], experiments: Mapping[str, Mapping], adaptive: Iterable[Path] = ()
) -> pd.DataFrame:
    """One row a run and experiment."""
    runs = assign_experiments(read_runs(files, OUTCOME + DETAILS, adaptive), experiments)
    return runs.astype({"success_step": "Int32"})[KEY + OUTCOME + DETAILS]


def learning_curves(
    files: Iterable[Path], experiments: Mapping[str, Mapping], adaptive: Iterable[Path] = ()
) -> pd.DataFrame:
    """One row an evaluation of a run: ``step``, ``train_loss``, ``holdout_accuracy`` beside the run's key."""
    return _curves(files, experiments, CURVES, adaptive)


def progress(files: Iterable[Path], experiments: Mapping[str, Mapping], adaptive: Iterable[Path] = ()) -> pd.DataFrame:
    """One row an evaluation of a run: its learning curve and its hidden progress beside the run's key."""
    return _curves(files, experiments, PROGRESS, adaptive)


def _curves(
    files: Iterable[Path], experiments: Mapping[str, Mapping], columns: Mapping[str, str], adaptive: Iterable[Path]
) -> pd.DataFrame:
    runs = assign_experiments(read_runs(files, list(columns), adaptive), experiments).rename(columns=columns)
    names = list(columns.values())
    return runs[KEY + names].explode(names, ignore_index=True).astype(dict.fromkeys(names, float) | {"step": int})


def attention(files: Iterable[Path], experiments: Mapping[str, Mapping], adaptive: Iterable[Path] = ()) -> pd.DataFrame:
    """One row a run: ``success`` and its attention's mass on the support, null in runs that diverged.

    The mass is ``support_mass``, the mean of all heads, and ``best_head_support_mass``; ``support_recovered`` says
    whether the largest weights are those of the support.
    """
    columns = ["success", "support_mass", "head_support_mass", "support_recovered"]
    runs = assign_experiments(read_runs(files, columns, adaptive), experiments)
    heads = runs["head_support_mass"]
    runs["best_head_support_mass"] = [np.nan if masses is None else masses.max() for masses in heads]
    ordered = ["success", "support_mass", "best_head_support_mass", "support_recovered"]
    return runs.astype({"support_recovered": "boolean"})[KEY + ordered]


def attention_maps(
    files: Iterable[Path], experiments: Mapping[str, Mapping], adaptive: Iterable[Path] = ()
) -> pd.DataFrame:
    """One row a head and position, both from 0, of the run of seed 0 of each cell, unless it diverged.

    ``weight`` is [CLS]'s mean attention weight, and ``in_support`` says whether the position is relevant.
    """
    runs = assign_experiments(read_runs(files, ["success", "attention_map", "support"], adaptive), experiments)
    maps = runs.dropna(subset="attention_map").rename(columns={"attention_map": "weight"}).explode("weight")
    place = maps.groupby(level=0).cumcount()  # in the map, which is by head
    maps["head"], maps["position"] = place // maps["T"], place % maps["T"]
    positions = zip(maps["position"], maps["support"], strict=True)
    maps["in_support"] = [position in support for position, support in positions]
    columns = ["success", "head", "position", "weight", "in_support"]
    return maps.astype({"weight": "float32"})[KEY + columns].reset_index(drop=True)
