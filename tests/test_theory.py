"""Trained heads and training from constructed ones, by small real runs; and the figures of the theory."""

import math
from functools import cache

import altair as alt
import numpy as np
import pandas as pd
import pytest
import torch
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from charts import look, rows, units
from pipeline import checkpoints
from pipeline.checkpoints import Checkpoint
from pipeline.config import parse
from pipeline.data.datasets import Address
from pipeline.data.sampling import draw_holdout, draw_training_set
from pipeline.engine.models import build_model
from pipeline.engine.protocol import Protocol
from pipeline.engine.transformer import Transformer
from pipeline.figures import basin as basin_figure
from pipeline.figures import capacity as capacity_figure
from pipeline.figures import representation as representation_figure
from pipeline.figures.parts import style
from pipeline.figures.parts import theory as theory_figures
from pipeline.jobs.stacks import begin
from pipeline.theory import stacks as theory_stacks
from pipeline.theory import trained
from pipeline.theory.basin import basin, perturbed
from pipeline.theory.trained import trained_heads

CELL = Address("and", 2, 20, 60)
CONFIG = parse(
    {
        "models": {"tiny": {"kind": "transformer", "width": 16, "heads": 4, "mlp_width": 16}},
        "training": {"paper": {"learning_rate": 0.01, "max_steps": 120}},
        "experiments": {"and2": {"model": "tiny", "grid": {"k": [2], "T": [20], "n": [60], "seeds": 1}}},
    }
)
SPEC = {
    "model": CONFIG.models["tiny"].model_dump(mode="json"),
    "training": CONFIG.training["paper"].model_dump(mode="json"),
}


@cache
def cell(seeds: int) -> tuple:
    holdout = draw_holdout(CELL.function, CELL.k, CELL.T, 400)
    sets = [draw_training_set(CELL, seed, holdout, reject_ambiguous=True, max_redraws=100) for seed in range(seeds)]
    return CELL, sets, holdout


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Checkpoint:
    return Checkpoint(tmp_path_factory.mktemp("theory") / "checkpoint.pt", SPEC, "code")


@pytest.fixture(scope="module")
def heads(saved) -> pd.DataFrame:
    return trained_heads(SPEC, [cell(6)], saved)


@pytest.fixture(scope="module")
def runs(saved) -> pd.DataFrame:
    return basin(SPEC, [0.0, 1.0], [cell(4)], saved)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("table", ["basin", "heads"])
def test_an_interrupted_job_ends_with_the_table_of_an_undisturbed_one(table, share, tmp_path, monkeypatch):
    """Interrupted at the first of the evaluations of all its stacks, or at a later one."""
    monkeypatch.setattr(checkpoints, "SAVE_SECONDS", 0.0)
    spec = SPEC | {"training": SPEC["training"] | {"eval_every": 2}}
    save, saves = Checkpoint.save, []

    def job(name: str, stop: int | None = None) -> pd.DataFrame:
        def saving(self: Checkpoint, content: dict) -> None:
            save(self, content)
            saves.append(content["stacks"])
            if len(saves) == stop:
                raise InterruptedError

        saves.clear()
        monkeypatch.setattr(Checkpoint, "save", saving)
        saved, cells = Checkpoint(tmp_path / name, spec, "code"), [cell(2), cell(3)]
        return basin(spec, [0.02], cells, saved) if table == "basin" else trained_heads(spec, cells, saved)

    undisturbed, stacks = job("undisturbed"), list(saves)
    assert len(stacks) > 10
    stop = int(share * len(stacks)) + 1
    with pytest.raises(InterruptedError):
        job("interrupted", stop)
    assert job("interrupted").map(repr).equals(undisturbed.map(repr))
    assert saves == stacks[stop:], "it goes on with the next evaluation"


def test_runs_of_which_memory_allows_two_at_a_time_are_those_trained_together(heads, runs, saved, monkeypatch):
    sizes = []
    monkeypatch.setattr(theory_stacks, "runs_per_stack", lambda model, n, device: 2)
    monkeypatch.setattr(trained, "begin", lambda *given: sizes.append(len(given[3])) or begin(*given))
    assert trained_heads(SPEC, [cell(5)], saved).equals(heads[heads["seed"] < 5])
    assert sizes == [2, 2, 1]
    assert basin(SPEC, [0.0, 1.0], [cell(4)], saved).equals(runs)


class TestTrainedHeads:
    def test_every_head_of_every_run_is_there_also_of_those_that_succeed(self, heads):
        assert heads.groupby("seed")["head"].agg(list).tolist() == [[0, 1, 2, 3]] * 6
        assert (heads["holdout_error"] == 0).any(), "a run that succeeds is trained on to the end"
        assert set(heads["parameters"]) == {2 * 16 + 22 * 16 + 4 * 256 + 2 * 256 + 16 + 6 * 16 + 4 * 16 + 16 + 1}

    def test_what_the_bounds_need_fits_together(self, heads):
        runs = heads.groupby("seed").first()
        assert ((runs["margin"] > 0) == (runs["train_error"] == 0)).all()
        assert (heads["v_spectral"] <= heads["v_frobenius"] * (1 + 1e-6)).all()
        assert (heads["v_frobenius"] <= heads["v_21"] * (1 + 1e-6)).all()
        assert (heads["qk_frobenius"] <= heads["qk_21"] * (1 + 1e-6)).all()
        assert (heads["slope"] > 0).all()
        sharp = heads.loc[heads.groupby("seed")["qk_frobenius"].idxmax()]
        learned = sharp[sharp["holdout_error"] == 0]
        assert (learned["support_mass"] > 2 / 20).all(), "more than an even share"

    def test_runs_that_all_diverged_leave_nothing_to_bound(self, saved):
        training = SPEC["training"] | {"learning_rate": 1e30}
        with pytest.raises(
            SystemExit, match=r"^theory\.heads: every run diverged; lower the learning_rate of its training"
        ):
            trained_heads(SPEC | {"training": training}, [cell(2)], saved)


class TestBasin:
    def test_the_constructed_start_is_exact_and_looks_at_the_support(self, runs):
        start = runs[runs["sigma"] == 0]
        assert (start["start_accuracy"] == 1).all()
        assert (start["start_mass"] > 0.8).all()
        assert start["success"].mean() >= 0.5

    def test_much_noise_leaves_nothing_of_it(self, runs):
        noisy = runs[runs["sigma"] == 1]
        assert (noisy["start_accuracy"] < 0.9).all()
        assert noisy["start_mass"].median() < 0.6

    def test_the_ordinary_start_is_that_of_any_run_at_this_address(self, runs):
        training = begin(build_model(SPEC["model"], 20), Protocol.of(SPEC["training"]), *cell(4), torch.device("cpu"))
        for _ in training.evaluations():
            pass
        ordinary = runs[runs["start"] == "ordinary"]
        assert ordinary["success"].tolist() == [result.success for result in training.results]
        assert ordinary["sigma"].isna().all()

    def test_a_run_that_diverged_has_null_for_what_it_did_not_reach(self, saved):
        training = SPEC["training"] | {"learning_rate": 1e30}
        rows = basin(SPEC | {"training": training}, [0.0], [cell(2)], saved)
        assert not rows["success"].any()
        assert rows[["start_accuracy", "start_mass", "best_holdout_accuracy"]].notna().all(axis=None)
        assert rows[["success_step", "support_mass", "best_head_support_mass"]].isna().all(axis=None)

    @given(st.floats(0.01, 1))
    def test_noise_has_its_size_and_spares_gains_and_biases(self, sigma):
        model = Transformer(20, 16, 4, 16, init_std=0.02)
        clean, noisy = (perturbed(model, CELL, cell(2)[1], size) for size in (0.0, sigma))
        for name in model.shapes:
            moved = (noisy[name] - clean[name]).numpy()
            if name.endswith(("_gain", "_bias")):
                assert not moved.any()
            else:
                assert moved.std() == pytest.approx(sigma, rel=5 / math.sqrt(moved.size))
        assert not np.array_equal(noisy["cls"][0] - clean["cls"][0], noisy["cls"][1] - clean["cls"][1])


def constructions(**changes) -> pd.DataFrame:
    base = {"symmetric": True, "qk_frobenius": 20.0, "readout_frobenius": 6.0, "seed": 0, "function": "and"}
    base |= dict.fromkeys(("feasible", "certified", "exact_float32", "exact_float64"), True)
    sweeps = [
        {"sweep": "length", "k": 3, "T": 100, "width": 64},
        {"sweep": "length", "k": 3, "T": 1000, "width": 64, "qk_frobenius": 30.0},
        {"sweep": "sparsity", "k": 2, "T": 100, "width": 64},
        {"sweep": "sparsity", "k": 3, "T": 100, "width": 64, "function": "junta", "symmetric": False},
        {"sweep": "width", "k": 3, "T": 100, "width": 16, "feasible": False, "certified": False, "symmetric": None},
        {"sweep": "width", "k": 3, "T": 100, "width": 16, "seed": 1},
        {"sweep": "width", "k": 3, "T": 100, "width": 32},
    ]
    return pd.DataFrame([base | sweep | changes for sweep in sweeps])


class TestFigures:
    def test_representation(self):
        heads = pd.DataFrame({"T": [100, 100], "n": 9, "seed": 0, "qk_frobenius": [3.0, 5.0]})
        spec = representation_figure.chart(constructions(), heads).to_dict()
        assert spec["title"]["subtitle"][0] == (
            "The width is enough for 6 of 7 functions on a support; 6 of these 6 constructions compute theirs exactly,"
            " up to T = 1,000."
        )
        drawn = [rows(spec, unit) for unit in units(spec, "point")]
        trained = drawn[0][drawn[0]["series"] == representation_figure.TRAINED]
        assert trained["qk_frobenius"].tolist() == [5.0], "of each run the largest head"
        assert drawn[2]["series"].tolist() == ["AND", "junta"]
        assert drawn[3][["width", "share"]].to_numpy().tolist() == [[16, 0.5], [32, 1]]

    def test_representation_of_widths_that_are_all_too_small(self):
        spec = representation_figure.chart(constructions(certified=False)).to_dict()
        assert spec["title"]["subtitle"].startswith("No width of theory.representation is enough for any support")
        [drawn] = (rows(spec, unit) for unit in units(spec, "point"))
        assert drawn["share"].tolist() == [0, 0]

    def test_a_sweep_without_any_exact_construction_keeps_its_title(self):
        table = constructions()
        table.loc[table["sweep"] != "width", "certified"] = False
        svg = vl_convert.vegalite_to_svg(representation_figure.chart(table).to_dict())
        assert ">Query and key against T, k = 3, width 64<" in svg
        assert ">Query and key against k, T = 100, width 64<" in svg
        assert svg.count(">no construction is exact<") == 3

    @pytest.mark.parametrize(
        ("values", "ticks"), [([6.0], [6]), ([1.4, 2.8], [1.4, 2.8]), ([4.0, 30.0], [5, 10, 20]), ([4, 300], None)]
    )
    def test_a_narrow_log_axis_has_ticks(self, values, ticks):
        assert theory_figures.ticks(pd.Series(values)) == ticks

    def test_capacity(self):
        base = {"T": 100, "n": 200, "seed": 0, "root_entropy": 10.0, "samples": 1e8, "observed_gap": np.nan}
        table = pd.DataFrame(
            [
                base | {"bound": "norms", "source": "trained", "observed_gap": 0.01},
                base | {"bound": "norms", "source": "trained", "seed": 1, "observed_gap": -0.01},
                base | {"bound": "norms", "source": "constructed", "samples": 1e12},
                base | {"bound": "parameters", "source": "formula", "samples": 1e6},
            ]
        )
        spec = capacity_figure.chart(table).to_dict()
        left, right = (rows(spec, unit) for unit in units(spec, "point"))
        assert left.loc[left["series"] == capacity_figure.OBSERVED, "root_entropy"].tolist() == [0.01, 1e-3]
        assert right.groupby("series")["samples"].max().to_dict() == {
            "norm bound, constructed head": 1e12,
            "norm bound, trained heads": 1e8,
            "parameter counting": 1e6,
        }

    def test_the_mean_of_many_large_numbers_is_finite(self):
        points = pd.DataFrame({"series": "a", "T": 100, "samples": [1e11, 1e13] * 20})
        axes = (theory_figures.log_axis("T", "T"), theory_figures.log_axis("samples", "n", channel=alt.Y))
        looks = theory_figures.looks({"a": ("#000000", "circle")})
        spec = theory_figures.points_and_means(points, *axes, looks, ["a"]).to_dict()
        [line] = (rows(spec, unit) for unit in units(spec, "line"))
        assert line["samples"].tolist() == [pytest.approx(1e12)]

    def test_basin(self):
        base = {"function": "and", "k": 3, "T": 50, "n": 20, "start_accuracy": 0.8, "start_mass": 0.5}
        base |= {"best_head_support_mass": 0.3}
        runs = [
            base | {"start": "constructed", "sigma": sigma, "seed": s, "success": s < 3}
            for sigma in (0.0, 0.1)
            for s in range(4)
        ]
        runs += [base | {"start": "ordinary", "sigma": np.nan, "seed": s, "success": False} for s in range(4)]
        spec = basin_figure.chart(pd.DataFrame(runs)).to_dict()
        (points,) = (rows(spec, unit) for unit in units(spec, "point"))
        rate = points[points["series"] == basin_figure.RATE].set_index("noise")
        assert rate["value"].to_dict() == {"0": 0.75, "0.1": 0.75, "ordinary": 0}
        assert (rate["low"]["ordinary"], rate["high"]["0"]) == (0, pytest.approx(0.97, abs=0.02))
        (axis,) = {tuple(unit["encoding"]["x"]["sort"]) for unit in units(spec, "point")}
        assert axis == ("0", "0.1", "ordinary")
        assert look(units(spec, "point")[0]["encoding"]["color"])[basin_figure.RATE] == style.LEARNERS["transformer"]

    def test_a_command_line_with_and_without_what_is_optional(self, tmp_path):
        constructions().to_parquet(tmp_path / "representation.parquet")
        options = ["--representation", str(tmp_path / "representation.parquet"), "--output-folder", str(tmp_path)]
        representation_figure.main(options)
        alone = (tmp_path / "representation.svg").read_text().count(representation_figure.TRAINED)
        pd.DataFrame({"T": [100], "n": 9, "seed": 0, "qk_frobenius": [3.0]}).to_parquet(tmp_path / "heads.parquet")
        representation_figure.main([*options, "--heads", str(tmp_path / "heads.parquet")])
        assert (tmp_path / "representation.svg").read_text().count(representation_figure.TRAINED) > alone

    @pytest.mark.parametrize("figure", [capacity_figure, basin_figure])
    def test_nothing_is_refused(self, figure):
        with pytest.raises(ValueError, match="there are no"):
            figure.chart(pd.DataFrame())
