"""The architecture that a model's settings in the config describe."""

from typing import Any

from pipeline.engine.architecture import architecture
from pipeline.engine.deep_transformer import DeepTransformer
from pipeline.engine.dropout import Dropout
from pipeline.engine.lstm import Lstm
from pipeline.engine.mlp import Mlp
from pipeline.engine.model import StackedModel
from pipeline.engine.transformer import Transformer


def build_model(settings: dict[str, Any], context_length: int) -> StackedModel:
    """The architecture of a ``models`` entry, for inputs of T bits.

    Args:
        settings: the entry, complete; ``kind`` names the architecture.
        context_length: T.
    """
    values = {name: value for name, value in settings.items() if name != "kind"}
    return ARCHITECTURES[architecture(settings)](context_length, values)


def _transformer(context_length: int, values: dict[str, Any]) -> StackedModel:
    values = {name: value for name, value in values.items() if name != "layers"}
    return Transformer(context_length, **values | {"dropout": Dropout(**values["dropout"])})


def _deep_transformer(context_length: int, values: dict[str, Any]) -> StackedModel:
    return DeepTransformer(context_length, **values | {"dropout": Dropout(**values["dropout"])})


def _mlp(context_length: int, values: dict[str, Any]) -> StackedModel:
    return Mlp(context_length, **values | {"widths": tuple(values["widths"])})


def _lstm(context_length: int, values: dict[str, Any]) -> StackedModel:
    return Lstm(context_length, **values)


# A job uses one of these, so its fingerprint leaves out the others (pipeline.workflow.specifications.training_code).
ARCHITECTURES = {"transformer": _transformer, "deep_transformer": _deep_transformer, "mlp": _mlp, "lstm": _lstm}
