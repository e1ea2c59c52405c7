"""The benchmarks: rivals that train the same runs, rows with finite numbers, and what the report says of them."""

import json
import shutil
from contextlib import nullcontext
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import adaptive_report
import agreement
import compare
import costs
import gpu
import large
import report
import workers
from engine import direct_operations, engine_step
from pipeline.commands import publish
from pipeline.config import load
from pipeline.storage import write_frame
from rivals import plain
from running import ROOT
from workers import Measurement, Mode, operations, seconds

STEPS = {"engine": engine_step} | {name: step for name, (step, _) in compare.RIVALS.items()}


def losses(step, steps: int = 10) -> np.ndarray:
    return np.array([np.asarray(step()) for _ in range(steps)])


@pytest.mark.parametrize("name", STEPS)
def test_everyone_follows_the_plain_modules_trajectory(name):
    cell = (7, 6, 2, torch.float64)
    with _float64(name):
        ours = losses(STEPS[name](*cell))
    expected = losses(plain(*cell))
    assert expected[-1].max() < expected[0].min()
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def _float64(name: str):
    if "jax" not in name:
        return nullcontext()
    return pytest.importorskip("jax").enable_x64(True)


def test_direct_operations_are_those_of_the_direct_forms_products():
    T, n, d, m, columns = 20, 7, 64, 64, 64 + 16

    def weight(*shape: int) -> torch.Tensor:
        return torch.rand(shape, requires_grad=True)

    def direct_form() -> None:
        table = weight(T + 2, d) @ weight(d, columns)
        attention = torch.zeros(n, 2 * T) @ torch.cat([table[:-2], table[:-2]])
        (attention[:, :d] @ weight(d, d) @ weight(d, m) @ weight(m, d)).sum().backward()

    assert direct_operations(T, n) == operations(direct_form)


def test_a_process_measures_what_it_makes():
    measured = workers.measure({"product": partial(workers.matrix_product, 64)}, Mode(1, 1), rounds=1)["product"]
    assert measured.operations == 2 * 64**3
    assert 0 < measured.seconds < 1
    assert 0 < measured.peak_memory < 2**30


def test_a_cell_gives_a_row_for_each_implementation(monkeypatch):
    """In this process and without JAX, which is slow to compile."""

    def measure(makers, mode, rounds):
        works = {key: maker() for key, maker in makers.items()}
        return {key: Measurement(seconds(work, 0), 2**20, operations(work)) for key, work in works.items()}

    rivals = {name: rival for name, rival in compare.RIVALS.items() if "jax" not in name}
    monkeypatch.setattr(compare, "RIVALS", rivals)
    monkeypatch.setattr(compare, "PEAK_SIZES", (8,))
    monkeypatch.setattr(compare, "measure", measure)
    rows = compare.rows((4, 2), Mode(processes=1, threads=1), rounds=1)
    assert {row["implementation"] for row in rows} == {"engine", *rivals}
    for row in rows:
        assert row.keys() == {*report.CASE, "rounds", *report.STEP_COLUMNS} - {"times_engine"}
        own = row["implementation"] == "engine"  # its products are in C, where torch does not count them
        assert np.isnan(row["share_of_peak"]) == own
        left_out = {"implementation", "share_of_peak"} if own else {"implementation"}
        numbers = [value for name, value in row.items() if name not in left_out]
        assert np.isfinite(numbers).all()
        assert min(numbers) > 0


def test_a_row_is_per_run_of_the_machine_and_shares_are_per_process(monkeypatch):
    def measure(makers, mode, rounds):
        products = [key for key in makers if key[0] == compare.PEAK]
        return {key: Measurement(1e-3, 2**20, 1e6) for key in makers} | {
            key: Measurement(2 * key[1] ** 3 / 1e10, 0, 0) for key in products
        }

    monkeypatch.setattr(compare, "measure", measure)
    row = compare.rows((100, 50), Mode(processes=2, threads=1), rounds=3)[0]
    assert (row["runs"], row["peak_memory_mib"]) == (50, 1)
    assert row["ms_per_step_per_run"] == pytest.approx(1 / 50 / 2)
    assert row["share_of_peak"] == pytest.approx(1e6 / 1e7)
    assert row["effective_share_of_peak"] == pytest.approx(50 * direct_operations(100, 50) / 1e7)


def test_large_gives_a_row_for_each_context_length(monkeypatch):
    def measure(makers, mode, rounds):
        return {T: Measurement(maker.args[0] / 1e3, 3 * 2**20, 1.0) for T, maker in makers.items()}

    monkeypatch.setattr(large, "measure", measure)
    assert large.rows((10, 20), rounds=2) == [
        {"T": T, "n": 100, "rounds": 2, "ms_per_step": float(T), "peak_memory_mib": 3} for T in (10, 20)
    ]


def steps_table(**times: float) -> pd.DataFrame:
    """The rows of one case with the times of each implementation by its number of runs, such as rival4."""
    rows = [
        {"implementation": name[:-1], "runs": int(name[-1]), "ms_per_step_per_run": time, "T": 100, "n": 50}
        for name, time in times.items()
    ]
    shares = {"share_of_peak": 0.25, "effective_share_of_peak": 0.5, "peak_memory_mib": 7}
    return pd.DataFrame(rows).assign(processes=1, threads=1, rounds=3, **shares)


@pytest.mark.parametrize(
    ("times", "order", "said"),
    [
        ({"engine5": 0.5, "rival1": 12.0, "rival4": 10.0}, ["engine", "rival"], "takes 20 times"),
        ({"engine5": 0.5, "rival1": 9.9, "other1": 11.0}, ["engine", "rival", "other"], "the goal of 20 is not met"),
        ({"engine5": 0.5, "rival1": 0.25}, ["rival", "engine"], "takes 0.5 times"),
    ],
)
def test_a_rival_is_judged_by_its_fastest_and_may_win(times, order, said):
    best = report.fastest(steps_table(**times))
    assert list(best["implementation"]) == order
    assert said in report.verdict(best)
    assert ("the goal of 20 is met" in report.verdict(best)) == (times.get("rival4") == 10.0)


@pytest.mark.parametrize(("share", "outcome"), [(0.5, "met"), (0.499, "not met")])
def test_a_case_without_rivals_is_judged_by_its_share_of_the_peak(share, outcome):
    case = report.fastest(steps_table(engine5=0.5).assign(effective_share_of_peak=share))
    assert report.verdict(case).endswith(f"the goal of 50 % is {outcome}.")


def large_table() -> pd.DataFrame:
    T = np.array(large.CONTEXT_LENGTHS)
    return pd.DataFrame({"T": T, "n": 100, "ms_per_step": 2 + 0.003 * T, "peak_memory_mib": 5.0 * T**2})


def test_growth_is_recovered():
    growth, constant = report.line(large_table(), "ms_per_step")
    assert (growth, constant) == (pytest.approx(0.003), pytest.approx(2))
    assert report.slope(large_table(), "peak_memory_mib") == pytest.approx(2)


def test_numbers_have_three_digits_and_no_exponent():
    assert [report.digits(x) for x in (0.012345, 1.0, 38.449, 1234567.0)] == ["0.0123", "1", "38.4", "1230000"]


def test_the_page_and_the_figures_are_written(tmp_path, monkeypatch):
    made = {"commit": "0123456789ab", "uncommitted_changes": True, "machine": {"processor": "A1", "cores": 3}}
    monkeypatch.setattr(publish, "provenance", lambda checkout: made)
    results, kept = tmp_path / "results", tmp_path / "kept"
    write_frame(steps_table(engine5=0.5, rival1=12.0), results / "tables/steps.parquet")
    write_frame(large_table(), results / "tables/large.parquet")
    page = report.write(results, kept)
    assert (kept / "table.md").read_text(encoding="utf-8") == page
    assert "`make bench` at commit 012345678 with uncommitted changes; A1, 3 cores; torch" in page
    assert "## T = 100, n = 50; 1 process of 1 thread" in page
    assert "| rival | 1 | 12 | 24 | 25 % | 50 % | 7 |" in page
    assert "Time: 2 ms + T · 3 µs, at most 0 % off" in page
    assert "| 100000 | 302 |" in page
    files = [f"{name}.{kind}" for name in ("steps", "large") for kind in ("parquet", "svg", "png")]
    assert {path.name for path in kept.iterdir()} == {*files, "table.md", "manifest.json"}
    manifest = json.loads((kept / "manifest.json").read_text())
    assert (manifest["command"], set(manifest["sha256"])) == ("make bench", set(files))


def test_the_adaptive_design_s_page_is_the_published_one(tmp_path):
    published = ROOT / "docs/results/adaptive/simulation"
    table = tmp_path / "results/tables/simulation.parquet"
    table.parent.mkdir(parents=True)
    shutil.copyfile(published / table.name, table)
    page = adaptive_report.write(tmp_path / "results", tmp_path / "kept")
    assert page == (published / "table.md").read_text(encoding="utf-8").rstrip("\n")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {path.name for path in published.iterdir()}


def test_costs_are_those_of_the_jobs_that_the_forecast_knows(tmp_path):
    """Seconds are those by the clock: processor time is that of a process that only asked for the job."""
    jobs = {"train/small/and/tiny/short/k3/T8/n40/seeds0-1": 2.5, "holdout/small/and/k3/T8": 0.25, "basin": 9.0}
    for job, clock in jobs.items():
        path = tmp_path / "benchmarks" / f"{job}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tcpu_time\n{clock}\t0:00:02\t0.03\n")
    found = costs.costs(load(ROOT / "config/smoke.yaml"), tmp_path).set_index("rule")
    assert found["measured"].to_dict() == {"train": 2.5, "holdout": 0.25}
    assert found.loc["train", "learner"] == "tiny"
    assert (found["forecast"] > 0).all()


def test_runs_of_two_machines_are_compared_in_pairs(tmp_path):
    outcomes = {"first": [True] * 4 + [False] * 6, "second": [False] * 3 + [True] * 6 + [False]}
    for name, successes in outcomes.items():
        rows = {"experiment": "and3", "T": [10] * 5 + [20] * 5, "n": 8, "seed": [*range(5)] * 2}
        steps = [20 if success else None for success in successes]
        table = pd.DataFrame(rows | {"success": successes, "success_step": steps})
        write_frame(table.sample(frac=1, random_state=1), tmp_path / name)
    found = agreement.pairs(tmp_path / "first", tmp_path / "second")
    columns = ["runs", "success_first", "success_second", "only_first", "only_second"]
    assert agreement.table(found)[columns].to_numpy().tolist() == [[5, 4, 2, 3, 1], [5, 0, 4, 0, 4]]
    assert agreement.p_value(found) == pytest.approx(stats.binomtest(5, 8).pvalue)
    assert agreement.p_value(found[found["success_first"] == found["success_second"]]) == 1
    with pytest.raises(SystemExit, match="no run in common"):
        write_frame(table.assign(T=30), tmp_path / "other")
        agreement.pairs(tmp_path / "first", tmp_path / "other")


def test_on_a_gpu_the_implementations_take_turns(monkeypatch):
    called = []
    steps = {(name, runs): lambda name=name: lambda: called.append(name) for name, runs in (("one", 1), ("other", 50))}
    monkeypatch.setattr(gpu, "makers", lambda cell: steps)
    monkeypatch.setattr(gpu, "peak", lambda: 1e12)
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    times = iter([*[9e9] * 2, 4.0, 100.0, 2.0, 700.0, 3.0, 300.0])  # after one call of each that is not counted
    seconds = gpu.seconds
    monkeypatch.setattr(gpu, "seconds", lambda step, at_least: seconds(step, 0) * 0 + next(times))
    rows = gpu.rows((100, 50), 3, 0.1)
    assert called[::5] == ["one", "other"] * 4
    assert [row["microseconds_per_step_per_run"] for row in rows] == [3e6, 6e6]
    shares = [row["effective_share_of_peak"] for row in rows]
    assert shares == pytest.approx([direct_operations(100, 50) / 3e12, direct_operations(100, 50) * 50 / 300e12])
