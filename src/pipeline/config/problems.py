"""What is wrong with a YAML file, in words: each problem by its place, with the mend."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.sections import Location, Section, nearest, on_a_line, show


class ConfigError(ValueError):
    """A config that cannot be used; the message has one line per problem, ``path.to.key: what is wrong; the mend``."""


@dataclass(frozen=True)
class Form:
    """What a file may hold: the sections below ``root``, where the entries of one key are of several kinds.

    ``key`` is that key, ``tag`` the key of an entry that tells its kind, and ``kinds`` the section of each kind.
    """

    root: type[Section]
    key: str
    tag: str
    kinds: Mapping[str, type[Section]]


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


def problems(error: ValidationError, form: Form) -> list[str]:
    """A line for each problem that pydantic found, ``path.to.key: what is wrong; the mend``."""
    # pydantic does not count wrong entries, so it calls a list that holds nothing else too short as well
    found = (one for one in error.errors() if not (one["type"] == "too_short" and one["input"]))
    return [f"{_path(one, form)}: {_explain(one, form)}" for one in found]


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


# Every error type of a section's fields, in our words; a placeholder is the value or in the error's context.
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


def _path(error: ErrorDetails, form: Form) -> str:
    location = error["loc"]
    if error["type"] == "union_tag_invalid":
        location += (form.tag,)
    elif location[0] == form.key and location[2:3] and location[2] in form.kinds:
        location = location[:2] + location[3:]  # pydantic tells the kind, which is no key
    parts = (f"[{part}]" if isinstance(part, int) else f".{on_a_line(part)}" for part in location if part != "[key]")
    return "".join(parts).removeprefix(".")


def _explain(error: ErrorDetails, form: Form) -> str:
    """One of pydantic's errors as ``what is wrong; the mend``."""
    kind, value, location = error["type"], error["input"], error["loc"]
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(str(location[-1]), _keys_at(location[:-1], form))}"
    if kind == "union_tag_invalid":
        tag = error["ctx"]["tag"]
        return f"unknown {form.tag} {tag!r}; {nearest(tag, form.kinds)}"
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


def _keys_at(location: Location, form: Form) -> Iterable[str]:
    """The keys that the section at a location may have."""
    section = form.root
    parts = iter(location)
    for part in parts:
        if part == form.key:
            next(parts)  # the entry's name
            section = form.kinds[next(parts)]
            continue
        annotation = section.model_fields[part].annotation
        if get_origin(annotation) in (dict, tuple):
            next(parts)  # the entry's name or place
        section = next(
            kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Section)
        )
    return section.model_fields
