"""A process that is forked while a database is open: it has the memory, and none of the threads that write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys, warnings
import numpy as np
import vecstore

warnings.simplefilter("ignore")  # Python 3.12 warns of the fork itself
db = vecstore.connect(sys.argv[1])
docs = db.create_collection("docs", vecstore.Dense(4))
docs.upsert([1, 2], np.eye(2, 4))
pid = os.fork()
if pid == 0:
    assert docs.query([1, 0, 0, 0], k=2).ids.tolist() == [1, 2]
    calls = {
        "upsert": lambda: docs.upsert([3], np.ones((1, 4))),
        "delete": lambda: docs.delete([1]),
        "wait": lambda: docs.upsert([3], np.ones((1, 4)), wait="indexed"),
        "compact": lambda: docs.compact(),
        "create": lambda: db.create_collection("more", vecstore.Dense(4)),
        "alias": lambda: db.update_aliases([vecstore.CreateAlias("live", "docs")]),
        "index": lambda: docs.create_field_index("n", "integer"),
    }
    for name, call in calls.items():
        try:
            call()
        except vecstore.FailedPrecondition as error:
            assert error.reason == "FORKED", error
        else:
            print(name, "was done", flush=True)
            os._exit(1)
    db.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert docs.upsert([4], np.ones((1, 4))).changed == 1
assert docs.count() == 3
db.close()
with vecstore.connect(sys.argv[1]) as db:
    assert db.collection("docs").count() == 3
print("done")
"""


def test_a_fork_reads_and_is_refused_what_it_cannot_do(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "done", done
