"""The names of the package: all of them importable, none of them by accident, sync and async alike."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vecstore
from vecstore.client import unasync

ROOT = Path(__file__).resolve().parents[2]


def test_every_public_name_exists_and_nothing_else_is_public() -> None:
    assert sorted(vecstore.__all__) == dir(vecstore)
    assert len(set(vecstore.__all__)) == len(vecstore.__all__)
    for name in vecstore.__all__:
        assert getattr(vecstore, name) is not None
    assert set(vecstore._HOMES) == set(vecstore.__all__)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(vecstore.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {(line.module, one.name) for line in block.body if isinstance(line, ast.ImportFrom) for one in line.names}
    assert seen == {(module, name) for name, module in vecstore._HOMES.items()}


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vecstore.nothing


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert vecstore.__version__ == project["version"]


def test_importing_the_package_imports_neither_engine_nor_grpc() -> None:
    code = "import sys, vecstore; print([m for m in ('grpc', 'numpy', 'vecstore.engine.database') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_embedded_use_does_not_import_grpc() -> None:
    code = "import sys, vecstore; vecstore.connect(':memory:').close(); print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("source", "target"), list(unasync.modules()), ids=lambda path: path.name)
def test_the_sync_modules_are_derived_from_the_async_ones(source: Path, target: Path) -> None:
    pytest.importorskip("ruff", reason="ruff formats the derived modules")
    derived = unasync.derive(source.read_text(encoding="utf-8"))
    assert derived == target.read_text(encoding="utf-8"), "run python -m vecstore.client.unasync"
    assert not [node for node in ast.walk(ast.parse(derived)) if type(node).__name__.startswith(("Async", "Await"))]


@pytest.mark.parametrize("name", ["Client", "Collection"])
def test_sync_and_async_have_the_same_methods(name: str) -> None:
    sync, other = getattr(vecstore, name), getattr(vecstore, f"Async{name}")
    methods = {n for n in dir(sync) if not n.startswith("_")}
    assert methods == {n for n in dir(other) if not n.startswith("_")}
    for method in methods:
        one, two = getattr(sync, method), getattr(other, method)
        if callable(one):
            assert list(inspect.signature(one).parameters) == list(inspect.signature(two).parameters)
            assert inspect.getdoc(one)
