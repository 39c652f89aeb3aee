"""Keys, roles and collections, without a server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from vecstore.access import Access, Action, Principal
from vecstore.access import access as access_module
from vecstore.access.credentials import given
from vecstore.access.file import KeysFile, change_keys, read_keys
from vecstore.access.keys import KEY, KeyRecord, new_key
from vecstore.errors import InvalidArgument, PermissionDenied, Unauthenticated


def bearer(key: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")]


def add(path: Path, name: str, role: str, *collections: str, expires_at: float | None = None) -> str:
    key, record = new_key(name, role, collections or None, expires_at)
    change_keys(path, lambda keys: (*keys, record))
    return key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_is_found_and_nothing_near_it_is(path: Path) -> None:
    key = add(path, "reader", "read")
    other = add(path, "other", "admin")
    access = Access(keys_file=path)
    assert access.authenticate(bearer(key)).name == "reader"
    assert KEY.match(key.encode())
    swapped = key[:20] + other[20:]  # the id of one, the secret of another
    near = (key[:-1], key + "x", key.upper(), key.replace("vs_", "vs-"), key[20:], swapped, "", "vs_", "é", key + "\n")
    for wrong in near:
        with pytest.raises(Unauthenticated) as raised:
            access.authenticate(bearer(wrong))
        assert (wrong[3:] or "vs_") not in raised.value.message or len(wrong) < 4


def test_the_file_holds_no_key(path: Path) -> None:
    key = add(path, "reader", "read")
    secret = key.rsplit("_", 1)[0].encode(), key[20:].encode()
    assert secret[1] not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("role", list(Action))
def test_roles_are_ordered(role: Action) -> None:
    for action in Action:
        if action <= role:
            Principal("k", role).check_role(action)
        else:
            with pytest.raises(PermissionDenied, match=f"has the role {role.name.lower()}") as raised:
                Principal("k", role).check_role(action)
            assert raised.value.reason == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("patterns", "seen", "hidden"),
    [
        (("docs",), ["docs"], ["docs2", "doc", "", "Docs"]),
        (("docs*",), ["docs", "docs2", "docs-x"], ["doc", "xdocs", ""]),
        (("a", "log-*"), ["a", "log-1", "log-"], ["log", "b", "a1"]),
        (("d*s",), [], ["docs", "d*", "ds"]),  # a star elsewhere is refused in files; it matches nothing, either
    ],
)
def test_patterns(patterns: tuple[str, ...], seen: list[str], hidden: list[str]) -> None:
    principal = Principal("k", Action.ADMIN, patterns)
    assert principal.seen([(name, name) for name in seen + hidden]) == seen
    for name in hidden:
        with pytest.raises(PermissionDenied):
            principal.check_collections([*seen, name])
    with pytest.raises(PermissionDenied, match="concerns all"):
        principal.check_database()


def test_check_is_all_of_it(path: Path) -> None:
    key = add(path, "writer", "write", "docs")
    access = Access(keys_file=path)
    who = access.check(bearer(key), Action.WRITE, "docs")
    assert access.check(who, Action.READ, "docs") == who
    for action, collection in ((Action.ADMIN, "docs"), (Action.READ, "other"), (Action.READ, None)):
        with pytest.raises(PermissionDenied):
            access.check(bearer(key), action, collection)
        with pytest.raises(PermissionDenied):
            access.check(who, action, collection)
    with pytest.raises(Unauthenticated):
        access.check([], Action.READ, "docs")


@pytest.mark.parametrize("raw", [False, True])
def test_one_credential_only(raw: bool) -> None:
    def pairs(*headers: tuple[str, str]) -> list[tuple[str | bytes, str | bytes]]:
        return [(n.encode(), v.encode()) if raw else (n, v) for n, v in headers]

    assert given(pairs(("x", "y"), ("API-Key", "k"))) == b"k"
    assert given(pairs(("Authorization", "BEARER k"))) == b"k"
    bad = [
        (),
        (("api-key", ""),),
        (("authorization", "k"),),
        (("authorization", "Basic k"),),
        (("api-key", "k"), ("api-key", "k")),
        (("api-key", "k"), ("authorization", "Bearer k")),
        (("authorization", "Basic x"), ("api-key", "k")),
        (("api-key", ""), ("api-key", "k")),
    ]
    for headers in bad:
        with pytest.raises(Unauthenticated):
            given(pairs(*headers))


def test_expiry(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = add(path, "brief", "read", expires_at=time.time() + 100)
    access = Access("root", path)
    who = access.authenticate(bearer(key))
    assert access.key_names() == ["server.api_key", "brief"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 101)
    with pytest.raises(Unauthenticated):
        access.authenticate(bearer(key))
    with pytest.raises(Unauthenticated):
        access.renew(who)
    assert access.key_names() == ["server.api_key"]
    assert access.authenticate(bearer("root")).role is Action.ADMIN
    with pytest.raises(InvalidArgument, match="in the past"):
        new_key("late", "read", expires_at=now)


def test_the_file_is_read_again_when_it_changes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = add(path, "old", "read")
    access = Access(keys_file=path)
    who = access.authenticate(bearer(old))
    new = add(path, "new", "write")
    with pytest.raises(Unauthenticated):
        access.authenticate(bearer(new))  # not yet looked at
    monkeypatch.setattr(access_module, "RELOAD_S", 0.0)
    assert access.authenticate(bearer(new)).name == "new"
    change_keys(path, lambda keys: tuple(key for key in keys if key.name != "old"))
    with pytest.raises(Unauthenticated):
        access.renew(who)
    with pytest.raises(Unauthenticated):
        access.authenticate(bearer(old))


def test_a_broken_file_changes_nothing_and_is_told_of_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = add(path, "reader", "read")
    access = Access(keys_file=path)
    monkeypatch.setattr(access_module, "RELOAD_S", 0.0)
    good = path.read_bytes()
    for broken in (b'{"version": 1, "keys": [', None):
        caplog.clear()
        path.unlink() if broken is None else path.write_bytes(broken)
        for _ in range(3):
            assert access.authenticate(bearer(key)).name == "reader"
        assert len(caplog.records) == 1, caplog.text
        assert "keys stay as they were" in caplog.text
    path.write_bytes(good.replace(b'"reader"', b'"renamed"'))
    assert access.authenticate(bearer(key)).name == "renamed"
    path.write_bytes(b'{"version": 1, "keys": []}')
    with pytest.raises(Unauthenticated):
        access.authenticate(bearer(key))


def _record(**changes: object) -> Callable[[], bytes]:
    record = msgspec.to_builtins(new_key("reader", "read")[1])
    return lambda: json.dumps({"version": 1, "keys": [record | changes]}).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda: b"", "no file of keys"),
        (lambda: b"[" * 100_000, "no file of keys"),
        (lambda: b"\xff\xfe", "no file of keys"),
        (lambda: b'{"version": 2, "keys": []}', "version 2"),
        (lambda: b'{"version": 1, "keys": [], "more": 1}', "more"),
        (_record(role="root"), "role 'root'"),
        (_record(name="a b"), "key name 'a b'"),
        (_record(id="../../etc"), "id must be 16"),
        (_record(salt="00"), "salt must be 32"),
        (_record(digest="zz" * 32), "digest must be 64"),
        (_record(collections=["*"]), "'\\*' is no name"),
        (_record(collections=["a*b"]), "'a\\*b' is no name"),
        (_record(collections=[]), "collections is empty"),
        (_record(expires_at="soon"), "expires_at"),
        (_record(owner="x"), "owner"),
    ],
)
def test_a_wrong_file_is_refused_by_name(path: Path, content: Callable[[], bytes], problem: str) -> None:
    path.write_bytes(content())
    with pytest.raises(InvalidArgument, match=problem) as raised:
        Access(keys_file=path)
    assert raised.value.reason == "BAD_CONFIG"


def test_two_keys_of_one_name_or_id(path: Path) -> None:
    one, two = new_key("a", "read")[1], new_key("a", "read")[1]
    for keys in ((one, two), (one, msgspec.structs.replace(two, name="b", id=one.id))):
        path.write_bytes(msgspec.json.encode(KeysFile(1, keys)))
        with pytest.raises(InvalidArgument, match="two keys have the"):
            read_keys(path)
    with pytest.raises(InvalidArgument, match=r"keys\.json: No such file"):
        Access(keys_file=path.parent / "none" / "keys.json")


def test_changes_at_once_are_all_kept(path: Path) -> None:
    names = [f"k{n}" for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: add(path, name, "read"), names))
    assert sorted(key.name for key in read_keys(path)) == sorted(names)
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


def test_a_change_that_fails_leaves_the_file(path: Path) -> None:
    add(path, "reader", "read")
    before = path.read_bytes()

    def fail(_: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
        raise PermissionDenied("no")

    with pytest.raises(PermissionDenied):
        change_keys(path, fail)
    assert path.read_bytes() == before
