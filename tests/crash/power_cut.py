"""What a power cut can leave of a directory, made up from the record of what was done to it (faults/record.c).

A file system keeps what was synced: a file's bytes by fsync of the file, names by fsync of their directory. Of the rest
it may keep anything, so a state is made up from what is durable and a choice of what is not: see `CUTS`.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

HEAD = struct.Struct("=4I3Q")
OPEN, WRITE, TRUNCATE, SYNC, RENAME, LINK, UNLINK, RMDIR, MKDIR = range(1, 10)
SECTOR = 512


class Step(NamedTuple):
    place: int  # in the trace, in bytes
    kind: int
    first: str
    second: str
    inode: int
    at: int
    data: bytes


class Change(NamedTuple):
    """Of a file that is not durable yet: bytes at an offset, or the end moved there."""

    place: int
    at: int
    data: bytes | None


@dataclass
class File:
    inode: int
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def sync(self, before: int) -> None:
        for change in self.pending:
            if change.place < before:
                apply(self.durable, change)
        self.pending = [change for change in self.pending if change.place >= before]


class Naming(NamedTuple):
    """Names of a directory that change at one time: a node each, None where the name goes."""

    place: int
    names: dict[str, File | Directory | None]


@dataclass
class Directory:
    inode: int
    names: dict[str, File | Directory] = field(default_factory=dict)  # as a program sees them
    durable: dict[str, File | Directory] = field(default_factory=dict)
    pending: list[Naming] = field(default_factory=list)

    def change(self, place: int, names: dict[str, File | Directory | None]) -> None:
        self.pending.append(Naming(place, names))
        rename(self.names, names)

    def sync(self, before: int) -> None:
        for naming in self.pending:
            if naming.place < before:
                rename(self.durable, naming.names)
        self.pending = [naming for naming in self.pending if naming.place >= before]


def apply(content: bytearray, change: Change) -> None:
    end = change.at + len(change.data or b"")
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if change.data is None:
        del content[change.at :]
    else:
        content[change.at : end] = change.data


def rename(names: dict[str, File | Directory], changes: dict[str, File | Directory | None]) -> None:
    for name, node in changes.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def read_trace(path: Path) -> list[Step]:
    trace, place, steps = path.read_bytes(), 0, []
    while place < len(trace):
        kind, first, second, _, inode, at, size = HEAD.unpack_from(trace, place)
        names = place + HEAD.size
        data = names + first + second
        one, two = trace[names : names + first].decode(), trace[names + first : data].decode()
        steps.append(Step(place, kind, one, two, inode, at, trace[data : data + size]))
        place = data + size
    return steps


class Disk:
    """Everything below `root`, which was empty, as steps change it."""

    def __init__(self, root: Path) -> None:
        self.top = Directory(root.stat().st_ino)
        self._root = str(root)
        self._nodes: dict[int, File | Directory] = {self.top.inode: self.top}

    def take(self, step: Step) -> None:
        match step.kind:
            case 1:
                self._open(step)
            case 2 | 3:
                file = self._nodes[step.inode]
                assert isinstance(file, File)
                file.pending.append(Change(step.place, step.at, step.data if step.kind == WRITE else None))
            case 4:
                if step.inode in self._nodes:  # or it was opened for reading and never written
                    self._nodes[step.inode].sync(step.at)
            case 5 | 6:
                self._move(step)
            case 7 | 8:
                parent, name = self._find(step.first)
                parent.change(step.place, {name: None})
            case 9:
                parent, name = self._find(step.first)
                made = self._nodes[step.inode] = Directory(step.inode)
                parent.change(step.place, {name: made})

    def _open(self, step: Step) -> None:
        parent, name = self._find(step.first)
        file = parent.names.get(name)
        if not isinstance(file, File) or file.inode != step.inode:
            file = self._nodes[step.inode] = File(step.inode)
            parent.change(step.place, {name: file})
        if step.at:
            file.pending.append(Change(step.place, 0, None))

    def _move(self, step: Step) -> None:
        (source, old), (target, new) = self._find(step.first), self._find(step.second)
        node = source.names[old]
        gone: dict[str, File | Directory | None] = {} if step.kind == LINK else {old: None}
        if source is target:
            source.change(step.place, {**gone, new: node})
            return
        target.change(step.place, {new: node})
        if gone:
            source.change(step.place, gone)

    def _find(self, path: str) -> tuple[Directory, str]:
        *parents, name = [part for part in path.removeprefix(self._root).split("/") if part]
        directory = self.top
        for part in parents:
            found = directory.names[part]
            assert isinstance(found, Directory), path
            directory = found
        return directory, name


Choose = Callable[[File, random.Random], bytearray]
Names = Callable[[Directory, random.Random], dict[str, "File | Directory"]]


def everything(file: File, _random: random.Random) -> bytearray:
    content = bytearray(file.durable)
    for change in file.pending:
        apply(content, change)
    return content


def nothing(file: File, _random: random.Random) -> bytearray:
    return file.durable


def torn(file: File, random: random.Random) -> bytearray:
    """The last write ends in a sector somewhere."""
    content = bytearray(file.durable)
    for change in file.pending[:-1]:
        apply(content, change)
    if file.pending:
        last = file.pending[-1]
        if last.data is None:
            apply(content, last)
        else:
            kept = random.choice(range(0, SECTOR * (1 + (last.at + len(last.data)) // SECTOR), SECTOR))
            apply(content, last._replace(data=last.data[: max(0, kept - last.at)]))
    return content


def shuffled(file: File, random: random.Random) -> bytearray:
    """Each sector is as it was at some time since the last sync."""
    content = bytearray(file.durable)
    parts: dict[int, list[Change]] = {}
    for change in file.pending:
        for part in sectors(change):
            parts.setdefault(part.at // SECTOR if part.data is not None else -1, []).append(part)
    for changes in parts.values():
        for part in changes[: random.randint(0, len(changes))]:
            apply(content, part)
    return content


def sectors(change: Change) -> Iterator[Change]:
    if change.data is None:
        yield change
        return
    low = change.at
    while low < change.at + len(change.data):
        high = SECTOR * (low // SECTOR + 1)
        yield change._replace(at=low, data=change.data[low - change.at : high - change.at])
        low = high


def all_names(directory: Directory, _random: random.Random) -> dict[str, File | Directory]:
    return directory.names


def synced_names(directory: Directory, _random: random.Random) -> dict[str, File | Directory]:
    return directory.durable


def first_names(directory: Directory, random: random.Random) -> dict[str, File | Directory]:
    """Changes of names reach the disk in their order, and some have not."""
    names = dict(directory.durable)
    for naming in directory.pending[: random.randint(0, len(directory.pending))]:
        rename(names, naming.names)
    return names


CUTS: dict[str, tuple[Choose, Names]] = {
    "keep all": (everything, all_names),
    "drop unsynced": (nothing, synced_names),
    "tear the last write": (torn, all_names),
    "reorder unsynced": (shuffled, first_names),
    "undo names": (everything, synced_names),
}


def write_state(directory: Directory, target: Path, cut: str, random: random.Random) -> None:
    """What is left of `directory`, at `target`, which must not exist."""
    content, names = CUTS[cut]
    target.mkdir()
    for name, node in names(directory, random).items():
        if isinstance(node, Directory):
            write_state(node, target / name, cut, random)
        else:
            (target / name).write_bytes(content(node, random))
