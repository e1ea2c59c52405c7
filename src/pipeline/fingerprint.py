"""What a job's code does, as a short hash: the workflow reruns a job when it changes, and only then.

The hash covers a module and everything of this package that it imports, directly or not, as syntax trees without
docstrings; of a module with C code (a file of its name that ends in .c) that code too, with the headers beside it that
it includes, without comments; and the parts of a web page that stand beside a module under its name. So comments,
docstrings, formatting and mere touching change nothing, while any change of the code does. A job that uses one entry of
a registry (a module's dict of named entries) does not depend on the others.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache  # the workflow asks for the same one with every job
def fingerprint(module: str, entry: str | None = None) -> str:
    """Hash of a module of this package, such as ``"pipeline.jobs.train"``, and of all that it imports from it.

    Args:
        module: the module.
        entry: of a registry that has this entry, such as ``"and"``, only this one counts.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    pending, seen = [module], {}
    while pending:
        name = pending.pop()
        if name not in seen:
            seen[name], imports = _analyse(_source(name), entry)
            pending += [found for found in imports if _exists(found)]
    return hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()[:16]


def _exists(module: str) -> bool:
    try:
        return bool(_source(module))
    except ModuleNotFoundError:
        return False


def _source(module: str) -> Path:
    stem = ROOT.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.exists():
            return path
    raise ModuleNotFoundError(f"no module {module} under {ROOT}")


@cache
def _analyse(path: Path, entry: str | None) -> tuple[str, frozenset[str]]:
    """The normalised code of a file and what it imports from this package (modules, and names that may be modules)."""
    tree = ast.parse(path.read_bytes())
    imports = frozenset(name for node in ast.walk(tree) for name in _imported(node) if name.split(".")[0] == "pipeline")
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            del node.body[0]
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Dict):
            _keep_only(statement.value, entry)
    return ast.dump(tree) + _c_code(path.with_suffix(".c")) + _web_parts(path), imports


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


def _keep_only(registry: ast.Dict, entry: str | None) -> None:
    """Drops the other entries of a dict that has this one."""
    keys = [key.value if isinstance(key, ast.Constant) else None for key in registry.keys]
    if entry in keys:
        index = keys.index(entry)
        registry.keys, registry.values = registry.keys[index : index + 1], registry.values[index : index + 1]


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
