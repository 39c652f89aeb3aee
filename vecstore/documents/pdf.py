"""The text of a PDF's pages, by the library pypdfium2 (PDFium)."""

from __future__ import annotations

import threading

from vecstore.documents.tokenizing import library

_lock = threading.Lock()  # PDFium serves one thread


def pages_of(content: bytes) -> tuple[str | None, list[str]]:
    """The title, if it has one, and each page's text in reading order; of a page that is a picture, an empty one."""
    pdfium = library("pypdfium2")
    with _lock:
        document = pdfium.PdfDocument(content)
        try:
            title = document.get_metadata_value("Title").strip()
            texts = []
            for number in range(len(document)):
                page = document[number]
                part = page.get_textpage()
                texts.append(part.get_text_bounded())
                part.close()
                page.close()
        finally:
            document.close()
    return title or None, texts
