"""The forecast: against what was measured, and what it says."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from pipeline.commands import forecast
from pipeline.commands.forecast import all_jobs, job_seconds, step_seconds, training_seconds
from pipeline.config import Config, Data, Section, Training, Transformer, load, parse
from pipeline.durations import duration

ROOT = Path(__file__).parent.parent
PAPER = load(ROOT / "config/config.yaml")
FUNCTIONS = {"T": [20, 100, 200, 400], "n": [15, 20, 30, 40, 60, 80, 120, 160, 240], "seeds": 20}
SEEDS = {"short": 20, "logistic": 20, "tree": 20, "consistent": 20, "lstm": 5}


def measured_config() -> Config:
    """The config whose jobs were measured, before it had more runs."""
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    fewer = {name: {"seeds": SEEDS[kind]} for name in raw["experiments"] if (kind := name.split("_")[-1]) in SEEDS}
    grids = fewer | {"or3": FUNCTIONS, "majority3": FUNCTIONS}
    off = {"and3_from_20": {"enabled": False}}
    update_config(raw, {"experiments": {name: {"grid": grid} for name, grid in grids.items()} | off})
    return parse(raw)


def test_a_step_costs_what_was_measured():
    table = (ROOT / "docs/results/bench/table.md").read_text()
    single = re.findall(r"## T = (\d+), n = (\d+); 1 process.*?\| engine \| \d+ \| ([\d.]+) \|", table, re.DOTALL)
    assert len(single) == 4
    for T, n, milliseconds in single:
        assert step_seconds(Transformer(), int(T), int(n)) == pytest.approx(float(milliseconds) / 1000, rel=0.25)


@pytest.mark.parametrize(
    ("rule", "model", "measured"),
    [
        # seconds of processor time of all jobs of docs/results/paper, by benchmarks/costs.py
        ("train", "transformer", 5245),
        ("train", "mlp", 577),
        ("train", "lstm", 1068),
        ("fit", "logistic_regression", 133),  # a quarter of the seeds, times four, and 0.1 s of start a job
        ("fit", "decision_tree", 231),
        ("fit", "consistent", 26),  # by the clock, in a run whose jobs were forks: otherwise it is all start of Python
        ("dataset", None, 330),
    ],
)
def test_the_papers_jobs_cost_what_was_measured(rule, model, measured):
    config = measured_config()
    jobs = [(kind, job) for kind, job in all_jobs(config) if kind == rule]
    if rule != "dataset":
        jobs = [(kind, job) for kind, job in jobs if job["model"] == model]
    total = sum(job_seconds(config, *job) for job in jobs)
    assert measured / 2 < total < measured * 2


def test_every_block_is_a_job_of_its_own_and_shared_ones_are_one():
    without = PAPER.model_copy(update={"theory": None})
    jobs = all_jobs(without)
    kinds = [kind for kind, _ in jobs]
    assert kinds.count("train") + kinds.count("fit") == sum(map(len, PAPER.seed_blocks().values()))
    assert kinds.count("holdout") == len({(c.data, c.function, c.k, c.T) for c in PAPER.seed_blocks()})
    assert kinds.count("dataset") == len(
        {(c.data, c.function, c.k, c.T, c.n, b) for c, blocks in PAPER.seed_blocks().items() for b in blocks}
    )


def test_a_training_set_costs_the_search_for_a_second_support():
    cell = {"k": 3, "T": 100_000, "n": 2000}
    rejecting, first_draw = Data(), Data(reject_ambiguous=False)
    assert forecast.drawing_seconds(first_draw, "parity", **cell) == 1
    assert forecast.drawing_seconds(rejecting, "and", **cell) == 1
    assert forecast.drawing_seconds(rejecting, "parity", **cell) == pytest.approx(21, rel=0.01)


def test_a_learner_of_unknown_cost_counts_as_nothing():
    class Own(Section):
        """A learner that a user has added."""

    assert training_seconds(Own(), Training(), Data(), T=100, n=50) == 0


def test_what_costs_more_is_forecast_to_take_longer():
    plain = {"k": [3], "T": [200], "n": [100], "seeds": 50}
    changes = [
        {"training": {"paper": {"max_steps": 2000}}},
        {"training": {"paper": {"eval_every": 1}}},
        {"training": {"paper": {"success": {"when": "last"}}}},
        {"models": {"transformer": {"width": 128}}},
        {"models": {"transformer": {"layers": 2}}},
        {"models": {"transformer": {"dropout": {"attention": 0.1}}}},
        *(
            {"experiments": {"and3": {"grid": plain | {axis: value}}}}
            for axis, value in [("T", [400]), ("n", [900]), ("seeds", 100)]
        ),
    ]

    def seconds(change: dict) -> float:
        config = parse({"experiments": {"and3": {"grid": plain}}} | change)
        return sum(job_seconds(config, *job) for job in all_jobs(config))

    assert all(seconds(change) > 1.05 * seconds({}) for change in changes)


def test_the_theory_costs_its_runs():
    """As those of an experiment that start as often, and of heads all to the last step."""
    grid = {"k": [3], "T": [400], "n": [60, 120], "seeds": 12}
    basin = {"T": 400, "n": [60, 120], "noise": [0.0, 0.1], "seeds": 12}
    heads = {"T": [400], "n": 60, "seeds": 12}
    small = {"k": [3], "T": [9], "n": [9], "seeds": 1}

    def costs(theory: dict | None, grid: dict, when: str) -> dict[str, float]:
        training = {"paper": {"success": {"when": when}}}
        made = parse({"experiments": {"and3": {"grid": grid}}, "training": training, "theory": theory})
        jobs = Counter()
        for kind, job in all_jobs(made):
            jobs[kind] += job_seconds(made, kind, job) - forecast.START
        return jobs

    plain, last = costs(None, grid, "any"), costs(None, {**grid, "n": [60]}, "last")
    told = costs({"basin": basin, "heads": heads}, small, "any")
    assert told["basin"] == pytest.approx(3 * plain["train"])
    assert told["head_norms"] == pytest.approx(last["train"])
    assert told["dataset"] >= plain["dataset"]
    assert "basin" not in plain


def test_adaptive_rounds_cost_their_runs():
    """As the runs of a grid at a size between the bounds; what starts them comes on top."""
    grid = {"k": [3], "T": [400], "n": [20, 180], "seeds": 5}
    adaptive = {"rounds": 2, "sizes": 3, "seeds": 10}
    configs = [
        parse({"experiments": {"one": one}})
        for one in ({"grid": grid, "adaptive": adaptive}, {"grid": {**grid, "n": [60], "seeds": 10}})
    ]
    costs = [{kind: job_seconds(made, kind, job) for kind, job in all_jobs(made)} for made in configs]
    kinds = [kind for kind, _ in all_jobs(configs[0])]
    assert (kinds.count("train_adaptive"), kinds.count("train")) == (6, 2)
    drawing = costs[1]["dataset"] - forecast.START
    assert costs[0]["train_adaptive"] == pytest.approx(costs[1]["train"] + drawing)


def test_more_cores_share_the_jobs_but_no_job_is_split():
    config = parse({"experiments": {"and3": {}}})
    jobs = [job for job in all_jobs(config) if job[0] == "train"]
    said = [forecast.forecast(config, jobs, cores) for cores in (1, 2, 10**6)]
    costs = [job_seconds(config, *job) for job in jobs]
    for line, seconds, where in zip(
        said, (sum(costs), sum(costs) / 2, max(costs)), ("1 core,", "2 cores,", "1000000 cores,"), strict=True
    ):
        assert line.startswith(f"Forecast: about {duration(seconds)} on {where} 342 jobs")


def test_on_a_cluster_each_job_pays_for_a_start():
    config = parse({"experiments": {"and3": {}}})
    jobs = all_jobs(config)
    seconds = sum(job_seconds(config, *job) for job in jobs) + len(jobs) * forecast.CLUSTER_START
    said = forecast.forecast(config, jobs, 10, forecast.CLUSTER_START)
    assert said.startswith(f"Forecast: about {duration(seconds / 10)} on 10 cores")


@pytest.mark.parametrize(("device", "told"), [("cpu", False), ("cuda", True), ("auto", True)])
def test_a_gpu_is_said_to_be_left_out(device, told):
    config = parse({"experiments": {"and3": {}}, "compute": {"device": device}})
    said = forecast.forecast(config, all_jobs(config), 2)
    assert said.endswith(" A GPU is not in it.") == told


def test_days_are_warned_of_with_the_mend():
    config = parse({"experiments": {"and3": {"grid": {"T": [100_000], "seeds": 1000}}}})
    said = forecast.forecast(config, all_jobs(config), 2)
    assert re.match(r"WARNING: this takes long\. Forecast: about \d+ days \d+ h on 2 cores, \d+ jobs", said)
    assert "Fewer seeds, T or n take less, more cores or a cluster share the work." in said
    assert "WARNING" not in forecast.forecast(config, all_jobs(config)[:1], 2)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3599, "1 h 0 min"),
        (5400, "1 h 30 min"),
        (86_400, "1 days 0 h"),
        (1e10, "115 740 days 18 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["forecast", str(ROOT / "config/smoke.yaml"), "--cores", "3"])
    forecast.main()
    assert re.fullmatch(
        r"Forecast: about \d+ s on 3 cores, 1\d\d jobs, within a factor of 2 .*\n", capsys.readouterr().out
    )
