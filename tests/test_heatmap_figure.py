"""The heatmap of success: what its specification says."""

import pandas as pd
import pytest

from charts import rows
from figure_tables import KEY, critical_table, rates_table, runs_table
from pipeline.figures import success_heatmap
from pipeline.figures.parts import style


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
            "3-way AND, Transformer (main)",
            "3-way AND, LSTM (other)",
        ]

    def test_refuses_nothing(self):
        with pytest.raises(ValueError, match="no success rates"):
            success_heatmap.chart(rates_table().head(0), critical_table(), runs_table())
