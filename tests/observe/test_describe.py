"""What a slow query's line says of it, and what it never says."""

from __future__ import annotations

import json
import logging

import numpy as np

from vecstore.config import Server
from vecstore.index.base import SearchParams
from vecstore.observe.describe import filter_summary, query_summary
from vecstore.observe.logs import Event, JsonFormatter, configure_logging
from vecstore.query.filter import Filter, HasId, HasVector, MatchText, MatchValue, MinShould, Nested, Range
from vecstore.types import Prefetch, QueryRequest, Selection

SECRET = "s3cret"
WHERE = Filter(
    must=(MatchValue("lang", SECRET), Range("year", gte=1984), Filter(should=(MatchText("body", SECRET),))),
    must_not=(HasId((SECRET,)), HasVector("text")),
    min_should=MinShould((Nested("parts", Filter(must=(MatchValue("x", SECRET),))),), 1),
)


def test_a_filter_by_its_keys() -> None:
    assert filter_summary(WHERE) == (
        "must(match_value lang, range year, [should(match_text body)]) must_not(has_id, has_vector text) "
        "at_least_1(nested parts [must(match_value x)])"
    )


def test_a_query_without_what_it_holds() -> None:
    inner = Prefetch(np.ones(4, np.float32), prefetch=[Prefetch(np.ones(4, np.float32))])
    request = QueryRequest(
        "docs", np.full(4, 0.123, np.float32), "text", WHERE, k=7, offset=3, select=Selection(vectors=True),
        params=SearchParams(recall_target=0.9), prefetch=[inner],
    )  # fmt: skip
    found = query_summary(request)
    assert found == {
        "collection": "docs", "k": 7, "using": "text", "offset": 3, "filter": filter_summary(WHERE), "recall": 0.9,
        "prefetches": 2, "with_vectors": True,
    }  # fmt: skip
    assert SECRET not in str(found)
    assert "0.123" not in str(found)
    assert query_summary(QueryRequest("docs")) == {"collection": "docs", "k": 10}


def record(message: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("vecstore.server", level, "x.py", 1, message, (), None)


def test_no_field_begins_a_new_line() -> None:
    forged = 'a\nFORGED line="x"'
    event = Event("failed", {"method": "Points/Query", "message": forged, "n": 1, "code": "a b", "u": "é"})
    assert str(event) == 'failed method=Points/Query message="a\\nFORGED line=\\"x\\"" n=1 code="a b" u="é"'
    line = JsonFormatter().format(record(event))
    assert "\n" not in line
    assert json.loads(line)["message"] == forged


def test_json_lines() -> None:
    line = json.loads(JsonFormatter().format(record("listening on %s", logging.WARNING)))
    assert (line["event"], line["level"], line["logger"]) == ("listening on %s", "warning", "vecstore.server")
    assert line["time"].endswith("+00:00")
    try:
        raise ValueError("broken")
    except ValueError as error:
        failed = record("oops")
        failed.exc_info = (ValueError, error, error.__traceback__)
    assert "ValueError: broken" in json.loads(JsonFormatter().format(failed))["exception"]


def test_the_settings_choose(capsys: object) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        configure_logging(Server(log_format="json", log_level="warning"))
        assert isinstance(root.handlers[0].formatter, JsonFormatter)
        assert root.level == logging.WARNING
        configure_logging(Server())
        assert not isinstance(root.handlers[0].formatter, JsonFormatter)
        assert len(root.handlers) == 1
    finally:
        root.handlers[:], root.level = before
