"""The project's own files agree with each other: packaging, containers, commands."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import vecstore

ROOT = Path(__file__).resolve().parent.parent
TOP_LEVEL = {
    ".ci", ".clang-format", ".gitignore", ".pre-commit-config.yaml", "CONTRIBUTING.md", "Dockerfile", "LICENSE",
    "Makefile", "README.md", "SECURITY.md", "bench", "clients", "console", "deploy", "docker-compose.yml", "docs",
    "examples", "native", "proto", "pyproject.toml", "tests", "tools", "vecstore",
}  # fmt: skip


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def test_one_version(pyproject: dict) -> None:
    assert vecstore.__version__ == pyproject["project"]["version"]


def test_license_is_apache_2(pyproject: dict) -> None:
    assert pyproject["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    for file in pyproject["project"]["license-files"]:
        assert (ROOT / file).is_file(), file


def imported() -> set[str]:
    """Top-level modules that vecstore imports, other than itself and the standard library."""
    names: set[str] = set()
    for path in (ROOT / "vecstore").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"vecstore"}


def test_every_import_is_a_declared_dependency(pyproject: dict) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    groups = [
        pyproject["project"]["dependencies"],
        *(
            extras[name]
            for name in (
                "numba",
                "grpc",
                "server",
                "gateway",
                "rest",
                "io",
                "cli",
                "train",
                "plot",
                "text",
                "otel",
                "langchain",
                "llamaindex",
                "haystack",
                "mcp",
                "gpu",
            )
        ),
    ]
    declared = {re.split(r"[<>=\[;\s]", requirement)[0].lower() for group in groups for requirement in group}
    distributions = {
        "cupy": ["cupy-cuda12x"],  # not installed where there is no GPU
        "cupy_backends": ["cupy-cuda12x"],
        **importlib.metadata.packages_distributions(),
    }
    for module in imported():
        owners = {name.lower() for name in distributions.get(module, [])}
        assert owners & declared, (
            f"import {module} comes from {owners or 'nowhere'}, which pyproject.toml does not name"
        )


def test_extras_name_extras_that_exist(pyproject: dict) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    for requirements in extras.values():
        for requirement in requirements:
            if named := re.match(r"vecstore\[([\w,]+)\]", requirement):
                assert set(named.group(1).split(",")) <= set(extras), requirement


@pytest.mark.parametrize(
    "target",
    ["demo", "test", "check", "bench", "proto", "verify-proto", "clients", "console", "format", "torture", "clean"],
)
def test_make_knows_the_target(target: str) -> None:
    dry = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.strip()


def test_ci_calls_the_checks_and_the_tests() -> None:
    ci = ROOT / ".ci" / "run"
    lines = ci.read_text(encoding="utf-8").splitlines()
    assert ci.stat().st_mode & 0o111, ".ci/run must be executable"
    assert [line for line in lines if line.startswith("make ")] == ["make check", "make test"]
    assert lines[-1] == "make test"


def test_compose_serves_from_a_named_volume_behind_a_key(compose: dict) -> None:
    server = compose["services"]["vecstore"]
    assert server["environment"]["VECSTORE_SERVER_API_KEY"].startswith("${VECSTORE_SERVER_API_KEY:?")
    assert server["healthcheck"]["test"]
    volume, target = server["volumes"][0].split(":")
    assert volume in compose["volumes"]
    assert target == "/data"


def dockerfile() -> list[tuple[str, str]]:
    """Instructions as (keyword, rest), continuation lines joined, comments dropped."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def test_dockerfile_is_in_stages_and_not_run_as_root() -> None:
    steps = dockerfile()
    known = {
        "FROM",
        "RUN",
        "COPY",
        "WORKDIR",
        "ENV",
        "USER",
        "EXPOSE",
        "VOLUME",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
        "STOPSIGNAL",
    }
    assert {keyword for keyword, _ in steps} <= known
    stages = [rest for keyword, rest in steps if keyword == "FROM"]
    assert len(stages) == 2
    assert all("slim" in stage for stage in stages)
    final = steps[max(i for i, (keyword, _) in enumerate(steps) if keyword == "FROM") :]
    assert [rest for keyword, rest in final if keyword == "USER"][-1] != "root"
    assert any(keyword == "HEALTHCHECK" for keyword, _ in final)


def test_dockerfile_copies_what_exists_and_what_the_build_reads(pyproject: dict) -> None:
    sources = {
        source
        for keyword, rest in dockerfile()
        if keyword == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert all((ROOT / source).exists() for source in sources), sources
    assert {"pyproject.toml", pyproject["project"]["readme"], "LICENSE", "native", "vecstore"} <= sources


def test_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme
    assert "make test" in readme


def test_nothing_that_a_run_left_behind_is_kept() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a checkout of git")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"git does not list this checkout: {listed.stderr.strip()}")
    kept = listed.stdout.split("\0")[:-1]
    assert {name.partition("/")[0] for name in kept} - TOP_LEVEL == set()
    assert [name for name in kept if name.endswith((".whl", ".sst", ".so", ".pyc"))] == []
