"""Laws of growth, from tables that follow them."""

import numpy as np
import pandas as pd
import pytest

from pipeline.theory.growth import line, query_key_in_power_of_log_T, readout_in_k, samples_in_T


def test_a_line_and_what_it_explains():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    assert line(x, 2 * x + 1) == pytest.approx((2, 0, 1, 1, 4))
    assert line(x, np.array([0.0, 1.0, 1.0, 0.0])) == pytest.approx((0, (1 / 10) ** 0.5, 0.5, 0, 4))


def test_laws_of_the_norms_are_found_again():
    length = [{"sweep": "length", "k": 3, "T": T, "qk_frobenius": 3 * np.log(T) ** 0.8} for T in (10, 100, 1000)]
    sparsity = [{"sweep": "sparsity", "k": k, "T": 10, "readout_frobenius": 3.0 * k**2} for k in range(1, 7)]
    table = pd.DataFrame([*length, *sparsity]).assign(function="and", feasible=True, symmetric=True)
    general = table.assign(function="junta", readout_frobenius=5 * 4.0 ** table["k"], symmetric=False)
    lucky = table[table["sweep"] == "sparsity"].assign(function="junta")
    failed = table.assign(feasible=False, qk_frobenius=np.nan, readout_frobenius=np.nan)
    table = pd.concat([table, general, lucky, failed])
    assert query_key_in_power_of_log_T(table) == pytest.approx((0.8, 0, np.log(3), 1, 3), abs=1e-9)
    symmetric, other = readout_in_k(table, "and"), readout_in_k(table, "junta")
    assert symmetric["power"] == pytest.approx((2, 0, np.log2(3), 1, 5), abs=1e-9)
    assert symmetric["exponential"].r_squared < symmetric["power"].r_squared
    assert other["exponential"] == pytest.approx((2, 0, np.log2(5), 1, 5), abs=1e-9)
    assert other["power"].r_squared < other["exponential"].r_squared


def test_constructions_of_one_length_count_once():
    """They share their position vectors: three that are alike are no three tries, and the mean of three is one."""
    norms = pd.Series([2.0, 2.6, 2.9, 3.1], index=[10, 100, 1000, 10_000])
    rows = [{"T": T, "qk_frobenius": norm * spread} for T, norm in norms.items() for spread in (0.9, 1.0, 1 / 0.9)]
    table = pd.DataFrame(rows).assign(sweep="length", function="and", k=3, feasible=True)
    alone = line(np.log(np.log(norms.index)), np.log(norms))
    assert query_key_in_power_of_log_T(table) == pytest.approx(alone)


def test_exponents_of_the_bounds():
    rows = [{"bound": "norms", "source": "constructed", "T": T, "samples": 7.0 * T**0.2} for T in (10, 100, 1000)]
    rows += [{"bound": "parameters", "source": "formula", "T": T, "samples": 3.0 * T} for T in (10, 100, 1000)]
    rows += [{"bound": "norms", "source": "trained", "T": 10, "samples": 1e9}]
    exponents = {name: law.slope for name, law in samples_in_T(pd.DataFrame(rows)).items()}
    assert exponents == pytest.approx({"norms": 0.2, "parameters": 1})
