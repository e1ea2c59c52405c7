"""What is stale, in plain words: from the text of a dry run to the report."""

import subprocess

from pipeline.commands.dry_run import Job, dry_run, parse
from pipeline.commands.shared import Workflow
from pipeline.commands.stale import report
from pipeline.config import Cell, load
from pipeline.config import parse as parse_config
from smoke import SMOKE

TRAIN = {"function": "and", "data": "small", "model": "tiny", "training": "short", "k": "3"}
PRESENT = {Cell("and", "small", "tiny", "short", 3, T, n): [range(2), range(2, 3)] for T in (8, 12) for n in (10, 40)}
TEXT = """Building DAG of jobs...
[Wed Nov 25 15:03:38 2026]
rule train:
    input: a.parquet, b.parquet
    output: results/runs/x.parquet
    log: results/logs/train/x.log
    jobid: 34
    reason: Missing output files: results/runs/x.parquet; Code has changed since last execution
    wildcards: data=small, function=and, T=8
    resources: tmpdir=/tmp

rule figure_noise:
    output: results/figures/noise.svg, results/figures/noise.png
    reason: Input files updated by another job: results/tables/runs.parquet

localrule all:
    input: results/summary.txt
    reason: Rules with neither input nor output files are always executed.

Job stats:
job      count
"""


def told(*jobs: Job) -> list[str]:
    return report(jobs, load(SMOKE), PRESENT).splitlines()


def test_a_dry_run_is_read():
    train, figure = parse(TEXT)
    assert train == Job(
        "train",
        "Missing output files: results/runs/x.parquet; Code has changed since last execution",
        "results/runs/x.parquet",
        {"data": "small", "function": "and", "T": "8"},
        "results/logs/train/x.log",
    )
    assert (figure.rule, figure.wildcards) == ("figure_noise", {})


def test_files_that_a_dry_run_set_aside_are_said(monkeypatch, capsys):
    aside = "results/x.parquet is damaged: renamed to x.parquet.damaged, and made again\n"
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: subprocess.CompletedProcess(args, 0, TEXT, aside))
    assert [job.rule for job in dry_run(Workflow([SMOKE]))] == ["train", "figure_noise"]
    assert capsys.readouterr().err == aside


def missing(**address: str) -> Job:
    return Job("train", "Missing output files: x", "x", TRAIN | address)


def test_new_runs_say_what_is_new():
    assert told(missing(T="16", n="10", seeds="0-1"), missing(T="16", n="10", seeds="2-2"))[0] == (
        "2 training jobs of and3: new: T = 16"
    )
    assert told(missing(T="8", n="40", seeds="0-1"))[0] == "1 training job of and3: results are not there"
    assert told(missing(T="8", n="40", seeds="0-1", model="tiny_mlp"))[0] == (
        "1 training job of and3_mlp: there are no results yet"
    )
    fitted = Job("fit", "Missing output files: x", "x", TRAIN | {"model": "consistent", "data": "first_draw"})
    fitted = Job(fitted.rule, fitted.reason, "x", {**fitted.wildcards, "T": "8", "n": "40", "seeds": "0-1"})
    del fitted.wildcards["training"]
    assert told(fitted)[0] == "1 fit of and3_consistent: there are no results yet"


def changed(before: str, now: str) -> str:
    text = "Params have changed since last execution: Union of exclusive params before and now across all output:"
    return f"{text} before: {before} now: {now}"


def test_what_changed_is_told_apart_from_what_follows():
    code = changed("'0123456789abcdef'", "'fedcba9876543210'")
    rate = changed('\'{"training": {"rate": 0.1, "steps": 5}}\'', '\'{"training": {"rate": 0.2, "steps": 5}}\'')
    cell = TRAIN | {"T": "8", "n": "40", "seeds": "0-1"}
    lines = told(
        Job("figure_learners", code, "results/figures/learners.svg, results/figures/learners.png"),
        Job("train", rate, "x", cell),
        Job("holdout", code, "x", {"data": "small", "function": "and", "k": "3", "T": "16"}),
        Job("runs_table", "Input files updated by another job: x", "results/tables/runs.parquet"),
        Job("success_rates", "Input files updated by another job: x", "results/tables/success_rates.parquet"),
        Job("figure_noise", "Updated input files: points.csv", "results/figures/noise.svg"),
        Job("save_config", changed("'[1]'", "'[2]'"), "results/config.yaml"),
    )
    assert lines == [
        "figure learners: its code changed",
        "1 training job of and3: its settings changed (training.rate: 0.1 → 0.2)",
        "1 holdout of and3: its code changed",
        "figure noise: a file that it reads changed: points.csv",
        "file config.yaml: its settings changed",
        "And what follows from that:",
        "tables runs, success_rates",
        "",
        "Jobs: 7.",
    ]


def test_designs_are_counted():
    curve = {**TRAIN, "T": "8", "round": "1"}
    lines = told(*(Job("design", "Missing output files: x", "x", {**curve, "T": T}) for T in ("8", "12")))
    assert lines[0] == "2 adaptive designs of and3_adaptive: not there yet"


def test_what_only_the_theory_needs_is_named():
    config = parse_config({"experiments": {"and3": {"grid": {"T": [8], "n": [10]}}}, "theory": {"heads": {"T": [9]}}})
    address = {"function": "and", "data": "standard", "k": "3", "T": "9"}
    jobs = [Job("holdout", "Missing output files: x", "x", address)]
    jobs += [Job("dataset", "Missing output files: x", "x", {**address, "n": "200", "seeds": "0-9"})]
    lines = [f"1 {what} of theory.heads: not there yet" for what in ("holdout", "training-set file")]
    assert report(jobs, config, {}).splitlines()[:2] == lines


def test_nothing_stale_is_said():
    assert told() == ["Nothing is stale."]
