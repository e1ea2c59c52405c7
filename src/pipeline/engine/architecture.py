"""Which architecture a model's settings ask for: known without torch, as the workflow asks too."""

from collections.abc import Mapping
from typing import Any


def architecture(settings: Mapping[str, Any]) -> str:
    """The name of an architecture in :mod:`pipeline.engine.models`, for a ``models`` entry, complete.

    It is the entry's ``kind``, but a Transformer of several layers or with dropout of embeddings is not the one that is
    made for one layer.
    """
    kind = settings["kind"]
    if kind == "transformer" and (settings["layers"] > 1 or settings["dropout"]["embedding"]):
        return "deep_transformer"
    return kind
