"""One factor at a time: what differs, how far it moves the critical size, and the figure of it."""

import numpy as np
import pandas as pd
import pytest

import pairing as simulated
from charts import look, marks, rows, saved
from pipeline.config import Data, Experiment, Lstm, Mlp, Training, Transformer
from pipeline.config.factors import Factor, factors
from pipeline.figures import sensitivity as figure
from pipeline.figures.parts import style
from pipeline.statistics.critical_sample_size import critical_sample_sizes
from pipeline.statistics.intervals import difference_interval
from pipeline.statistics.pairing import PSEUDO_PAIRS, correlations
from pipeline.statistics.sensitivity import sensitivity
from pipeline.statistics.success_rates import success_rates

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
    """Critical sizes (value, low, high) or a censored side, by experiment and T, and one run for each n of their grids.

    The runs of one cell all end the same, so they tell nothing of a correlation.
    """
    critical, runs = [], []
    for experiment, found in sizes.items():
        for T, size in found.items():
            side = size if isinstance(size, str) else ""
            ends = dict(zip(("n_critical", "ci_low", "ci_high"), (np.nan,) * 3 if side else size, strict=True))
            address = {"experiment": experiment, "T": T}
            critical.append(address | ends | {"censored": bool(side), "censored_side": side, "slope": 4.0})
            runs += [address | {"n": n, "seed": 0, "success": n == max(grid)} for n in grid]
    return pd.DataFrame(critical), pd.DataFrame(runs)


def compared(sizes: dict[str, dict[int, tuple]], *names: str) -> pd.DataFrame:
    """The table of the named variants of ``base``."""
    return sensitivity(*tables(sizes), "base", settings(*names), share=0.5)


def settings(*names: str) -> dict:
    return {name: {"factor": name.split("_")[0], "value": name.split("_")[1], "base_value": "0"} for name in names}


def test_without_a_correlation_ratios_have_the_interval_of_independent_sizes():
    exact = (40.0, 40.0, 40.0)
    sizes = {
        "base": {100: exact, 500: (50.0, 50.0 / np.e**3, 50.0 * np.e**3), 900: exact},
        "rate_1": {500: (100.0, 100.0 / np.e**4, 100.0 * np.e**4), 100: (20.0, 10.0, 80.0), 300: exact},
    }
    found = compared(sizes, "rate_1")
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
    found = compared(sizes, "rate_1", "rate_2").set_index(["experiment", "T"])
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
        compared({"base": {100: (40.0, 30.0, 50.0)}}, "rate_1")


def test_a_difference_moves_its_ends_by_the_correlation():
    estimates = np.array([[5.0, 4.0, 8.0], [3.0, 1.0, 7.0]])
    for correlation, below, above in [(0, np.hypot(1, 4), np.hypot(3, 2)), (1, 3, 1), (-1, 5, 5)]:
        assert difference_interval(*estimates, correlation) == pytest.approx((2, 2 - below, 2 + above))
    assert difference_interval(*estimates, 0.5)[1] == pytest.approx(2 - np.sqrt(1 + 16 - 2 * 0.5 * 4))
    estimates[1, 2] = np.nan
    value, low, high = difference_interval(*estimates, 0.5)
    assert (value, high) == (2, pytest.approx(2 + np.sqrt(9 + 4 - 2 * 0.5 * 6)))
    assert np.isnan(low), "the end that needs an open one"


SIZE, SLOPE, SEEDS = 40.0, 4.0, 24
GRID = SIZE * 3.0 ** (np.array([-1, 0, 1]) / SLOPE)  # where the curve has the rates 1/4, 1/2 and 3/4


def curve_runs(first: int = 0, turned: bool = False) -> pd.DataFrame:
    """Runs at the rates of the curve; of the seeds from ``first`` on, the first succeed, or if turned the last."""
    ranks = np.arange(SEEDS)[:: -1 if turned else 1]
    cells = (
        pd.DataFrame({"n": n, "seed": first + np.arange(SEEDS), "success": ranks < SEEDS * rate})
        for n, rate in zip(GRID, (0.25, 0.5, 0.75), strict=True)
    )
    return pd.concat(cells).assign(T=100, n_critical=SIZE, slope=SLOPE)


def correlated(one: pd.DataFrame, other: pd.DataFrame) -> float:
    found = correlations(one, other, share=0.5)
    assert found.index.tolist() == [100]
    return found[100]


def test_the_correlation_is_that_of_the_runs_in_common():
    runs, kept = curve_runs(), SEEDS / (SEEDS + PSEUDO_PAIRS)
    assert correlated(runs, runs) == pytest.approx(kept), "of the same runs"
    shuffled = runs.sample(frac=1, random_state=0, ignore_index=True)
    assert correlated(runs, shuffled) == pytest.approx(kept), "whatever the order of the rows"
    assert -1 < correlated(runs, curve_runs(turned=True)) < 0, "other runs succeed"
    assert correlated(runs, curve_runs(first=SEEDS)) == 0, "of other seeds"
    assert correlated(runs, runs.assign(n=runs["n"] + 1)) == 0, "at other n"
    assert correlated(runs, runs.assign(success=True)) == 0, "of runs that all end the same"
    every_third = runs[runs["seed"] % 3 == 0]
    assert correlated(every_third, every_third) == pytest.approx(8 / (8 + PSEUDO_PAIRS)), "less, of few runs"
    assert correlated(runs, every_third) == pytest.approx(8 / np.sqrt(26 * 10)), "the runs of one are among the other's"


def test_a_size_that_is_censored_or_missing_has_no_correlation_and_leaves_other_lengths_alone():
    runs = pd.concat([curve_runs(), curve_runs().assign(T=500)])
    for other in (runs.assign(n_critical=runs["n_critical"].where(runs["T"] == 100)), curve_runs()):
        found = correlations(runs, other, share=0.5)
        assert found[100] == pytest.approx(SEEDS / (SEEDS + PSEUDO_PAIRS))
        assert np.isnan(found[500])


def test_the_same_runs_have_the_ratio_1_and_an_interval_that_few_runs_leave():
    runs = simulated.runs(correlation=1, ratio=1, slope=3.5, seeds=SEEDS, pairs=3)
    critical = critical_sample_sizes(success_rates(runs, 0.95), 0.5, 0.95, 400)
    found = sensitivity(critical, runs, "base", {"variant": settings("rate_1")["rate_1"]}, share=0.5)
    assert found["ratio"].tolist() == [1, 1, 1]
    assert ((found["ratio_low"] < 0.97) & (found["ratio_high"] > 1.03)).all()


@pytest.mark.parametrize(("correlation", "ratio"), [(0.85, 1), (0.85, 1.3)])
def test_the_correlation_is_that_of_the_estimates(correlation, ratio):
    """Of 600 pairs, to within three standard errors; without what the pseudo-pairs take off."""
    runs = simulated.runs(correlation, ratio, slope=3.5, seeds=SEEDS, pairs=600)
    critical = critical_sample_sizes(success_rates(runs, 0.95), 0.5, 0.95, bootstrap=2)
    curves = runs.merge(critical[["experiment", "T", "n_critical", "slope"]])
    one, other = (curves[curves["experiment"] == name] for name in ("variant", "base"))
    estimated = correlations(one, other, share=0.5).mean() * (SEEDS + PSEUDO_PAIRS) / SEEDS
    sizes = critical.pivot(index="T", columns="experiment", values="n_critical")
    assert estimated == pytest.approx(np.log(sizes).corr().loc["variant", "base"], abs=3 / np.sqrt(600))


@pytest.mark.parametrize(
    ("correlation", "ratio", "covered", "width"),
    [
        (0, 1.3, (92, 98), 1),
        (0.4, 1, (92, 98), 0.8),
        (0.85, 1.3, (92, 98), 0.7),
        (0.95, 1.05, (95, 100), 0.43),
    ],
)
def test_intervals_cover_and_narrow_with_the_correlation(correlation, ratio, covered, width):
    """To within three standard errors. At 0.95 the pseudo-pairs make them too wide."""
    found = simulated.simulate(correlation, ratio, slope=3.5, seeds=SEEDS, pairs=400)
    assert covered[0] <= found.covered <= covered[1]
    assert found.width / found.width_independent == pytest.approx(width, abs=0.05)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    known = (40.0, 35.0, 46.0)
    sizes = {name: {100: known, 500: known} for name in ("base", "success_1", "init_2", "success_3")}
    sizes["init_2"] = {100: "below", 500: "above"}
    sizes["success_3"][500] = (80.0, 60.0, np.nan)
    return compared(sizes, "success_1", "init_2", "success_3")


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
