"""The figures: what their specifications say, and the files they leave."""

import json
import re
import struct
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert

from charts import file_names, look, marks, rows
from pipeline.figures import (
    critical_sample_size,
    curves,
    learners,
    learning_curves,
    sizes,
    style,
    success_heatmap,
)

KEY = {"experiment": "main", "function": "and", "model": "transformer", "k": 3}
PAPER_CSV = Path(__file__).parents[1] / "config" / "reference" / "paper_critical_sample_size.csv"


def critical_table(**changes) -> pd.DataFrame:
    """Four context lengths: one below its grid, two within, one above."""
    columns = {
        "T": [100, 200, 400, 800],
        "n_critical": [np.nan, 50.0, 65.0, np.nan],
        "ci_low": [np.nan, 46.0, 61.0, np.nan],
        "ci_high": [np.nan, 54.0, 69.0, np.nan],
        "n_grid": [20.0, 60.0, 80.0, np.nan],
        "censored": [True, False, False, True],
        "censored_side": ["below", "", "", "above"],
    }
    return pd.DataFrame(columns).assign(**(KEY | changes))


def rates_table(**changes) -> pd.DataFrame:
    cells = [(T, n) for T in (100, 200, 400, 800) for n in (20, 40, 60, 80)]
    rates = pd.DataFrame(cells, columns=["T", "n"]).assign(trials=10, successes=4, rate=0.4, ci_low=0.2, ci_high=0.7)
    return rates.assign(**(KEY | changes))


def runs_table(**changes) -> pd.DataFrame:
    """The runs of the rates: seeds 1, 4 and 7 to 9 fail, and one more where n is small."""
    cells = [(T, n, seed) for T in (100, 200, 400, 800) for n in (20, 40, 60, 80) for seed in range(10)]
    runs = pd.DataFrame(cells, columns=["T", "n", "seed"])
    failed = runs["seed"].isin([1, 4, 7, 8, 9]) | ((runs["seed"] == 5) & (runs["n"] == 20))
    return runs.assign(success=~failed & (runs["T"] > 100) | (runs["T"] == 800), **(KEY | changes))


def fits_table(**changes) -> pd.DataFrame:
    law = {"law": "log", "a": 22.0, "a_low": 20.0, "a_high": 24.0, "b": -60.0, "b_low": -70.0, "b_high": -50.0}
    return pd.DataFrame([KEY | law | {"r_squared": 0.97, "points": 3} | changes])


def curves_table(sizes=(20, 40, 60), runs=3, **changes) -> pd.DataFrame:
    """Runs whose loss falls to 0; those of seed 0 stop after step 20 at an accuracy of 1."""
    rows = [
        {"n": n, "seed": seed, "step": step, "train_loss": loss, "holdout_accuracy": 1.0 if seed == 0 else 0.6}
        for n in sizes
        for seed in range(runs)
        for step, loss in ((10, 0.7), (20, 0.1), (30, 0.0))
        if seed > 0 or step <= 20
    ]
    return pd.DataFrame(rows).assign(T=200, **(KEY | changes))


def paper_table() -> pd.DataFrame:
    return pd.read_csv(PAPER_CSV)


@pytest.fixture(scope="module")
def critical_spec() -> dict:
    return critical_sample_size.chart(critical_table(), fits_table(), rates_table(), paper_table()).to_dict()


class TestCriticalSampleSize:
    def test_axes(self, critical_spec):
        encoding = marks(critical_spec, "point")[0]["encoding"]
        assert (encoding["x"]["field"], encoding["y"]["field"]) == ("T", "n")
        assert encoding["x"]["scale"]["type"] == "log"
        assert encoding["x"]["title"] == "Context length T (log scale)"
        assert encoding["y"]["title"] == "Critical sample size n (samples)"
        assert encoding["x"]["axis"]["values"] == [100, 200, 300, 500, 1000]

    def test_censored_lengths_stand_at_the_edges_of_their_grids(self, critical_spec):
        points = rows(critical_spec, marks(critical_spec, "point")[0])
        drawn = points.set_index("mark")[["T", "n"]]
        assert drawn.loc[sizes.BELOW_GRID].tolist() == [100, 20]
        assert drawn.loc[sizes.ABOVE_GRID].tolist() == [800, 80]
        assert set(points["T"]) == set(critical_table()["T"])

    def test_fitted_points_have_the_intervals_of_the_table(self, critical_spec):
        bars = rows(critical_spec, marks(critical_spec, "rule")[0])
        assert bars[["T", "low", "high"]].to_numpy().tolist() == [[200, 46, 54], [400, 61, 69]]

    def test_an_open_end_of_an_interval_reaches_the_edge_of_the_panel(self):
        table = critical_table()
        table.loc[table["T"] == 200, "ci_low"] = np.nan
        table.loc[table["T"] == 400, "ci_high"] = np.nan
        spec = critical_sample_size.chart(table, fits_table(), rates_table()).to_dict()
        below, above = marks(spec, "rule")
        assert rows(spec, above)[["T", "low"]].to_numpy().tolist() == [[400, 61]]
        assert (above["encoding"]["y"]["field"], above["encoding"]["y2"]) == ("low", {"value": 0})
        assert rows(spec, below)[["T", "high"]].to_numpy().tolist() == [[200, 54]]
        assert (below["encoding"]["y"]["field"], below["encoding"]["y2"]) == ("high", {"value": "height"})

    def test_an_interval_that_is_open_at_both_ends_crosses_the_panel(self):
        table = critical_table()
        table.loc[table["T"] == 200, ["ci_low", "ci_high"]] = np.nan
        spec = critical_sample_size.chart(table, fits_table(), rates_table()).to_dict()
        both, closed = marks(spec, "rule")
        assert rows(spec, both)[["T", "n"]].to_numpy().tolist() == [[200, 50]]
        assert (both["encoding"]["y"], both["encoding"]["y2"]) == ({"value": "height"}, {"value": 0})
        assert rows(spec, closed)["T"].tolist() == [400]

    def test_the_papers_own_definition_is_small_and_open(self, critical_spec):
        encoding = marks(critical_spec, "point")[0]["encoding"]
        fitted, smallest = "transformer, fitted with interval", "transformer, smallest n reaching the share"
        points = rows(critical_spec, marks(critical_spec, "point")[0]).query("series == @smallest")
        assert points["n"].tolist() == [20, 60, 80]
        assert look(encoding["fill"])[smallest] == "white"
        assert look(encoding["size"])[smallest] < look(encoding["size"])[fitted]

    def test_law_is_drawn_over_the_fitted_lengths_and_written_out(self, critical_spec):
        line = rows(critical_spec, marks(critical_spec, "line")[0])
        assert line["T"].tolist() == [200, 400]
        assert line["n"].tolist() == pytest.approx([22 * np.log(200) - 60, 22 * np.log(400) - 60])
        assert critical_spec["title"]["subtitle"] == ["transformer fit: n = 22.0 ln T − 60.0, R² = 0.97"]
        assert critical_spec["title"]["text"] == "Critical sample size against context length, 3-way AND"

    def test_colours_by_role(self, critical_spec):
        colours = look(marks(critical_spec, "point")[0]["encoding"]["stroke"])
        assert colours.pop(critical_sample_size.PAPER) == style.PAPER
        assert set(colours.values()) == {style.LEARNERS["transformer"]}

    def test_all_of_the_papers_points_are_there(self, critical_spec):
        points = rows(critical_spec, marks(critical_spec, "point")[1])
        assert points["n"].tolist() == paper_table()["critical_sample_size"].tolist()

    def test_a_point_of_the_paper_without_a_bar_gets_none(self):
        paper = paper_table().head(2).assign(bar_low=[np.nan, 40.0], bar_high=[np.nan, 60.0])
        spec = critical_sample_size.chart(critical_table(), fits_table(), rates_table(), paper).to_dict()
        _, theirs = marks(spec, "rule")
        assert rows(spec, theirs)[["low", "high"]].to_numpy().tolist() == [[40, 60]]

    def test_paper_joins_only_its_own_task(self):
        tables = [make(function="parity") for make in (critical_table, fits_table, rates_table)]
        spec = critical_sample_size.chart(*tables, paper_table()).to_dict()
        assert len(marks(spec, "point")) == 1

    def test_other_laws_are_left_out(self):
        fits = pd.concat([fits_table(), fits_table(law="power")])
        spec = critical_sample_size.chart(critical_table(), fits, rates_table()).to_dict()
        assert len(rows(spec, marks(spec, "line")[0])) == 2

    def test_models_share_a_panel_and_experiments_do_not(self):
        kinds = [{}, {"model": "lstm"}, {"experiment": "other", "k": 4}]
        tables = [pd.concat([make(**kind) for kind in kinds]) for make in (critical_table, fits_table, rates_table)]
        spec = critical_sample_size.chart(*tables).to_dict()
        assert [panel["title"]["text"] for panel in spec["vconcat"]] == ["3-way AND, main", "4-way AND, other"]
        assert set(rows(spec, spec["vconcat"][0]["layer"][2])["model"]) == {"transformer", "lstm"}
        [window] = spec["params"]
        assert window["name"] == "T_window"
        assert window["select"] == {"type": "interval", "encodings": ["x"]}
        assert window["views"] == [panel["layer"][0]["name"] for panel in spec["vconcat"]]
        for layer in spec["vconcat"][0]["layer"][1:]:
            assert layer["encoding"]["opacity"]["condition"] == {"param": "T_window", "value": 1}

    @pytest.mark.parametrize("lengths", [[100], [200], [200, 400]])
    def test_too_few_points_for_a_fit(self, lengths, tmp_path):
        fits = fits_table(a=np.nan, b=np.nan, r_squared=np.nan)
        critical = critical_table().query("T in @lengths")
        chart = critical_sample_size.chart(critical, fits, rates_table())
        style.save(chart, tmp_path, "few")
        assert chart.to_dict()["title"]["subtitle"] == ["transformer: too few points for a fit"]
        assert chart.to_dict()["layer"][-1]["encoding"]["x"]["axis"]["values"] == lengths

    def test_refuses_nothing_and_a_censored_length_without_rates(self):
        with pytest.raises(ValueError, match="no critical sample size"):
            critical_sample_size.chart(critical_table().head(0), fits_table(), rates_table())
        with pytest.raises(ValueError, match="no success rates"):
            critical_sample_size.chart(critical_table(), fits_table(), rates_table().query("T > 100"))


@pytest.fixture(scope="module")
def heatmap_spec() -> dict:
    return success_heatmap.chart(rates_table(), critical_table(), runs_table()).to_dict()


class TestSuccessHeatmap:
    def test_cells(self, heatmap_spec):
        cells = heatmap_spec["layer"][0]
        assert cells["mark"]["type"] == "rect"
        assert (cells["encoding"]["x"]["field"], cells["encoding"]["x"]["type"]) == ("T", "ordinal")
        assert (cells["encoding"]["y"]["field"], cells["encoding"]["y2"]["field"]) == ("low", "high")
        assert cells["encoding"]["color"]["field"] == "rate"
        assert cells["encoding"]["color"]["scale"] == {"scheme": "viridis", "domain": [0, 1]}
        assert {"successes", "trials", "ci_low", "ci_high"} <= {
            field["field"] for field in cells["encoding"]["tooltip"]
        }
        assert len(rows(heatmap_spec, cells)) == 16

    def test_a_cell_names_the_seeds_that_failed(self, heatmap_spec):
        cells = heatmap_spec["layer"][0]
        assert "failed seeds" in [field["field"] for field in cells["encoding"]["tooltip"]]
        failed = rows(heatmap_spec, cells).set_index(["T", "n"])["failed seeds"]
        assert failed[100, 40] == "0-9"
        assert failed[200, 20] == "1, 4-5, 7-9"
        assert failed[200, 40] == "1, 4, 7-9"
        assert failed[800, 20] == "none"

    def test_a_range_of_T_stays_bright(self, heatmap_spec):
        ends = {param["name"]: (param["value"], param["bind"]["options"]) for param in heatmap_spec["params"]}
        assert ends == {"T_from": (100, [100, 200, 400, 800]), "T_to": (800, [100, 200, 400, 800])}
        opacity = heatmap_spec["layer"][0]["encoding"]["opacity"]
        assert opacity["condition"] == {"test": "T_from <= datum.T && datum.T <= T_to", "value": 1}
        assert opacity["value"] == style.FADED

    def test_cells_of_a_length_meet_halfway_on_the_log_axis(self, heatmap_spec):
        cells = rows(heatmap_spec, heatmap_spec["layer"][0]).query("T == 200")
        assert cells["low"].tolist() == pytest.approx([20 / 2**0.5, 800**0.5, 2400**0.5, 4800**0.5])
        assert cells["high"].tolist() == pytest.approx([800**0.5, 2400**0.5, 4800**0.5, 80 * (80 / 60) ** 0.5])
        assert heatmap_spec["layer"][0]["encoding"]["y"]["scale"]["type"] == "log"

    def test_lengths_may_have_other_sizes_and_trials(self):
        """As an adaptive design leaves them: each column is tiled by its own sizes."""
        sizes = pd.DataFrame({"T": [100, 100, 100, 200], "n": [20, 57, 40, 300], "trials": [5, 10, 15, 4]})
        rates = sizes.assign(successes=2, rate=2 / sizes["trials"], ci_low=0.1, ci_high=0.9, **KEY)
        spec = success_heatmap.chart(rates, critical_table(), runs_table()).to_dict()
        cells = rows(spec, spec["layer"][0]).set_index(["T", "n"])
        assert cells.loc[(100, 40), ["low", "high"]].tolist() == pytest.approx([800**0.5, (40 * 57) ** 0.5])
        assert cells.loc[(200, 300), "low"] < 300 < cells.loc[(200, 300), "high"]
        assert cells["rate"].to_dict() == {(100, 20): 0.4, (100, 40): 2 / 15, (100, 57): 0.2, (200, 300): 0.5}
        assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == [cells["low"].min(), cells["high"].max()]

    def test_critical_size_stands_at_its_place(self, heatmap_spec):
        lines = heatmap_spec["layer"][1]
        assert rows(heatmap_spec, lines)[["T", "n_critical"]].to_numpy().tolist() == [[200, 50], [400, 65]]
        cells = heatmap_spec["layer"][0]
        assert lines["encoding"]["y"]["field"] == "n_critical"
        assert lines["encoding"]["y"]["scale"] == cells["encoding"]["y"]["scale"]

    def test_a_panel_for_each_experiment(self):
        rates = pd.concat([rates_table(), rates_table(experiment="other", model="lstm")])
        spec = success_heatmap.chart(rates, critical_table(), runs_table()).to_dict()
        assert [panel["title"] for panel in spec["vconcat"]] == [
            "3-way AND, transformer, main",
            "3-way AND, lstm, other",
        ]

    def test_refuses_nothing(self):
        with pytest.raises(ValueError, match="no success rates"):
            success_heatmap.chart(rates_table().head(0), critical_table(), runs_table())


def learners_chart(*changes: dict) -> dict:
    """The specification of the figure for tables with these changes, one below the other."""
    tables = [pd.concat([make(**change) for change in changes]) for make in (critical_table, rates_table)]
    return learners.chart(*tables).to_dict()


class TestLearners:
    def test_both_axes_are_logarithmic(self):
        spec = learners_chart({})
        encoding = marks(spec, "point")[0]["encoding"]
        assert encoding["x"]["scale"]["type"] == encoding["y"]["scale"]["type"] == "log"
        assert encoding["y"]["axis"]["values"] == [10, 20, 50]

    def test_a_learner_s_known_sizes_are_joined_and_have_intervals(self):
        spec = learners_chart({}, {"model": "lstm", "experiment": "other"})
        line = next(one for one in marks(spec, "line") if "stroke" in one["encoding"])
        for part in (line, *marks(spec, "rule"), marks(spec, "point")[0]):
            drawn = rows(spec, part)
            assert drawn[["model", "T", "n"]].to_numpy().tolist() == [
                ["lstm", 200, 50],
                ["lstm", 400, 65],
                ["transformer", 200, 50],
                ["transformer", 400, 65],
            ]
        assert rows(spec, marks(spec, "rule")[0])[["low", "high"]].to_numpy()[0].tolist() == [46, 54]

    def test_an_interval_that_the_grid_leaves_open_reaches_the_edge_of_the_panel(self):
        [bar] = marks(learners_chart({"ci_low": np.nan}), "rule")
        assert (bar["encoding"]["y"]["field"], bar["encoding"]["y2"]) == ("high", {"value": "height"})
        spec = learners_chart({"ci_low": np.nan, "ci_high": np.nan})
        [bar] = marks(spec, "rule")
        assert (bar["encoding"]["y"], bar["encoding"]["y2"]) == ({"value": "height"}, {"value": 0})
        assert rows(spec, bar)["T"].tolist() == [200, 400]
        assert rows(spec, bar)[["low", "high"]].isna().all(axis=None)  # what paper_ready exports has no end either

    def test_censored_sizes_are_open_triangles_at_the_edge(self):
        spec = learners_chart({})
        below, above = marks(spec, "point")[1:]
        assert (below["mark"]["shape"], above["mark"]["shape"]) == ("triangle-down", "triangle-up")
        assert below["mark"]["fill"] == above["mark"]["fill"] == "white"
        assert rows(spec, below)[["place", "n"]].to_numpy().tolist() == [[100, 20]]
        assert rows(spec, above)[["place", "n"]].to_numpy().tolist() == [[800, 80]]

    def test_triangles_at_one_place_stand_side_by_side(self):
        spec = learners_chart(*({"model": model} for model in ("transformer", "mlp", "lstm")))
        above = rows(spec, marks(spec, "point")[2])
        assert above["T"].tolist() == [800] * 3
        left, middle, right = above["place"]
        assert left < middle == 800 < right
        assert left * right == pytest.approx(800**2)

    def test_marks_that_are_close_stand_side_by_side_and_nearer_to_their_length_than_to_another(self):
        spec = learners_chart({}, {"model": "mlp", "n_critical": 66.0}, {"model": "lstm", "n_critical": 30.0})
        known = rows(spec, marks(spec, "point")[0]).set_index(["model", "T"])["place"]
        assert known["mlp", 400] < 400 < known["transformer", 400] < 400 * 2**0.5
        assert known["mlp", 400] * known["transformer", 400] == pytest.approx(400**2)
        assert known["lstm", 400] == 400

    def test_dense_lengths_leave_less_room_beside_them(self):
        dense = [critical_table(T=[100, 200, 210, 800], model=model) for model in ("transformer", "mlp")]
        rates = pd.concat(
            [rates_table(T=T, model=model) for T in (100, 200, 210, 800) for model in ("transformer", "mlp")]
        )
        spec = learners.chart(pd.concat(dense), rates.drop_duplicates()).to_dict()
        known = rows(spec, marks(spec, "point")[0])
        assert known.groupby("T")["place"].nunique().tolist() == [2, 2]
        assert (np.abs(np.log(known["place"] / known["T"])) < np.log(210 / 200) / 2).all()

    def test_marks_stay_within_the_axis(self):
        spec = learners_chart(*({"model": model} for model in style.LEARNERS))
        for part in marks(spec, "point"):
            low, high = part["encoding"]["x"]["scale"]["domain"]
            assert rows(spec, part)["place"].between(low, high).all()

    def test_the_floor_is_named_once_beside_the_panels_where_no_interval_meets_it(self):
        spec = learners_chart({"ci_low": np.nan}, {"k": 4})
        assert [marks(panel, "text") for panel in spec["concat"]] == [[], []]
        assert vl_convert.vegalite_to_svg(spec).count(">information floor<") == 1

    def test_the_floor_counts_the_supports(self):
        spec = learners_chart({})
        floor = rows(spec, marks(spec, "line")[0]).set_index("place")["n"]
        for T, n in floor.items():
            assert 2**n == pytest.approx(T * (T - 1) * (T - 2) / 6)
        assert floor.is_monotonic_increasing

    def test_every_learner_has_a_colour_a_shape_and_its_usual_name(self):
        names = {**style.LEARNER_NAMES, "wide_mlp": "wide mlp"}
        encoding = marks(learners_chart(*({"model": model} for model in names)), "point")[0]["encoding"]
        colours, shapes = look(encoding["stroke"]), look(encoding["shape"])
        assert list(colours) == list(shapes) == list(names.values())
        assert colours["Decision tree"] == style.LEARNERS["decision_tree"]
        assert len(set(colours.values())) == len(set(shapes.values())) == 7
        assert encoding["fill"]["scale"] == encoding["stroke"]["scale"]

    def test_many_models_of_other_names_are_drawn(self):
        names = [f"mine_{number}" for number in range(12)]
        encoding = marks(learners_chart(*({"model": model} for model in names)), "point")[0]["encoding"]
        colours, shapes = look(encoding["stroke"]), look(encoding["shape"])
        assert set(colours.values()) == set(style.SPARE_COLOURS[:12])
        assert set(shapes.values()) == set(learners.SPARE_SHAPES)

    def test_a_panel_for_each_function_and_k_with_one_axis_of_n(self):
        spec = learners_chart({"function": "majority", "n_critical": 700.0}, {"k": 4}, {})
        assert [panel["title"]["text"] for panel in spec["concat"]] == ["3-way AND", "4-way AND", "3-way majority"]
        domains = [marks(panel, "point")[0]["encoding"]["y"]["scale"]["domain"] for panel in spec["concat"]]
        assert domains[0] == domains[1] == domains[2]
        assert domains[0][1] > 700

    def test_the_same_learner_twice_at_a_place_is_refused(self):
        with pytest.raises(ValueError, match="transformer learns 3-way AND at T = 100 in main, other; show one"):
            learners_chart({}, {"experiment": "other"}, {"experiment": "third", "k": 4})

    def test_refuses_nothing(self):
        with pytest.raises(ValueError, match="no critical sample size"):
            learners.chart(critical_table().head(0), rates_table())


@pytest.fixture(scope="module")
def curves_spec() -> dict:
    return learning_curves.chart(curves_table()).to_dict()


class TestLearningCurves:
    def test_loss_on_a_log_scale_above_accuracy(self, curves_spec):
        loss, accuracy = (row["spec"]["encoding"] for row in curves_spec["vconcat"][0]["vconcat"])
        assert loss["y"]["field"] == "train_loss"
        assert loss["y"]["scale"] == {"type": "log"}
        assert accuracy["y"]["field"] == "holdout_accuracy"
        assert loss["x"]["field"] == accuracy["x"]["field"] == "step"
        assert curves_spec["vconcat"][0]["resolve"]["scale"]["x"] == "shared"

    def test_title_and_columns(self, curves_spec):
        block = curves_spec["vconcat"][0]
        assert block["title"] == "Learning curves, 3-way AND, T = 200, transformer"
        columns = ["n = 20: 1 of 3 end at 100 %", "n = 40: 1 of 3 end at 100 %", "n = 60: 1 of 3 end at 100 %"]
        assert block["vconcat"][0]["facet"]["column"]["sort"] == columns

    def test_of_many_sizes_some_are_shown_with_room_for_their_headings(self):
        table = pd.concat([curves_table().query("n == 20").assign(n=n) for n in range(10, 130, 10)])
        block = learning_curves.chart(table).to_dict()["vconcat"][0]
        loss = block["vconcat"][0]
        assert [label.split(":")[0] for label in loss["facet"]["column"]["sort"]] == [
            "n = 10",
            "n = 50",
            "n = 80",
            "n = 120",
        ]
        assert loss["spec"]["width"] >= 200
        assert block["title"]["subtitle"] == "4 of 12 sample sizes"

    def test_zero_loss_is_drawn_at_the_floor(self, curves_spec):
        lines = rows(curves_spec, curves_spec["vconcat"][0]["vconcat"][0])
        assert lines["train_loss"].min() == curves.LOSS_FLOOR

    def test_median_counts_a_stopped_run_with_its_last_values(self):
        spec = learning_curves.chart(curves_table(runs=1).query("n == 20")).to_dict()
        assert rows(spec, spec["vconcat"][0]["vconcat"][0])["step"].max() == 20
        spec = learning_curves.chart(curves_table(runs=2).query("n == 20")).to_dict()
        lines = rows(spec, spec["vconcat"][0]["vconcat"][0])
        median = lines[lines["curve"] == curves.MEDIAN].set_index("step")
        assert median.loc[30, "holdout_accuracy"] == pytest.approx((1.0 + 0.6) / 2)
        assert median.loc[30, "train_loss"] == pytest.approx((0.1 + curves.LOSS_FLOOR) / 2)

    def test_few_runs_are_shown_but_all_count(self):
        spec = learning_curves.chart(curves_table(runs=learning_curves.RUNS_SHOWN + 5)).to_dict()
        lines = rows(spec, spec["vconcat"][0]["vconcat"][0])
        runs = lines[lines["curve"] != curves.MEDIAN]
        assert runs["seed"].nunique() == learning_curves.RUNS_SHOWN
        assert lines["curve"].iloc[-1] == curves.MEDIAN

    def test_colours_by_role(self, curves_spec):
        colours = look(curves_spec["vconcat"][0]["vconcat"][0]["spec"]["encoding"]["color"])
        assert colours == {"one run, transformer": style.LEARNERS["transformer"], curves.MEDIAN: style.INK}

    def test_refuses_nothing(self):
        with pytest.raises(ValueError, match="no learning curves"):
            learning_curves.chart(curves_table().head(0))


def _lab(colour: str) -> np.ndarray:
    """The CIELAB coordinates of a colour such as ``#0072B2``."""
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear / to_xyz.sum(axis=1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


class TestStyle:
    def test_a_learner_keeps_its_colour_whoever_is_beside_it(self):
        assert style.learner_colours(["lstm", "mine"])["lstm"] == style.learner_colours(["lstm"])["lstm"]
        colours = style.learner_colours([*style.LEARNERS, "a", "b", "c"])
        assert len({*colours.values(), style.PAPER}) == len(style.LEARNERS) + 4

    def test_any_number_of_models_have_colours_that_recur_as_late_as_possible(self):
        names = [f"mine_{number}" for number in range(2 * len(style.SPARE_COLOURS))]
        few, many = (style.learner_colours(names[:count]) for count in (len(style.SPARE_COLOURS), len(names)))
        assert sorted(few.values()) == sorted(style.SPARE_COLOURS)
        assert sorted(many.values()) == sorted(2 * style.SPARE_COLOURS)

    def test_a_model_has_one_colour_in_all_figures_and_no_other_model_has_it(self, monkeypatch):
        models = ["wide", "lstm", *(f"mine_{number}" for number in range(len(style.SPARE_COLOURS) - 1))]
        monkeypatch.setattr(style, "_config_models", models)
        alone = {name: style.learner_colours([name])[name] for name in models}
        assert len(set(alone.values())) == len(models)
        assert style.learner_colours(models) == alone

    def test_the_command_line_tells_the_models(self, monkeypatch, tmp_path):
        monkeypatch.setattr(style, "_config_models", [])
        critical_table(model="mine").to_parquet(tmp_path / "critical.parquet")
        given = ["--critical", str(tmp_path / "critical.parquet"), "--models", "mine", "deep"]
        style.parse(style.parser("", "critical"), [*given, "--experiments", "and3", "--output-folder", str(tmp_path)])
        assert style.learner_colours(["mine"]) == {"mine": style.SPARE_COLOURS[1]}

    def test_colours_can_be_told_apart(self):
        colours = np.array([_lab(one) for one in (*style.LEARNERS.values(), style.PAPER, *style.SPARE_COLOURS)])
        apart = np.linalg.norm(colours[:, None] - colours[None], axis=-1)
        assert apart[~np.eye(len(colours), dtype=bool)].min() > 20
        assert (colours[:, 0] < 80).all(), "readable on white"

    def test_task_label(self):
        assert style.task_label("and", 3) == "3-way AND"
        assert style.task_label("random_junta", 2) == "2-way random junta"

    @pytest.mark.parametrize(
        ("values", "count", "chosen"),
        [([30, 10, 20], 4, [10, 20, 30]), (range(9), 3, [0, 4, 8]), ([5, 5, 7], 2, [5, 7])],
    )
    def test_evenly_chosen_values_have_both_ends(self, values, count, chosen):
        assert style.evenly(values, count) == chosen

    def test_places_beside_a_value_stay_within_two_thirds_of_the_gap(self):
        values, slots = pd.Series([20.0, 20, 40, 40]), pd.Series([0, 1, 0, 1])
        edge = 1.25 ** (2 / 3 * 0.25)
        assert style.beside(values, slots, 2, 0).tolist() == pytest.approx([20 / edge, 20 * edge, 40 / edge, 40 * edge])
        low, high = style.log_ends(pd.Series([20.0, 20.0]))
        assert np.log(1.25**2) / 3 < np.log(high / low) / 8  # one value alone: places are near it on its axis
        assert style.log_ends(pd.Series([20, 40])) == pytest.approx([20 / 1.1, 44])
        scatter = style.scattered(pd.Series(range(50)))
        assert scatter.between(-0.5, 0.5).all()
        assert np.diff(np.sort(scatter)).max() < 0.05  # no hole of more than twice the mean distance
        assert style.scattered(pd.Series([0, 0, 0])).tolist() == [0, 0, 0]  # one seed alone stands at its value

    def test_a_long_label_of_a_legend_is_written_in_full(self):
        name = "transformer_with_16_units_and_4_heads"
        tables = [make(model=name) for make in (critical_table, fits_table, rates_table)]
        spec = critical_sample_size.chart(*tables).to_dict()
        assert marks(spec, "point")[0]["encoding"]["stroke"]["legend"]["columns"] == 1
        assert f">{name}, smallest n reaching the share<" in vl_convert.vegalite_to_svg(spec)

    @pytest.mark.parametrize(("length", "columns"), [(10, 4), (30, 3), (45, 2), (200, 1)])
    def test_columns_of_a_legend(self, length, columns):
        assert style.legend_columns(["a", "b" * length], 4) == columns

    def test_labels_are_readable_at_half_size(self):
        config = alt.Chart(rates_table()).mark_point().to_dict()["config"]
        assert min(config[part]["labelFontSize"] for part in ("axis", "legend", "header")) >= 13


def png_size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The figures by their command lines."""
    folder = tmp_path_factory.mktemp("figures")
    tables = {
        "critical": critical_table(),
        "fits": fits_table(),
        "rates": rates_table(),
        "runs": runs_table(),
        "curves": curves_table(),
    }
    options = {}
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
        options[name] = [f"--{name}", str(folder / f"{name}.parquet")]
    names = sorted({name for table in tables.values() for name in table["experiment"]})
    output = ["--experiments", *names, "--models", "transformer", "--output-folder", str(folder / "out")]
    paper = ["--paper", str(PAPER_CSV)]
    critical_sample_size.main([*options["critical"], *options["fits"], *options["rates"], *paper, *output])
    learners.main([*options["critical"], *options["rates"], *output])
    success_heatmap.main([*options["rates"], *options["critical"], *options["runs"], *output])
    learning_curves.main([*options["curves"], *output])
    return folder / "out"


class TestFiles:
    def test_nothing_but_the_figures(self, folder):
        expected = file_names("critical_sample_size", "learners", "success_heatmap", "learning_curves")
        assert {path.name for path in folder.iterdir()} == expected

    def test_the_specification_is_that_of_the_page(self, folder):
        for path in folder.glob("*.vl.json"):
            html = path.with_name(path.name.replace("vl.json", "html")).read_text(encoding="utf-8")
            spec = re.search(r"const spec = (.*);", html)[1]
            assert json.loads(path.read_text(encoding="utf-8")) == json.loads(spec)

    def test_png_has_two_pixels_a_unit(self, folder):
        for svg in folder.glob("*.svg"):
            width, height = re.search(r'width="(\d+)" height="(\d+)"', svg.read_text(encoding="utf-8")).groups()
            assert png_size(svg.with_suffix(".png")) == (2 * int(width), 2 * int(height))

    def test_svg_writes_its_text_in_a_generic_family(self, folder):
        for svg in folder.glob("*.svg"):
            assert set(re.findall(r'font-family="([^"]*)"', svg.read_text(encoding="utf-8"))) == {"sans-serif"}

    def test_html_needs_no_network(self, folder):
        for page in folder.glob("*.html"):
            html = page.read_text(encoding="utf-8")
            assert "vegaEmbed(" in html
            assert len(html) > 500_000  # Vega, Vega-Lite and the embedding are within
            assert not re.search(r"<(script|link|img|iframe)\b[^>]*\s(src|href)\s*=\s*[\"']?(https?:)?//", html)
            spec = re.search(r"const spec = (.*);", html)[1]
            assert '"url"' not in spec
            assert re.findall(r"https?://[^\"]*", spec) == [alt.SCHEMA_URL]

    def test_saving_twice_gives_the_same_files(self, tmp_path):
        chart = success_heatmap.chart(rates_table(), critical_table(), runs_table())
        for folder in ("first", "second"):
            style.save(chart, tmp_path / folder, "heatmap")
        for suffix in ("svg", "png", "html", "vl.json"):
            first, second = (tmp_path / folder / f"heatmap.{suffix}" for folder in ("first", "second"))
            assert first.read_bytes() == second.read_bytes()
