"""The captions of the figures."""

import pytest

from pipeline.config import Figures
from pipeline.workflow import captions
from pipeline.workflow.captions import Caption, caption


@pytest.mark.parametrize("figure", Figures.model_fields)
def test_every_figure_has_a_title_a_question_and_a_caption(figure):
    found = caption(figure)
    assert found.title
    assert not found.title.endswith(".")
    assert found.question.endswith("?")
    assert found.text.endswith(".")


def test_the_parts_of_a_docstring(monkeypatch, tmp_path):
    (tmp_path / "one.py").write_text('"""A title.\n\nQuestion: Does it\nfit?\n\nOne\nline.\n\nTwo.\n"""\n')
    monkeypatch.setattr(captions, "FIGURES", tmp_path)
    assert caption("one") == Caption("A title", "Does it fit?", "One line.\n\nTwo.")


def test_a_missing_question_and_a_missing_module_are_named(monkeypatch, tmp_path):
    (tmp_path / "mute.py").write_text('"""A title."""\n')
    monkeypatch.setattr(captions, "FIGURES", tmp_path)
    with pytest.raises(ValueError, match=r"mute\.py: write one paragraph 'Question: …\?'"):
        caption("mute")
    with pytest.raises(ValueError, match=r"figure other: there is no module other\.py"):
        caption("other")
