"""The configuration: what a config may say, its defaults (the paper's values) and every check on it.

`parse` turns a mapping into a `Config`; it finds all problems at once and names each by its path. A field that stands
for a value of the paper carries that value's provenance, one of `PROVENANCE`.
"""

from pipeline.config.experiments import NO_TRAINING, Adaptive, Cell, CurveAddress, Experiment, Grid
from pipeline.config.figures import Figure, Figures
from pipeline.config.learners import (
    FITTED,
    TRAINED,
    Consistent,
    DecisionTree,
    Dropout,
    LogisticRegression,
    Lstm,
    Mlp,
    Transformer,
)
from pipeline.config.problems import ConfigError, read
from pipeline.config.protocols import Data, NormBound, Success, Training
from pipeline.config.reading import load, parse, typed
from pipeline.config.root import Analysis, Compute, Config
from pipeline.config.sections import PROVENANCE, Section

__all__ = [
    "FITTED",
    "NO_TRAINING",
    "PROVENANCE",
    "TRAINED",
    "Adaptive",
    "Analysis",
    "Cell",
    "Compute",
    "Config",
    "ConfigError",
    "Consistent",
    "CurveAddress",
    "Data",
    "DecisionTree",
    "Dropout",
    "Experiment",
    "Figure",
    "Figures",
    "Grid",
    "LogisticRegression",
    "Lstm",
    "Mlp",
    "NormBound",
    "Section",
    "Success",
    "Training",
    "Transformer",
    "load",
    "parse",
    "read",
    "typed",
]
