"""The page on a Boolean function of one's own does what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.special import betaincinv

from pipeline import functions
from pipeline.config import load

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "how-to/own-function.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^```python\n(.*?),\n```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def registry(monkeypatch):
    """The registry with the page's functions in it."""
    for entry in ENTRIES:
        for name, function in eval(f"{{{entry}}}", {**vars(functions), "betaincinv": betaincinv}).items():
            monkeypatch.setitem(functions.FUNCTIONS, name, function)
    return functions.FUNCTIONS


@pytest.mark.parametrize(("name", "label"), [("nand", lambda x: not all(x)), ("half", lambda x: 2 * sum(x) >= len(x))])
def test_the_pages_functions_are_what_it_says_and_balanced(registry, name, label):
    for k in range(1, functions.MAX_SPARSITY + 1):
        table, p = registry[name].truth_table(k, None), registry[name].bit_probability(k)
        ones = np.bitwise_count(np.arange(2**k)).astype(int)
        assert np.sum(table * p**ones * (1 - p) ** (k - ones)) == pytest.approx(0.5, abs=1e-12)
        if k < 6:
            assert table.tolist() == [label([entry >> j & 1 for j in range(k)]) for entry in range(2**k)]


def test_the_pages_config_goes_over_the_tutorials(registry, tmp_path):
    tutorial = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    texts = {
        "my.yaml": re.search(r"> my\.yaml <<'END'\n(.*?)END\n", tutorial, re.DOTALL)[1],
        "nand.yaml": re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1],
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    config = load(*(tmp_path / name for name in texts))
    assert [*config.enabled] == [*config.figures.functions.experiments] == ["and2", "nand2"]
