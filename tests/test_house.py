"""The floors of the house: who may import whom, and that the package list and the folders agree."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"llmrec": 1, "retrieval": 2, "adapters": 3, "agents": 4, "ui": 5}
BESIDE = "evals"  # knows floors 1 to 4; nobody on a floor knows it, but the command line, which starts it
FOLDERS = (*FLOORS, BESIDE)


def _modules() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _folder(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else "llmrec"


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_or_stay(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    for line, module in _imports(path):
        top = module.split(".")[0]
        assert top not in FOLDERS or top == "llmrec", f"{path}:{line}: import llmrec.{module}, not {module}"
        if top != "llmrec":
            continue
        target = _folder(module)
        if own == BESIDE:
            assert target != "ui", f"{path}:{line}: evals reaches ui only over HTTP"
        elif target == BESIDE:
            assert path.is_relative_to(ROOT / "ui" / "cli"), f"{path}:{line}: only the command line starts evaluations"
        else:
            assert FLOORS[target] <= FLOORS[own], f"{path}:{line}: {own} must not know {target}"


def test_packages_are_the_folders() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {"llmrec"}
    for module in _modules():
        parts = module.relative_to(ROOT).parts[:-1]
        found.add(".".join(parts if parts[0] == "llmrec" else ("llmrec", *parts)))
    assert set(project["packages"]) == found
    assert not (ROOT / "llmrec" / "__init__.py").exists(), "llmrec is a namespace: see docs/architecture.md"
    for package in found - {"llmrec"}:
        parts = package.split(".")
        folder = ROOT.joinpath(*(parts[1:] if parts[1] in FOLDERS else parts))
        assert (folder / "__init__.py").is_file(), f"{folder} needs an __init__.py"


def test_nothing_is_unpickled() -> None:
    for path in _modules():
        for line, module in _imports(path):
            assert module.split(".")[0] not in {"pickle", "dill", "cloudpickle", "joblib", "shelve"}, f"{path}:{line}"
        text = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text, path
        assert "torch.load(" not in text, path


def test_files_stay_readable() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _modules()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long, f"a file of more than about 400 lines is usually two: {long}"
