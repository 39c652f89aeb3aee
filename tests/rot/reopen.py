"""`python reopen.py DIRECTORY`: opens DIRECTORY/db once more and dies, so that RocksDB's files have older versions."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

from crash_engine import new_ledgers, open_client, write_some

directory = Path(sys.argv[1])
client = open_client(directory / "db", maintenance=False)
ledgers = new_ledgers(directory)
history = json.loads((directory / "history.json").read_text())
choose = random.Random(4)
for ledger in [*ledgers] * 3:
    write_some(client, [ledger], choose, 1)
    seq = client.collection(ledger.collection).info().seq
    history[ledger.collection][str(seq)] = sorted([key, version] for key, (version, _) in ledger.state.items())
(directory / "history.json").write_text(json.dumps(history))
os._exit(0)
