"""One factor at a time: what differs, how far it moves the critical size, and the figure of it."""

import numpy as np
import pandas as pd
import pytest

from charts import look, marks, rows, saved
from pipeline.config import Data, Experiment, Lstm, Mlp, Training, Transformer
from pipeline.config.factors import Factor, factors
from pipeline.figures import sensitivity as figure
from pipeline.figures import style
from pipeline.statistics.sensitivity import sensitivity

DATA = {"standard": Data(), "first_draw": Data(reject_ambiguous=False)}
MODELS = {
    "transformer": Transformer(),
    "dropout": Transformer.model_validate({"dropout": {"attention": 0.1, "mlp": 0.1, "residual": 0.2}}),
    "wide": Transformer(width=128, heads=8),
    "mlp": Mlp(kind="mlp"),
    "deep": Mlp(kind="mlp", widths=(64, 64)),
    "lstm": Lstm(kind="lstm"),
}
TRAINING = {
    "paper": Training(),
    "slow": Training(learning_rate=1e-3),
    "batch": Training(batch_size=10),
    "strict": Training.model_validate({"success": {"when": "last"}}),
    "bounded": Training.model_validate({"norm_bound": {"value": 3.0}}),
}


@pytest.mark.parametrize(
    ("variant", "base", "found"),
    [
        ({}, {}, []),
        ({"training": "slow"}, {}, [("learning_rate", "0.001", "0.003")]),
        ({"training": "batch"}, {}, [("batch_size", "10", "none")]),
        ({"training": "strict"}, {}, [("success", "when last", "any")]),
        ({"training": "bounded"}, {}, [("norm_bound", "norm 2,1, value 3", "none")]),
        ({"model": "dropout"}, {}, [("dropout", "attention, mlp 0.1, residual 0.2", "0")]),
        ({"model": "wide"}, {}, [("width", "128", "64"), ("heads", "8", "16")]),
        ({"model": "deep"}, {"model": "mlp"}, [("widths", "64, 64", "128")]),
        ({"model": "lstm"}, {}, [("learner", "lstm", "transformer")]),
        ({"data": "first_draw"}, {}, [("reject_ambiguous", "no", "yes")]),
        (
            {"data": "first_draw", "training": "slow"},
            {},
            [("reject_ambiguous", "no", "yes"), ("learning_rate", "0.001", "0.003")],
        ),
        ({"training": None}, {}, [("learner", "none", "training")]),
    ],
)
def test_factors_are_the_settings_that_differ(variant, base, found):
    one, other = Experiment.model_construct(**_named(variant)), Experiment.model_construct(**_named(base))
    assert factors(one, other, DATA, MODELS, TRAINING) == [Factor(*factor) for factor in found]


def _named(names: dict) -> dict:
    return {"data": "standard", "model": "transformer", "training": "paper"} | names


def tables(sizes: dict[str, dict[int, tuple]], grid=(10, 200)) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Critical sizes (value, low, high) or a censored side, by experiment and T, and the rates of their grids."""
    critical, rates = [], []
    for experiment, found in sizes.items():
        for T, size in found.items():
            side = size if isinstance(size, str) else ""
            ends = dict(zip(("n_critical", "ci_low", "ci_high"), (np.nan,) * 3 if side else size, strict=True))
            address = {"experiment": experiment, "T": T}
            critical.append(address | ends | {"censored": bool(side), "censored_side": side})
            rates += [address | {"n": n} for n in grid]
    return pd.DataFrame(critical), pd.DataFrame(rates)


def settings(*names: str) -> dict:
    return {name: {"factor": name.split("_")[0], "value": name.split("_")[1], "base_value": "0"} for name in names}


def test_ratios_have_the_interval_of_independent_sizes():
    exact = (40.0, 40.0, 40.0)
    sizes = {
        "base": {100: exact, 500: (50.0, 50.0 / np.e**3, 50.0 * np.e**3), 900: exact},
        "rate_1": {500: (100.0, 100.0 / np.e**4, 100.0 * np.e**4), 100: (20.0, 10.0, 80.0), 300: exact},
    }
    found = sensitivity(*tables(sizes), "base", settings("rate_1"))
    assert found[["experiment", "factor", "value", "base_value", "T", "base_n"]].to_numpy().tolist() == [
        ["rate_1", "rate", "1", "0", 100, 40.0],
        ["rate_1", "rate", "1", "0", 500, 50.0],
    ]
    assert found["ratio"].tolist() == pytest.approx([0.5, 2.0])
    assert found["ratio_low"].tolist() == pytest.approx([0.25, 2 / np.exp(5)])
    assert found["ratio_high"].tolist() == pytest.approx([2.0, 2 * np.exp(5)])
    assert not found["censored"].any()
    assert found["edge"].isna().all()


def test_what_the_grid_does_not_bound_stays_open():
    sizes = {
        "base": {100: (40.0, 30.0, 50.0), 500: (50.0, np.nan, 60.0), 900: "above"},
        "rate_1": {100: (40.0, 30.0, np.nan), 500: "below", 900: (80.0, 70.0, 90.0)},
        "rate_2": {100: "above", 500: (50.0, 40.0, 60.0)},
    }
    found = sensitivity(*tables(sizes), "base", settings("rate_1", "rate_2")).set_index(["experiment", "T"])
    assert found.loc[("rate_1", 100), "ratio_low"] == pytest.approx(np.exp(-np.hypot(np.log(4 / 3), np.log(5 / 4))))
    assert np.isnan(found.loc[("rate_1", 100), "ratio_high"])
    assert np.isnan(found.loc[("rate_2", 500), "ratio_high"]), "the base's lower end is open"
    assert found.loc[("rate_2", 500), "ratio_low"] == pytest.approx(np.exp(-np.hypot(np.log(5 / 4), np.log(6 / 5))))
    assert found["censored"].tolist() == [False, True, False, True, False]
    assert found.loc[("rate_1", 500), "edge"] == 10 / 50
    assert found.loc[("rate_2", 100), "edge"] == 200 / 40
    assert found.loc[found["censored"], ["ratio", "ratio_low", "ratio_high"]].isna().all(axis=None)
    assert found.loc[("rate_1", 900), ["base_n", "ratio", "edge"]].isna().all(), "the base is censored there"


def test_a_variant_without_sizes_is_named():
    with pytest.raises(ValueError, match="rate_1 has no critical sample size at a T of the base"):
        sensitivity(*tables({"base": {100: (40.0, 30.0, 50.0)}}), "base", settings("rate_1"))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    known = (40.0, 35.0, 46.0)
    sizes = {name: {100: known, 500: known} for name in ("base", "success_1", "init_2", "success_3")}
    sizes["init_2"] = {100: "below", 500: "above"}
    sizes["success_3"][500] = (80.0, 60.0, np.nan)
    return sensitivity(*tables(sizes), "base", settings("success_1", "init_2", "success_3"))


@pytest.fixture(scope="module")
def spec(table) -> dict:
    return figure.chart(table).to_dict()


def test_rows_of_a_factor_stand_together_on_a_band(spec):
    band = marks(spec, "rect")[0]
    assert band["encoding"]["y"]["scale"]["domain"] == [
        "success rule: 1 (0)",
        "success rule: 3 (0)",
        "init: 2 (0)",
    ]
    assert rows(spec, band)["variant"].tolist() == ["success rule: 1 (0)", "success rule: 3 (0)"]


def test_each_length_has_its_colour_shape_and_height(spec):
    points = [layer for layer in marks(spec, "point") if "shape" in layer["encoding"]]
    assert [layer["mark"]["yOffset"] for layer in points] == [-figure.ROW / 4, figure.ROW / 4]
    assert look(points[0]["encoding"]["shape"]) == {"T = 100": "circle", "T = 500": "square"}
    assert len(set(look(points[0]["encoding"]["fill"]).values())) == 2
    assert [rows(spec, layer)["ratio"].tolist() for layer in points] == [pytest.approx([1, 1]), pytest.approx([1, 2])]


def test_open_intervals_reach_the_edge_and_censored_sizes_are_triangles_at_the_grids(spec):
    low, high = marks(spec, "point")[0]["encoding"]["x"]["scale"]["domain"]
    assert low < 10 / 40 < 200 / 40 < high
    bars = pd.concat([rows(spec, layer) for layer in marks(spec, "rule") if "x2" in layer["encoding"]])
    assert bars.set_index(["experiment", "T"]).loc[("success_3", 500), "high"] == high
    triangles = {
        layer["mark"]["shape"]: rows(spec, layer)
        for layer in marks(spec, "point")
        if "shape" in layer["mark"] and len(rows(spec, layer))
    }
    assert {shape: drawn["place"].tolist() for shape, drawn in triangles.items()} == {
        "triangle-left": [10 / 40],
        "triangle-right": [200 / 40],
    }


def test_the_base_is_marked_and_told(spec):
    [one] = [layer for layer in marks(spec, "rule") if "x2" not in layer["encoding"]]
    assert rows(spec, one)["place"].tolist() == [1]
    assert spec["title"]["subtitle"][0] == "Base: n = 40.0 at T = 100, n = 40.0 at T = 500."


def test_where_the_base_is_censored_nothing_is_drawn_and_the_subtitle_says_so(table, tmp_path):
    unknown = table.assign(base_n=table["base_n"].where(table["T"] == 100))
    unknown[["ratio", "ratio_low", "ratio_high", "edge"]] = np.nan
    spec = figure.chart(unknown).to_dict()
    assert spec["title"]["subtitle"][0] == "Base: n = 40.0 at T = 100, beyond the grid at T = 500."
    assert look(marks(spec, "point")[0]["encoding"]["shape"]) == {"T = 100": "circle", "T = 500": "square"}
    saved(figure.main, tmp_path, {"sensitivity": unknown.assign(experiment="main")})


def test_the_papers_points_stand_above_and_their_lines_go_down(table):
    paper = pd.DataFrame({"context_length": [100, 300], "critical_sample_size": [50.0, 70.0]})
    paper = paper.assign(bar_low=[48.0, 60.0], bar_high=[60.0, 80.0])
    spec = figure.chart(table, paper).to_dict()
    assert marks(spec, "rect")[0]["encoding"]["y"]["scale"]["domain"][0] == "the paper's points, digitised"
    [line] = [rows(spec, one) for one in marks(spec, "rule") if one["mark"].get("color") == style.PAPER]
    assert line[["T", "ratio", "ratio_low", "ratio_high"]].values.tolist() == [[100, 1.25, 1.2, 1.5]]


def test_refuses_nothing(table):
    with pytest.raises(ValueError, match="no critical sample size to compare"):
        figure.chart(table.head(0))


def test_the_command_line_saves_the_figure(tmp_path, table):
    files = saved(figure.main, tmp_path, {"sensitivity": table.assign(experiment="main")})
    assert {".svg", ".png", ".html"} <= files.keys()
    assert ">success rule: 3 (0)<" in files[".svg"].read_text()
