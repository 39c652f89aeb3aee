"""Whole queries of random parts against a plain model: stages, examples, groups, orders and pages, over segments that
are sealed and merged meanwhile. ROUNDS asks for more of them, SEED for the same again."""

import os
import random
from collections import Counter

import numpy as np
from filter_oracle import INSTANTS
from query_model import FIELDS, KEYS, Model, asked, entries, id_key, is_near_large

from vecstore.config import Settings, Storage
from vecstore.engine.database import Database
from vecstore.grouping import GroupsRequest
from vecstore.query.fusion import Fusion
from vecstore.query.parse import parse_filter
from vecstore.ranking import Discover, OrderBy, Recommend, Strategy
from vecstore.schema import FieldKind, Schema
from vecstore.types import CountRequest, DeleteRequest, Prefetch, QueryRequest, ScrollRequest, UpsertRequest

WORLDS, STEPS, QUESTIONS = int(os.environ.get("ROUNDS", 4)), 8, 12
INDEXES = {"n": "integer", "f": "float", "s": "keyword", "t": "datetime", "b": "bool", "a.n": "integer"}


class World(Model):
    def __init__(self, choose):
        super().__init__(choose)
        self.fields = {key: FieldKind(kind) for key, kind in INDEXES.items() if choose.random() < 0.5}
        storage = Storage(
            seal_rows=choose.choice([5, 12, 40]), merge_factor=choose.choice([2, 3, 9]), in_place_rows=10**6
        )
        self.db = Database.open(None, Settings(storage=storage))
        self.db.create_collection("c", Schema(FIELDS, self.fields))

    def write(self):
        if self.choose.random() < 0.8:
            self.db.write(UpsertRequest("c", self.batch()))
            return
        gone = [self.id() for _ in range(self.choose.randrange(1, 10))]
        self.db.write(DeleteRequest("c", gone))
        for id in gone:
            self.points.pop(id, None)

    def query(self, **request):
        hits = self.db.query(QueryRequest("c", **request))
        return list(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True))

    def where(self):
        """A filter as JSON and as requests have it; often none."""
        choose, key = self.choose, self.choose.choice(KEYS)
        leaves = [
            {"key": key, "match": {"any": choose.sample(["a", "b", 1, 2, -1, True, 2**53 + 1], 3)}},
            {"key": key, "match": {"except": ["a", 1]}},
            {"key": key, "range": {"gte": choose.choice([0, -1, 2.5, 2**53]), "lt": choose.choice([3, 2**62, 1e300])}},
            {"key": "t", "range": {choose.choice(["gt", "lte"]): choose.choice([*INSTANTS][:6])}},
            {"exists": {"key": key}},
            {"is_empty": {"key": key}},
            {"key": "g", "geo_radius": {"center": {"lat": choose.choice([90, 1]), "lon": 180}, "radius": 1e6}},
            {"has_vector": choose.choice([*FIELDS])},
            {"nested": {"key": "a", "filter": {"must": [{"key": "n", "range": {"gte": 1}}]}}},
        ]
        if choose.random() < 0.4:
            return None, None
        group = choose.choice(["must", "should", "must_not"])
        tree = {group: choose.sample(leaves, choose.randrange(3))}
        return tree, parse_filter(tree)

    # ---- questions: each asks the database and says what has to come back

    def ask_nearest(self):
        name, (tree, where), k = self.choose.choice([*FIELDS]), self.where(), self.choose.choice([1, 3, 1000])
        query, offset = self.vector(name, query=True), self.choose.choice([0, 0, 2, 50])
        got = self.query(vector=asked(name, query), using=name, k=k, offset=offset, filter=where)
        return got, self.ranked(name, query, self.matching(tree))[offset : offset + k]

    def stage(self, depth):
        """A prefetch, and its answer among ids."""
        choose, (tree, where), k = self.choose, self.where(), self.choose.choice([1, 2, 5, 1000])
        name = choose.choice([*FIELDS])
        query = self.vector(name, query=True)
        if not depth or choose.random() < 0.5:
            own = Prefetch(asked(name, query), name, where, k)
            return own, lambda ids: self.ranked(name, query, self.matching(tree, ids))[:k]
        legs = [self.stage(depth - 1) for _ in range(choose.randrange(1, 4))]
        below = [leg for leg, _ in legs]
        if choose.random() < 0.3:

            def rescored(ids):
                inside = self.matching(tree, ids)
                return self.ranked(name, query, {id for _, run in legs for id, _ in run(inside)})[:k]

            return Prefetch(asked(name, query), name, where, k, prefetch=below), rescored

        def fused(ids):
            total, inside = Counter(), self.matching(tree, ids)
            for _, run in legs:
                for rank, (id, _) in enumerate(run(inside), 1):
                    total[id] += 1 / (60 + rank)
            found = [(id, float(np.float32(one))) for id, one in total.items()]
            return sorted(found, key=lambda pair: (-pair[1], id_key(pair[0])))[:k]

        return Prefetch(prefetch=below, fusion=Fusion(), filter=where, k=k), fused

    def ask_stages(self):
        own, run = self.stage(2)
        parts = {name: getattr(own, name) for name in ("vector", "using", "filter", "k", "prefetch", "fusion")}
        return self.query(**parts), run(self.points)

    def ask_by_examples(self):
        choose, name, (tree, where) = self.choose, self.choose.choice([*FIELDS]), self.where()
        examples = [self.vector(name, query=True) for _ in range(3)]
        stored = [id for id, (vectors, _) in self.points.items() if len(vectors.get(name, ())) and name != "sparse"]
        own = choose.choice(stored) if stored and choose.random() < 0.5 else None
        if own is not None:
            examples[0] = self.points[own][0][name]
        given = [asked(name, one) for one in examples]
        given[0] = given[0] if own is None else own
        among, prefetch = self.matching(tree), ()
        if choose.random() < 0.5:
            below, run = self.stage(1)
            among, prefetch = [id for id, _ in run(among)], [below]
        sign = 1 if is_near_large(name) else -1
        kind = choose.choice(["best", "worst", "sum", "discover", "context"])
        ranking = {
            "best": Recommend((given[0],), (given[1],), Strategy.BEST_SCORE),
            "worst": Recommend((), (given[0],), Strategy.BEST_SCORE),
            "sum": Recommend((given[0], given[2]), (given[1],), Strategy.SUM_SCORES),
            "discover": Discover(given[0], ((given[1], given[2]),)),
            "context": Discover(None, ((given[0], given[1]),)),
        }[kind]
        wanted = []
        for id in among:
            row = self.points[id][0].get(name)
            if row is None or id == own or (name == "tokens" and not len(row)):
                continue
            leading = {"best": [0], "sum": [0, 2], "discover": [0]}.get(kind, [])
            shared = [entries(row).keys() & entries(examples[one]).keys() for one in leading if name == "sparse"]
            if shared and not any(shared) and not prefetch:
                continue
            near = [sign * (self.similarity(name, one, id) or 0.0) for one in examples]
            wanted.append((id, float(np.float32(combined(kind, near)))))
        wanted.sort(key=lambda pair: (-pair[1], id_key(pair[0])))
        return self.query(using=name, ranking=ranking, filter=where, prefetch=prefetch, k=5), wanted[:5]

    def ask_groups(self):
        name, (tree, where), key = self.choose.choice([*FIELDS]), self.where(), self.choose.choice(KEYS)
        query, k, size = self.vector(name, query=True), self.choose.choice([1, 2, 50]), self.choose.choice([1, 2, 3])
        request = GroupsRequest(QueryRequest("c", asked(name, query), name, filter=where, k=k), key, size)
        got = [((type(g.value), g.value), g.hits.ids.tolist()) for g in self.db.query_groups(request).groups]
        return got, self.grouped(self.ranked(name, query, self.matching(tree)), key, k, size)

    def ask_in_order(self):
        key, descending, (tree, where) = self.choose.choice(KEYS), self.choose.random() < 0.5, self.where()
        moments = key == "t" and ("t" in self.fields or self.choose.random() < 0.5)
        wanted, k = self.ordered(key, descending, moments, self.matching(tree)), self.choose.choice([1, 2, 7])
        got, start = [], (None, None)
        while len(got) % k == 0 and len(got) <= len(wanted):
            page = self.query(ranking=OrderBy(key, descending, *start, datetime=moments), filter=where, k=k)
            if not page:
                break
            got += [id for id, _ in page]
            start = next(((value, id) for value, id in wanted if id == got[-1]), (None, None))
        return got, [id for _, id in wanted]

    def ask_pages(self):
        (tree, where), got, after = self.where(), [], None
        while after is not None or not got:
            page = self.db.scroll(ScrollRequest("c", where, self.choose.choice([1, 3, 100]), after))
            got += [point.id for point in page.points]
            after = page.next_after
            if after is None:
                break
        wanted = sorted(self.matching(tree), key=id_key)
        assert self.db.count(CountRequest("c", where))[0] == len(wanted)
        return got, wanted


def squashed(near):
    return 0.5 * (near / (1 + abs(near)) + 1)


def combined(kind, near):
    one, other, third = near
    if kind == "best":
        return squashed(one) if one > other else -squashed(other)
    if kind == "worst":
        return -squashed(one)
    if kind == "sum":
        return one + third - other
    if kind == "discover":
        return float(np.sign(np.float32(other) - np.float32(third))) + squashed(one)
    return min(0.0, squashed(one) - squashed(other))


def same(got, wanted):
    """Equal; scores to the last bits of a float32."""
    if not wanted or not (isinstance(wanted[0], tuple) and isinstance(wanted[0][1], float)):
        return got == wanted
    close = len(got) == len(wanted) and np.allclose([s for _, s in got], [s for _, s in wanted], rtol=1e-5, atol=1e-6)
    # Sums that differ in the last bit may change places.
    return close and all(
        one == other or abs(score - wish) < 1e-6 * max(1, abs(wish))
        for (one, score), (other, wish) in zip(got, wanted, strict=True)
    )


def test_queries_agree_with_a_model():
    first, reached = int(os.environ.get("SEED", random.randrange(1 << 32))), Counter()
    for seed in range(first, first + WORLDS):
        world = World(random.Random(seed))
        questions = [name for name in dir(world) if name.startswith("ask_")]
        with world.db:
            for _ in range(STEPS):
                for _ in range(world.choose.randrange(4)):
                    world.write()
                for _ in range(QUESTIONS):
                    name = world.choose.choice(questions)
                    got, wanted = getattr(world, name)()
                    assert same(got, wanted), f"SEED={seed} {name}: {got!s:.1000} is not {wanted!s:.1000}"
                    reached[name] += len(wanted) > 1
    assert all(reached[name] for name in questions), f"SEED={first}: hardly reached {reached}"
