"""From a mapping or a YAML file to a config; every problem that is found becomes a line of one error."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.learners import KINDS
from pipeline.config.root import Config
from pipeline.config.sections import Location, Section, nearest, show


class ConfigError(ValueError):
    """A config that cannot be used; the message has one line per problem, ``path.to.key: what is wrong; the mend``."""


def parse(raw: dict[str, Any]) -> Config:
    """The config that a mapping (YAML after loading and merging) describes.

    Raises:
        ConfigError: if anything is wrong with it; the message lists every problem that was found.
    """
    if raw is None:
        raise ConfigError("config: empty; write at least the section 'experiments'")
    if not isinstance(raw, dict):
        raise ConfigError(f"config: {show(raw)} is not a mapping; write 'key: value' lines")
    try:
        return Config.model_validate(raw, context=_defined_names(raw))
    except ValidationError as error:
        # pydantic does not count wrong entries, so it calls a list that holds nothing else too short as well
        problems = [found for found in error.errors() if not (found["type"] == "too_short" and found["input"])]
        lines = [f"{_path(problem)}: {_explain(problem)}" for problem in problems]
        raise ConfigError("\n".join(lines)) from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe YAML loader for which a key written twice is an error; PyYAML silently keeps the last one."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def read(path: str | Path) -> Any:
    """What a YAML file says.

    Raises:
        ConfigError: the file is not YAML in UTF-8, or has a key twice.
        OSError: the file cannot be read.
    """
    try:
        return yaml.load(Path(path).read_bytes().decode(), _UniqueKeyLoader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}:{error.problem_mark.line + 1}: {error.problem}; correct the YAML") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start}: {error.reason}; save the file as UTF-8 text") from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{path}: character {error.position}: {error.reason}; save the file as UTF-8 text") from None


def load(path: str | Path) -> Config:
    """The config in a YAML file; raises what `read` and `parse` raise."""
    return parse(read(path))


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


# Every error type that the fields above can raise, in our words; a placeholder is the value or in the error's context.
_MAPPING = "{value} is not a mapping; write 'key: value' lines"
_TEXT = "{value} is not text; write text, in quotes if need be"
_MESSAGES = {
    "value_error": "{error}",
    "missing": "missing; add it",
    "too_short": "empty; add at least one entry",
    "model_type": _MAPPING,
    "dict_type": _MAPPING,
    "tuple_type": "{value} is not a list; put the values in brackets: [...]",
    "string_type": _TEXT,
    "invalid_key": _TEXT,
    "string_pattern_mismatch": "{value} is not a valid name; use a-z, 0-9 and _, a letter first",
    "bool_type": "{value} is not a truth value; write true or false",
    "int_type": "{value} is not an integer; write a whole number",
    "float_type": "{value} is not a number; write a number such as 0.5",
    "finite_number": "{value} is not finite; write a finite number",
    "literal_error": "{value} is not allowed; use {expected}",
    "greater_than": "{value} is out of range; use a value > {gt}",
    "greater_than_equal": "{value} is out of range; use a value >= {ge}",
    "less_than": "{value} is out of range; use a value < {lt}",
    "less_than_equal": "{value} is out of range; use a value <= {le}",
}


def _path(error: ErrorDetails) -> str:
    location = error["loc"]
    if error["type"] == "union_tag_invalid":
        location += ("kind",)
    elif location[0] == "models" and location[2:3] and location[2] in KINDS:
        location = location[:2] + location[3:]  # pydantic tells the kind, which is no key
    parts = (f"[{part}]" if isinstance(part, int) else f".{_on_a_line(part)}" for part in location if part != "[key]")
    return "".join(parts).removeprefix(".")


def _on_a_line(key: str) -> str:
    return key if key and key.isprintable() else repr(key)


def _explain(error: ErrorDetails) -> str:
    """One of pydantic's errors as ``what is wrong; the mend``."""
    kind, value, location = error["type"], error["input"], error["loc"]
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(str(location[-1]), _keys_at(location[:-1]))}"
    if kind == "union_tag_invalid":
        tag = error["ctx"]["tag"]
        return f"unknown kind {tag!r}; {nearest(tag, KINDS)}"
    if kind in ("int_type", "float_type") and isinstance(value, str) and (number := _number_in(value)):
        return f"YAML reads {value!r} as text, not as a number; write {number}"
    return _MESSAGES[kind].format(value=show(value), **error.get("ctx", {}))


def _number_in(text: str) -> str | None:
    """The number that a text stands for, in a form that YAML reads as a number; 3e-3 is text, as it has no dot."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return yaml.safe_dump(int(number) if number.is_integer() else number).split()[0]


def _keys_at(location: Location) -> Iterable[str]:
    """The keys that the section at a location may have."""
    section = Config
    parts = iter(location)
    for part in parts:
        if part == "models":
            next(parts)  # the entry's name
            section = KINDS[next(parts)]
            continue
        annotation = section.model_fields[part].annotation
        if get_origin(annotation) in (dict, tuple):
            next(parts)  # the entry's name or place
        section = next(
            kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Section)
        )
    return section.model_fields
