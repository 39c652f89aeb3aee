"""Points in a dictionary, and what queries have to answer of them: a plain reading of docs/QUERIES.md.

Vectors hold small integers, so that scores are exact, ties are common, and orders must be equal, not close.
"""

import json
import math
from uuid import UUID

import numpy as np
from filter_oracle import INSTANTS, flat, oracle, walk

from vecstore.schema import DataType, Metric, VectorField, VectorKind, larger_is_nearer
from vecstore.sparse import SparseVector, sparse_rows
from vecstore.tokens import TokenRows
from vecstore.types import PointBatch, VectorBatch

TOKEN_DIM = 3
FIELDS = {
    "l2": VectorField(VectorKind.DENSE, 4, Metric.L2),
    "dot": VectorField(VectorKind.DENSE, 4, Metric.DOT, DataType.FLOAT16),
    "brief": VectorField(VectorKind.DENSE, 3, Metric.L2, DataType.BFLOAT16),
    "sparse": VectorField(VectorKind.SPARSE, 0, Metric.DOT),
    "tokens": VectorField(VectorKind.MULTI, TOKEN_DIM, Metric.MAXSIM),
    "bits": VectorField(VectorKind.BINARY, 16, Metric.HAMMING),
}
KEYS = ["n", "f", "s", "t", "g", "b", "a.n", "ü.x"]
NUMBERS = [0, 1, 2, -1, 1.0, 2.5, -0.0, 2**53, 2**53 + 1, 2**63, -(2**70), 10**400, -(10**400), 1e300, 5e-324, 3]
LARGEST = 1.7976931348623157e308


def id_key(id):
    """The documented order: numbers, UUIDs, strings."""
    if isinstance(id, int):
        return 0, id
    return (1, id.bytes) if isinstance(id, UUID) else (2, id.encode())


class Model:
    """`points` are vectors by field and a payload, by id; `choose` is a random.Random."""

    def __init__(self, choose):
        self.choose, self.points = choose, {}

    # ---- random parts

    def id(self):
        kind = self.choose.random()
        if kind < 0.6:
            return self.choose.randrange(60)
        if kind < 0.75:
            return UUID(int=self.choose.randrange(8) << 100)
        if kind < 0.95:
            return self.choose.choice(["é", "a", "zz", "日", "1"]) + str(self.choose.randrange(4))
        return self.choose.choice([2**63, 2**64 - 1, 2**53 + 1])

    def vector(self, name, query=False):
        choose, field = self.choose, FIELDS[name]
        if field.kind is VectorKind.BINARY:
            return np.array([choose.choice([0, 255, 7, 240]) for _ in range(2)], np.uint8)
        if field.kind is VectorKind.SPARSE:
            indices = sorted(choose.sample(range(8), choose.randrange(int(query), 5)))
            values = [choose.choice([1, 2, -1, 0, 0.5]) for _ in indices]
            return SparseVector(np.array(indices, np.uint32), np.array(values, np.float32))
        if field.kind is VectorKind.MULTI:
            shape = choose.randrange(int(query), 4), TOKEN_DIM
            return np.array([choose.randrange(-2, 3) for _ in range(shape[0] * shape[1])], np.float32).reshape(shape)
        return np.array([choose.randrange(-3, 4) for _ in range(field.dim)], np.float32)

    def payload(self):
        choose = self.choose

        def number():
            return choose.choice(NUMBERS)

        def of_n():
            return choose.choice([number(), number(), "x", None, [number(), number()], [], True, [[1, 2], 3]])

        made = {
            "n": of_n(),
            "f": choose.choice([number(), [number()]]),
            "s": choose.choice(["a", "b", "ä", ["a", "b"], ["a", "a"], "", None, 1, ["c", None, 2]]),
            "t": choose.choice([*INSTANTS, "nope", None, 5, ["2024-02-29", "2024-02-29T12:00:00Z"]]),
            "g": choose.choice([{"lat": 90, "lon": 10}, {"lat": 1, "lon": -180}, {"lat": 91, "lon": 0}, "x"]),
            "b": choose.choice([True, False, 1, None, [True, False]]),
            "a": choose.choice([{"n": of_n()}, [{"n": of_n()}, {"n": of_n()}, {}], 7, [[{"n": 1}]]]),
            "ü": {"x": choose.choice(["a", "b", ["b", "c"]])},
        }
        kept = {key: value for key, value in made.items() if choose.random() < 0.6}
        return kept or None

    def batch(self):
        """Some points, to be written and written here."""
        ids = list(dict.fromkeys(self.id() for _ in range(self.choose.randrange(1, 15))))
        payloads, given, vectors = [self.payload() for _ in ids], [{} for _ in ids], {}
        for name, field in FIELDS.items():
            if self.choose.random() < 0.1:
                continue
            present = np.array([self.choose.random() < 0.85 for _ in ids])
            rows = [self.vector(name) for _ in ids]
            for place in np.flatnonzero(present):
                given[place][name] = rows[place]
            vectors[name] = VectorBatch(stored(field, rows, present), None if present.all() else present)
        self.points |= dict(zip(ids, zip(given, payloads, strict=True), strict=True))
        return PointBatch(ids, vectors, [None if one is None else json.dumps(one).encode() for one in payloads])

    # ---- answers

    def matching(self, where, among=None):
        return [
            id
            for id, (vectors, payload) in self.points.items()
            if (among is None or id in among) and (where is None or oracle(where, payload, id, list(vectors)))
        ]

    def values(self, id, key):
        return flat(walk(self.points[id][1] or {}, key.split(".")))

    def similarity(self, name, query, id):
        """The score, None for a point that has no vector to compare."""
        row = self.points[id][0].get(name)
        return None if row is None else score(FIELDS[name], query, row)

    def ranked(self, name, query, ids):
        """(id, score), best first."""
        sign = -1 if is_near_large(name) else 1
        found = [(id, self.similarity(name, query, id)) for id in ids]
        found = [(id, one) for id, one in found if one is not None]
        return sorted(found, key=lambda pair: (sign * pair[1], id_key(pair[0])))

    def ordered(self, key, descending, moments, ids):
        """(value to go on from, id), first first."""
        found = []
        for id in ids:
            numbers = [(one, value) for value in self.values(id, key) if (one := number_of(value, moments)) is not None]
            if numbers:
                best, value = (max if descending else min)(numbers, key=lambda pair: pair[0])
                found.append((-best if descending else best, id_key(id), id, value))
        return [(value, id) for _, _, id, value in sorted(found, key=lambda one: one[:2])]

    def grouped(self, ranking, key, groups, size):
        """[((type, value), ids)]"""
        found = {}
        for id, _ in ranking:
            for value in dict.fromkeys(filter(None, map(group_of, self.values(id, key)))):
                if value in found or len(found) < groups:
                    found.setdefault(value, [])
                    found[value] += [id] if len(found[value]) < size else []
        return list(found.items())


def is_near_large(name):
    return larger_is_nearer(FIELDS[name].metric)


def stored(field, rows, present):
    if field.kind is VectorKind.SPARSE:
        none = SparseVector(np.empty(0, np.uint32), np.empty(0, np.float32))
        return sparse_rows([row if there else none for row, there in zip(rows, present, strict=True)])
    if field.kind is VectorKind.MULTI:
        tokens = [row if there else row[:0] for row, there in zip(rows, present, strict=True)]
        return TokenRows.of(tokens, TOKEN_DIM, np.float32)
    return np.stack(rows) * present[:, None].astype(rows[0].dtype)


def asked(name, vector):
    """As requests hold it."""
    if FIELDS[name].kind is VectorKind.SPARSE:
        return sparse_rows([vector])
    return TokenRows.of([vector], TOKEN_DIM, np.float32) if FIELDS[name].kind is VectorKind.MULTI else vector


def entries(sparse):
    return {index: value for index, value in zip(sparse.indices.tolist(), sparse.values.tolist(), strict=True) if value}


def score(field, query, row):
    if field.kind is VectorKind.BINARY:
        return float(np.unpackbits(query ^ row).sum())
    if field.kind is VectorKind.SPARSE:
        one, other = entries(query), entries(row)
        both = one.keys() & other.keys()
        return sum(one[index] * other[index] for index in both) if both else None
    if field.kind is VectorKind.MULTI:
        return float((query @ row.T).max(axis=1).sum()) if len(row) else None
    return math.sqrt(((query - row) ** 2).sum()) if field.metric is Metric.L2 else float(query @ row)


def number_of(value, moments):
    if moments:
        return INSTANTS.get(value) if type(value) is str else None
    if type(value) not in (int, float):
        return None
    return float(min(max(value, -LARGEST), LARGEST))


def group_of(value):
    if type(value) is float and value.is_integer():
        value = int(value)
    fits = type(value) in (str, bool) or (type(value) is int and -(2**63) <= value < 2**63)
    return (type(value), value) if fits else None
