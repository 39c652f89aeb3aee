"""Documents from what users pass, and from files of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vecstore.documents.reading import SUFFIXES
from vecstore.documents.types import Document
from vecstore.errors import InvalidArgument


def as_document(
    content: str | bytes | Path | Document,
    id: str | None,
    title: str | None,
    uri: str | None,
    media_type: str | None,
    metadata: Mapping[str, Any] | None,
) -> Document:
    """Raises InvalidArgument (BAD_DOCUMENT) for a file that cannot be read, or for a `Document` and details of one."""
    if isinstance(content, Document):
        if any(one is not None for one in (id, title, uri, media_type, metadata)):
            raise InvalidArgument("give a Document, or content and its details", reason="BAD_ARGUMENT")
        return content
    if isinstance(content, Path):
        try:
            data = content.read_bytes()
        except OSError as error:
            raise InvalidArgument(f"cannot read {content}: {error.strerror}", reason="BAD_DOCUMENT") from None
        name = str(content)
        return Document(data, id or uri or name, title, uri or name, media_type, metadata or {})
    return Document(content, id, title, uri, media_type, metadata or {})


def files_of(folder: Path, pattern: str) -> list[tuple[str, Path]]:
    """Files of types that are read, by their paths below the folder. Hidden ones and links out of it are left out.

    Raises InvalidArgument (BAD_ARGUMENT)."""
    if not folder.is_dir():
        raise InvalidArgument(f"folder {str(folder)!r} is no directory", reason="BAD_ARGUMENT")
    root = folder.resolve()
    found = []
    for path in sorted(folder.glob(pattern)):
        below = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in below.parts):
            continue
        if path.is_file() and path.resolve().is_relative_to(root):
            found.append((below.as_posix(), path))
    return found
