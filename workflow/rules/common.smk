# Requires: the config. The functions name rules, which are there when they are called.
# Yields: what the rules need of the wildcards and of the config.


def cell_of(wildcards, training):
    """The cell of a job."""
    texts = (wildcards.function, wildcards.data, wildcards.model, training)
    return pipeline.config.Cell(
        *texts, int(wildcards.k), int(wildcards.T), int(wildcards.n)
    )


def curve_of(wildcards):
    """The curve of a job."""
    texts = (wildcards.function, wildcards.data, wildcards.model, wildcards.training)
    return pipeline.config.CurveAddress(*texts, int(wildcards.k), int(wildcards.T))


def inputs_of_design(wildcards):
    """The runs by which a round is designed."""
    patterns = rules.train.output[0], rules.train_adaptive.output.runs
    return targets.design_inputs(
        CONFIG, curve_of(wildcards), int(wildcards.round), *patterns, PRESENT
    )


def runs_of(experiments):
    """The result files of some experiments, by name: of their grids, and of their adaptive rounds."""
    return {
        "files": targets.run_files(
            CONFIG, experiments.values(), rules.train.output[0], PRESENT
        ),
        "adaptive": targets.adaptive_files(
            experiments.values(), rules.train_adaptive.output.runs
        ),
    }


def experiments_of(figure):
    """What a figure of experiments is told of them, as options."""
    if figure in targets.THEORY_FIGURES:
        return ""
    shown, models = targets.shown(CONFIG, figure), sorted(CONFIG.models)
    return f"--experiments {' '.join(shown)} --models {' '.join(models)}"


def code_of(module):
    """The fingerprint of a module, for a rule's params: found when a job needs it, since many processes have one job."""
    return lambda wildcards: fingerprint(module)
