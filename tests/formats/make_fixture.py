"""`python make_fixture.py ARCHIVE`: a database as this version writes it, for later versions to open.

Run once for each format of the store, before the next one; what a version does not know is left out. The archives of
formats 1 to 3 were made with the last commit that wrote each.
"""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from format_content import CHANGED, DELETED, FIELDS, GROWING, SEALED, payload, point_id, vector

import vecstore
from vecstore.config import Settings, Storage
from vecstore.storage.format import STORE_FORMAT

SETTINGS = Settings(storage=Storage(maintenance=False, index_rows_min=50, in_place_rows=10_000, disk_reserve_bytes=0))


def main(archive: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "db", Path(folder) / "written")
        with tarfile.open(archive, "w:xz") as tar:
            for path in sorted((Path(folder) / "written").rglob("*")):
                made_anew = path.name in ("LOCK", "LOG") or "cache" in path.parts
                if path.is_file() and not made_anew:
                    tar.add(path, path.relative_to(folder), filter=anonymous)


def anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info


def write(directory: Path, copy: Path) -> None:
    """`copy`: the directory while it is open, with a log to replay."""
    db = vecstore.connect(directory, settings=SETTINGS)
    known = inspect.signature(db.create_collection).parameters
    lists, graph = index("ivf"), index("graph")
    fields: dict[str, Any] = {
        "vectors": {
            "exact": vecstore.Dense(8, metric="l2"),
            **({"lists": vecstore.Dense(8, metric="l2", datatype="float16", index=lists)} if lists else {}),
            **({"graph": vecstore.Dense(8, metric="l2", index=graph)} if graph else {}),
        },
        "binary": {"bits": vecstore.Binary(16)},
        "sparse": {"terms": vecstore.Sparse()} if "sparse" in known else None,
        "text": {"words": vecstore.Text()} if "text" in known else None,
        "multi": {"many": vecstore.Multi(4)} if "multi" in known else None,
    }
    things = db.create_collection(
        "things",
        **{name: value for name, value in fields.items() if name in known},
        indexes={"n": "integer", "colour": "keyword"},
    )
    names = [name for group in fields.values() if group for name in group]

    def put(keys: range) -> None:
        columns = {name: [FIELDS[name](key) for key in keys] for name in names}
        things.upsert([point_id(key) for key in keys], columns, [payload(key) for key in keys])

    put(range(SEALED))
    things.compact()
    put(range(SEALED - CHANGED, SEALED))  # over what is sealed
    put(range(SEALED, SEALED + GROWING))
    things.delete([point_id(key) for key in DELETED])
    db.create_collection("empty", vecstore.Dense(3))
    if hasattr(db, "update_aliases"):
        db.update_aliases([{"create": {"alias": "alias", "collection": "things"}}])
    hits = things.query(vector(1), using="exact", k=1)
    assert hits[0].id == point_id(1), hits
    shutil.copytree(directory, copy)
    db.close()


def index(kind: str) -> Any:
    """A spec of a small index, None in formats without one."""
    text, since = {"ivf": ("ivf(nlist=4) | rabitq(bits=4)", 2), "graph": ("graph", 3)}[kind]
    if since > STORE_FORMAT:
        return None
    from vecstore.index_text import parse_index

    return parse_index(text)


if __name__ == "__main__":
    os.environ.setdefault("VECSTORE_KERNELS", "numpy")
    main(Path(sys.argv[1]))
