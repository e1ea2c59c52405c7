"""Title, question and caption of each figure: they stand in the docstring of its module, and nowhere else."""

import ast
from dataclasses import dataclass
from pathlib import Path

FIGURES = Path(__file__).parents[1] / "figures"
_QUESTION = "Question: "


@dataclass(frozen=True)
class Caption:
    """What is said of a figure: ``title``, ``question`` (both one line) and ``text`` (paragraphs)."""

    title: str
    question: str
    text: str


def caption(figure: str) -> Caption:
    """The caption of a figure, read from its module without importing it, which would take a second for Altair.

    The docstring's first line is the title, a paragraph ``Question: …`` what the figure answers, the rest the text.

    Raises:
        ValueError: the docstring has no question, or there is no such module.
    """
    path = FIGURES / f"{figure}.py"
    if not path.exists():
        raise ValueError(f"figure {figure}: there is no module {path.name} in pipeline/figures; add it")
    docstring = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    title, *paragraphs = (" ".join(part.split()) for part in docstring.split("\n\n"))
    questions = [part for part in paragraphs if part.startswith(_QUESTION)]
    if len(questions) != 1:
        raise ValueError(f"{path.name}: write one paragraph 'Question: …?' into its docstring, what the figure answers")
    rest = [part for part in paragraphs if part not in questions]
    return Caption(title.removesuffix("."), questions[0].removeprefix(_QUESTION), "\n\n".join(rest))
