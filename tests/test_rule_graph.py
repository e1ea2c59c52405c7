"""The page that shows the rules."""

import pytest

from pipeline.commands import rule_graph


@pytest.mark.slow
def test_the_page_is_current():
    assert rule_graph.PAGE.read_text(encoding="utf-8") == rule_graph.page(), f"run `{rule_graph.COMMAND}`"


def test_the_graph_has_every_edge_but_shortcuts_and_those_of_the_targets(monkeypatch):
    rules = ["all", "train", "dataset", "alone", "page", "figure", "design"]
    nodes = "".join(f"\tid{place}[{rule}]\n" for place, rule in enumerate(rules))
    # the data come to the figure through the training too, and so does the design, which needs what it gives
    edges = [(2, 1), (1, 0), (3, 0), (1, 5), (2, 5), (5, 4), (2, 4), (4, 0), (6, 1), (1, 6), (2, 6)]
    drawn = f"flowchart TB\n{nodes}" + "".join(f"\tid{one} --> id{other}\n" for one, other in edges)
    monkeypatch.setattr(rule_graph, "_snakemake", lambda: drawn)
    kept = ["dataset --> design", "dataset --> train", "design --> train", "train --> design", "train --> figure"]
    assert "```mermaid\nflowchart LR\n  " + "\n  ".join([*kept, "alone"]) + "\n```" in rule_graph.page()
