"""Draws the training sets of a cell's block of seeds, with noise if the data protocol has any."""

import logging
from pathlib import Path

from pipeline.blocks import seed_range
from pipeline.datasets import Address, read_holdout, write_training_sets
from pipeline.jobs import arguments
from pipeline.noise import add_noise
from pipeline.sampling import draw_training_set
from pipeline.storage import read_table

log = logging.getLogger(__name__)


def draw_block(spec: dict, holdout_path: Path, output: Path) -> None:
    """Draws and writes the training sets of ``spec["seeds"]`` (such as ``"0-49"``) of the cell ``spec["cell"]``."""
    address, holdout = Address(**spec["cell"]), read_holdout(holdout_path)
    protocol = {name: spec[name] for name in ("reject_ambiguous", "max_redraws")}
    rates = {name: spec[name] for name in ("label_noise", "feature_noise")}
    seeds = seed_range(spec["seeds"])
    sets = (add_noise(draw_training_set(address, seed, holdout, **protocol), address, **rates) for seed in seeds)
    write_training_sets(sets, output)
    told = read_table(output, ["redraws", "unique"]).to_pydict()
    counts = len(seeds), sum(told["redraws"]), told["unique"].count(False)
    log.info("%s: %d training sets, %d redraws, %d still ambiguous", address, *counts)


if __name__ == "__main__":
    given = arguments.parse(__doc__, "holdout", "output")
    draw_block(given.spec, given.holdout, given.output)
