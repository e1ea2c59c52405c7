"""The figures that compare critical sample sizes: over functions, sparsities and rates of noise."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import vl_convert

from charts import file_names
from pipeline.families import FAMILY
from pipeline.figures import functions, noise, sparsity
from pipeline.figures.parts import panels, sizes, style
from pipeline.labels import LEARNER_NAMES

GRID = (20, 640)


def tables(*curves: tuple) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Critical sizes and rates of (experiment, function, model, k, {T: size}); sizes outside the grid are censored."""
    critical, rates = [], []
    for *address, found in curves:
        for T, size in found.items():
            key = dict(zip(FAMILY, address, strict=True)) | {"T": T}
            side = "below" if size < GRID[0] else "above" if size > GRID[1] else ""
            n = np.nan if side else size
            ends = {"n_critical": n, "ci_low": 0.9 * n, "ci_high": 1.2 * n, "n_grid": GRID[1]}
            critical.append(key | ends | {"censored": bool(side), "censored_side": side})
            rates += [key | {"n": n, "rate": rate} for n, rate in zip(GRID, (0.0, 0.25), strict=True)]
    return pd.DataFrame(critical), pd.DataFrame(rates)


def law(*address, a: float, b: float, kind: str = "log") -> dict:
    return dict(zip(FAMILY, address, strict=True)) | {"law": kind, "a": a, "b": b}


def rows(spec: dict, layer: dict) -> pd.DataFrame:
    """The data of a layer, which Altair moves up where all layers share it."""
    return pd.DataFrame(spec["datasets"][layer.get("data", spec.get("data"))["name"]])


def layers(panel: dict, kind: str) -> list[dict]:
    return [layer for layer in panel["layer"] if layer["mark"]["type"] == kind]


def drawn(spec: dict, panel: dict, kind: str) -> pd.DataFrame:
    """The data of all layers of a kind in a panel."""
    return pd.concat([rows(spec, layer) for layer in layers(panel, kind)], ignore_index=True)


def titles(spec: dict) -> list[str]:
    return [panel["title"]["text"] for panel in spec["concat"]]


def colours(spec: dict) -> dict:
    """The colour of each series in the legend."""
    scale = layers(spec["concat"][0], "point")[0]["encoding"]["stroke"]["scale"]
    return dict(zip(scale["domain"], scale["range"], strict=True))


FUNCTIONS_CURVES = (
    ("a", "and", "transformer", 3, {50: 30, 100: 40, 200: 50, 400: 10}),
    ("b", "and", "mlp", 3, {50: 100, 100: 300, 200: 900}),
    ("c", "parity", "transformer", 3, {20: 700}),
)
FITS = pd.DataFrame(
    [
        law("a", "and", "transformer", 3, a=14.0, b=-25.0),
        law("a", "and", "transformer", 3, a=1.0, b=0.0, kind="power"),
        law("b", "and", "mlp", 3, a=np.nan, b=np.nan),
    ]
)


@pytest.fixture(scope="module")
def functions_spec() -> dict:
    critical, rates = tables(*FUNCTIONS_CURVES)
    return functions.chart(critical, FITS, rates).to_dict()


class TestFunctions:
    def test_a_panel_for_each_task_with_all_its_learners(self, functions_spec):
        assert titles(functions_spec) == ["3-way AND", "3-way parity"]
        assert set(drawn(functions_spec, functions_spec["concat"][0], "point")["series"]) == {"Transformer", "MLP"}
        assert colours(functions_spec) == {LEARNER_NAMES[name]: style.LEARNERS[name] for name in ("transformer", "mlp")}

    def test_axes_are_shared_and_only_the_first_of_a_row_is_labelled(self, functions_spec):
        first, second = (layers(panel, "point")[0]["encoding"] for panel in functions_spec["concat"])
        assert first["x"] == second["x"]
        assert first["y"]["scale"] == second["y"]["scale"]
        low, high = first["y"]["scale"]["domain"]
        assert low < 20 < 640 < high
        assert (first["y"]["axis"]["labels"], second["y"]["axis"]["labels"]) == (True, False)
        assert "title" in first["y"]
        assert second["y"]["title"] is None

    def test_rows_have_four_panels(self):
        critical, rates = tables(*(("a", "and", "transformer", k, {50: 30 * k}) for k in range(1, 7)))
        spec = functions.chart(critical, FITS.head(0), rates).to_dict()
        labelled = [layers(panel, "point")[0]["encoding"]["y"]["axis"]["labels"] for panel in spec["concat"]]
        assert spec["columns"] == 4
        assert labelled == [True, False, False, False, True, False]

    def test_censored_sizes_are_open_at_the_grids_edges(self, functions_spec):
        points = drawn(functions_spec, functions_spec["concat"][0], "point").set_index(["model", "T"])
        assert points.loc[("transformer", 400), ["mark", "n", "fill"]].tolist() == [sizes.BELOW_GRID, 20, "white"]
        assert points.loc[("mlp", 200), ["mark", "n", "fill"]].tolist() == [sizes.ABOVE_GRID, 640, "white"]
        assert points.loc[("mlp", 100), ["mark", "fill"]].tolist() == [sizes.FITTED, style.LEARNERS["mlp"]]
        legend = layers(functions_spec["concat"][0], "point")[0]["encoding"]["shape"]["legend"]
        assert legend["values"] == [sizes.BELOW_GRID, sizes.ABOVE_GRID]

    def test_what_is_censored_above_has_its_last_rate_written_under_it(self, functions_spec):
        texts = drawn(functions_spec, functions_spec["concat"][0], "text")
        assert texts[["model", "T", "last_rate"]].to_numpy().tolist() == [["mlp", 200, 0.25]]
        [note] = functions_spec["title"]["subtitle"]
        assert "largest n" in note

    def test_rates_at_one_place_are_written_in_rows(self):
        critical, rates = tables(("a", "and", "mlp", 3, {50: 900}), ("b", "and", "lstm", 3, {50: 900, 100: 900}))
        spec = functions.chart(critical, FITS.head(0), rates).to_dict()
        texts = layers(spec["concat"][0], "text")
        written = {(*row, text["mark"]["dy"]) for text in texts for row in rows(spec, text)[["model", "T"]].to_numpy()}
        assert written == {("mlp", 50, 17), ("lstm", 50, 30), ("lstm", 100, 17)}

    def test_rates_of_neighbouring_lengths_do_not_touch(self):
        lengths = range(100, 1000, 50)
        critical, rates = tables(("a", "and", "mlp", 3, dict.fromkeys(lengths, 900)))
        spec = functions.chart(critical, FITS.head(0), rates).to_dict()
        texts = layers(spec["concat"][0], "text")
        low, high = np.log(texts[0]["encoding"]["x"]["scale"]["domain"])
        written = []
        for text in texts:
            centres = 640 * (np.log(rows(spec, text)["T"]) - low) / (high - low)
            assert centres.diff().min() >= panels.LABEL or len(centres) == 1
            written += list(rows(spec, text)["T"])
        assert sorted(written) == list(lengths)
        assert len({text["mark"]["dy"] for text in texts}) == len(texts) < 6

    def test_learners_of_one_size_stand_beside_each_other(self):
        critical, rates = tables(*(("a", "and", model, 3, {50: 100, 100: 200}) for model in ("mlp", "lstm")))
        [panel] = functions.chart(critical, FITS.head(0), rates).to_dict()["concat"]
        for kind in ("rule", "point"):
            shifts = sorted(layer["mark"]["xOffset"] for layer in layers(panel, kind))
            assert shifts == [-panels.DODGE / 2, panels.DODGE / 2]

    def test_intervals_are_those_of_the_table(self, functions_spec):
        bars = drawn(functions_spec, functions_spec["concat"][0], "rule")
        assert sorted(bars["low"]) == pytest.approx([27, 36, 45, 90, 270])
        assert sorted(bars["high"]) == pytest.approx([36, 48, 60, 120, 360])

    def test_the_log_law_is_drawn_over_the_fitted_lengths(self, functions_spec):
        line = drawn(functions_spec, functions_spec["concat"][0], "line")
        assert set(line["law"]) == {"log"}
        assert (line["T"].min(), line["T"].max()) == pytest.approx((50, 200))
        assert line["n"].tolist() == pytest.approx((14 * np.log(line["T"]) - 25).tolist())

    def test_a_law_that_is_negative_at_some_lengths_stays_in_its_panel(self, functions_spec):
        lines = [layer for panel in functions_spec["concat"] for layer in layers(panel, "line")]
        assert lines
        assert all(line["mark"]["clip"] for line in lines)

    def test_no_note_without_need(self):
        critical, rates = tables(("a", "and", "transformer", 3, {50: 30}))
        spec = functions.chart(critical, FITS.head(0), rates).to_dict()
        assert "subtitle" not in spec["title"]
        assert layers(spec["concat"][0], "point")[0]["encoding"]["shape"]["legend"] is None

    def test_a_narrow_range_of_sizes_has_ticks(self):
        critical, rates = tables(("a", "and", "transformer", 3, {50: 70, 100: 72}))
        spec = functions.chart(critical, FITS.head(0), rates).to_dict()
        assert layers(spec["concat"][0], "point")[0]["encoding"]["y"]["axis"]["tickCount"] == 5

    def test_refuses_nothing(self):
        critical, rates = tables(*FUNCTIONS_CURVES)
        with pytest.raises(ValueError, match="no critical sample size"):
            functions.chart(critical.head(0), FITS, rates)


SPARSITY_CURVES = (
    ("few", "and", "transformer", 2, {100: 30, 400: 40}),
    ("main", "and", "transformer", 3, {100: 45, 200: 50, 400: 60}),
    ("many", "and", "transformer", 5, {100: 120, 400: 900}),
)


@pytest.fixture(scope="module")
def sparsity_spec() -> dict:
    return sparsity.chart(*tables(*SPARSITY_CURVES)).to_dict()


class TestSparsity:
    def test_a_series_for_each_length_that_has_several_k(self, sparsity_spec):
        assert titles(sparsity_spec) == ["k-way AND, Transformer"]
        assert list(colours(sparsity_spec)) == ["T = 100", "T = 400"]
        assert len(set(colours(sparsity_spec).values())) == 2

    def test_k_has_whole_ticks(self, sparsity_spec):
        encoding = layers(sparsity_spec["concat"][0], "point")[0]["encoding"]
        assert (encoding["x"]["field"], encoding["x"]["axis"]["values"]) == ("k", [2, 3, 5])
        assert encoding["y"]["scale"]["type"] == "log"

    def test_lines_join_what_is_fitted(self, sparsity_spec):
        line = drawn(sparsity_spec, sparsity_spec["concat"][0], "line").sort_values(["T", "k"])
        assert line[["T", "k", "n"]].to_numpy().tolist() == [
            [100, 2, 30],
            [100, 3, 45],
            [100, 5, 120],
            [400, 2, 40],
            [400, 3, 60],
        ]
        assert rows(sparsity_spec, layers(sparsity_spec["concat"][0], "text")[0])[["T", "k"]].to_numpy().tolist() == [
            [400, 5]
        ]

    def test_series_stand_beside_each_other_with_their_intervals_and_lines(self, sparsity_spec):
        for kind in ("line", "rule", "point"):
            shifts = [layer["mark"]["xOffset"] for layer in layers(sparsity_spec["concat"][0], kind)]
            assert shifts == [-panels.DODGE / 2, panels.DODGE / 2]

    def test_a_panel_for_each_function_and_learner(self):
        curves = [*SPARSITY_CURVES, ("or", "or", "mlp", 2, {100: 30}), ("or", "or", "mlp", 3, {100: 40})]
        assert titles(sparsity.chart(*tables(*curves)).to_dict()) == ["k-way AND, Transformer", "k-way OR, MLP"]

    def test_of_many_lengths_some_are_shown_within_the_axes(self):
        lengths = range(10, 190, 10)
        curves = [(f"k{k}", "and", "mlp", k, {T: 5 * T for T in lengths}) for k in (2, 3)]
        spec = sparsity.chart(*tables(*curves)).to_dict()
        assert list(colours(spec)) == [f"T = {T}" for T in (10, 40, 80, 110, 150, 180)]
        assert spec["title"]["subtitle"][0] == "Of the context lengths T, a panel shows 6, evenly chosen."
        [panel] = spec["concat"]
        shifts = [layer["mark"]["xOffset"] for layer in layers(panel, "point")]
        assert max(np.abs(shifts)) + 10 < panel["width"] / 4  # half of a k's share of the axis
        for text in layers(panel, "text"):  # under their triangles
            [T] = rows(spec, text)["T"].unique()
            [mark] = [one for one in layers(panel, "point") if set(rows(spec, one)["T"]) == {T}]
            assert text["mark"]["xOffset"] == mark["mark"]["xOffset"]

    def test_many_sparsities_leave_less_room_for_the_series(self):
        curves = [(f"k{k}", "and", "mlp", k, {T: T for T in range(100, 700, 100)}) for k in range(1, 31)]
        [panel] = sparsity.chart(*tables(*curves)).to_dict()["concat"]
        shifts = sorted(layer["mark"]["xOffset"] for layer in layers(panel, "point"))
        assert np.diff(shifts) == pytest.approx(max(640 / 30 / 6, panels.LEAST))

    def test_one_sparsity_alone_is_shown(self):
        spec = sparsity.chart(*tables(("a", "and", "transformer", 3, {100: 45, 200: 50}))).to_dict()
        assert list(colours(spec)) == ["T = 100", "T = 200"]


NOISY = ("clean", "label5", "label10", "feature5")
NOISE_CURVES = tuple(
    (name, "and", "transformer", 3, {100: size, 200: 2 * size} if name == "clean" else {100: size})
    for name, size in zip(NOISY, (40, 60, 900, 70), strict=True)
)
NOISE = dict(
    zip(
        NOISY,
        [
            {"label_noise": label, "feature_noise": feature}
            for label, feature in ((0.0, 0.0), (0.05, 0.0), (0.1, 0.0), (0.0, 0.05))
        ],
        strict=True,
    )
)


@pytest.fixture(scope="module")
def noise_spec() -> dict:
    return noise.chart(*tables(*NOISE_CURVES), NOISE).to_dict()


class TestNoise:
    def test_each_kind_has_its_panel_and_what_is_clean_is_in_both(self, noise_spec):
        assert titles(noise_spec) == ["Label noise", "Feature noise"]
        label, feature = (drawn(noise_spec, panel, "point")[["percent", "n"]] for panel in noise_spec["concat"])
        assert label.sort_values("percent").to_numpy().tolist() == [[0, 40], [5, 60], [10, 640]]
        assert feature.sort_values("percent").to_numpy().tolist() == [[0, 40], [5, 70]]
        assert noise_spec["title"]["text"] == "Critical sample size against noise, 3-way AND, Transformer"

    def test_axes(self, noise_spec):
        label, feature = (layers(panel, "point")[0]["encoding"] for panel in noise_spec["concat"])
        assert (label["x"]["title"], feature["x"]["title"]) == ("Label noise (%)", "Feature noise (%)")
        assert label["x"]["axis"]["values"] == feature["x"]["axis"]["values"] == [0, 5, 10]
        assert label["y"]["scale"] == feature["y"]["scale"]
        assert feature["y"]["title"] is None

    def test_a_length_at_one_rate_is_left_out(self, noise_spec):
        assert list(colours(noise_spec)) == ["T = 100"]

    def test_a_row_for_each_task_and_learner(self):
        curves = [*NOISE_CURVES, *((name, "or", "mlp", 2, {100: 50}) for name in NOISY)]
        spec = noise.chart(*tables(*curves), NOISE).to_dict()
        assert spec["columns"] == 2
        assert titles(spec) == [
            "Label noise, 3-way AND, Transformer",
            "Feature noise, 3-way AND, Transformer",
            "Label noise, 2-way OR, MLP",
            "Feature noise, 2-way OR, MLP",
        ]

    def test_without_noise_of_one_kind_its_panel_has_the_clean_point(self):
        curves = [curve for curve in NOISE_CURVES if curve[0] != "feature5"]
        rates = {name: rate for name, rate in NOISE.items() if name != "feature5"}
        spec = noise.chart(*tables(*curves), rates).to_dict()
        assert drawn(spec, spec["concat"][1], "point")[["percent", "n"]].to_numpy().tolist() == [[0, 40]]

    def test_both_kinds_at_once_have_no_panel(self):
        rates = NOISE | {"label5": {"label_noise": 0.05, "feature_noise": 0.05}}
        with pytest.raises(ValueError, match="label5: both kinds of noise"):
            noise.chart(*tables(*NOISE_CURVES), rates)


def test_the_command_lines_save_the_figures(tmp_path):
    critical, rates = tables(*NOISE_CURVES)
    fits = pd.DataFrame([law("clean", "and", "transformer", 3, a=14.0, b=-25.0)])
    options = {}
    for name, table in {"critical": critical, "rates": rates, "fits": fits}.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
        options[name] = [f"--{name}", str(tmp_path / f"{name}.parquet")]
    common = ["--experiments", *NOISY, "--models", "transformer", "--output-folder", str(tmp_path / "out")]
    functions.main([*options["critical"], *options["fits"], *options["rates"], *common])
    sparsity.main([*options["critical"], *options["rates"], *common])
    noise.main([*options["critical"], *options["rates"], "--spec", json.dumps(NOISE), *common])
    expected = file_names("functions", "sparsity", "noise")
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected


def test_rates_of_noise_are_labelled_in_full():
    rates_of_noise = {
        f"noise{percent}": {"label_noise": percent / 100, "feature_noise": 0.0} for percent in (0, 2.5, 10)
    }
    critical, rates = tables(*((name, "and", "transformer", 3, {100: 50}) for name in rates_of_noise))
    svg = vl_convert.vegalite_to_svg(noise.chart(critical, rates, rates_of_noise).to_json())
    assert {">0<", ">2.5<", ">10<"} <= set(re.findall(r">[\d.e+]+<", svg))
