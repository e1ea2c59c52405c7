"""The tables of laws, against known truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from law_truths import FORMULAS, TRUTHS, T, drawn
from pipeline.statistics import law_tables
from pipeline.statistics.joint_model import Counts
from pipeline.statistics.law_verdict import UNDECIDED
from pipeline.statistics.laws import LAWS


def rates_of(table: Counts, **address) -> pd.DataFrame:
    keys = {"experiment": "e", "function": "and", "model": "m", "k": 3} | address
    counts = {"T": table.T, "n": table.n, "trials": table.trials, "successes": table.successes}
    return pd.DataFrame({**keys, **counts})


@pytest.fixture(scope="module")
def tables():
    few = drawn("log", seed=5, lengths=np.array([50, 100, 300]))
    ragged = drawn("log", seed=4)
    ragged = ragged.where(np.arange(len(ragged.n)) % 7 > 0)  # other n at each T
    ragged = replace(ragged, trials=ragged.trials + np.arange(len(ragged.n)) % 3)
    return law_tables.law_tables(pd.concat([rates_of(ragged), rates_of(few, k=2)]), 0.5, 0.95, 60)


class TestTables:
    def test_a_row_a_law_and_a_row_a_family(self, tables):
        assert tables.fits["law"].tolist() == [*LAWS, *LAWS]
        assert tables.verdicts["k"].tolist() == [2, 3]
        assert tables.verdicts["contexts"].tolist() == [3, 5]
        assert list(tables.fits.columns) == law_tables.FITS
        assert list(tables.verdicts.columns) == law_tables.VERDICTS

    def test_too_few_lengths_are_null_and_undecided(self, tables):
        few = tables.verdicts.iloc[0]
        assert few["verdict"] == UNDECIDED
        assert few["reason"] == "3 context lengths show both sides of the threshold, and 4 are needed"
        assert few[["best_aic", "log_vs_power", "p_log", "asymptote"]].isna().all()
        assert tables.fits.loc[tables.fits["k"] == 2, ["a", "b", "aic", "parameters"]].isna().all(axis=None)
        assert set(tables.sizes["k"]) == set(tables.curves["k"]) == {3}

    def test_the_true_law_is_estimated(self, tables):
        log = tables.fits.query("k == 3 and law == 'log'").iloc[0]
        a, b = TRUTHS["log"]
        assert log["a_low"] < a < log["a_high"]
        assert log["b_case_low"] < b < log["b_case_high"]
        for kind in ("", "parametric_", "case_"):
            assert log[f"a_{kind}low"] < log["a"] < log[f"a_{kind}high"]
        power = tables.fits.query("k == 3 and law == 'power'").iloc[0]
        assert 0 < power["a_low"] < power["a"] < power["a_high"]
        sizes = tables.sizes.set_index("T")
        assert ((sizes["n_low"] < sizes["n"]) & (sizes["n"] < sizes["n_high"])).all()
        np.testing.assert_allclose(sizes["n"], FORMULAS["log"](a, b, sizes.index.to_numpy()), rtol=0.2)

    def test_the_mean_size_is_that_of_the_single_sizes_with_an_interval_of_its_own(self, tables):
        family, of_mean = tables.verdicts.iloc[1], ["n_mean", "n_mean_low", "n_mean_high"]
        mean, low, high = family[of_mean].astype(float)
        assert mean == pytest.approx(np.exp(np.log(tables.sizes["n"]).mean()))
        truth = np.exp(np.log(FORMULAS["log"](*TRUTHS["log"], T)).mean())
        assert low < truth < high
        narrowest = (tables.sizes["n_high"] / tables.sizes["n_low"]).min()
        assert high / low < narrowest, "five T say more of their mean than one of itself"
        assert tables.verdicts.iloc[0][of_mean].isna().all()

    def test_the_exponent_beside_an_offset(self, tables):
        few, family = tables.verdicts.iloc[0], tables.verdicts.iloc[1]
        assert family["c_low"] < 0 < family["c_high"]
        assert family["c_low"] < family["c"] < family["c_high"]
        assert few[["c", "c_low", "c_high", "c_p_free"]].isna().all()

    def test_criteria_follow_from_the_likelihood(self, tables):
        fits = tables.fits[tables.fits["k"] == 3]
        np.testing.assert_allclose(fits["aic"], 2 * fits["parameters"] - 2 * fits["log_likelihood"])
        np.testing.assert_allclose(fits["bic"] - fits["aic"], (np.log(fits["runs"]) - 2) * fits["parameters"])
        weights = np.exp(-(fits["aic"] - fits["aic"].min()) / 2)
        np.testing.assert_allclose(fits["aic_weight"], weights / weights.sum())
        ratio = fits.set_index("law")["log_likelihood"]
        assert tables.verdicts.iloc[1]["log_vs_power"] == pytest.approx(ratio["log"] - ratio["power"])

    def test_curves_pass_through_the_laws_values(self, tables):
        fits = tables.fits[tables.fits["k"] == 3].set_index("law")
        for name, curve in tables.curves.groupby("law"):
            expected = FORMULAS[name](fits.loc[name, "a"], fits.loc[name, "b"], curve["T"])
            np.testing.assert_allclose(curve["n"], expected)
            assert curve["T"].max() == pytest.approx(10 * T[-1])

    def test_they_are_the_same_whatever_the_order_and_the_company(self, tables):
        table = rates_of(drawn("log", seed=4))
        alone = law_tables.law_tables(table, 0.5, 0.95, 20)
        other = rates_of(drawn("power", seed=9, lengths=T[:3]), function="or")
        both = law_tables.law_tables(pd.concat([other, table]).sample(frac=1, random_state=0), 0.5, 0.95, 20)
        ours = both.fits[both.fits["function"] == "and"].reset_index(drop=True)
        pd.testing.assert_frame_equal(ours, alone.fits, rtol=1e-3)

    def test_a_share_outside_its_range_is_refused(self):
        with pytest.raises(ValueError, match="share must be in"):
            law_tables.law_tables(rates_of(drawn("log", seed=4)), 1.0, 0.95, 20)
