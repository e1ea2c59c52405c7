"""Following a run of the workflow from its run files."""

import sys

import pandas as pd
import pytest

from pipeline.commands import watch
from pipeline.commands.watch import RUN_FILE, Run, job_costs, pace, rates_so_far, report
from pipeline.config import parse
from pipeline.workflow import targets


def config(**grid):
    grid = {"k": [3], "T": [10, 20], "n": [40], "seeds": 4} | grid
    figures = {"critical_sample_size": {"experiments": ["one"]}}
    return parse({"experiments": {"one": {"grid": grid}}, "figures": figures, "compute": {"seeds_per_job": 2}})


def write(folder, name, statuses, first=0, **address):
    """A run file with these outcomes, of seeds from the first on."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"seed": seed, "status": status, "success": status == "succeeded"}
        for seed, status in enumerate(statuses, first)
    ]
    parts = {"function": "and", "data": "standard", "model": "transformer", "training": "paper", "k": 3, "n": 40}
    pd.DataFrame(rows).assign(**parts, **address).to_parquet(path)


def test_the_files_are_those_of_the_workflow():
    made = config()
    assert list(job_costs(made)) == targets.run_files(made, made.enabled.values(), RUN_FILE)


def test_pace_counts_a_file_by_its_cost():
    costs = {"a": 1.0, "b": 2.0, "c": 10.0, "d": 40.0}
    finished = {"a": 1000.0, "b": 1010.0, "c": 1060.0}
    # from a on, files worth 12 in 60 s; 40 are left
    assert pace(costs, finished, 1060.0) == (2.0, pytest.approx(200.0))
    assert pace(costs, finished, 1060.0 + watch.WINDOW + 1) is None
    assert pace(costs, {"a": 1000.0}, 1060.0) is None


def test_what_is_done_what_failed_and_what_is_damaged(tmp_path):
    made = config()
    costs, run = job_costs(made), Run(tmp_path)
    first, second, third, _ = costs
    write(tmp_path, first, ["succeeded", "failed"], T=10)
    write(tmp_path, third, ["succeeded", "diverged"], T=20)
    (tmp_path / second).write_bytes(b"torn")
    run.look(costs)
    text = "\n".join(report(made, run, costs, 0))
    assert text.splitlines()[0].endswith("2 of 4 files, runs: 2 succeeded, 1 failed, 1 diverged")
    assert "2 of 4 files, runs: 2 succeeded, 1 failed, 1 diverged" in text
    assert f"damaged: {second}; the next start makes it again" in text
    rates = rates_so_far(made.enabled, run, 0.95)
    assert rates[["T", "trials", "successes"]].to_numpy().tolist() == [[10, 2, 1], [20, 2, 1]]
    (tmp_path / first).unlink()
    write(tmp_path, second, ["failed"], T=10)
    run.look(costs)
    assert run.finished.keys() == run.rows.keys() == {second, third}
    assert not run.damaged


def test_blocks_that_are_there_are_kept_and_shared_runs_are_those_of_each_experiment(tmp_path, capsys):
    grid = {"k": [3], "T": [10], "n": [40]}
    experiments = {"large": {"grid": grid | {"seeds": 5}}, "small": {"grid": grid | {"seeds": 2}}}
    made = parse({"experiments": experiments, "compute": {"seeds_per_job": 5}})
    address = {"function": "and", "data": "standard", "model": "transformer", "training": "paper", "k": 3, "T": 10}
    for seeds, statuses in (("0-2", ["succeeded", "succeeded", "failed"]), ("3-4", ["failed", "failed"])):
        write(tmp_path, RUN_FILE.format(**address, n=40, seeds=seeds), statuses, T=10, first=int(seeds[0]))
    watch.follow(made, tmp_path, tmp_path / "watch.svg", None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("2 of 2 files, runs: 2 succeeded, 3 failed")
    assert lines[-1].startswith("small")
    assert lines[-1].endswith("1 of 1 files, runs: 2 succeeded, 0 failed")
    run = Run(tmp_path)
    run.look(job_costs(made, targets.present_blocks(RUN_FILE, tmp_path)))
    rates = rates_so_far(made.enabled, run, 0.95)
    assert rates[["experiment", "trials", "successes"]].to_numpy().tolist() == [["large", 5, 2], ["small", 2, 2]]
    for path in tmp_path.rglob("seeds*.parquet"):
        path.unlink()
    write(tmp_path, RUN_FILE.format(**address, n=40, seeds="0-4"), ["failed"] * 5, T=10)
    run.look(job_costs(made, targets.present_blocks(RUN_FILE, tmp_path)))
    rates = rates_so_far(made.enabled, run, 0.95)
    assert rates[["experiment", "trials", "successes"]].to_numpy().tolist() == [["large", 5, 0], ["small", 2, 0]]


def test_the_figure_is_drawn_from_what_is_there(tmp_path):
    made = config(n=[20, 40, 80])
    costs, run = job_costs(made), Run(tmp_path)
    assert not watch.draw(made, run, tmp_path / "watch.svg")
    name = RUN_FILE.format(
        function="and", data="standard", model="transformer", training="paper", k=3, T=10, n=40, seeds="0-1"
    )
    assert name in costs
    write(tmp_path, name, ["succeeded", "failed"], T=10)
    run.look(costs)
    assert watch.draw(made, run, tmp_path / "watch.svg")
    assert (tmp_path / "watch.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_figure_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    made = config()
    write(tmp_path, next(iter(job_costs(made))), ["succeeded", "failed"], T=10)
    (tmp_path / "my.yaml").write_text(made.model_dump_json())
    options = ["--directory", str(tmp_path), "--picture", str(tmp_path), "--once"]
    monkeypatch.setattr(sys, "argv", ["watch", str(tmp_path / "my.yaml"), *options])
    with pytest.raises(SystemExit, match=rf"^cannot write {tmp_path}: Is a directory; "):
        watch.main()
