"""Which files of memvos a configuration's results depend on, and their hash. Comments and docstrings do not count."""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from hydra.utils import get_object

PACKAGE = Path(__file__).parents[1]
"""The folder src/memvos."""


def home_of(target: str) -> str | None:
    """The memvos module that defines what a `_target_` names (packages re-export), None for another package's."""
    found = get_object(target)
    return found.__module__ if found.__module__.split(".")[0] == "memvos" else None


def own_file_of(target: str) -> Path | None:
    """The file of a user's own class or function; None for memvos and for installed packages."""
    module = sys.modules[get_object(target).__module__]
    file = getattr(module, "__file__", None)
    installed = file is None or {"site-packages", "dist-packages"} & set(Path(file).parts)
    return None if installed or module.__name__.split(".")[0] in {"memvos", *sys.stdlib_module_names} else Path(file)


def module_of(target: str) -> str | None:
    """The memvos module or package that a dotted name lies in, None for a name of another package."""
    parts = target.split(".")
    while parts and parts[0] == "memvos":
        if module_file(".".join(parts)):
            return ".".join(parts)
        parts.pop()
    return None


def module_file(module: str) -> Path | None:
    """The file of a memvos module or package, None if there is none."""
    stem = PACKAGE.parent.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """The memvos modules a file imports, anywhere in it, found without running it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return frozenset(module for module in map(module_of, found) if module and module != "memvos")


def closure(modules: Iterable[str], packages: Collection[str] | None = None) -> list[str]:
    """The modules, and all they import directly or not, as far as they lie in `packages` (None: anywhere), sorted."""
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        inside = packages is None or module.split(".")[1:2] == [] or module.split(".")[1] in packages
        if module in seen or not inside:
            continue
        seen.add(module)
        waiting.extend(imports(module_file(module)))
    return sorted(seen)


def code_hash(modules: Iterable[str], files: Iterable[Path] = ()) -> str:
    """SHA-256 (16 hex digits) of the syntax trees of modules of memvos and of other files, without docstrings."""
    digest = hashlib.sha256()
    for name, path in [(name, module_file(name)) for name in sorted(modules)] + [(f.name, f) for f in sorted(files)]:
        digest.update(f"{name}\0{_syntax(path)}\n".encode())
    return digest.hexdigest()[:16]


@functools.cache
def _syntax(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
            node.body = [part for part in body if not _is_text(part)]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(statement, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str)
