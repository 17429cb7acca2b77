"""The import arrow: data → model → memory → decode → metrics → report. Nothing imports to its right."""

from pathlib import Path

import pytest

from memvos.app import source

ARROW = ["data", "model", "memory", "decode", "metrics", "report"]
ALONE = {"losses", "metrics"}  # import nothing else of ours
EVERYWHERE = {"errors", "paths", "stop_signals", "whole_file"}  # modules of the package itself that any package may use
ALLOWED = {
    **{package: set(ARROW[: index + 1]) for index, package in enumerate(ARROW)},
    **{package: {package} for package in ALONE},
    "report": {"report"},
    "lit": {"data", "model", "memory", "decode", "losses", "metrics", "lit"},
    "app": {*ARROW, "losses", "lit", "app"},
}
NO_TORCH = ("report",)


def files(package: str) -> list[Path]:
    return sorted((source.PACKAGE / package).rglob("*.py"))


def forbidden(package: str, imported: set[str]) -> set[str]:
    """Packages of ours among `imported` that `package` may not import."""
    tops = {module.split(".")[1] for module in imported}
    return tops - ALLOWED[package] - EVERYWHERE


def outside_imports(path: Path) -> set[str]:
    import ast

    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_package_has_a_place_in_the_layers():
    packages = {entry.name for entry in source.PACKAGE.iterdir() if (entry / "__init__.py").is_file()}
    assert packages == set(ALLOWED)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_imports_only_what_lies_to_its_left(package):
    wrong = {path.name: forbidden(package, source.imports(path)) for path in files(package)}
    assert not {name: found for name, found in wrong.items() if found}


def test_an_import_to_the_right_would_be_noticed():
    assert forbidden("data", {"memvos.data.clip", "memvos.model.qdmn", "memvos.errors"}) == {"model"}


@pytest.mark.parametrize("package", NO_TORCH)
def test_the_report_needs_no_torch(package):
    for path in files(package):
        assert not outside_imports(path) & {"torch", "torchvision", "pytorch_lightning"}, path


def test_no_relative_imports():
    for path in source.PACKAGE.rglob("*.py"):
        assert "from ." not in path.read_text(encoding="utf-8"), (
            f"{path}: write `from memvos.…`, the layers test reads that"
        )


def test_only_the_app_parses_arguments():
    for path in source.PACKAGE.rglob("*.py"):
        if "app" not in path.relative_to(source.PACKAGE).parts:
            assert not outside_imports(path) & {"argparse", "click"}, path
            assert "hydra.main" not in path.read_text(encoding="utf-8"), path  # composing a preset is another matter
