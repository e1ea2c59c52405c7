"""Compares the forecast's model of costs (pipeline.commands.forecast) with the benchmark files of a workflow's run.

``python benchmarks/costs.py --config config/config.yaml --results results`` prints, for each rule and learner, seconds
that the jobs took and that they were forecast to take: by the clock, so the machine should have had nothing else to do.
Snakemake's processor time is not that of jobs that run in forks of a server.
"""

import argparse
import re
from pathlib import Path

import pandas as pd

from pipeline.commands.forecast import job_seconds
from pipeline.config import NO_TRAINING, Config, load

NAMES = {
    "train": ("data", "function", "model", "training"),
    "fit": ("data", "function", "model"),
    "dataset": ("data", "function"),
    "holdout": ("data", "function"),
}


def costs(config: Config, results: Path) -> pd.DataFrame:
    """A row a job of the config: ``rule``, ``learner``, and seconds of one core, ``measured`` and ``forecast``."""
    rows = []
    for path in sorted(path for rule in NAMES for path in (results / "benchmarks" / rule).rglob("*.tsv")):
        rule, *parts = path.relative_to(results / "benchmarks").with_suffix("").parts
        names = dict(zip(NAMES[rule], parts, strict=False))
        sizes = re.findall(r"\b(k|T|n|seeds)(\d[\d-]*)", "/".join(parts[len(names) :]))
        measured = float(pd.read_csv(path, sep="\t")["s"].iloc[0])
        if names["data"] in config.data and names.get("model", "") in ("", *config.models):
            forecast = job_seconds(config, rule, {"training": NO_TRAINING} | names | dict(sizes))
            rows.append({"rule": rule, "learner": names.get("model", ""), "measured": measured, "forecast": forecast})
    return pd.DataFrame(rows)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    jobs = costs(load(given.config), given.results)
    if jobs.empty:
        raise SystemExit(f"{given.results}/benchmarks has no job of {given.config}; run the workflow first")
    table = jobs.groupby(["rule", "learner"])[["measured", "forecast"]].sum()
    table.loc[("all", ""), :] = table.sum()
    print(table.assign(ratio=table["forecast"] / table["measured"]).round(2).to_string())


if __name__ == "__main__":
    main()
