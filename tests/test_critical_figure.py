"""The figure of critical sample sizes: what its specification says."""

import numpy as np
import pandas as pd
import pytest

from charts import look, marks, rows
from figure_tables import critical_table, fits_table, paper_table, rates_table
from pipeline.figures import critical_sample_size
from pipeline.figures.parts import sizes, style


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
        fitted, smallest = "Transformer, fitted with interval", "Transformer, smallest n reaching the share"
        points = rows(critical_spec, marks(critical_spec, "point")[0]).query("series == @smallest")
        assert points["n"].tolist() == [20, 60, 80]
        assert look(encoding["fill"])[smallest] == "white"
        assert look(encoding["size"])[smallest] < look(encoding["size"])[fitted]

    def test_law_is_drawn_over_the_fitted_lengths_and_written_out(self, critical_spec):
        line = rows(critical_spec, marks(critical_spec, "line")[0])
        assert line["T"].tolist() == [200, 400]
        assert line["n"].tolist() == pytest.approx([22 * np.log(200) - 60, 22 * np.log(400) - 60])
        assert critical_spec["title"]["subtitle"] == ["Transformer fit: n = 22.0 ln T − 60.0, R² = 0.97"]
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
        assert [panel["title"]["text"] for panel in spec["vconcat"]] == ["3-way AND (main)", "4-way AND (other)"]
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
        assert chart.to_dict()["title"]["subtitle"] == ["Transformer: too few points for a fit"]
        assert chart.to_dict()["layer"][-1]["encoding"]["x"]["axis"]["values"] == lengths

    def test_refuses_nothing_and_a_censored_length_without_rates(self):
        with pytest.raises(ValueError, match="no critical sample size"):
            critical_sample_size.chart(critical_table().head(0), fits_table(), rates_table())
        with pytest.raises(ValueError, match="no success rates"):
            critical_sample_size.chart(critical_table(), fits_table(), rates_table().query("T > 100"))
