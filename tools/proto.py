"""Generate vecstore/pb from proto/: `python tools/proto.py`; `--check` fails when the generated code is stale.

protoc writes absolute imports (`from vecstore.v1 import ...`), which would need the generated code to own the name
`vecstore`; they are made relative, so that it lives under `vecstore.pb.v1`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "proto"
TARGET = ROOT / "vecstore" / "pb" / "v1"
ABSOLUTE_IMPORT = re.compile(r"^from vecstore\.v1 import ", re.MULTILINE)


def generate(out: Path) -> dict[str, str]:
    """The generated files by name."""
    protos = sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    arguments = ["protoc", f"-I{SOURCES}", f"-I{well_known}"]
    arguments += [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *protos]
    if protoc.main(arguments) != 0:
        sys.exit("protoc failed")
    generated = {"__init__.py": '"""Generated from proto/vecstore/v1 by tools/proto.py; do not edit."""\n'}
    for path in sorted((out / "vecstore" / "v1").iterdir()):
        text = path.read_text(encoding="utf-8")
        if path.name.endswith("_pb2_grpc.py") and "def __init__(self, channel):" not in text:
            continue  # a file without services
        generated[path.name] = ABSOLUTE_IMPORT.sub("from . import ", text)
    return generated


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate vecstore/pb from proto/")
    parser.add_argument("--check", action="store_true", help="fail when the generated code is stale; write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as out:
        generated = generate(Path(out))
    present = {path.name: path.read_text(encoding="utf-8") for path in TARGET.glob("*.py*") if path.is_file()}
    stale = sorted(name for name in generated.keys() | present.keys() if generated.get(name) != present.get(name))
    if check:
        if stale:
            sys.exit(f"vecstore/pb/v1 is stale ({', '.join(stale)}): run `make proto`")
        return
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in generated:
            (TARGET / name).write_text(generated[name], encoding="utf-8")
        else:
            (TARGET / name).unlink()
    sys.stdout.write(f"{len(generated)} files, {len(stale)} changed\n")


if __name__ == "__main__":
    main()
