"""Makes the sync facade from the async one: `python -m vecstore.client.unasync` rewrites `_sync/` from `_async/`.

Both have the same bodies but for `async` and `await`, and both should have real signatures that editors and type
checkers read; so one is written and the other is derived, word by word. Needs ruff, which formats the result.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
HEADER = "# Made from ../_async by `python -m vecstore.client.unasync`; edit there.\n"

REPLACEMENTS = [
    (r"^from asyncio import to_thread\n", ""),
    (r"\bawait to_thread\((\w+), ", r"\1("),
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\bconnect_async\b", "connect"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"^import asyncio$", "import time"),
    (r"\ba(?=iter_lines\b|read\(\)|close\(\))", ""),
    (r"\bgrpc\.aio\.(insecure_channel|secure_channel|Channel)", r"grpc.\1"),
    (r"\b_async\b", "_sync"),
    (r"for (\w+) in (.*):\n +yield \1\n", r"yield from \2\n"),
]


def derive(source: str) -> str:
    """The sync text of an async module."""
    for pattern, replacement in REPLACEMENTS:
        source = re.sub(pattern, replacement, source, flags=re.MULTILINE)
    for command in (["check", "--quiet", "--select=I", "--fix-only", "-"], ["format", "--quiet", "-"]):
        tool = [sys.executable, "-m", "ruff", *command, "--line-length=120"]
        source = subprocess.run(tool, input=source, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return HEADER + source


def modules() -> Iterator[tuple[Path, Path]]:
    """Each async module and its sync twin."""
    for path in sorted((HERE / "_async").glob("*.py")):
        if path.name != "__init__.py":
            yield path, HERE / "_sync" / path.name


def main() -> None:
    for source, target in modules():
        target.write_text(derive(source.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
