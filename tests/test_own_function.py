"""The page on a Boolean function of one's own does what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.special import betaincinv

from bad_inputs import edited, problems
from pipeline.config import load
from pipeline.data import functions
from pipeline.data.functions import BooleanFunction

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


def ones(k):
    return np.bitwise_count(np.arange(2**k))


NO_TABLE = "the truth table is no bool array of 8 labels"
IRRELEVANT = "a bit never changes the label, and k counts only bits that do"
WRONG = [
    (BooleanFunction(lambda k, stream: (ones(k) == k).astype(int)), NO_TABLE),
    (BooleanFunction(lambda k, stream: (ones(k) == k).tolist()), NO_TABLE),
    (BooleanFunction(lambda k, stream: ones(k + 1) == k), NO_TABLE),
    (BooleanFunction(lambda k, stream: ones(k) == k + 1), IRRELEVANT),
    (BooleanFunction(lambda k, stream: np.arange(2**k) % 2 == 0), IRRELEVANT),
    (BooleanFunction(lambda k: ones(k) == k), "TypeError: .* takes 1 positional argument but 2 were given"),
    (BooleanFunction(ones(3) == 3), "TypeError: 'numpy.ndarray' object is not callable"),
    (BooleanFunction(lambda k, stream: ones(k) == k, 0.5), "TypeError: 'float' object is not callable"),
    (
        BooleanFunction(lambda k, stream: ones(k) == k, lambda k: k / 3),
        r"the bit probability is 1\.0, not between 0 and 1",
    ),
    (
        BooleanFunction(lambda k, stream: ones(k) == k, linear=True),
        "linear=True, and the label is not the XOR of the k bits",
    ),
]


@pytest.mark.parametrize(("function", "wrong"), WRONG)
def test_a_function_that_is_not_what_it_says_is_refused(function, wrong, monkeypatch):
    monkeypatch.setitem(functions.FUNCTIONS, "own", function)
    place, told = problems(edited(("experiments.and3.function", "own")))[0].split(": ", 1)
    assert place == "experiments.and3.grid.k[0]"
    mend = "correct it in src/pipeline/data/functions.py"
    assert re.fullmatch(f"the entry 'own' of FUNCTIONS, at k = 3: {wrong}; {mend}", told)


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
