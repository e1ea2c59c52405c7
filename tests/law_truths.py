"""Laws with known coefficients, and tables of successes that are expected or drawn under them."""

from dataclasses import replace

import numpy as np

from pipeline.randomness import Stream
from pipeline.statistics.joint_model import Counts, Model, Shape
from pipeline.statistics.laws import Law
from pipeline.statistics.maximum_likelihood import draw

T = np.array([50, 100, 300, 1000, 5000])
TRUTHS = {  # a and b of each law
    "constant": (np.nan, 60.0),
    "proportional_log": (9.0, np.nan),
    "log": (15.0, -30.0),
    "power": (14.0, 0.3),
    "linear": (0.05, 30.0),
}
FORMULAS = {
    "constant": lambda a, b, T: b + 0 * T,
    "proportional_log": lambda a, b, T: a * np.log(T),
    "log": lambda a, b, T: a * np.log(T) + b,
    "power": lambda a, b, T: a * T**b,
    "linear": lambda a, b, T: a * T + b,
}


def ends(name: str, lengths=T) -> np.ndarray:
    """The parameters of a law with the coefficients of ``TRUTHS``."""
    return np.log(FORMULAS[name](*TRUTHS[name], lengths[[0, -1]].astype(float)))[-Law(name, lengths).size :]


LAPSING = Shape(1, 2)


def cells(name="log", lengths=T, runs=50, shape=LAPSING, share=0.5, steepness=5.0, asymptote=(2.0, -0.3)):
    """A model, its parameters [1, size], and a table whose successes are what it expects, not rounded."""
    model = Model(Law(name, lengths), shape, share)
    rest = [np.log(steepness), 0.1][: shape.steepness] + list(asymptote)[: shape.asymptote]
    parameters = np.array([*ends(name, lengths), *rest])[None]
    sizes = np.exp(model.law.ln_n(model.split(parameters)[0], lengths)[0][0])
    n = np.outer(sizes, np.geomspace(0.4, 4, 8)).round().ravel()
    table = Counts(np.repeat(lengths, 8), n, np.full(len(n), runs), np.zeros(len(n)))
    success = model.rates(parameters, table.T, table.n)[0][0]
    return model, parameters, replace(table, successes=runs * success)


def drawn(name: str, seed: int, correlation=0.0, **options) -> Counts:
    """A table drawn from the model of :func:`cells`."""
    _, _, table = cells(name, **options)
    stream = Stream("test", seed=seed)
    return replace(table, successes=draw(table.successes / table.trials, table, correlation, stream, 1)[0])
