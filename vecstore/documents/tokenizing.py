"""Counting tokens, by BERT's uncased WordPiece or by a tokenizer of one's own."""

from __future__ import annotations

import gzip
import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from vecstore.errors import FailedPrecondition, InvalidArgument, invalid

OWN = Path(__file__).parent.parent / "data" / "bert-uncased.tokenizer.json.gz"


def library(module: str) -> Any:
    """Raises FailedPrecondition (EXTRA_MISSING)."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"documents need {module.split('.')[0]} ({error}): pip install 'vecstore[documents]'"
        raise FailedPrecondition(message, reason="EXTRA_MISSING") from None


@lru_cache(maxsize=8)
def tokenizer_json(path: str) -> str:
    """The text of a tokenizer.json; of the one that comes along for an empty path. Raises InvalidArgument
    (BAD_ARGUMENT)."""
    if not path:
        return gzip.decompress(OWN.read_bytes()).decode()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _no_tokenizer(path, error) from None


@lru_cache(maxsize=8)
def tokenizer(path: str) -> Any:
    """Threads may share it. Raises InvalidArgument (BAD_ARGUMENT), FailedPrecondition (EXTRA_MISSING)."""
    tokenizers = library("tokenizers")
    try:
        found = tokenizers.Tokenizer.from_str(tokenizer_json(path))
    except InvalidArgument:
        raise
    except Exception as error:  # the library raises nothing narrower
        raise _no_tokenizer(path, error) from None
    found.no_truncation()
    found.no_padding()
    return found


def count_tokens(text: str, path: str = "") -> int:
    """Special tokens left out."""
    return len(tokenizer(path).encode(text, add_special_tokens=False).ids)


def _no_tokenizer(path: str, error: Exception) -> InvalidArgument:
    message = f"tokenizer={path!r} is no tokenizer.json: {error!s:.200}"
    return invalid("BAD_ARGUMENT", message, "tokenizer")
