"""Makes the tables, figures and verdicts of a published set again, from its published runs, and compares them.

``python -m pipeline.commands.reanalysis extended`` trains nothing: it works in ``results/reanalysed/extended`` on
copies of the tables that come from training, and says of every other table, and of the claims, whether they are what is
published.
"""

import argparse
import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from pipeline.claims import ledger
from pipeline.commands.shared import ROOT

PUBLISHED = ROOT / "docs/results"
FOLDER = Path("results/reanalysed")
# Tables that are made from files of single runs, which are not published.
SOURCES = (
    *("runs", "learning_curves", "progress", "attention", "attention_maps", "attention_steps"),
    *("representation", "head_norms", "basin"),
)
# The rules that need no more than such tables; each figure has one too.
RULES = (
    *("success_rates", "critical_sample_size", "scaling_fits", "law_fits", "sensitivity", "transitions"),
    *("transition_fits", "capacity", "claims", "summary", "save_config", "page"),
)
ROUNDING, NOTHING = 1e-6, 1e-12  # relative and absolute; what another processor or version of a library may change
SAME, ROUNDED, DIFFERENT = "the same", "the same up to rounding", "DIFFERENT"
ABSENT = "none"  # the verdict on a claim that a ledger does not have


def reanalyse(published: Path, folder: Path) -> int:
    """Makes everything again in a folder, which may hold what an earlier call made, and says what differs.

    Args:
        published: a set of results, as :mod:`pipeline.commands.publish` keeps it.
        folder: where to work; what is there and not stale stays.

    Returns:
        The exit status: 0 if all tables and verdicts are the published ones.

    Raises:
        SystemExit: the set has no tables to start from, or one of them cannot be copied.
    """
    files = sorted(published.glob("*.parquet"))
    sources = [path for path in files if path.stem in SOURCES]
    if not sources or not (published / "config.yaml").exists():
        sys.exit(f"{published} has no config and runs to start from; sets that have: {', '.join(sets())}")
    tables = folder / "results/tables"
    try:
        tables.mkdir(parents=True, exist_ok=True)
        for path in sources:
            _copy(path, tables / path.name)
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    if status := _make(published, folder):
        return status
    told = {path.stem: compared(path, tables / path.name) for path in files if path not in sources}
    if (published / "claims.json").exists():
        told |= _verdicts(published / "claims.json", folder / "results/claims.json")
    for name, what in told.items():
        print(f"{what:<24} {name}")
    print(f"Tables, figures and their page are in {folder / 'results'}.")
    return int(DIFFERENT in told.values())


def compared(published: Path, made: Path) -> str:
    """What has become of a table: ``SAME``, ``ROUNDED`` or ``DIFFERENT``."""
    before, now = pd.read_parquet(published), pd.read_parquet(made)
    if before.equals(now):
        return SAME
    try:
        pd.testing.assert_frame_equal(before, now, rtol=ROUNDING, atol=NOTHING)
    except AssertionError:
        return DIFFERENT
    return ROUNDED


def _verdicts(published: Path, made: Path) -> dict[str, str]:
    """What has become of the verdicts: one line if nothing has, else one for each claim that is decided otherwise."""
    before, now = ({one["id"]: one["verdict"] for one in ledger.read(path)} for path in (published, made))
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if not changed:
        return {f"verdicts on {len(now)} claims": SAME}
    return {
        f"verdict on {name}: {before.get(name, ABSENT)}, now {now.get(name, ABSENT)}": DIFFERENT for name in changed
    }


def _copy(source: Path, target: Path) -> None:
    """Leaves the target alone if it is the same: what was made from it is then not stale."""
    if not (target.exists() and filecmp.cmp(source, target, shallow=False)):
        shutil.copyfile(source, target)


def _make(published: Path, folder: Path) -> int:
    """Has Snakemake make each published file that is not a source; its exit status."""
    figures = [path.stem for path in sorted(published.glob("*.svg"))]
    targets = [f"tables/{path.name}" for path in sorted(published.glob("*.parquet")) if path.stem not in SOURCES]
    targets += ["config.yaml", *(f"figures/{figure}.svg" for figure in figures)]
    if (published / "summary.txt").exists():  # of a whole workflow: with all that the page shows
        targets += ["summary.txt", "index.html"]
    # Of no other rule: what trains would make the sources too, and their files are not there.
    allowed = [*RULES, *(f"figure_{figure}" for figure in figures)]
    where = ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--configfile", published / "config.yaml"]
    options = ["--cores", "all", *where, "--allowed-rules", *allowed, "--"]
    return subprocess.run(["snakemake", *options, *(f"results/{target}" for target in targets)]).returncode


def sets() -> list[str]:
    """The names of the published sets that have runs, or other tables to start from."""
    return sorted(
        {path.parent.name for source in SOURCES for path in PUBLISHED.glob(f"*/{source}.parquet")}
        & {path.parent.name for path in PUBLISHED.glob("*/config.yaml")}
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", help=f"a set of published results: {', '.join(sets())}")
    name = parser.parse_args().set
    sys.exit(reanalyse(PUBLISHED / name, FOLDER / name))


if __name__ == "__main__":
    main()
