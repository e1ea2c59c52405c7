"""The figure of learning curves: what its specification says."""

import pandas as pd
import pytest

from charts import look, rows
from figure_tables import curves_table
from pipeline.figures import learning_curves
from pipeline.figures.parts import curves, style


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
        assert block["title"] == "Learning curves, 3-way AND, T = 200, Transformer"
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
        assert colours == {"Transformer, one run": style.LEARNERS["transformer"], curves.MEDIAN: style.INK}

    def test_refuses_nothing(self):
        with pytest.raises(ValueError, match="no learning curves"):
            learning_curves.chart(curves_table().head(0))
