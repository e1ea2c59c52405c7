"""The table of claims in the README."""

from pipeline import published_claims
from pipeline.published_claims import table


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


def test_the_ledger_with_most_runs_decides_whatever_its_verdict():
    small, large = entry("n", "supported", 40), entry("n", "undecided", 41)
    for ledgers in ({"a": [small], "b": [large]}, {"b": [large], "a": [small]}):
        assert "**undecided**](docs/results/b/" in rows(ledgers)[0]
    assert "docs/results/a/" in rows({"a": [small], "b": [small]})[0]


def test_a_claim_on_tables_counts_more_than_one_whose_runs_are_absent():
    without_runs = entry("n", "undecided", 0)
    on_tables = entry("n", "supported", 0, runs={"count": 0, "experiments": []}, numbers=[])
    [row] = rows({"a": [without_runs], "b": [on_tables]})
    assert row.endswith("[**supported**](docs/results/b/claims.md#n) | borne out: exponent (b) |")


def test_own_claims_are_counted():
    own = [entry(name, verdict, 9, provenance="ours") for name, verdict in (("x", "undecided"), ("y", "supported"))]
    told = rows({"paper": [*own, entry("n", "supported", 9)]})
    assert [row.startswith("| n grows.") for row in told] == [True, False, False]
    assert told[-1] == "And 2 claims of this project's own: 1 supported, 1 undecided."


def test_the_small_runs_come_last():
    assert list(published_claims.ledgers())[-1] == published_claims.SMALL
