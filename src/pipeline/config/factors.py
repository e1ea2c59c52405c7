"""In what one experiment differs from another: the settings of data, learner and training, each a factor."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.config.experiments import Experiment
from pipeline.config.protocols import Data, Training
from pipeline.config.sections import Section


class Factor(NamedTuple):
    """A setting in which an experiment differs from a base, and both values, in words."""

    factor: str
    value: str
    base_value: str


def factors(
    experiment: Experiment,
    base: Experiment,
    data: Mapping[str, Data],
    models: Mapping[str, Section],
    training: Mapping[str, Training],
) -> list[Factor]:
    """Every setting in which two experiments differ; a section of settings, such as dropout, is one factor.

    Args:
        experiment: an experiment.
        base: another one.
        data: the config's data protocols.
        models: its learners.
        training: its training protocols.
    """
    pairs = [
        (data[experiment.data], data[base.data]),
        (models[experiment.model], models[base.model]),
        (training.get(experiment.training), training.get(base.training)),
    ]
    return [factor for one, other in pairs for factor in _differences(one, other)]


def _differences(one: Section | None, other: Section | None) -> list[Factor]:
    if type(one) is not type(other):
        kinds = [getattr(section, "kind", "training" if section else "none") for section in (one, other)]
        return [Factor("learner", *kinds)]
    return [
        Factor(name, *_words(getattr(one, name), getattr(other, name)))
        for name in (type(one).model_fields if one else ())
        if getattr(one, name) != getattr(other, name)
    ]


def _words(value: Any, other: Any) -> tuple[str, str]:
    """Two values that differ; of sections, the settings in which they do, named in the first only."""
    if isinstance(value, Section) and isinstance(other, Section):
        names = [name for name in type(value).model_fields if getattr(value, name) != getattr(other, name)]
        return _settings(value, names), ", ".join(dict.fromkeys(_word(getattr(other, name)) for name in names))
    return _word(value), _word(other)


def _settings(section: Section, names: list[str]) -> str:
    """The settings of a section, those of one value together: ``attention, mlp 0.1``."""
    values: dict[str, list[str]] = {}
    for name in names:
        values.setdefault(_word(getattr(section, name)), []).append(name)
    return ", ".join(f"{', '.join(equal)} {value}" for value, equal in values.items())


def _word(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, tuple):
        return ", ".join(map(_word, value)) or "none"
    if isinstance(value, Section):
        return _settings(value, [name for name in type(value).model_fields if getattr(value, name) is not None])
    return f"{value:g}" if isinstance(value, float) else str(value)
