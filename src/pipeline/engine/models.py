"""The architecture that a model's settings in the config describe."""

from typing import Any

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
    return KINDS[settings["kind"]](context_length, values)


def _transformer(context_length: int, values: dict[str, Any]) -> StackedModel:
    values = values | {"dropout": Dropout(**values["dropout"])}
    if values["layers"] > 1 or values["dropout"].embedding:
        return DeepTransformer(context_length, **values)
    del values["layers"]
    return Transformer(context_length, **values)


def _mlp(context_length: int, values: dict[str, Any]) -> StackedModel:
    return Mlp(context_length, **values | {"widths": tuple(values["widths"])})


def _lstm(context_length: int, values: dict[str, Any]) -> StackedModel:
    return Lstm(context_length, **values)


KINDS = {"transformer": _transformer, "mlp": _mlp, "lstm": _lstm}
