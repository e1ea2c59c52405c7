"""The cluster that these tests share, and the commands that use it."""

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from cluster import PROGRAMS, Cluster

PLUGIN = "snakemake_executor_plugin_slurm"


def missing() -> str | None:
    """Why no cluster can be started here, and how to mend it; None if one can."""
    if find_spec(PLUGIN) is None:
        return "the SLURM plugin of Snakemake is missing: pip install '.[slurm]'"
    if os.getuid() != 0:
        return "only root can start a SLURM of its own, as in a container"
    if lacking := [name for name in PROGRAMS if not shutil.which(name, path=f"/usr/sbin:{os.environ['PATH']}")]:
        return f"{', '.join(lacking)} missing: apt-get install munge slurmctld slurmd slurm-client"
    return None


@pytest.fixture(scope="session")
def one_node():
    """A SLURM of one node."""
    if reason := missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(one_node, monkeypatch):
    """The same, in the environment of whatever the test runs."""
    for name, value in one_node.environment.items():
        monkeypatch.setenv(name, value)
    return one_node
