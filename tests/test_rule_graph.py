"""The page that shows the rules."""

import pytest

from pipeline import rule_graph


@pytest.mark.slow
def test_the_page_is_current():
    assert rule_graph.PAGE.read_text(encoding="utf-8") == rule_graph.page(), f"run `{rule_graph.COMMAND}`"


def test_the_graph_has_every_edge_but_those_of_the_target(monkeypatch):
    nodes = "\tid0[all]\n\tid1[train]\n\tid2[dataset]\n\tid3[alone]\n"
    drawn = f"flowchart TB\n{nodes}\tid2 --> id1\n\tid1 --> id0\n\tid3 --> id0\n"
    monkeypatch.setattr(rule_graph, "_snakemake", lambda: drawn)
    assert "```mermaid\nflowchart LR\n  dataset --> train\n  alone\n```" in rule_graph.page()
