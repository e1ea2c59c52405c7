"""What learners and functions are called where people read of them: in figures, tables and the summary."""

import math

LEARNER_NAMES = {
    "transformer": "Transformer",
    "mlp": "MLP",
    "lstm": "LSTM",
    "logistic_regression": "L1 logistic regression",
    "decision_tree": "Decision tree",
    "consistent": "Consistent learner",
}

_OPERATORS = {"and", "or", "xor"}


def learner_label(model: str) -> str:
    """The usual name of a learner, such as ``L1 logistic regression``; a model of another name in its own words."""
    return LEARNER_NAMES.get(model, model.replace("_", " "))


def function_label(function: str) -> str:
    """The usual name of a Boolean function, such as ``AND`` or ``parity``."""
    return function.upper() if function in _OPERATORS else function.replace("_", " ")


def task_label(function: str, k: int | str) -> str:
    """The usual name of a sparse function, such as ``3-way AND`` or ``3-way parity``."""
    return f"{k}-way {function_label(function)}"


def exponent_label(c: float, low: float, high: float, p_free: float) -> str:
    """The exponent beside an offset, such as ``n = a T^c + b, c = -0.131 [-0.516, 0.273]``, and its goodness of fit."""
    value, *ends = ("open" if math.isnan(number) else f"{number:z.3f}" for number in (c, low, high))
    value = value if value == "open" else f"= {value}"
    return f"n = a T^c + b, c {value} [{', '.join(ends)}] (0 is log T, 1 linear; goodness of fit p = {p_free:.2g})"


def percent(share: float) -> str:
    """A share in per cent, with as many digits as it has, such as ``95%`` or ``99.9%``."""
    return f"{100 * share:.6g}%"


def panel_title(name: str, experiment: str) -> str:
    """The title of one of several panels, such as ``3-way AND, Transformer (and3)``."""
    return f"{name} ({experiment})"
