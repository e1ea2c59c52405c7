"""What a job's code does, as a short hash: the workflow reruns a job when it changes, and only then.

The hash covers a module and what it uses of this package, directly or not: the functions and classes that are named
from there on, and of every module that has one of them its other statements too, since they run on import. Code is
compared as syntax trees without docstrings, so comments, docstrings, formatting, the order of imports and definitions
and mere touching change nothing, and neither does a function that the job never comes to. C code (a file of the
module's name that ends in .c, with the headers beside it that it includes) belongs to its module, without comments, and
so do the parts of a web page that stand beside a module under its name.

Names are followed as they are written, and imports are absolute. What a decorator of this package marks counts wherever
its module is imported; a function that is found in another way, such as by ``getattr``, is not seen.
"""

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "pipeline"
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DEFINITION = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
ASSIGNMENT = ast.Assign | ast.AnnAssign
IMPORT = ast.Import | ast.ImportFrom


@cache  # the workflow asks for the same one with every job
def fingerprint(module: str, *unused: str, **entries: str) -> str:
    """Hash of a module of this package, such as ``"pipeline.jobs.train"``, and of all that it uses from it.

    Args:
        module: the module; of itself, everything counts.
        unused: modules that are not followed, since the job does not come to them.
        entries: by the name of a registry (a module's dict of named entries) the only entry that the job uses, such
            as ``FUNCTIONS="and"``; a registry without this entry counts whole.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    pending, seen = {(module, name) for name in _all_names(module)}, {}
    while pending:
        place = pending.pop()
        known = _read(place[0]).assigned if place[1] == ASSIGNED else ()
        seen[place], uses = _code(*place, tuple((name, entries[name]) for name in sorted(entries) if name in known))
        pending |= {found for found in uses if found not in seen and (found[0] not in unused or not found[1])}
    code = sorted(found for found in seen.items() if found[1])  # a module that is imported and runs nothing is nothing
    return hashlib.sha256(repr(code).encode()).hexdigest()[:16]


Place = tuple[str, str]  # a module and a name in it: of a function or class, or ASSIGNED, or "" for what always runs
ASSIGNED = "="


@cache  # of the entries it is given only those of the place's own registries, so most places are read once
def _code(module: str, name: str, entries: tuple[tuple[str, str], ...]) -> tuple[str, frozenset[Place]]:
    """The code at a place, and the places that it uses."""
    source = _read(module)
    if not name:
        own, uses = source.always, {(found, "") for found in (*_parents(module), *source.imported_modules())}
        uses |= {(module, found) for found in source.registered}
    elif name == ASSIGNED:
        own, uses = [_restricted(statement, dict(entries)) for statement in source.assignments], set()
    elif name in source.definitions:
        own, uses = source.definitions[name], {(module, ASSIGNED), (module, "")}
    else:  # from elsewhere, or one of the module's variables
        targets = source.imports.get(name, ())
        return "", frozenset({_place(target) for target in targets} | {(module, ASSIGNED), (module, "")})
    names = _Names(module, source)
    for statement in own:
        names.visit(statement)
    code = [*map(ast.dump, own), *sorted(names.imports), source.beside if name == ASSIGNED else ""]
    return "\n".join(code), frozenset(uses | names.places)


@dataclass(frozen=True)
class _Source:
    """A module's statements, without docstrings.

    Attributes:
        definitions: functions and classes, by name.
        assignments: to variables of the module.
        always: whatever else is not an import; it runs even if only other modules' names are used.
        registered: names of functions and classes with a decorator of this package, which may make them known
            elsewhere when the module is imported.
        imports: what each imported name stands for, as dotted names.
        beside: the files beside the module that belong to it: C code, the parts of a web page.
    """

    definitions: dict[str, list[ast.stmt]]
    assignments: list[ast.stmt]
    always: list[ast.stmt]
    registered: set[str]
    imports: dict[str, set[str]]
    beside: str

    @cached_property
    def assigned(self) -> set[str]:
        """The variables of the assignments."""
        return {node.id for one in self.assignments if isinstance(node := _target(one), ast.Name)}

    def imported_modules(self) -> set[str]:
        """The modules of this package that an import runs."""
        return {_place(target)[0] for targets in self.imports.values() for target in targets if _own(target)}


@cache
def _read(module: str) -> _Source:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module} under {ROOT}")
    tree = ast.parse(path.read_bytes())
    source = _Source({}, [], [], set(), {}, _c_code(path.with_suffix(".c")) + _web_parts(path))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            del node.body[0]
        for name, target in _imported(node):
            source.imports.setdefault(name, set()).add(target)
    for statement in tree.body:
        if isinstance(statement, DEFINITION):
            source.definitions.setdefault(statement.name, []).append(statement)
            marks = (node for mark in statement.decorator_list for node in ast.walk(mark))
            names = {node.id for node in marks if isinstance(node, ast.Name)}
            if any(_own(target) for name in names for target in source.imports.get(name, ())):
                source.registered.add(statement.name)
        elif isinstance(statement, ASSIGNMENT):
            source.assignments.append(statement)
        elif not isinstance(statement, IMPORT):
            source.always.append(statement)
    return source


@cache
def _path(module: str) -> Path | None:
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.exists()), None)


def _parents(module: str) -> Iterator[str]:
    """The packages that a module lies in; importing it runs them."""
    parts = module.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts)))


def _place(target: str) -> Place:
    """Where something is whose dotted name is known: ``"a.b.f"`` -> ``("a.b", "f")``; of a module, what always runs."""
    parts = target.split(".")
    for end in range(len(parts), 0, -1):
        if _path(module := ".".join(parts[:end])):
            return module, "".join(parts[end : end + 1])
    raise ModuleNotFoundError(f"no module {target} under {ROOT}")


class _Names(ast.NodeVisitor):
    """Collects what the statements of a module name.

    Attributes:
        places: functions, classes and variables of this package's modules.
        imports: names that are imported, with what they stand for.
    """

    def __init__(self, module: str, source: _Source) -> None:
        self.module, self.source = module, source
        self.places: set[Place] = set()
        self.imports: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self.source.definitions:
            self.places.add((self.module, node.id))
        for target in self._targets(node):
            module, name = _place(target)
            self.places |= {(module, one) for one in ([name] if name else _all_names(module))}

    def visit_Attribute(self, node: ast.Attribute) -> None:
        modules = [target for target in self._targets(node.value) if not _place(target)[1]]
        self.places |= {_place(f"{module}.{node.attr}") for module in modules}
        if not modules:
            self.generic_visit(node)

    def _targets(self, node: ast.expr) -> list[str]:
        """What an imported name of this package stands for."""
        targets = self.source.imports.get(node.id, ()) if isinstance(node, ast.Name) else ()
        self.imports |= {f"{node.id} is {target}" for target in targets}
        return [target for target in targets if _own(target)]


def _all_names(module: str) -> tuple[str, ...]:
    return ("", ASSIGNED, *_read(module).definitions)


def _own(target: str) -> bool:
    return target.split(".")[0] == PACKAGE


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that an import binds, and what they stand for; ``import a.b`` binds a and counts as all of a.b."""
    if isinstance(node, ast.Import):
        yield from ((alias.asname or alias.name.split(".")[0], alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _restricted(statement: ast.Assign | ast.AnnAssign, entries: Mapping[str, str]) -> ast.stmt:
    """An assignment; of a registry with a chosen entry, only that one."""
    target = _target(statement)
    if not (isinstance(target, ast.Name) and target.id in entries and isinstance(statement.value, ast.Dict)):
        return statement
    pairs = zip(statement.value.keys, statement.value.values, strict=True)
    chosen = [pair for pair in pairs if isinstance(pair[0], ast.Constant) and pair[0].value == entries[target.id]]
    return ast.Assign([target], ast.Dict(*map(list, zip(*chosen, strict=True)))) if chosen else statement


def _target(statement: ast.Assign | ast.AnnAssign) -> ast.expr:
    return statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]


def _c_code(path: Path) -> str:
    """C code and its headers, without comments and with single spaces, or nothing if there is no such file."""
    if not path.exists():
        return ""
    code = " ".join(re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.DOTALL).split())
    return code + "".join(_c_code(path.with_name(header)) for header in re.findall(r'#include "(.*?)"', code))


def _web_parts(path: Path) -> str:
    """The template, style and script that a module's page is made of, or nothing if there are none."""
    parts = (path.with_suffix(suffix) for suffix in (".html.j2", ".css", ".js"))
    return "".join(part.read_text(encoding="utf-8") for part in parts if part.exists())
