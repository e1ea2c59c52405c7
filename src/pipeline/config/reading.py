"""From a mapping or a YAML file to a config; every problem that is found becomes a line of one error."""

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline.config.learners import KINDS
from pipeline.config.problems import ConfigError, Form, problems, read
from pipeline.config.root import Config
from pipeline.config.sections import show

_CONFIG = Form(Config, "models", "kind", KINDS)


def parse(raw: dict[str, Any]) -> Config:
    """The config that a mapping (YAML after loading and merging) describes.

    Raises:
        ConfigError: if anything is wrong with it; the message lists every problem that was found.
    """
    raw = _mapping(raw, "config")
    try:
        return Config.model_validate(raw, context=_defined_names(raw))
    except ValidationError as error:
        raise ConfigError("\n".join(problems(error, _CONFIG))) from None


def load(*paths: str | Path) -> Config:
    """The config in YAML files, each laid over those before it, as behind ``--configfile``.

    Raises what `read` and `parse` raise.
    """
    return parse(reduce(_laid_over, (_mapping(read(path), path) for path in paths)))


def _mapping(raw: Any, place: str | Path) -> dict[str, Any]:
    if raw is None:
        raise ConfigError(f"{place}: empty; write at least one section, such as 'experiments'")
    if not isinstance(raw, dict):
        raise ConfigError(f"{place}: {show(raw)} is not a mapping; write 'key: value' lines")
    return raw


def _laid_over(below: Any, above: Any) -> Any:
    """Mappings are merged, all else is replaced."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def typed(value: Any) -> Any:
    """A value of ``--config``, whose nested parts Snakemake leaves as text, with each text read as YAML."""
    if isinstance(value, Mapping):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        return value


def _defined_names(raw: dict[str, Any]) -> dict[str, list[str]]:
    """Names by kind, read before validation: an entry with a mistake in it is still there to be referred to."""
    sections = {"data": "data", "model": "models", "training": "training", "experiment": "experiments"}
    entries = {kind: raw.get(key, Config.model_fields[key].default) for kind, key in sections.items()}
    return {
        kind: [name for name in named if isinstance(name, str)]
        for kind, named in entries.items()
        if isinstance(named, dict)
    }
