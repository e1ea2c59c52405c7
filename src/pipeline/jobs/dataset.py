"""Draws the training sets of a cell's block of seeds, with noise if the data protocol has any.

Whether a sample fits a single support can take a minute to find. A checkpoint keeps what was found, so that an
interrupted job draws its samples again without a search.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from pipeline.blocks import seed_range
from pipeline.checkpoints import Checkpoint
from pipeline.data.bits import PackedBits
from pipeline.data.datasets import Address, TrainingSet, read_holdout, write_training_sets
from pipeline.data.noise import add_noise
from pipeline.data.sampling import draw_training_set
from pipeline.jobs import arguments
from pipeline.storage import read_table

log = logging.getLogger(__name__)


def draw_block(spec: dict, holdout_path: Path, output: Path, saved: Checkpoint) -> None:
    """Draws and writes the training sets of ``spec["seeds"]`` (such as ``"0-49"``) of the cell ``spec["cell"]``.

    The checkpoint is left to the caller, who removes it when no one will ask for these sets again.
    """
    address, seeds = Address(**spec["cell"]), seed_range(spec["seeds"])
    write_training_sets(_training_sets(spec, address, seeds, read_holdout(holdout_path), saved), output)
    told = read_table(output, ["redraws", "unique"]).to_pydict()
    counts = len(seeds), sum(told["redraws"]), told["unique"].count(False)
    log.info("%s: %d training sets, %d redraws, %d still ambiguous", address, *counts)


def _training_sets(
    spec: dict, address: Address, seeds: Sequence[int], holdout: PackedBits, saved: Checkpoint
) -> Iterator[TrainingSet]:
    """The training sets, one by one; of those that the checkpoint has, no sample is searched again."""
    protocol = {name: spec[name] for name in ("reject_ambiguous", "max_redraws")}
    rates = {name: spec[name] for name in ("label_noise", "feature_noise")}
    draw, fresh = partial(draw_training_set, address, holdout=holdout, **protocol), {}

    def settle(place: int) -> tuple[int, bool | None]:
        fresh[place] = draw(seeds[place])
        return fresh[place].redraws, fresh[place].unique

    for place, settled in enumerate(saved.parts(len(seeds), settle)):
        yield add_noise(fresh.pop(place, None) or draw(seeds[place], settled=settled), address, **rates)


def main() -> None:
    """The job's command."""
    given = arguments.parse(__doc__, "holdout", "output", "checkpoint", code={})
    saved = Checkpoint(given.checkpoint, given.spec, given.code, given.holdout)
    draw_block(given.spec, given.holdout, given.output, saved)
    saved.remove()


if __name__ == "__main__":
    main()
