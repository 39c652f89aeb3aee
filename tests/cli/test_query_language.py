"""What `vecstore query` can ask: the answers of the SDK, as tables, trees and JSON; what does not fit is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

import vecstore
from vecstore import DBSF, MMR, RRF, Dense, F, Multi, OrderBy, Prefetch, Recommend, RelativeScore, Sparse, Text

RNG = np.random.default_rng(20261127)
N, DIM = 40, 4
VECTORS = RNG.integers(-4, 5, size=(N, DIM)).astype(np.float32)
TERMS = [{int(i): float(RNG.integers(1, 4)) for i in RNG.choice(12, 4, replace=False)} for _ in range(N)]
TOKENS = [RNG.integers(-2, 3, size=(3, DIM)).astype(np.float32) for _ in range(N)]
WORDS = ["red fox", "blue whale jumps", "red whale", "green frog and red frog"]
PAYLOADS = [{"n": i * 7 % 40, "doc": f"d{i % 5}"} for i in range(N)]
QUERY = json.dumps(VECTORS[5].tolist())
TERMS_QUERY = json.dumps(TERMS[9])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "db"
    with vecstore.connect(path) as db:
        docs = db.create_collection(
            "docs", {"v": Dense(DIM, metric="l2")}, sparse={"terms": Sparse()}, text={"body": Text()},
            multi={"tokens": Multi(DIM)},
        )  # fmt: skip
        texts = [WORDS[i % 4] for i in range(N)]
        docs.upsert(range(N), {"v": VECTORS, "terms": TERMS, "body": texts, "tokens": TOKENS}, PAYLOADS)
        named = db.create_collection("named", Dense(DIM))
        named.upsert(["a", UUID(int=7), 12], VECTORS[:3] + 0.5)
    return path


@pytest.fixture
def ask(run: Callable[..., Any], target: Path) -> Callable[..., Any]:
    """The JSON that a query of `docs` prints."""

    def call(*args: object, **kwargs: Any) -> Any:
        done = run("query", "docs", "-t", target, "--json", *args, **kwargs)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return call


def plain(hits: Any) -> list[Any]:
    return [(hit.id, hit.score, hit.payload) for hit in hits]


def printed(found: list[Any]) -> list[Any]:
    return [(one["id"], np.float32(one["score"]), one["payload"]) for one in found]


def sdk(target: Path, call: Callable[[Any], Any]) -> Any:
    with vecstore.connect(target) as db:
        return call(db.collection("docs"))


LEGS = [Prefetch(vector=VECTORS[5], using="v", k=20), Prefetch(vector="red whale", using="body", k=20),
        Prefetch(vector=TERMS[9], using="terms", k=20)]  # fmt: skip
THREE = ["--vector", f"v={QUERY}", "--text", "red whale", "--sparse", TERMS_QUERY, "--candidates", 20]


def test_one_field_each(ask: Callable[..., Any], target: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "tokens.npy", TOKENS[3])
    np.save(tmp_path / "token.npy", TOKENS[3][:1])
    for options, vector, using in (
        (["--text", "red whale"], "red whale", "body"),
        (["--text", "body=red whale"], "red whale", "body"),
        (["--vector", "red whale", "--using", "body"], "red whale", "body"),
        (["--sparse", TERMS_QUERY], TERMS[9], "terms"),
        (["--sparse", f"terms={TERMS_QUERY}"], TERMS[9], "terms"),
        (["--vector", f"v={QUERY}", "--recall", 0.9], VECTORS[5], "v"),
        (["--multi", tmp_path / "tokens.npy"], TOKENS[3], "tokens"),
        (["--multi", tmp_path / "token.npy"], TOKENS[3][:1], "tokens"),
        (["--multi", json.dumps(TOKENS[3].tolist())], TOKENS[3], "tokens"),
    ):
        expected = sdk(target, lambda docs, v=vector, u=using: plain(docs.query(v, 7, using=u)))
        assert printed(ask(*options, "-k", 7)) == expected, options
    assert ask("--text", "-", input="red whale") == ask("--text", "red whale")


@pytest.mark.parametrize(
    ("options", "fusion"),
    [
        ([], RRF()),
        (["--fusion", "rrf"], RRF()),
        (["--fusion", "dbsf"], DBSF()),
        (["--fusion", "relative"], RelativeScore()),
        (["--fusion", "dbsf", "--weights", "3,0.5,1"], DBSF((3, 0.5, 1))),
        (["--weights", "3,0.5,1", "--weigh-ranks"], RRF(weights=(3, 0.5, 1), weigh_ranks=True)),
    ],
)
def test_several_are_fused(ask: Callable[..., Any], target: Path, options: list[Any], fusion: Any) -> None:
    expected = sdk(target, lambda docs: list(docs.query(prefetch=LEGS, fusion=fusion, k=6, filter=F("n").lt(30))))
    filter = ["--filter", '{"key": "n", "range": {"lt": 30}}']
    found = ask(*THREE, *options, *filter, "-k", 6)
    assert printed(found) == plain(expected)
    assert [one["legs"] for one in found] == [{str(leg): part for leg, part in hit.legs.items()} for hit in expected]


def test_how_hard_to_look_and_what_to_show(ask: Callable[..., Any], target: Path) -> None:
    one, two = ["--vector", f"v={QUERY}"], ["--vector", f"v={json.dumps(VECTORS[8].tolist())}"]
    short = ["--truncate-dim", 2, "--no-payload", "--threshold", 2.0]
    near = sdk(
        target, lambda docs: docs.query(VECTORS[5], using="v", truncate_dim=2, score_threshold=2.0, with_payload=False)
    )
    assert printed(ask(*one, *short)) == plain(near) != []
    legs = [Prefetch(vector=VECTORS[i], using="v", truncate_dim=2) for i in (5, 8)]
    both = sdk(target, lambda docs: plain(docs.query(prefetch=legs, fusion=RRF())))
    assert printed(ask(*one, *two, "--truncate-dim", 2)) == both != printed(ask(*one, *two))
    assert ask(*one, "--exact", "--explain")["quality"] == {
        "est_recall": 1.0, "complete": True, "strategy": "exact_scan", "basis": "exact", "skipped_segments": 0,
        "skipped_points": 0, "timed_out": False,
    }  # fmt: skip
    waiting = ask(*one, "--indexed-only", "--explain")["quality"]
    assert (waiting["complete"], waiting["skipped_points"]) == (False, len(VECTORS))
    assert printed(ask(*one, "--allow-partial")) == printed(ask(*one))


def test_two_of_a_kind(ask: Callable[..., Any], target: Path) -> None:
    legs = [Prefetch(vector=VECTORS[5], using="v"), Prefetch(vector=VECTORS[8], using="v")]
    both = ["--vector", f"v={QUERY}", "--vector", f"v={json.dumps(VECTORS[8].tolist())}"]
    assert printed(ask(*both)) == sdk(target, lambda docs: plain(docs.query(prefetch=legs, fusion=RRF())))


def test_formulas_rank_what_is_found(ask: Callable[..., Any], target: Path) -> None:
    for text, options, legs in (
        ("score(0, default=99) * -1 + 0.2 * score(1, default=0)", THREE[:4] + THREE[6:], LEGS[:2]),
        ("field('n') / (1 + score(0))", ["--vector", f"v={QUERY}", "--candidates", 20], LEGS[:1]),
    ):
        expected = sdk(target, lambda docs, t=text, p=legs: plain(docs.query({"formula": t}, 5, prefetch=p)))
        assert printed(ask(*options, "--formula", text, "-k", 5)) == expected
        assert expected


def test_diversity_groups_orders_and_examples(ask: Callable[..., Any], target: Path) -> None:
    one = ["--vector", f"v={QUERY}"]
    diverse = sdk(target, lambda docs: plain(docs.query(VECTORS[5], 5, using="v", mmr=MMR(0.8, 30))))
    assert printed(ask(*one, "--mmr", 0.8, "--candidates", 30, "-k", 5)) == diverse
    assert printed(ask(*one, "-k", 5)) != diverse
    groups = sdk(target, lambda docs: docs.query_groups(VECTORS[5], 3, using="v", group_by="doc", group_size=2).groups)
    found = ask(*one, "--group-by", "doc", "--group-size", 2, "-k", 3)
    assert [(one["value"], printed(one["hits"])) for one in found] == [(one.value, plain(one.hits)) for one in groups]
    ordered = sdk(target, lambda docs: plain(docs.query(OrderBy("n", True), 4)))
    assert printed(ask("--order-by", "n", "--descending", "-k", 4)) == ordered
    assert [one["score"] for one in ask("--order-by", "n", "-k", 3)] == [0, 1, 2]
    like = sdk(target, lambda docs: plain(docs.query(Recommend([5, 9], [7], "best_score"), 6, using="v")))
    asked = ["--recommend", "5, 9", "--negative", 7, "--strategy", "best_score", "--using", "v"]
    assert printed(ask(*asked, "-k", 6)) == like
    mean = sdk(target, lambda docs: plain(docs.query(Recommend([5]), 3, using="v")))
    assert printed(ask("--recommend", "5", "--using", "v", "-k", 3)) == mean


def test_ids_are_read_as_what_exists(run: Callable[..., Any], target: Path) -> None:
    common = ["query", "named", "-t", target, "--json"]
    for text, left in (("a", [{"uuid": str(UUID(int=7))}, 12]), (str(UUID(int=7)), ["a", 12]), ("12", None)):
        found = [one["id"] for one in json.loads(run(*common, "--recommend", text).stdout)]
        assert len(found) == 2
        assert left is None or sorted(found, key=str) == sorted(left, key=str)
    done = run(*common, "--recommend", "nobody")
    assert (done.exit_code, "error: POINT_NOT_FOUND: recommend.positive[0]" in done.stderr) == (1, True), done.stderr


def test_facets(ask: Callable[..., Any], run: Callable[..., Any], target: Path) -> None:
    assert ask("--facet", "doc", "-k", 2) == [{"value": "d0", "count": 8}, {"value": "d1", "count": 8}]
    few = ask("--facet", "doc", "--filter", '{"key": "n", "range": {"lt": 2}}')
    assert sum(one["count"] for one in few) == 2
    done = run("query", "docs", "-t", target, "--facet", "doc")
    assert re.search(r"d0 +8", done.stdout), done.stdout


def test_a_request_in_full(ask: Callable[..., Any], run: Callable[..., Any], target: Path, tmp_path: Path) -> None:
    body = {
        "prefetch": [
            {"nearest": VECTORS[5].tolist(), "using": "v", "limit": 20},
            {"nearest": "red whale", "using": "body", "limit": 20},
            {"nearest": {"indices": list(TERMS[9]), "values": list(TERMS[9].values())}, "using": "terms", "limit": 20},
        ],
        "fusion": {"dbsf": {}, "weights": [3, 0.5, 1]},
        "limit": 6,
        "filter": {"must": [{"key": "n", "range": {"lt": 30}}]},
    }
    file = tmp_path / "query.json"
    file.write_text(json.dumps(body), encoding="utf-8")
    asked = ["--fusion", "dbsf", "--weights", "3,0.5,1", "--filter", '{"key": "n", "range": {"lt": 30}}', "-k", 6]
    expected = ask(*THREE, *asked)
    assert ask("--request", file) == expected
    assert ask("--request", "-", input=json.dumps(body)) == expected
    assert ask("--request", file, "--explain")["explain"]["prefetch"]
    assert ask("--request", file, "--group-by", "doc")[0]["hits"][0] == {**expected[0], "legs": expected[0]["legs"]}
    assert ask("--request", file, "--why-not", expected[0]["id"])["verdict"] == "answer"
    for wrong, reason, names in (
        ({"nearest": [1], "limits": 3}, "BAD_ARGUMENT", "limits"),
        (
            {"prefetch": [{"nearest": [1, 2, 3, 4], "using": "v", "limit": "x"}], "fusion": "rrf"},
            "",
            "prefetch[0].limit",
        ),
        ({"limit": 3}, "BAD_VECTOR", "nearest"),
        ({"nearest": [1.0], "using": "v"}, "DIMENSION_MISMATCH", "dim"),
    ):
        done = run("query", "docs", "-t", target, "--request", "-", input=json.dumps(wrong))
        assert done.exit_code == 1, done.output
        assert done.stderr.startswith(f"error: {reason}")
        assert names in done.stderr
    done = run("query", "docs", "-t", target, "--request", "-", input="{")
    assert "error: BAD_JSON" in done.stderr


def test_explain_is_a_tree(run: Callable[..., Any], target: Path) -> None:
    done = run("query", "docs", "-t", target, *THREE, "-k", 2, "--explain")
    assert done.exit_code == 0, done.output
    assert "rrf score" in done.stdout
    tree = done.stdout[done.stdout.index("answer") :].splitlines()
    assert re.search(r"answer .*found 2 .*total [\d.]+ ms", tree[0])
    assert re.match(r"├── quality  strategy rrf\(.*est_recall 1  complete yes", tree[1])
    places = [next(i for i, line in enumerate(tree) if f"prefetch {leg}: {name}" in line)
              for leg, name in enumerate(("v", "body", "terms"))]  # fmt: skip
    assert places == sorted(places)
    assert re.search(r"└── segment growing .*rows 40 .*alive 40 .*scan [\d.]+ ms", tree[places[0] + 1])
    assert "rows_scanned 40" in tree[places[0] + 2]
    done = run("query", "docs", "-t", target, "--vector", f"v={QUERY}", "--explain")
    assert re.search(r"\nv  points 40 .*seq 1 ", done.stdout), done.stdout


def test_why_not(ask: Callable[..., Any], run: Callable[..., Any], target: Path) -> None:
    one = ["--vector", f"v={QUERY}", "-k", 3]
    ranked = sdk(target, lambda docs: docs.query(VECTORS[5], N, using="v").ids.tolist())
    report = ask(*one, "--why-not", ranked[20])
    assert (report["verdict"], report["rank"], report["limit"]) == ("rank", 21, 3)
    done = run("query", "docs", "-t", target, *one, "--why-not", ranked[20])
    assert re.match(rf"{ranked[20]}: rank .*limit 3 .*rank 21 ", done.stdout), done.stdout
    filter = ["--filter", '{"must": [{"key": "doc", "match": {"value": "none"}}]}']
    done = run("query", "docs", "-t", target, *one, *filter, "--why-not", 3)
    assert re.match(r"3: filtered", done.stdout)
    assert 'fails {"must":[{"key":"doc","match":{"value":"none"}}]}' in done.stdout
    done = run("query", "docs", "-t", target, "--text", "whale", "--vector", f"v={QUERY}", "--why-not", 0, "-k", 1)
    assert re.match(r"0: ", done.stdout)
    assert "prefetch 0: v: " in done.stdout
    assert "prefetch 1: body: no_match" in done.stdout
    assert run("query", "docs", "-t", target, *one, "--why-not", "nobody").stdout.startswith("nobody: absent")


def test_tables_of_groups_and_formulas(run: Callable[..., Any], target: Path) -> None:
    done = run("query", "docs", "-t", target, "--vector", f"v={QUERY}", "--group-by", "doc", "-k", 2, "--explain")
    assert re.search(r"group +id +l2 distance +payload", done.stdout)
    assert "segment growing" in done.stdout
    done = run("query", "docs", "-t", target, "--vector", f"v={QUERY}", "--formula", "score(0)", "-k", 1)
    assert re.search(r"id +formula +payload", done.stdout)


REFUSED = [
    (["--text", "fox", "--id", "1"], "give one kind of query"),
    ([], "give a query"),
    (["--text", "fox", "--fusion", "rrf"], "needs several"),
    (["--text", "fox", "--weights", "1"], "--fusion"),
    (["--text", "fox", "--sparse", "{}", "--weigh-ranks"], "--weights"),
    (["--text", "fox", "--sparse", "{}", "--fusion", "dbsf", "--weights", "1,2", "--weigh-ranks"], "--fusion rrf"),
    (["--text", "fox", "--descending"], "does not go with --text"),
    (["--text", "fox", "--strategy", "best_score"], "does not go with --text"),
    (["--text", "fox", "--candidates", "5"], "--mmr"),
    (["--text", "fox", "--group-size", "5"], "--group-by"),
    (["--text", "fox", "--sparse", "{}", "--using", "v"], "FIELD=VALUE"),
    (["--text", "fox", "--sparse", "{}", "--mmr", "0.5"], "several"),
    (["--text", "fox", "--sparse", "{}", "--fusion", "rrf", "--formula", "score(0)"], "--formula"),
    (["--text", "fox", "--why-not", "1", "--group-by", "doc"], "--why-not"),
    (["--facet", "doc", "--exact"], "does not go with --facet"),
    (["--order-by", "n", "--recall", "0.9"], "does not go with --order-by"),
    (["--request", "x.json", "-k", "5"], "does not go with --request"),
    (["--text", "fox", "--fusion", "mean"], "mean"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "says"), REFUSED)
def test_what_does_not_go_together(run: Callable[..., Any], target: Path, options: list[str], says: str) -> None:
    done = run("query", "docs", "-t", target, *options, env={"COLUMNS": "400", "TERM": "dumb"})
    assert done.exit_code == 2, done.output
    assert says in done.stderr, done.stderr


BAD = [
    (["--sparse", "{"], "BAD_VECTOR"),
    (["--sparse", "none.json"], "FILE_NOT_FOUND"),
    (["--multi", "none.npy"], "FILE_NOT_FOUND"),
    (["--request", "none.json"], "FILE_NOT_FOUND"),
    (["--vector", QUERY], "VECTOR_NAME_UNKNOWN"),
    (["--vector", f"v={QUERY}", "--formula", "score(0) +"], "BAD_FORMULA"),
    (["--vector", f"v={QUERY}", "--formula", "score(3)"], "BAD_FORMULA"),
    (["--vector", f"v={QUERY}", "--mmr", "3"], "BAD_ARGUMENT"),
    ([*THREE, "--weights", "1,x,2", "--fusion", "rrf"], "BAD_ARGUMENT"),
    ([*THREE, "--weights", "1,2", "--fusion", "rrf"], "BAD_ARGUMENT"),
    (["--recommend", "5", "--using", "no"], "VECTOR_NAME_UNKNOWN"),
]


@pytest.mark.parametrize(("options", "reason"), BAD)
def test_bad_values(run: Callable[..., Any], target: Path, options: list[str], reason: str) -> None:
    done = run("query", "docs", "-t", target, *options)
    assert done.exit_code == 1, done.output
    assert done.stderr.startswith(f"error: {reason}"), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_text_without_a_field_for_it(run: Callable[..., Any], target: Path) -> None:
    done = run("query", "named", "-t", target, "--text", "fox")
    assert "none of the collection's fields takes --text" in done.stderr
    assert done.exit_code == 1


def test_help_says_how_to_ask(run: Callable[..., Any]) -> None:
    done = run("query", "--help", env={"COLUMNS": "200", "TERM": "dumb"})
    for word in ("What to search for", "--formula", "--why-not", "--group-by", "[FIELD=]TEXT", "hybrid search"):
        assert word in done.stdout
