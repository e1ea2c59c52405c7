"""The verdict on the laws, by its conditions and against known truth."""

from dataclasses import replace

import numpy as np
import pytest

from law_truths import LAPSING, T, cells, drawn
from pipeline.randomness import Stream
from pipeline.statistics.joint_model import Counts, Model
from pipeline.statistics.law_evidence import (
    Dispersion,
    Evidence,
    FittedLaw,
    gather,
    never_above,
)
from pipeline.statistics.law_verdict import UNDECIDED, verdict
from pipeline.statistics.laws import LAWS, Law
from pipeline.statistics.maximum_likelihood import fit
from pipeline.statistics.profile_likelihood import Candidate
from pipeline.storage import read_frame
from running import ROOT


def judge(table: Counts, bootstrap=99, confidence=0.95) -> tuple[str, str]:
    return verdict(gather(table, 0.5, confidence, bootstrap, {"experiment": "test"}), confidence)


WIDE = np.array([50, 200, 1000, 5000, 30_000])


def made(no_size=(0.01, 0.01), **given: dict[str, float]) -> Evidence:
    """Evidence by which power would be named, but for what is given of some laws."""

    def of_each(kind: str, others: float, power: float) -> dict[str, float]:
        return dict.fromkeys(LAWS, others) | {"power": power} | given.get(kind, {})

    aic, bic, held_out = of_each("aic", 20, 0), of_each("bic", 20, 0), of_each("held_out", -9, -5)
    laws = {name: FittedLaw(None, None, 0.0, [], aic[name], bic[name], 1, held_out[name], None, None) for name in LAWS}
    p = {(name, "power"): value for name, value in of_each("rejects", 0.01, 1).items()}
    counts, known = Counts(np.array([10, 20]), *np.ones((3, 2))), Dispersion(1.0, 0.5, 1.0, 0.0, 30)
    return Evidence(
        counts, LAPSING, None, laws, known, p, of_each("fits_free", 0.01, 0.5), np.array(no_size), None, 0.5
    )


class TestConditions:
    """One of them broken leaves undecided what the others would name."""

    def test_all_are_met(self):
        law, reason = verdict(made(), 0.95)
        assert law == "power"
        assert reason.startswith("every other law is refuted (largest p = 0.010)")

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [
            ({"no_size": (0.01, 0.06)}, "at T = 20 no n surely exceeds the share"),
            ({"fits_free": {"power": 0.04}}, "no law fits the critical sizes of the single T"),
            ({"aic": {"log": 5.9}}, "too little speaks against log (p = 0.010, relative likelihood 0.05)"),
            ({"rejects": {"log": 0.06}}, "too little speaks against log (p = 0.060, relative likelihood 0.00)"),
            ({"bic": {"log": -0.1}}, "power is best by AIC, log by BIC"),
            ({"held_out": {"log": -1.9}}, "log predicts the largest T better from the smaller"),
        ],
    )
    def test_one_is_broken(self, broken, reason):
        law, found = verdict(made(**broken), 0.95)
        assert law == UNDECIDED
        assert reason in found

    @pytest.mark.parametrize(
        "close",
        [
            {"no_size": (0.01, 0.04)},
            {"fits_free": {"power": 0.06}},
            {"aic": {"log": 6.1}},
            {"rejects": {"log": 0.04}},
            {"bic": {"log": 0.1}},
            {"held_out": {"log": -2.1}},
        ],
    )
    def test_one_is_barely_met(self, close):
        assert verdict(made(**close), 0.95)[0] == "power"

    @pytest.mark.parametrize(("drop", "expected"), [(0.01, "constant"), (100.0, UNDECIDED)])
    def test_a_law_that_contains_the_best_must_agree_with_it(self, drop, expected):
        """On a table that does not grow, it is the drop alone that says how far the larger laws reach."""
        _, _, table = cells("constant")
        evidence = made(aic={"constant": -20}, bic={"constant": -20}, held_out={"constant": -5})
        for name, law in evidence.laws.items():
            model = Model(Law(name, T), LAPSING, 0.5)
            parameters = fit(model, table).parameters
            candidates = [Candidate(model, parameters, drop)]
            evidence.laws[name] = replace(law, model=model, parameters=parameters, candidates=candidates)
        rejects, fits_free = {("proportional_log", "constant"): 0.01}, {"constant": 0.5}
        law, reason = verdict(replace(evidence, counts=table, rejects=rejects, fits_free=fits_free), 0.95)
        assert law == expected
        assert ("log, which contains it, may differ by more than 10%" in reason) == (law == UNDECIDED)


class TestVerdict:
    @pytest.mark.parametrize("name", ["log", "power", "linear"])
    def test_a_wide_table_names_its_law(self, name):
        assert judge(drawn(name, seed=0, lengths=WIDE, runs=200))[0] == name

    def test_a_constant_is_named_if_growth_is_excluded(self):
        law, reason = judge(drawn("constant", seed=2, runs=400))
        assert law == "constant", reason

    @pytest.mark.parametrize("name", ["log", "power"])
    def test_a_short_range_is_undecided(self, name):
        law, reason = judge(drawn(name, seed=0, lengths=np.array([100, 120, 150, 180, 200])))
        assert law == UNDECIDED
        assert "too little speaks against" in reason

    def test_sizes_that_follow_no_law_are_undecided(self):
        rates, n = [], np.geomspace(15, 400, 10).round()
        for size in (40, 100, 45, 110, 50):
            rates.append(1 / (1 + (n / size) ** -5.0))
        table = Counts(np.repeat(T, 10), np.tile(n, 5), np.full(50, 50), (50 * np.concatenate(rates)).round())
        law, reason = judge(table)
        assert law == UNDECIDED
        assert "no law fits" in reason

    def test_a_length_that_never_reaches_the_share_is_censored(self):
        table = drawn("log", seed=0, lengths=WIDE, runs=200)
        above = np.equal(table.T, WIDE[-1]) & (table.successes >= 0.5 * table.trials)
        law, reason = judge(table.where(~above))
        assert law == UNDECIDED
        assert reason.startswith("at T = 30000 no n surely exceeds the share")

    @pytest.mark.parametrize(
        ("results", "family", "unsure"),
        [("paper", "and3", []), ("quick", "and3", []), ("extended", "and3_wide", [2000, 5000, 10_000, 20_000])],
    )
    def test_of_the_published_tables_the_widest_alone_leaves_open_whether_a_size_exists(self, results, family, unsure):
        rates = read_frame(ROOT / f"docs/results/{results}/success_rates.parquet")
        rates = rates[rates["experiment"] == family]
        counts = Counts(*(rates[column].to_numpy() for column in ("T", "n", "trials", "successes")))
        p = never_above(counts, 0.5, 0.0, 999, Stream("p"))
        assert counts.lengths[p >= 0.05].tolist() == unsure

    def test_p_values_are_small_for_the_wrong_law_only(self):
        evidence = gather(drawn("power", seed=0, lengths=WIDE, runs=200), 0.5, 0.95, 99, {})
        assert evidence.rejects["log", "power"] == 0.01
        assert evidence.rejects["power", "log"] > 0.05
        assert evidence.best("aic") == evidence.best("bic") == "power"
