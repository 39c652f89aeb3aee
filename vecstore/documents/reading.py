"""From a document's content to its text, with what is known of headings and pages. A new media type is one function
and one line in each of the two tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from vecstore.documents.headings import Heading, headings_of
from vecstore.documents.html import markdown_of
from vecstore.documents.pdf import pages_of
from vecstore.documents.types import Document
from vecstore.errors import InvalidArgument, VecstoreError, invalid

PLAIN, MARKDOWN, HTML, PDF = "text/plain", "text/markdown", "text/html", "application/pdf"
SUFFIXES = {
    ".txt": PLAIN, ".text": PLAIN, ".rst": PLAIN, ".md": MARKDOWN, ".markdown": MARKDOWN, ".htm": HTML, ".html": HTML,
    ".xhtml": HTML, ".pdf": PDF,
}  # fmt: skip
_UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")  # control characters, which PDFs are full of


@dataclass(frozen=True, slots=True)
class Read:
    """A document's text. `is_markdown` where its marks are Markdown's; `pages` are the characters at which they
    begin."""

    text: str
    media_type: str
    title: str | None = None
    is_markdown: bool = False
    headings: list[Heading] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)


def media_type_of(document: Document) -> str:
    """Raises InvalidArgument (BAD_DOCUMENT) for a type that is not read."""
    if document.media_type is not None:
        named = document.media_type.partition(";")[0].strip().lower()
        if named not in READERS:
            raise bad_document("media_type", f"{document.media_type!r:.80} is not read; known: {', '.join(READERS)}")
        return named
    for name in (document.uri, document.id):
        suffix = PurePosixPath(urlsplit(name).path).suffix.lower() if name else ""
        if suffix in SUFFIXES:
            return SUFFIXES[suffix]
    if isinstance(document.content, bytes) and document.content.startswith(b"%PDF-"):
        return PDF
    return PLAIN


def read(document: Document) -> Read:
    """Raises InvalidArgument (BAD_DOCUMENT) for content that cannot be read or has no text, FailedPrecondition
    (EXTRA_MISSING)."""
    media_type = media_type_of(document)
    try:
        found = READERS[media_type](document.content)
    except VecstoreError:
        raise
    except RecursionError:
        raise bad_document("content", "is nested too deeply") from None
    except Exception as error:  # whatever the library of this type raises about bytes that others made
        raise bad_document("content", f"cannot be read as {media_type}: {error!s:.200}") from None
    if not found.text.strip():
        raise bad_document("content", f"has no text that can be read as {media_type}")
    return found


def _plain(content: str | bytes) -> Read:
    return Read(_decoded(content), PLAIN)


def _markdown(content: str | bytes) -> Read:
    text = _decoded(content)
    headings = headings_of(text)
    title = headings[0].text if headings and headings[0].level == 1 else None
    return Read(text, MARKDOWN, title, True, headings)


def _html(content: str | bytes) -> Read:
    title, text = markdown_of(content)
    text = _UNSEEN.sub("", text)
    headings = headings_of(text)
    if title is None and headings and headings[0].level == 1:
        title = headings[0].text
    return Read(text, HTML, title, True, headings)


def _pdf(content: str | bytes) -> Read:
    if isinstance(content, str):
        raise bad_document("content", "of a PDF must be bytes")
    title, texts = pages_of(content)
    text, pages = "", []
    for page in texts:
        pages.append(len(text))
        text += _UNSEEN.sub("", page.replace("\r\n", "\n")).strip() + "\n\n"
    return Read(text, PDF, title, pages=pages)


READERS: dict[str, Callable[[str | bytes], Read]] = {PLAIN: _plain, MARKDOWN: _markdown, HTML: _html, PDF: _pdf}


def _decoded(content: str | bytes) -> str:
    """Text, from bytes as UTF-8 with or without its mark."""
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_document("content", f"is not UTF-8: byte {error.start} is {content[error.start]:#04x}") from None


def bad_document(path: str, problem: str) -> InvalidArgument:
    message = f"{path} {problem}"
    return invalid("BAD_DOCUMENT", message, path)
