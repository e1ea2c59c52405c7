"""Checks that need several sections of the config: whether what an experiment or a figure names fits together."""

from collections.abc import Callable, Iterator, Mapping

from pipeline.baselines.consistent import ELIMINATION
from pipeline.config.experiments import CurveAddress, Experiment
from pipeline.config.factors import factors
from pipeline.config.figures import ComparisonFigure, Figure, Figures, NoiseFigure, SensitivityFigure
from pipeline.config.learners import TRAINED, Consistent, Transformer
from pipeline.config.protocols import REJECTION_MEND, Data, Training
from pipeline.config.sections import Location, Section
from pipeline.data.search_bounds import too_large
from pipeline.statistics.ladder import sizes_between

Problems = Iterator[tuple[Location, str]]


def experiment_problems(experiment: Experiment, data: Data, model: Section, training: Training | None) -> Problems:
    """What does not fit together in an experiment, each at its location below the experiment."""
    yield from _search_problems(experiment, data, model)
    if isinstance(model, Consistent) and _is_searched_before(experiment, data):
        yield (
            ("data",),
            f"{experiment.data!r} rejects ambiguous samples, and on the others the exact search of "
            f"{experiment.model!r} cannot fail; use a data protocol with reject_ambiguous: false",
        )
    if isinstance(model, tuple(TRAINED.values())) != (training is not None):
        yield ("training",), _MISFIT[training is None].format(experiment.model)
    elif experiment.adaptive and (training is None or training.samples == "fresh"):
        yield ("adaptive",), _NO_THRESHOLD[training is None].format(experiment.training or experiment.model)
    elif training is not None:
        yield from ((("training",), problem) for problem in _transformer_problems(experiment, model, training))
        yield from _batch_problems(experiment, training)
        yield from _size_problems(experiment)
        if training.samples == "fresh" and data.noisy:
            yield (
                ("data",),
                f"{experiment.data!r} has noise, and {experiment.training!r} draws fresh samples, without it",
            )


_MISFIT = {
    True: "missing; {!r} is trained by steps, so name a training protocol",
    False: "{!r} is fitted without training steps; write training: null",
}


_NO_THRESHOLD = {
    True: "{!r} is fitted without training steps, so a run costs little; write adaptive: null and a finer grid",
    False: "{!r} draws fresh samples at every step, so n is no sample size; write adaptive: null",
}


def _transformer_problems(experiment: Experiment, model: Section, training: Training) -> Iterator[str]:
    """Options that only Transformers have."""
    asked = {"norm_bound": training.norm_bound, "record: [attention]": "attention" in training.record}
    for option in (name for name, value in asked.items() if value and not isinstance(model, Transformer)):
        yield (
            f"{experiment.training!r} has {option}, and {experiment.model!r} is no transformer; "
            f"use a training protocol without {option.split(':')[0]}"
        )


def _batch_problems(experiment: Experiment, training: Training) -> Problems:
    sizes = ((location, index, n) for location, grid in experiment.located_grids() for index, n in enumerate(grid.n))
    for location, index, n in sizes:
        if n < (training.batch_size or 0):
            yield (
                (*location, "n", index),
                f"{n} is smaller than batch_size = {training.batch_size} of {experiment.training!r}; "
                f"use n >= {training.batch_size}",
            )
    smallest = experiment.adaptive and experiment.adaptive.n_min
    if smallest and smallest < (training.batch_size or 0):
        yield (
            ("adaptive", "n_min"),
            f"{smallest} is smaller than batch_size = {training.batch_size} of {experiment.training!r}; "
            f"use n_min >= {training.batch_size}",
        )


def _size_problems(experiment: Experiment) -> Problems:
    """Whether the sizes of an adaptive round fit between their bounds."""
    adaptive = experiment.adaptive
    for curve, cells in experiment.curves().items() if adaptive else ():
        low, high = adaptive.bounds([cell.n for cell in cells])
        if (found := len(sizes_between(low, high))) < adaptive.sizes:
            yield (
                ("adaptive", "sizes"),
                f"k = {curve.k}, T = {curve.T}: {adaptive.sizes} sizes are more than the {found} from n = {low} to "
                f"{high}; use fewer, or set n_min and n_max further apart",
            )


def overlap_problems(experiments: Mapping[str, Experiment]) -> Problems:
    """Adaptive runs that two experiments would choose, each for itself, at their location below the experiments."""
    owners: dict[CurveAddress, str] = {}
    for name, experiment in experiments.items():
        for curve in experiment.curves() if experiment.adaptive else ():
            if (owner := owners.setdefault(curve, name)) != name:
                yield (
                    (name, "adaptive"),
                    f"k = {curve.k}, T = {curve.T} of the same learner is adaptive in {owner!r}; leave it out of one",
                )


def _search_problems(experiment: Experiment, data: Data, model: Section) -> Problems:
    """Exact searches that are too large: the learner's own, or that for a second support of each training set."""
    if not isinstance(model, Consistent) and not data.reject_ambiguous:
        return
    mend = "use a smaller T or k" if isinstance(model, Consistent) else REJECTION_MEND
    for location, grid in experiment.located_grids():
        fewest = experiment.adaptive.bounds(grid.n)[0] if experiment.adaptive else min(grid.n)
        for index, T in enumerate(grid.T):
            problems = (too_large(experiment.function, k, T, fewest) for k in grid.k)
            yield from (((*location, "T", index), f"{problem}; {mend}") for problem in problems if problem)


def _is_searched_before(experiment: Experiment, data: Data) -> bool:
    """Whether the consistent learner's own search, which AND and OR take none of, has a single support to find."""
    return data.reject_ambiguous and not data.noisy and experiment.function not in ELIMINATION


def figure_problems(
    figures: Figures,
    experiments: Mapping[str, Experiment],
    data: Mapping[str, Data],
    training: Mapping[str, Training],
) -> Problems:
    """What figures need of their experiments and these do not have, each at its location below the figures."""
    for key, index, name, figure in _shown(figures, experiments):
        experiment = experiments[name]
        protocols = data[experiment.data], training.get(experiment.training)
        problems = (CONDITIONS[need](experiment, *protocols) for need in figure.needs)
        yield from (((key, "experiments", index), problem.format(repr(name))) for problem in problems if problem)


def _shown(figures: Figures, experiments: Mapping[str, Experiment]) -> Iterator[tuple[str, int, str, Figure]]:
    """Every figure's name, with the place and the name of every experiment in it that is on, and the figure."""
    for key, figure in figures:
        if isinstance(figure, Figure):
            places = ((key, index, name, figure) for index, name in enumerate(figure.experiments))
            yield from (place for place in places if experiments[place[2]].enabled)


def mark_problems(figures: Figures, experiments: Mapping[str, Experiment], data: Mapping[str, Data]) -> Problems:
    """Experiments that a figure would draw as the same mark, each at its location below the figures.

    They may differ in training or data, which such a figure does not tell apart.
    """
    owners: dict[tuple, str] = {}
    for key, index, name, figure in _shown(figures, experiments):
        if not isinstance(figure, ComparisonFigure):
            continue
        one = experiments[name]
        noise = data[one.data].rates if isinstance(figure, NoiseFigure) else ()
        for k, T in _lengths(one):
            if (owner := owners.setdefault((key, one.function, one.model, noise, k, T), name)) != name:
                mark = f"{one.model} on {one.function} of k = {k} bits at T = {T}"
                mark += " with the same noise" if noise else ""
                problem = f"{name!r} and {owner!r} would share a mark: {mark}; show one of them"
                yield (key, "experiments", index), problem
                break


def _lengths(experiment: Experiment) -> Iterator[tuple[int, int]]:
    """Each k with each T of its."""
    return ((k, T) for _, grid in experiment.located_grids() for k in grid.k for T in grid.T)


def sensitivity_problems(
    figure: SensitivityFigure,
    experiments: Mapping[str, Experiment],
    data: Mapping[str, Data],
    models: Mapping[str, Section],
    training: Mapping[str, Training],
) -> Problems:
    """Why experiments that are on are no variants of a base, each at its location below the figure."""
    base = experiments[figure.base]
    shown = [(index, name) for index, name in enumerate(figure.experiments) if experiments[name].enabled]
    if not shown:
        return
    if not base.enabled:
        yield ("base",), f"{figure.base!r} is off; write enabled: true in it, or leave the figure out"
    if problem := _fixed_samples(base, data[base.data], training.get(base.training)):
        yield ("base",), problem.format(repr(figure.base))
    for index, name in shown:
        found = [one.factor for one in factors(experiments[name], base, data, models, training)]
        if (experiments[name].function, _axis(experiments[name], "k")) != (base.function, _axis(base, "k")):
            yield ("experiments", index), f"{name!r} has another function or k than {figure.base!r}; use the same"
        elif not _axis(experiments[name], "T") & _axis(base, "T"):
            yield ("experiments", index), f"{name!r} has no T in common with {figure.base!r}; add one"
        elif len(found) != 1:
            differs = " and ".join(found) or "nothing"
            yield ("experiments", index), f"{name!r} differs from {figure.base!r} in {differs}; change one setting"


def _axis(experiment: Experiment, axis: str) -> set[int]:
    """All values of k, T or n of an experiment."""
    return {value for _, grid in experiment.located_grids() for value in getattr(grid, axis)}


Condition = Callable[[Experiment, Data, Training | None], str | None]


def _one(axis: str) -> Condition:
    def check(experiment: Experiment, data: Data, training: Training | None) -> str | None:
        count = len(_axis(experiment, axis))
        return f"{{}} has {count} values of {axis}; use an experiment with one" if count > 1 else None

    return check


def _one_n_for_each_k(experiment: Experiment, data: Data, training: Training | None) -> str | None:
    sizes: dict[int, set[int]] = {}
    for _, grid in experiment.located_grids():
        for k in grid.k:
            sizes.setdefault(k, set()).update(grid.n)
    several = ((k, len(found)) for k, found in sizes.items() if len(found) > 1)
    told = "{{}} has {1} values of n at k = {0}; use an experiment with one"
    return next((told.format(*one) for one in several), None)


def _one_noise(experiment: Experiment, data: Data, training: Training | None) -> str | None:
    return "{} has noise of labels and of bits; use an experiment with one kind" if all(data.rates) else None


def _fixed_samples(experiment: Experiment, data: Data, training: Training | None) -> str | None:
    fresh = training and training.samples == "fresh"
    return "{} draws fresh samples at every step; use an experiment with samples: fixed" if fresh else None


def _fresh_samples(experiment: Experiment, data: Data, training: Training | None) -> str | None:
    fresh = training and training.samples == "fresh"
    return None if fresh else "the samples of {} are fixed; use an experiment with samples: fresh"


def _whole_curves(experiment: Experiment, data: Data, training: Training | None) -> str | None:
    if training is None:
        return "{} has no training steps; use a learner that is trained"
    stops = training.success.when != "last"
    return "the runs of {} stop early; use a training protocol with success.when: last" if stops else None


def _recorded(what: str) -> Condition:
    def check(experiment: Experiment, data: Data, training: Training | None) -> str | None:
        recorded = training and what in training.record
        return None if recorded else f"{{}} does not record {what}; use a training protocol with record: [{what}]"

    return check


# Of an experiment and its protocols, what is wrong, with a place for the experiment's name; None if nothing is.
CONDITIONS = {
    "one_k": _one("k"),
    "one_T": _one("T"),
    "one_n_for_each_k": _one_n_for_each_k,
    "one_noise": _one_noise,
    "fixed_samples": _fixed_samples,
    "fresh_samples": _fresh_samples,
    "whole_curves": _whole_curves,
    "attention": _recorded("attention"),
    "progress": _recorded("progress"),
}
