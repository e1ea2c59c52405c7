"""Training sets of a block of seeds, for tests that do not ask for a checkpoint."""

from pathlib import Path

from pipeline.checkpoints import Checkpoint
from pipeline.jobs import dataset


def draw_block(spec: dict, holdout: Path, output: Path) -> None:
    """Draws and writes them."""
    dataset.draw_block(spec, holdout, output, Checkpoint(output.with_suffix(".draws.pt"), spec, "", holdout))
