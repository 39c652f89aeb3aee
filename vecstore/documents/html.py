"""HTML as Markdown, by the libraries beautifulsoup and markdownify."""

from __future__ import annotations

import re

from vecstore.documents.tokenizing import library

LEFT_OUT = ("script", "style", "noscript", "template", "svg", "iframe", "nav", "footer", "form", "button")


def markdown_of(content: str | bytes) -> tuple[str | None, str]:
    """The title, if there is one, and the text of the main part, or else of the body, without what is no text of it."""
    soup = library("bs4").BeautifulSoup(content, "html.parser")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    for tag in soup.find_all(LEFT_OUT):
        tag.decompose()
    if soup.title:
        soup.title.decompose()
    main = soup.find("main") or soup.find("article") or soup.body or soup
    text = (
        library("markdownify")
        .MarkdownConverter(
            heading_style="ATX", strip=["a", "img"], escape_asterisks=False, escape_underscores=False, escape_misc=False
        )
        .convert_soup(main)
    )
    return title or None, re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
