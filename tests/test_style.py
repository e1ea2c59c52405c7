"""What the figures share: colours, names, sizes of text."""

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert

from charts import marks
from figure_tables import critical_table, fits_table, rates_table
from pipeline.figures import critical_sample_size
from pipeline.figures.parts import style
from pipeline.labels import learner_label, task_label


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
        assert task_label("and", 3) == "3-way AND"
        assert task_label("random_junta", 2) == "2-way random junta"

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
        assert f">{learner_label(name)}, smallest n reaching the share<" in vl_convert.vegalite_to_svg(spec)

    @pytest.mark.parametrize(("length", "columns"), [(10, 4), (30, 3), (45, 2), (200, 1)])
    def test_columns_of_a_legend(self, length, columns):
        assert style.legend_columns(["a", "b" * length], 4) == columns

    def test_labels_are_readable_at_half_size(self):
        config = alt.Chart(rates_table()).mark_point().to_dict()["config"]
        assert min(config[part]["labelFontSize"] for part in ("axis", "legend", "header")) >= 13
