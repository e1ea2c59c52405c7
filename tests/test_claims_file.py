"""The file of claims and the ledger that comes of it."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipeline.claims.claims import load, parse
from pipeline.claims.evidence import REFERENCES, Evidence
from pipeline.claims.ledger import ledger
from pipeline.claims.rendering import markdown
from pipeline.claims.rules import RULES
from pipeline.config import Config, ConfigError
from pipeline.config import load as load_config
from pipeline.workflow import specifications, targets

ROOT = Path(__file__).parents[1]
FILE = ROOT / "config/claims.yaml"
PATTERN = "runs/{data}/{function}/{model}/{training}/k{k}/T{T}/n{n}/seeds{seeds}.parquet"
PARITY = {"experiment": "online", "function": "parity", "model": "transformer", "k": 3}
VALID = f"""
claims:
  learned:
    statement: Transformers learn sparse parities.
    source: experiments
    provenance: remembered
    rule: is_learned
    tables: [runs]
    parameters: {{series: {json.dumps(PARITY)}, at_least: 0.5, runs: 10}}
"""
FOLDER = object()


def problems(**edits) -> list[str]:
    """What is wrong with the valid claim with some of its keys changed, dots as __; None removes."""
    raw = yaml.safe_load(VALID)
    for path, value in edits.items():
        *parents, key = path.split("__")
        section = raw["claims"]["learned"]
        for parent in parents:
            section = section[parent]
        section |= {key: value}
        if value is None:
            del section[key]
    with pytest.raises(ConfigError) as error:
        parse(raw)
    return [line.removeprefix("claims.learned.") for line in str(error.value).splitlines()]


def test_wrong_claims_are_named_with_the_mend():
    assert problems(rule="is_leaned") == ["rule: unknown rule 'is_leaned'; did you mean 'is_learned'?"]
    assert problems(rule=None)[0].startswith("rule: unknown rule 'null'; use one of: agrees_with_law, ")
    for other in ("rnus", "progress"):
        assert problems(tables=[other]) == ["tables: the rule is_learned reads other tables; write [runs]"]
    assert problems(tables=[]) == ["tables: empty; add at least one entry"]
    assert problems(provenance="rumour") == [
        "provenance: 'rumour' is not allowed; use 'read', 'peer', 'remembered', 'unresolved' or 'ours'"
    ]
    assert problems(statment="x") == ["statment: unknown key; did you mean 'statement'?"]
    assert problems(source=None) == ["source: missing; add it"]


def test_wrong_parameters_are_named_with_the_mend():
    assert problems(parameters__series=None) == ["parameters.series: missing; add it"]
    assert problems(parameters__series__experiment=None) == ["parameters.series.experiment: missing; add it"]
    assert problems(parameters__at_least=1.5) == ["parameters.at_least: 1.5 is out of range; use a value < 1.0"]
    assert problems(parameters__at_last=1) == ["parameters.at_last: unknown key; did you mean 'at_least'?"]
    assert problems(parameters__series__experimnt="x") == [
        "parameters.series.experimnt: unknown key; did you mean 'experiment'?"
    ]
    steps = {"rule": "exponent_grows_with_k", "tables": ["transition_fits"]}
    two = {"series": [PARITY, PARITY | {"experiment": "other"}], "per_bit": 1.5, "contexts": 3, "runs": 10}
    assert problems(**steps, parameters=two) == ["parameters.series: more than once: 3; write each value once"]
    moves = {"series": PARITY, "loss": 0.9, "growth": 1.2, "evaluations": 1, "runs": 10}
    assert problems(rule="moves_before_loss", tables=["progress", "runs"], parameters=moves) == [
        "parameters.evaluations: 1 is out of range; use a value >= 2"
    ]
    assert problems(parameters=3) == ["parameters: 3 is not a mapping; write 'key: value' lines"]


def test_a_wrong_key_in_a_list_of_series_is_named():
    raw = yaml.safe_load(VALID)
    raw["claims"]["learned"] |= {
        "rule": "exponent_grows_with_k",
        "tables": ["transition_fits"],
        "parameters": {"series": [PARITY, PARITY | {"modle": "x"}], "per_bit": 1, "contexts": 3, "runs": 10},
    }
    with pytest.raises(
        ConfigError, match=r"^claims.learned.parameters.series\[1\].modle: unknown key; did you mean 'model'\?$"
    ):
        parse(raw)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("claims: {}", "{path}: claims: empty; add at least one entry"),
        ("claims: {one: 3}", "{path}: claims.one: 3 is not a mapping; write 'key: value' lines"),
        ("[1]", "{path}: a list is not a mapping; write claims: and below it the claims by id"),
        ("claim: {}", "{path}: claims: missing; add it\n{path}: claim: unknown key; did you mean 'claims'?"),
        ("a: 1\na: 2", "{path}:2: the key 'a' is there twice; correct the YAML"),
        (None, "claims: {path}: No such file or directory; correct the path, or write claims: null"),
        (FOLDER, "claims: {path}: Is a directory; correct the path, or write claims: null"),
    ],
)
def test_wrong_files(tmp_path, text, problem):
    path = tmp_path / "claims.yaml"
    if text is FOLDER:
        path.mkdir()
    elif text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert str(error.value) == problem.replace("{path}", str(path))


def test_the_claims_survive_a_round_trip():
    claims = load(FILE)
    dumped = {name: claim.model_dump(mode="json") for name, claim in claims.items()}
    assert parse({"claims": json.loads(json.dumps(dumped))}) == claims


def test_every_rule_is_used():
    assert {claim.rule for claim in load(FILE).values()} == set(RULES)


def test_the_claims_are_about_experiments_of_the_shipped_configs():
    known = set()
    for name in ("config", "extended", "parities"):
        config = load_config(ROOT / f"config/{name}.yaml")
        known |= {
            (name, one.function, one.model, k)
            for name, one in config.experiments.items()
            for _, grid in one.located_grids()
            for k in grid.k
        }
    series = {tuple(one.model_dump().values()) for claim in load(FILE).values() for one in claim.series()}
    assert series <= known


def runs(successes: int, count: int = 20) -> pd.DataFrame:
    rows = [PARITY | {"T": 10, "n": 512, "seed": seed, "success": seed < successes} for seed in range(count)]
    return pd.DataFrame(rows).assign(data="standard", training="online")


def made(successes: int, count: int = 20) -> list[dict]:
    tables = {"runs": pd.concat([runs(successes, count), runs(3).assign(experiment="other")])}
    return ledger(parse(yaml.safe_load(VALID)), Evidence(tables, 0.5, 0.95), PATTERN)


def test_an_entry_has_all_that_its_verdict_rests_on():
    [entry] = made(18)
    assert entry.pop("criterion") == (
        "The share of runs that meet the success rule within their steps: supported if its interval lies above 50%, "
        "not supported if it lies below. Undecided otherwise, or with fewer than 10 runs at some T."
    )
    numbers = entry.pop("numbers")
    assert [one["name"] for one in numbers] == ["successful runs", "successful runs at T = 10"]
    assert (numbers[0]["value"], numbers[0]["low"], numbers[0]["high"]) == (
        0.9,
        0.716147,
        0.978628,
    )  # quantiles of Beta(18.5, 2.5)
    assert entry == {
        "id": "learned",
        "statement": "Transformers learn sparse parities.",
        "source": "experiments",
        "provenance": "remembered",
        "rule": "is_learned",
        "verdict": "supported",
        "reason": "borne out: successful runs",
        "runs": {
            "count": 20,
            "experiments": ["online"],
            "files": ["runs/standard/parity/transformer/online/k3/T*/n*/seeds*.parquet"],
            "tables": ["runs"],
        },
    }


def test_the_page_says_the_same():
    page = markdown(made(18))
    assert "| [Transformers learn sparse parities.](#learned) | remembered | **supported** |" in page
    assert "- **Supported:** borne out: successful runs.\n" in page
    assert "- Runs: 20 of `online`, through `runs`.\n" in page
    assert "| successful runs | 0.9 | [0.7161, 0.9786] |\n" in page
    assert page == markdown(made(18))


def test_claims_on_what_was_not_run_are_listed_last():
    other = VALID.replace("learned:", "others:").replace("sparse parities", "others").replace('"online"', '"other"')
    claims = parse(yaml.safe_load(VALID + other.replace("\nclaims:\n", "")))
    assert list(claims) == ["learned", "others"]
    page = markdown(ledger(claims, Evidence({"runs": runs(18)}, 0.5, 0.95), PATTERN))
    assert page.endswith("\n\n## On what this config does not run\n\n- Transformers learn others. (remembered)\n")
    assert "## others" not in page
    assert page.startswith(markdown(made(18)).rstrip())
    nothing = markdown(ledger(claims, Evidence({"runs": runs(18).head(0)}, 0.5, 0.95), PATTERN))
    assert "|" not in nothing
    assert nothing.count("\n- ") == 2


def test_what_is_not_bounded_is_null_and_open():
    tables = {"runs": runs(20), "attention": runs(20).assign(support_recovered=True, best_head_support_mass=0.5)}
    tables["attention"] = tables["attention"].head(3)
    claim = yaml.safe_load(VALID)
    claim["claims"]["learned"] |= {"rule": "attends_to_support", "tables": ["attention"]}
    claim["claims"]["learned"]["parameters"] |= {"runs": 3}
    entries = ledger(parse(claim), Evidence(tables, 0.5, 0.95), PATTERN)
    mass = {"name": "best head's attention on the support, successes", "value": 0.5, "low": None, "high": None}
    assert mass in entries[0]["numbers"]
    assert json.loads(json.dumps(entries, allow_nan=False)) == entries


def test_without_runs_every_claim_is_undecided_and_says_why():
    tables = {"runs": runs(20), "paper_critical_sample_size": pd.DataFrame()}
    entries = ledger(load(FILE), Evidence(tables, 0.5, 0.95), PATTERN)
    assert [entry["id"] for entry in entries] == list(load(FILE))
    assert {entry["verdict"] for entry in entries} == {"undecided"}
    missing = r"no runs of experiment \w+|no table \w+: the section theory of the config is off"
    assert all(re.fullmatch(missing, entry["reason"]) for entry in entries)
    assert all(entry["runs"]["count"] == 0 and entry["runs"]["files"] == [] for entry in entries)


def test_no_few_runs_decide_anything():
    """Four runs at each T of each claim's experiments, with nothing else: too few for every rule."""
    claims = {name: claim for name, claim in load(FILE).items() if claim.series()}
    series = {tuple(one.model_dump().items()): None for claim in claims.values() for one in claim.series()}
    few = pd.concat([runs(4, 4).assign(**dict(one)) for one in series])
    named = {table for claim in claims.values() for table in claim.tables}
    recorded = {"support_recovered": True, "best_head_support_mass": 0.5, "step": 100, "train_loss": 0.5, "distance": 1}
    tables = {name: few.assign(**recorded) for name in named}
    entries = ledger(claims, Evidence(tables | {"runs": few.assign(success_step=100)}, 0.5, 0.95), PATTERN)
    assert {entry["verdict"] for entry in entries} == {"undecided"}
    assert all("needed" in entry["reason"] for entry in entries)


def test_the_workflow_hands_over_the_tables_that_the_config_gives():
    claims = load(FILE)
    full = targets.claims_tables(load_config(ROOT / "config/config.yaml"), claims, "tables")
    read = {name for claim in claims.values() for name in claim.tables} - {*REFERENCES}
    assert {f"tables/{name}.parquet" for name in read} <= set(full), "the full config gives all that a claim reads"
    spec = json.loads(specifications.claims_spec(load_config(ROOT / "config/config.yaml"), claims, PATTERN, ROOT))
    points = (ROOT / "config/reference/paper_critical_sample_size.csv").read_text()
    assert spec["references"] == {"paper_critical_sample_size": points}
    assert "tables/learning_curves.parquet" not in full
    assert not {"tables/basin.parquet", "tables/head_norms.parquet"} & set(full)
    plain = Config.model_validate({"experiments": {"and3": {}}})
    names = {Path(path).stem for path in targets.claims_tables(plain, claims, "tables")}
    assert not {"progress", "attention", "transition_fits", "representation", "capacity"} & names
    always = {"runs", "critical_sample_size", "success_rates", "scaling_fits", "law_fits", "law_verdicts", "law_sizes"}
    assert always <= names
