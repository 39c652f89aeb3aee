"""Print what extras of this project need, one requirement a line, for pip: `python tools/requirements.py dev`.

The project itself is built without isolation, so that rebuilding it is incremental; what it depends on must not be: a
dependency that comes as source brings build requirements of its own.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(project: dict, names: list[str]) -> list[str]:
    """The core's requirements and those of the named extras, extras of extras included."""
    found, open_extras, seen = list(project["dependencies"]), list(names), set()
    while open_extras:
        name = open_extras.pop()
        if name in seen:
            continue
        seen.add(name)
        for requirement in project["optional-dependencies"][name]:
            own = re.fullmatch(r"vecstore\[([\w,]+)\]", requirement)
            if own:
                open_extras += own.group(1).split(",")
            else:
                found.append(requirement)
    return found


if __name__ == "__main__":
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    sys.stdout.write("\n".join(requirements(project, sys.argv[1:])) + "\n")
