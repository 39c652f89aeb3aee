"""Documents into text, headings and pages; chunks that fit, cover the text and know where they stand."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

pytest.importorskip("semantic_text_splitter", reason="needs the documents extra")
pytest.importorskip("markdownify", reason="needs the documents extra")
pytest.importorskip("pypdfium2", reason="needs the documents extra")

from vecstore.documents.chunking import chunks_of, searched_text
from vecstore.documents.headings import headings_of, path_at
from vecstore.documents.reading import media_type_of, read
from vecstore.documents.tokenizing import count_tokens
from vecstore.documents.types import Chunking, Document
from vecstore.errors import InvalidArgument

MARKDOWN = """# Harbour

Ships wait here.

## Pilots

A pilot comes on board. He knows the shoals.

```
# not a heading
```

### Fees

Fees are paid at the office.

Weather
-------

It rains.
"""


def pdf(*pages: str) -> bytes:
    """A small PDF with a line of text on each page."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % (len(objects))
        )
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (listed, len(kids))
    objects.append(b"<< /Title (Tide tables) >>")
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1, len(objects), start,
    )  # fmt: skip
    return out


# ---- reading


@pytest.mark.parametrize(
    ("document", "media_type"),
    [(Document("x", "a.md"), "text/markdown"), (Document("x", uri="http://h/a.HTML?q=1"), "text/html"),
     (Document("x"), "text/plain"), (Document("x", "notes.md", media_type="Text/Plain; charset=utf-8"), "text/plain"),
     (Document(b"%PDF-1.4"), "application/pdf"), (Document("x", uri="a.pdf"), "application/pdf")],
)  # fmt: skip
def test_the_type_is_what_is_said_or_what_the_ending_says(document: Document, media_type: str) -> None:
    assert media_type_of(document) == media_type


def test_markdown_has_headings_and_a_title() -> None:
    found = read(Document(MARKDOWN, "a.md"))
    assert found.text == MARKDOWN
    assert found.title == "Harbour"
    assert [(one.level, one.text) for one in found.headings] == [
        (1, "Harbour"), (2, "Pilots"), (3, "Fees"), (2, "Weather")
    ]  # fmt: skip
    for one in found.headings:
        assert MARKDOWN[one.start :].lstrip("#").strip().startswith(one.text)
    assert path_at(found.headings, MARKDOWN.index("office")) == ("Harbour", "Pilots", "Fees")
    assert path_at(found.headings, MARKDOWN.index("rains")) == ("Harbour", "Weather")
    assert path_at(headings_of("no headings"), 3) == ()


def test_html_is_its_main_text_with_headings_and_no_scripts() -> None:
    html = """<html><head><title> Light  houses </title><style>b{}</style></head><body><nav>Home | About</nav>
    <main><h1>Lamps</h1><p>They <b>turn</b> &amp; shine.</p><script>steal()</script><h2>Fog</h2>
    <ul><li>one_two</li><li>two</li></ul><table><tr><th>a</th></tr><tr><td>1</td></tr></table></main>
    <footer>imprint</footer></body></html>"""
    found = read(Document(html, "x.html"))
    assert found.title == "Light houses"
    assert [one.text for one in found.headings] == ["Lamps", "Fog"]
    for kept in ("turn", "& shine.", "one_two", "| 1 |"):
        assert kept in found.text
    for gone in ("steal", "Home", "imprint", "b{}", "Light"):
        assert gone not in found.text


def test_a_page_with_no_main_part_is_its_body() -> None:
    found = read(Document(b"<p>caf\xc3\xa9</p><p>second</p>", media_type="text/html"))
    assert found.text == "café\n\nsecond\n"
    assert found.title is None


def test_a_pdf_has_pages() -> None:
    found = read(Document(pdf("High water is at noon today", "Low water at six")))
    assert found.title == "Tide tables"
    assert "High water is at noon" in found.text[: found.pages[1]]
    assert "Low water at six" in found.text[found.pages[1] :]
    chunks = chunks_of(found, Chunking(tokens=8, overlap=0))
    told = [(chunk.text, chunk.page) for chunk in chunks]
    assert told == [("High water is at noon today", 1), ("Low water at six", 2)]


@pytest.mark.parametrize(
    ("document", "named"),
    [(Document("x", media_type="image/png"), "image/png"),
     (Document(b"\xff\xfe", "a.txt"), "not UTF-8: byte 0 is 0xff"),
     (Document(" \n", "a.md"), "has no text"), (Document(b"%PDF-1.4 rubbish"), "cannot be read as application/pdf"),
     (Document("text", media_type="application/pdf"), "must be bytes"),
     (Document("<script>x</script>", "a.html"), "no text"),
     (Document("<div>" * 20_000 + "x", "a.html"), "nested too deeply")],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(document: Document, named: str) -> None:
    with pytest.raises(InvalidArgument, match=named) as caught:
        read(document)
    assert caught.value.reason == "BAD_DOCUMENT"


# ---- chunking


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("markdown", [True, False])
def test_chunks_fit_and_cover_the_text(seed: int, markdown: bool) -> None:
    print("seed", seed)
    source = random.Random(seed)
    words = ["tide", "harbour", "unbelievable", "lighthouse", "fog", "42", "naïve", "antidisestablishmentarianism,",
             "ship.", "Pilot!", "fee?"]  # fmt: skip
    parts = []
    for _ in range(source.randint(5, 60)):
        line = " ".join(source.choice(words) for _ in range(source.randint(1, 60)))
        parts.append("#" * source.randint(1, 4) + " " + line[:30] if source.random() < 0.25 else line)
    text = "\n\n".join(parts)
    found = read(Document(text, "a.md" if markdown else "a.txt"))
    size = source.choice([16, 40, 120])
    chunks = chunks_of(found, Chunking(tokens=size, overlap=source.choice([0, size // 4])))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    covered = 0
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert not text[covered : chunk.start].strip()  # nothing but white space is between
        assert chunk.end > covered
        covered = chunk.end
        longest_heading = max((count_tokens(one.text) + 6 for one in found.headings), default=0)
        assert count_tokens(chunk.text) <= size + 4 * longest_heading
        if not found.headings:
            assert count_tokens(chunk.text) <= size
    assert not text[covered:].strip()


def test_a_chunk_knows_its_headings_and_ends_with_none() -> None:
    chunks = chunks_of(read(Document(MARKDOWN, "a.md")), Chunking(tokens=16, overlap=0))
    by_text = {
        word: next(chunk for chunk in chunks if word in chunk.text) for word in ("wait", "shoals", "paid", "rains")
    }
    assert by_text["wait"].headings == ("Harbour",)
    assert by_text["shoals"].headings == ("Harbour", "Pilots")
    assert by_text["paid"].headings == ("Harbour", "Pilots", "Fees")
    assert by_text["rains"].headings == ("Harbour", "Weather")
    for chunk in chunks:
        assert not chunk.text.rstrip().endswith(("Harbour", "Pilots", "Fees"))


def test_overlap_repeats_the_end_of_the_chunk_before() -> None:
    text = " ".join(f"Sentence number {n} is here." for n in range(60))
    plain = chunks_of(read(Document(text)), Chunking(tokens=40, overlap=0))
    lapped = chunks_of(read(Document(text)), Chunking(tokens=40, overlap=15))
    assert all(one.end <= other.start for one, other in pairwise(plain))
    assert all(one.end > other.start for one, other in pairwise(lapped))


def test_what_is_searched_has_title_and_headings() -> None:
    chunk = next(
        one for one in chunks_of(read(Document(MARKDOWN, "a.md")), Chunking(tokens=16, overlap=0)) if "paid" in one.text
    )
    assert searched_text(chunk, "The harbour", Chunking()).startswith("The harbour > Harbour > Pilots\n")
    assert searched_text(chunk, None, Chunking(headings=False)) == chunk.text


@pytest.mark.parametrize(
    ("chunking", "named"),
    [(Chunking(tokens=7), "tokens=7"), (Chunking(tokens=100_000), "TOKENS_MAX"), (Chunking(overlap=200), "overlap=200"),
     (Chunking(overlap=-1), "overlap=-1"), (Chunking(tokenizer="/nowhere.json"), "no tokenizer.json")],
)  # fmt: skip
def test_chunking_that_cannot_be_is_refused(chunking: Chunking, named: str) -> None:
    with pytest.raises(InvalidArgument, match=named):
        chunks_of(read(Document("some text")), chunking)
