"""A real headless Chromium, and pages that remember what went wrong in them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",  # which is small in a container
]  # fmt: skip
PATIENCE_MS = 120_000  # a busy machine may take ten times as long as an idle one


def chromium() -> str:
    """The browser's path; skips where there is none, or nothing to drive it with."""
    pytest.importorskip("playwright", reason="playwright is not installed: pip install 'vecstore[browser]'")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is not installed; on Debian: apt-get install chromium")
    if subprocess.run([found, "--version"], capture_output=True, timeout=240, check=False).returncode:
        pytest.skip(f"{found} does not run")  # some distributions have a stub of that name
    return found


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser with a new, empty profile."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE_MS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(browser: Any, base: str, expected: tuple[int, ...] = (), **options: Any) -> Iterator[Any]:
    """A page; at the end nothing may have been asked of another host, nothing have failed (but for answers with an
    `expected` status), and nothing stand in the console."""
    page = browser.new_page(**options)
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on(
        "console", lambda said: wrong.append(f"{said.type}: {said.text}") if not _expected(said, expected) else None
    )
    page.on("request", lambda asked: None if asked.url.startswith(base) else wrong.append(f"asked for {asked.url}"))
    page.on("response", lambda got: wrong.append(f"{got.status} {got.url}") if _bad(got.status, expected) else None)
    try:
        yield page
        assert not wrong, "\n".join(wrong)
    finally:
        page.close()


def _bad(status: int, expected: tuple[int, ...]) -> bool:
    return status >= 400 and status not in expected


def _expected(said: Any, expected: tuple[int, ...]) -> bool:
    """The browser itself notes each answer of 400 and more."""
    return said.type == "error" and any(f"status of {status}" in said.text for status in expected)
