"""The two figures of attention: what their specifications say."""

import numpy as np
import pandas as pd
import pytest

from charts import file_names, look, rows, saved, units
from pipeline.figures import attention, attention_map
from pipeline.figures.parts import attention_training, style
from pipeline.statistics.success_rates import jeffreys_interval

KEY = {"experiment": "main", "function": "and", "model": "transformer", "k": 3}


def attention_table(lengths=(100, 200), **changes) -> pd.DataFrame:
    """Eight runs a cell; of those at n = 20 none succeeds, at 40 five, at 80 all. Seed s has a mass of (s + 1) / 10."""
    cells = [
        (T, n, seed, seed < successes)
        for T in lengths
        for n, successes in ((20, 0), (40, 5), (80, 8))
        for seed in range(8)
    ]
    runs = pd.DataFrame(cells, columns=["T", "n", "seed", "success"])
    values = {"support_mass": (runs["seed"] + 1) / 10, "support_recovered": runs["success"] & (runs["seed"] > 0)}
    return runs.assign(best_head_support_mass=0.9, **(values | KEY | changes))


def critical_table(**changes) -> pd.DataFrame:
    return pd.DataFrame({"T": [100, 200], "n_critical": [38.5, np.nan]}).assign(**(KEY | changes))


@pytest.fixture(scope="module")
def spec() -> dict:
    return attention.chart(attention_table(), critical_table(), 0.9).to_dict()


def cell(spec: dict, row: int, column=0) -> dict:
    return spec["vconcat"][0]["hconcat"][column]["vconcat"][row]


class TestAttention:
    def test_axes_and_titles(self, spec):
        mass, share = (units(cell(spec, row), "point")[-1]["encoding"] for row in (0, 1))
        assert mass["y"]["title"] == ["Attention mass", "on the support"]
        assert share["y"]["title"] == ["Runs whose most", "attended k are the support"]
        assert share["x"]["title"] == "Sample size n (log)"
        assert [mass["y"]["scale"], share["y"]["scale"]] == [{"domain": [0, 1]}] * 2
        assert share["x"]["axis"]["values"] == [20, 40, 80]
        assert [cell(spec, 0, column)["title"]["text"] for column in (0, 1)] == ["T = 100", "T = 200"]
        assert spec["vconcat"][0]["title"]["text"] == "Attention on the support, 3-way AND, Transformer"

    def test_every_run_is_a_dot_beside_its_size(self, spec):
        drawn = rows(spec, units(cell(spec, 0), "point")[0])
        assert len(drawn) == 24
        assert drawn["support_mass"].tolist() == attention_table(lengths=(100,))["support_mass"].tolist()
        nearest = np.abs(np.log(drawn["place"].to_numpy()[:, None] / (20, 40, 80))).argmin(axis=1)
        assert [(20, 40, 80)[index] for index in nearest] == drawn["n"].tolist()
        at_40 = drawn[drawn["n"] == 40].groupby("success")["place"]
        assert at_40.max()[True] < 40 < at_40.min()[False]

    def test_medians_by_outcome(self, spec):
        drawn = rows(spec, units(cell(spec, 0), "point")[-1]).set_index(["outcome", "n"])["mass"]
        expected = {("failed", 20): 0.45, ("failed", 40): 0.7, ("succeeded", 40): 0.3, ("succeeded", 80): 0.45}
        assert drawn.to_dict() == pytest.approx(expected)

    def test_shares_of_recovered_supports_have_jeffreys_intervals(self, spec):
        drawn = rows(spec, units(cell(spec, 1), "point")[0]).set_index(["outcome", "n"])
        counts = {("failed", 20): (0, 8), ("failed", 40): (0, 3), ("succeeded", 40): (4, 5), ("succeeded", 80): (7, 8)}
        for key, (recovered, runs) in counts.items():
            (low,), (high,) = jeffreys_interval(np.array([recovered]), np.array([runs]), 0.9)
            assert drawn.loc[key, ["share", "low", "high"]].tolist() == pytest.approx([recovered / runs, low, high])

    def test_critical_size_is_a_rule_where_there_is_one(self, spec):
        for column, sizes in ((0, [38.5]), (1, [])):
            for row in (0, 1):
                rules = units(cell(spec, row, column), "rule")
                [rule] = [unit for unit in rules if unit["encoding"]["x"]["field"] == "n_critical"]
                assert [size["n_critical"] for size in spec["datasets"][rule["data"]["name"]]] == sizes
        assert spec["vconcat"][0]["title"]["subtitle"][1:] == ["Grey line: critical sample size."]
        without = attention.chart(attention_table(), critical_table(k=5), 0.9).to_dict()
        assert len(without["vconcat"][0]["title"]["subtitle"]) == 1

    def test_outcomes_by_fill_and_shape_in_the_colour_of_the_learner(self, spec):
        encoding = units(spec, "point")[0]["encoding"]
        succeeded, failed = (f"Transformer, run that {outcome}" for outcome in style.OUTCOMES)
        assert look(encoding["shape"]) == {succeeded: "circle", failed: "triangle-up"}
        assert look(encoding["fill"]) == {succeeded: style.LEARNERS["transformer"], failed: "white"}
        assert set(look(encoding["stroke"]).values()) == {style.LEARNERS["transformer"]}

    def test_models_without_attention_are_left_out(self):
        both = pd.concat([attention_table(), attention_table(model="mlp", support_mass=np.nan)])
        assert len(attention.chart(both, critical_table(), 0.9).to_dict()["vconcat"]) == 1
        with pytest.raises(ValueError, match="no attention"):
            attention.chart(attention_table(support_mass=np.nan), critical_table(), 0.9)

    def test_command_line(self, tmp_path):
        tables = {"attention": attention_table(), "critical": critical_table()}
        files = saved(attention.main, tmp_path, tables, "--confidence", "0.9")
        assert {path.name for path in files.values()} == file_names("attention")


def maps_table(T=12, sizes=(20, 40, 80), seeds=(3, 5), heads=2, support=(1, 7, 8), **changes) -> pd.DataFrame:
    """Head h puts (h + 1) / 10 on every position of the support and 0.01 on the others."""
    index = pd.MultiIndex.from_product([sizes, seeds, range(heads), range(T)], names=["n", "seed", "head", "position"])
    maps = index.to_frame(index=False)
    maps["in_support"] = maps["position"].isin(support)
    weight = np.where(maps["in_support"], (maps["head"] + 1) / 10, 0.01)
    return maps.assign(T=T, weight=weight, success=maps["n"] > 40, **(KEY | changes))


def steps_table(T=12, steps=(20, 40, 100), size=40, support=(1, 7, 8), **changes) -> pd.DataFrame:
    """At step s a position of the support has the weight s / 1000, any other 0.01; of the run of seed 3."""
    index = pd.MultiIndex.from_product([steps, range(T)], names=["step", "position"])
    table = index.to_frame(index=False)
    weight = np.where(table["position"].isin(support), table["step"] / 1000, 0.01)
    return table.assign(T=T, n=size, seed=3, weight=weight, **(KEY | changes))


NO_STEPS = steps_table().head(0)


@pytest.fixture(scope="module")
def map_spec() -> dict:
    return attention_map.chart(maps_table(), NO_STEPS).to_dict()


def panels(spec: dict) -> list[dict]:
    return spec["vconcat"][0]["vconcat"]


class TestAttentionMap:
    def test_a_panel_for_three_sizes_with_the_run_of_the_smallest_seed(self):
        spec = attention_map.chart(maps_table(sizes=(20, 30, 40, 60, 80)), NO_STEPS).to_dict()
        assert [panel["title"]["text"] for panel in panels(spec)] == [
            "n = 20, seed 3: failed, 45% of the attention on the support",
            "n = 40, seed 3: failed, 45% of the attention on the support",
            "n = 80, seed 3: succeeded, 45% of the attention on the support",
        ]

    def test_strip_shows_the_mean_of_the_heads(self, map_spec):
        stems = rows(map_spec, units(panels(map_spec)[0], "rule")[0])
        assert stems["position"].tolist() == [1, 7, 8]
        assert stems["weight"].tolist() == pytest.approx([0.15] * 3)
        outline = rows(map_spec, units(panels(map_spec)[0], "area")[0])
        assert outline["position"].tolist() == [position - 0.5 for position in range(13)]
        assert outline["weight"].sum() == pytest.approx(3 * 0.15 + 9 * 0.01 + 0.01)

    @pytest.mark.parametrize(
        ("T", "support", "labels"),
        [
            (12, (1, 7, 8), {1: "1", 7: "7", 8: "8"}),
            (1000, (1, 700, 701), {1: "1", 700.5: "700, 701"}),
            (1000, (500, 520, 540), {520: "500, 520, 540"}),
        ],
    )
    def test_labels_of_close_positions_are_joined(self, T, support, labels):
        spec = attention_map.chart(maps_table(T=T, support=support), NO_STEPS).to_dict()
        drawn = rows(spec, units(panels(spec)[0], "text")[0])
        assert dict(zip(drawn["position"], drawn["label"], strict=True)) == labels
        triangles = rows(spec, units(panels(spec)[0], "point")[0])
        assert triangles["position"].tolist() == list(support)

    def test_heat_map_has_every_weight_of_a_short_context_and_the_best_head_on_top(self, map_spec):
        cells = rows(map_spec, units(panels(map_spec)[0], "rect")[0])
        assert len(cells) == 2 * 12
        assert cells.drop_duplicates("head")[["head", "rank"]].to_numpy().tolist() == [[0, 2], [1, 1]]
        run = maps_table(sizes=(20,), seeds=(3,))
        assert cells["weight"].tolist() == run["weight"].tolist()
        assert cells[["position", "end"]].head(2).to_numpy().tolist() == [[-0.5, 0.5], [0.5, 1.5]]

    def test_a_long_context_is_binned_and_loses_no_peak(self):
        spec = attention_map.chart(maps_table(T=1100, heads=16, support=(0, 555, 1099)), NO_STEPS).to_dict()
        cells = rows(spec, units(panels(spec)[0], "rect")[0])
        assert cells["start"].nunique() == 138  # of 8 positions, the last of 4
        assert cells["end"].max() == 1099.5
        head = cells[cells["head"] == 15]
        assert head.loc[head["weight"] == 1.6, "start"].tolist() == [0, 552, 1096]
        assert "the largest of 8 positions" in spec["vconcat"][0]["title"]["subtitle"][1]
        assert len(spec["vconcat"][0]["title"]["subtitle"]) == 2

    def test_panels_have_the_same_scales(self):
        maps = maps_table()
        maps["weight"] *= np.where(maps["n"] == 80, 2, 1)
        spec = attention_map.chart(maps, NO_STEPS).to_dict()
        colours = [unit["encoding"]["color"]["scale"]["domain"] for unit in units(spec, "rect")]
        heights = [unit["encoding"]["y"]["scale"]["domain"] for unit in units(spec, "area")]
        assert colours == [[0, pytest.approx(0.4)]] * 3
        assert heights == [[0, pytest.approx(0.3)]] * 3

    def test_a_block_for_the_shortest_and_the_longest_context(self):
        maps = pd.concat([maps_table(T=T) for T in (12, 20, 30)])
        titles = [block["title"]["text"] for block in attention_map.chart(maps, NO_STEPS).to_dict()["vconcat"]]
        assert titles == [f"Attention of [CLS], 3-way AND, T = {T}, Transformer (main)" for T in (12, 30)]

    def test_refuses_nothing(self):
        with pytest.raises(ValueError, match="no attention weights"):
            attention_map.chart(maps_table().head(0), NO_STEPS)

    def test_the_way_of_a_run_stands_between_its_strip_and_its_heads(self):
        steps = pd.concat([steps_table(), steps_table(size=20, steps=(20,)).assign(seed=4)])
        spec = attention_map.chart(maps_table(), steps).to_dict()
        assert [len(panel["vconcat"]) for panel in panels(spec)] == [2, 3, 2]  # of n = 20 it is another seed's
        way = panels(spec)[1]["vconcat"][1]
        cells = rows(spec, units(way, "rect")[0])
        assert cells.groupby("step")["before"].unique().map(list).to_dict() == {20: [0], 40: [20], 100: [40]}
        assert cells["weight"].tolist() == steps_table()["weight"].tolist()
        first = way["layer"][0]["encoding"]
        assert first["y"]["scale"] == {"domain": [0, 100], "nice": False, "reverse": True}
        assert first["color"]["scale"]["domain"] == [0, pytest.approx(0.15)]  # as the strip's axis
        strip = units(panels(spec)[1]["vconcat"][0], "area")[0]["encoding"]
        assert strip["y"]["scale"]["domain"] == [0, pytest.approx(0.15)]

    def test_a_step_is_chosen_by_a_slider_and_drawn_but_for_the_end(self):
        spec = attention_map.chart(maps_table(), steps_table()).to_dict()
        [slider] = spec["params"]
        assert slider["value"] == 100
        assert {name: slider["bind"][name] for name in ("min", "max", "step")} == {"min": 20, "max": 100, "step": 20}
        line = units(panels(spec)[1]["vconcat"][0], "line")[0]
        assert [step["filter"] for step in line["transform"]] == [
            "datum.before < training_step && training_step <= datum.step",
            "training_step < 100",
        ]
        drawn = rows(spec, line)
        assert drawn[drawn["step"] == 40].sort_values("position")["position"].tolist() == [p - 0.5 for p in range(13)]

    def test_the_way_through_a_long_context_loses_no_peak(self):
        steps = steps_table(T=1100, steps=(100,), support=(0, 555, 1099))
        cells = attention_training.over_steps(steps)
        assert len(cells) == 138
        assert cells.loc[cells["weight"] == 0.1, "start"].tolist() == [0, 552, 1096]

    def test_command_line_leaves_a_small_file_of_a_long_context(self, tmp_path):
        ways = pd.concat([steps_table(T=1100, steps=range(50, 1001, 50), size=n) for n in (20, 40, 80)])
        files = saved(attention_map.main, tmp_path, {"maps": maps_table(T=1100, heads=16), "steps": ways})
        assert {path.name for path in files.values()} == file_names("attention_map")
        assert files[".svg"].stat().st_size < 2_000_000
