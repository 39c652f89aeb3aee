"""The web console as files: what is shipped was built from these sources, is served as it is, and can be turned off."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from gateway_support import client_of, refused, serving

from tools import console


def test_what_is_shipped_was_built_from_these_sources() -> None:
    assert console.check() is None


def test_the_check_sees_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = console.sources()
    assert {"main.tsx", "index.ts", "package-lock.json", "style.css"} <= {path.name for path in sources}
    digest = console.digest
    monkeypatch.setattr(console, "digest", lambda paths, base: digest(paths, base) if base != console.ROOT else "other")
    assert console.check() == "was built from other sources"
    monkeypatch.undo()
    (tmp_path / "static").mkdir()
    for path in console.TARGET.iterdir():
        (tmp_path / "static" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "static" / "console.js").write_bytes(b"alert(1)")
    monkeypatch.setattr(console, "TARGET", tmp_path / "static")
    assert console.check() == "was changed after it was built"


def test_the_page_and_its_parts(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(parts) == 3
    for part in parts:
        answer = client.get(part)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = client.get(part, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(part, headers={"if-none-match": 'W/"other"'}).content == answer.content
    small = client.get("/console/console.js", headers={"accept-encoding": "gzip"})
    assert small.headers["content-encoding"] == "gzip"
    assert "preact" in client.get("/console/licenses.txt").text
    assert "uplot" in client.get("/console/licenses.txt").text


def test_the_policy_allows_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/")
    policy = dict(one.strip().split(" ", 1) for one in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://", page.text)


def test_it_is_small() -> None:
    packed = sum(len(gzip.compress(path.read_bytes())) for path in console.TARGET.iterdir())
    assert packed < 80_000


@pytest.mark.parametrize(
    "name", ["none.js", "built.json", "..%2Fdocs.html", "..%2F__init__.py", "%00", ".", "docs.html"]
)
def test_nothing_else_is_served(client: httpx.Client, name: str) -> None:
    refused(client.get(f"/console/{name}"), 404, "ROUTE_NOT_FOUND")


def test_it_can_be_turned_off() -> None:
    with serving(console=False) as (handle, _), client_of(handle) as client:
        for path in ("/", "/console/console.js"):
            refused(client.get(path), 404, "ROUTE_NOT_FOUND")
        assert client.get("/v1/collections").status_code == 200
