"""Build the web console from console/ into vecstore/gateway/static: `python tools/console.py`, with Node 20 or later.
`--check`, which needs no Node, fails when what is shipped was built from other sources, or changed afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "console"
CLIENT = ROOT / "clients" / "typescript" / "src"
TARGET = ROOT / "vecstore" / "gateway" / "static"
MANIFEST = "built.json"
BUNDLED = ("preact", "uplot")  # libraries whose code is in the console
BYTES_MAX = 200_000  # of all files together


def sources() -> list[Path]:
    """What the console is made of. Types leave no trace in it, so those of the OpenAPI document do not count."""
    found = [path for path in SOURCES.rglob("*") if path.is_file() and "node_modules" not in path.parts]
    found += [path for path in CLIENT.glob("*.ts") if path.name != "schema.ts"]
    return sorted(found)


def digest(paths: Iterable[Path], base: Path) -> str:
    """Of names and contents."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.relative_to(base)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def manifest() -> dict[str, str]:
    built = [path for path in TARGET.iterdir() if path.name != MANIFEST]
    return {"sources": digest(sources(), ROOT), "files": digest(built, TARGET)}


def check() -> str | None:
    """What is wrong; None when nothing is."""
    if not (TARGET / MANIFEST).is_file():
        return "is not built"
    said, now = json.loads((TARGET / MANIFEST).read_text(encoding="utf-8")), manifest()
    if said["sources"] != now["sources"]:
        return "was built from other sources"
    if said["files"] != now["files"]:
        return "was changed after it was built"
    size = sum(path.stat().st_size for path in TARGET.iterdir())
    return f"has {size:,} bytes, the most is {BYTES_MAX:,}" if size > BYTES_MAX else None


def licenses() -> str:
    parts = ["The web console contains these libraries.\n"]
    for name in BUNDLED:
        folder = SOURCES / "node_modules" / name
        version = json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
        parts.append(f"\n{name} {version}\n\n{(folder / 'LICENSE').read_text(encoding='utf-8').strip()}\n")
    return "".join(parts)


def build() -> None:
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("building the console needs Node 20.19 or newer with npm")
    subprocess.run([npm, "ci", "--ignore-scripts"], cwd=SOURCES, check=True)  # noqa: S603
    subprocess.run([npm, "run", "build"], cwd=SOURCES, check=True)  # noqa: S603
    (TARGET / "licenses.txt").write_text(licenses(), encoding="utf-8")
    (TARGET / MANIFEST).write_text(json.dumps(manifest(), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the web console")
    parser.add_argument("--check", action="store_true", help="fail when it is stale; write nothing")
    if not parser.parse_args().check:
        build()
    if wrong := check():
        sys.exit(f"{TARGET.relative_to(ROOT)} {wrong}: run `make console` (Node 20.19 or newer)")


if __name__ == "__main__":
    main()
