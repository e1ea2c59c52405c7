"""What the tests share."""

import shutil

import pytest
import torch
from hypothesis import settings

from running import snakemake
from smoke import SMOKE

# The machines that run the tests are shared: a slow example is no failure.
settings.register_profile("pipeline", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("pipeline")

# As in the workflow's jobs; several threads on a busy machine mostly wait for each other.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished smoke run: its folder and what Snakemake printed."""
    folder = tmp_path_factory.mktemp("smoke")
    run = snakemake(folder, "--configfile", str(SMOKE))
    assert run.returncode == 0, run.stderr[-5000:]
    return folder, run.stdout + run.stderr


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, with its times, to change."""
    shutil.copytree(finished[0], tmp_path / "run")
    return tmp_path / "run"
