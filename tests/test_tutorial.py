"""The tutorial's commands, run in their order in a copy of the checkout."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)  # those marked `sh setup` are done already
TRAINED = re.compile(r"^train +(\d+)$", re.MULTILINE)


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(tmp_path):
    for part in ("Snakefile", "environment.yml", "config", "profiles", "src", "workflow"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tmp_path / part)
    blocks = BLOCK.findall((ROOT / "docs/tutorial.md").read_text(encoding="utf-8"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEMAKE")}
    printed = []
    for block in blocks:
        run = subprocess.run(
            ["bash", "-euc", block], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == 0, block + run.stderr[-3000:]
        printed.append(run.stdout + run.stderr)
    trained = [set(TRAINED.findall(text)) for text in printed if TRAINED.search(text)]  # by block
    assert trained == [{"9"}, {"9"}, {"3"}, {"1"}]  # a dry run, 3 T and 3 n, a T more, a file less
    assert re.search(r"T = 20 +n = ", (tmp_path / "results/summary.txt").read_text())
    critical = pd.read_parquet(tmp_path / "results/tables/critical_sample_size.parquet")
    assert set(critical["experiment"]) == {"and2", "and2_tree"}
    assert set(critical["T"]) == {10, 20, 40, 80}
    assert (tmp_path / "results/figures/learners.svg").exists()
