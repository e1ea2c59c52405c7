"""The figure of learners: what its specification says."""

import numpy as np
import pandas as pd
import pytest
import vl_convert

from charts import look, marks, rows
from figure_tables import critical_table, rates_table
from pipeline.figures import learners
from pipeline.figures.parts import style
from pipeline.labels import LEARNER_NAMES


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
        names = {**LEARNER_NAMES, "wide_mlp": "wide mlp"}
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
