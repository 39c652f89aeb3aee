"""Style that a linter does not know, kept as a test. Each rule is a function from a file to its violations; the last
tests feed every rule something it must refuse."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from vecstore.config import SECTIONS, Settings
from vecstore.embedder_settings import EmbedderSettings

ROOT = Path(__file__).resolve().parent.parent
CODE_DIRS = ("vecstore", "native", "bench", "tools", "examples", "tests")
SUFFIXES = {".py", ".cpp", ".h", ".proto"}
LINES_MAX = 600
COLUMNS_MAX = 120
SKIPPED_DIRS = {"pb", "__pycache__", "build"}  # generated

# What has no place in shipped code, and why.
BANNED = {
    r"\bpickle\b|allow_pickle": "data is never code; use the column format",
    r"(?<![\w.])eval\(|(?<![\w.])exec\(": "data is never code",
    r"-march=native": "one portable build, instruction sets are chosen at run time",
    r"\b(TODO|FIXME|XXX)\b": "finish it or leave it out",
    r"NotImplementedError": "use ABC, or raise Unimplemented at the door",
}


def code_files(*dirs: str) -> list[Path]:
    return sorted(
        path
        for name in dirs
        for path in (ROOT / name).rglob("*")
        if (path.suffix in SUFFIXES or path.name == "CMakeLists.txt")
        and not SKIPPED_DIRS & set(path.relative_to(ROOT).parts)
    )


def markdown_files() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md")])


def too_long(path: Path, text: str) -> Iterator[str]:
    lines = text.splitlines()
    if len(lines) > LINES_MAX:
        yield f"{len(lines)} lines, the most is {LINES_MAX}: cut it along its ideas"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield f"line {number} has {len(line)} columns, the most is {COLUMNS_MAX}"


def banned_words(path: Path, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, why in BANNED.items():
            if found := re.search(pattern, line):
                yield f"line {number}: {found.group()!r}: {why}"


def stray_print(path: Path, text: str) -> Iterator[str]:
    """Libraries and servers log; only the command line prints."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield f"line {node.lineno}: print() outside the command line"


def missing_docstring(path: Path, text: str) -> Iterator[str]:
    """Each package says what belongs in it, each public module what it is."""
    public = path.name == "__init__.py" or not path.name.startswith("_")
    if path.suffix == ".py" and public and not ast.get_docstring(ast.parse(text)):
        yield "has no module docstring"


def broken_links(path: Path, text: str) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        if not linked.exists():
            yield f"links to {target}, which does not exist"
        elif anchor and linked.suffix == ".md" and anchor not in anchors(linked.read_text(encoding="utf-8")):
            yield f"links to {target}, which has no such heading"


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check(rule: Callable[[Path, str], Iterator[str]], files: list[Path]) -> None:
    assert files, "the rule looked at no file"
    found = [
        f"{path.relative_to(ROOT)}: {violation}"
        for path in files
        for violation in rule(path, path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


def test_files_and_lines_are_short() -> None:
    check(too_long, code_files(*CODE_DIRS))


def test_no_banned_words() -> None:
    check(banned_words, [path for path in code_files(*CODE_DIRS) if path != Path(__file__).resolve()])


def test_only_the_command_line_prints() -> None:
    check(stray_print, [path for path in code_files("vecstore") if "cli" not in path.parts])


def test_the_wall_clock_is_only_shown() -> None:
    """It may jump: what waits, expires or orders goes by a monotonic clock. Keys, which expire at a date, are the
    exception, a server's Retry-After, which may be one, and the seqs of a restored database, which leap less far by a
    clock that is late."""
    shown = {
        "engine/operations.py", "engine/collecting.py", "engine/snapshots.py", "observe/tracing.py", "storage/feed.py",
        "access/keys.py", "cli/keys.py", "embed/pace.py", "engine/leap.py",
    }  # fmt: skip
    reads = re.compile(
        r"\btime\.time\(|time_ns\(\)|datetime\.now|utcnow|gmtime\(\)|localtime\(\)|from time import|"
        r"system_clock|CLOCK_REALTIME|gettimeofday"
    )
    found = [path for path in code_files("vecstore", "native") if reads.search(path.read_text(encoding="utf-8"))]
    assert {str(path.relative_to(ROOT / "vecstore")) for path in found} == shown


def test_every_test_file_has_a_name_of_its_own() -> None:
    """pytest imports them by it."""
    names = Counter(
        path.name for path in (ROOT / "tests").rglob("*.py") if path.name not in ("__init__.py", "conftest.py")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_every_module_says_what_it_is() -> None:
    check(missing_docstring, code_files("vecstore", "bench", "tools"))


def test_links_resolve() -> None:
    check(broken_links, markdown_files())


def settings() -> list[tuple[str, str, object]]:
    return [
        (section, name, getattr(getattr(Settings(), section), name))
        for section in SECTIONS
        for name in getattr(Settings(), section).__struct_fields__
    ]


@pytest.mark.parametrize(("section", "name", "default"), settings())
def test_every_setting_is_documented_with_its_default(section: str, name: str, default: object) -> None:
    row = documented(section).get(name)
    assert row is not None, f"docs/LIMITS.md has no row for {section}.{name}"
    assert row == shown(default), f"docs/LIMITS.md gives {row} as the default of {section}.{name}={shown(default)}"


@pytest.mark.parametrize("section", SECTIONS)
def test_no_setting_is_documented_that_does_not_exist(section: str) -> None:
    assert set(documented(section)) <= set(getattr(Settings(), section).__struct_fields__)


@pytest.mark.parametrize("kind", EmbedderSettings.__args__, ids=lambda kind: kind.__struct_config__.tag)
def test_every_setting_of_an_embedder_is_documented_with_its_default(kind: type[EmbedderSettings]) -> None:
    rows = documented("embedders.NAME", ", of any kind") | documented(
        "embedders.NAME", f', `kind = "{kind.__struct_config__.tag}"`'
    )
    defaults = {
        field.name: "(required)" if field.default is msgspec.NODEFAULT else shown(field.default)
        for field in msgspec.structs.fields(kind)
    }
    assert rows == defaults


def documented(section: str, more: str = "") -> dict[str, str]:
    """Defaults by name from the table under the heading that names the section: | `name` | default | unit | what |"""
    text = (ROOT / "docs" / "LIMITS.md").read_text(encoding="utf-8")
    body = re.split(r"^## ", text, flags=re.M)
    table = next(part for part in body if part.startswith(f"`[{section}]`{more}"))
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \| [^|]+ \| [^|]+ \|$", table, flags=re.M))


def shown(default: object) -> str:
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, int):
        return f"{default:,}"
    return str(default) or "(empty)"


@pytest.mark.parametrize(
    ("rule", "name", "bad"),
    [
        (too_long, "a.py", "x = 1\n" * (LINES_MAX + 1)),
        (too_long, "a.cpp", "//" + "x" * COLUMNS_MAX),
        (banned_words, "a.py", "import pickle"),
        (banned_words, "a.py", "numpy.load(f, allow_pickle=True)"),
        (banned_words, "a.py", "x = eval(text)"),
        (banned_words, "a.py", "exec(text)"),
        (banned_words, "a.txt", "add_compile_options(-march=native)"),
        (banned_words, "a.cpp", "// TODO later"),
        (banned_words, "a.py", "raise NotImplementedError"),
        (stray_print, "a.py", "print('hello')"),
        (missing_docstring, "__init__.py", ""),
        (missing_docstring, "a.py", "x = 1"),
        (broken_links, "a.md", "see [the map](docs/NOWHERE.md)"),
        (broken_links, "a.md", "see [the map](README.md#no-such-heading)"),
    ],
)
def test_each_rule_refuses_what_it_should(rule: Callable[[Path, str], Iterator[str]], name: str, bad: str) -> None:
    assert list(rule(ROOT / name, bad))


@pytest.mark.parametrize(
    ("rule", "name", "good"),
    [
        (banned_words, "a.py", "result = evaluate(filter); model.eval(); connection.exec(x); retrieval(y)"),
        (stray_print, "a.py", "console.print('hello')"),
        (missing_docstring, "_private.py", "x = 1"),
        (broken_links, "a.md", "see [the site](https://example.org/)\n```\n[x](y)\n```\n"),
    ],
)
def test_each_rule_lets_ordinary_code_pass(rule: Callable[[Path, str], Iterator[str]], name: str, good: str) -> None:
    assert not list(rule(ROOT / name, good))
