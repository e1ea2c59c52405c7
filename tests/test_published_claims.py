"""The table of claims in the README."""

from pipeline.commands import published_claims
from pipeline.commands.published_claims import table


def entry(name: str, verdict: str, count: int, **changes) -> dict:
    number = {"name": "exponent", "value": 0.71234, "low": 0.6, "high": None}
    told = {"statement": f"{name} grows.", "provenance": "read", "reason": "borne out: exponent", "numbers": [number]}
    counted = {"count": count, "experiments": ["main"]}
    return {"id": name, "verdict": verdict, "runs": counted, **told, **changes}


def rows(ledgers: dict) -> list[str]:
    return table(ledgers).splitlines()[2:]


def test_the_readme_is_current():
    text = published_claims.README.read_text(encoding="utf-8")
    assert published_claims.BEGIN in text
    assert text == published_claims.readme(text), f"run `{published_claims.COMMAND}`"


def test_a_claim_has_its_verdict_its_number_and_its_runs():
    assert rows({"paper": [entry("n", "supported", 40)]}) == [
        "| n grows. | read | [**supported**](docs/results/paper/claims.md#n)"
        " | borne out: exponent 0.7123 [0.6, open] (paper, 40 runs) |"
    ]


def test_a_reason_has_the_values_of_the_numbers_that_it_names_and_of_no_others():
    numbers = [
        {"name": name, "value": 2.0, "low": low, "high": 3.0} for name, low in (("a", 1.0), ("b", None), ("c", 1.0))
    ]
    [row] = rows({"paper": [entry("n", "not supported", 9, reason="contradicted: a; b", numbers=numbers)]})
    assert "| contradicted: a 2 [1, 3]; b 2 [open, 3] (paper, 9 runs) |" in row
    [row] = rows({"paper": [entry("n", "undecided", 9, reason="few: 3 runs; c is missing", numbers=numbers)]})
    assert "| few: 3 runs; c is missing (paper, 9 runs) |" in row


def test_the_ledger_with_most_runs_decides_whatever_its_verdict():
    small, large = entry("n", "supported", 40), entry("n", "undecided", 41)
    for ledgers in ({"a": [small], "b": [large]}, {"b": [large], "a": [small]}):
        assert "**undecided**](docs/results/b/" in rows(ledgers)[0]
    assert "docs/results/a/" in rows({"a": [small], "b": [small]})[0]


def test_numbers_without_runs_count_more_than_nothing():
    nothing = entry("n", "undecided", 0, numbers=[])
    numbers = entry("n", "supported", 0)
    [row] = rows({"a": [nothing], "b": [numbers]})
    assert row.endswith("[**supported**](docs/results/b/claims.md#n) | borne out: exponent 0.7123 [0.6, open] (b) |")


def test_own_claims_are_folded_up_and_those_that_nothing_bears_on_counted():
    own = [entry(name, verdict, 9, provenance="ours") for name, verdict in (("x", "undecided"), ("y", "supported"))]
    nothing = entry("z", "undecided", 0, numbers=[])
    told = [row for row in rows({"paper": [*own, nothing, entry("n", "supported", 9)]}) if row]
    assert told[0].startswith("| n grows.")
    assert told[1:3] == ["<details>", "<summary>And claims of this project's own: 1 supported, 1 undecided</summary>"]
    assert [row[:12] for row in told[5:7]] == ["| x grows. |", "| y grows. |"]
    assert told[7:] == ["</details>", "Claims on which no published results bear yet: 1."]


def test_the_small_runs_come_last():
    assert list(published_claims.ledgers())[-1] == published_claims.SMALL
