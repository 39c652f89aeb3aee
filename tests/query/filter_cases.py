"""Random payloads and filters that collide often, and a source of rows with any mix of indexes."""

import msgspec
from filter_oracle import INSTANTS, NOT_INSTANTS
from hypothesis import strategies as st
from pyroaring import BitMap

from vecstore.query.payload_index import GrowingFieldIndex, build_field_index, open_field_index
from vecstore.schema import FieldKind

KEYS = ["a", "b", "a.b", "a.a", "b.a", "a.b.a"]
VECTORS = ["text", "image"]
PLACES = [(0, 0), (52.5, 13.4), (-90, 0), (48.8, 2.3), (10.5, 179.9), (10.5, -179.9), (91, 0), (0, 181.0)]
WORDS = ["red", "Red", "fox", "STRASSE", "straße", "été", "e\u0301te\u0301", "日本", "snake_case", "ﬁn", "İ", "x-1"]
NUMBERS = [0, 1, 2, -1, -0.0, 0.5, 1.0, 2.5, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, 2**63, float(2**63), 2**70]
NUMBERS += [-(2**63), -(2**63) - 1, -(2**70), 10**400, 1e300, -1e300, 5e-324, float(2**70)]

texts = st.one_of(
    st.sampled_from(["", "en", "e", "eng", "!?", "true", "1", *WORDS, *INSTANTS, *NOT_INSTANTS]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
    st.text(max_size=3),
)
numbers = st.sampled_from(NUMBERS) | st.integers(-3, 3)
scalars = st.one_of(texts, numbers, st.booleans())
places = st.sampled_from(PLACES).map(lambda place: {"lat": place[0], "lon": place[1]})
leaves = st.one_of(scalars, st.none(), places, st.just({}), st.just([]))
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=8,
)
payloads = st.none() | st.dictionaries(st.sampled_from(["a", "b"]), values, max_size=2)
# Rows of one type at the top, as most collections have them: what indexes are made for.
plain_payloads = st.sampled_from([numbers, texts, st.sampled_from(list(INSTANTS)), st.booleans()]).flatmap(
    lambda kind: st.lists(st.fixed_dictionaries({}, optional={"a": kind, "b": kind | st.lists(kind, max_size=3)}))
)
rows = st.lists(payloads, max_size=10) | plain_payloads

keys = st.sampled_from(KEYS)
safe_places = st.sampled_from(PLACES[:6])


def bounds_of(bound):
    return st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), bound, min_size=1, max_size=3)


def keyed(clause):
    return lambda pair: {"key": pair[0], **{clause: pair[1]}}


def matching(name, value):
    return st.tuples(keys, value.map(lambda v: {name: v})).map(keyed("match"))


def box_of(corners):
    (lat1, left), (lat2, right) = corners
    return {"top_left": {"lat": max(lat1, lat2), "lon": left}, "bottom_right": {"lat": min(lat1, lat2), "lon": right}}


instants = st.sampled_from([text for text in INSTANTS if not text.startswith("0001")])
point_leaves = {
    "has_id": st.lists(st.integers(0, 9), max_size=4).map(lambda ids: {"has_id": ids}),
    "has_vector": st.sampled_from(VECTORS).map(lambda name: {"has_vector": name}),
}
payload_leaves = {
    "value": matching("value", scalars),
    "any": matching("any", st.lists(scalars, max_size=4)),
    "except": matching("except", st.lists(scalars, max_size=4)),
    "text": matching("text", texts),
    "phrase": matching("phrase", texts),
    "prefix": matching("prefix", texts.map(lambda text: text[:2])),
    "range": st.tuples(keys, bounds_of(numbers)).map(keyed("range")),
    "datetime": st.tuples(keys, bounds_of(instants)).map(keyed("range")),
    "values_count": st.tuples(keys, bounds_of(st.integers(0, 3))).map(keyed("values_count")),
    "exists": keys.map(lambda key: {"exists": {"key": key}}),
    "is_null": keys.map(lambda key: {"is_null": {"key": key}}),
    "is_empty": keys.map(lambda key: {"is_empty": {"key": key}}),
    "geo_radius": st.tuples(
        keys,
        st.tuples(safe_places, st.sampled_from([1_000.0, 500_000, 9_000_000.0])).map(
            lambda pair: {"center": {"lat": pair[0][0], "lon": pair[0][1]}, "radius": pair[1]}
        ),
    ).map(keyed("geo_radius")),
    "geo_bounding_box": st.tuples(keys, st.tuples(safe_places, safe_places).map(box_of)).map(keyed("geo_bounding_box")),
}


@st.composite
def filters_over(draw, leaf, depth=2):
    """A filter whose conditions are drawn from `leaf` or are smaller filters. (Composite: `st.recursive` nested in
    itself has a description of many pages, which hypothesis refuses.)"""

    def conditions(low, high):
        count = draw(st.integers(low, high))
        inner = filters_over(leaf, depth - 1)
        return [draw(inner) if depth and draw(st.integers(0, 4)) == 0 else draw(leaf) for _ in range(count)]

    chosen = draw(st.lists(st.sampled_from(["must", "should", "must_not", "min_should"]), unique=True, min_size=1))
    where = {group: conditions(0, 3) for group in chosen}
    if "min_should" in where:
        where["min_should"] = {"conditions": conditions(1, 4), "min_count": draw(st.integers(1, 3))}
    return where


payload_leaf = st.one_of(*payload_leaves.values())
payload_filters = filters_over(payload_leaf, depth=1)
nested = st.tuples(keys, payload_filters).map(lambda pair: {"nested": {"key": pair[0], "filter": pair[1]}})
filters = filters_over(st.one_of(payload_leaf, *point_leaves.values(), nested))


def kinds_in(where):
    """The kind of every condition in a filter's JSON form."""
    waiting = [where]
    while waiting:
        node = waiting.pop()
        groups = [name for name in ("must", "should", "must_not") if name in node]
        for name in groups:
            yield name
            waiting.extend(node[name])
        if "min_should" in node:
            yield "min_should"
            waiting.extend(node["min_should"]["conditions"])
        if "nested" in node:
            yield "nested"
            waiting.append(node["nested"]["filter"])
        for name in ("has_id", "has_vector", "exists", "is_null", "is_empty", "values_count"):
            if name in node:
                yield name
        for name in ("geo_radius", "geo_bounding_box"):
            if name in node:
                yield name
        if "match" in node:
            yield from node["match"]
        if "range" in node:
            yield "datetime" if any(isinstance(bound, str) for bound in node["range"].values()) else "range"


ALL_KINDS = {*payload_leaves, *point_leaves, "nested", "must", "should", "must_not", "min_should"}


class Rows:
    """A `PayloadSource` over a list. Row r has id r, and vectors by `vectors_of`. Payloads travel as JSON, as in a
    store; `scanned` lists the rows whose payloads were asked for."""

    def __init__(self, payloads, indexes=None):
        self.n_rows = len(payloads)
        self.encoded = [None if payload is None else msgspec.json.encode(payload) for payload in payloads]
        self.indexes = indexes or {}
        self.scanned = []

    def field_index(self, key):
        return self.indexes.get(key)

    def payloads(self, rows):
        for row in range(self.n_rows) if rows is None else rows:
            self.scanned.append(row)
            yield row, None if self.encoded[row] is None else msgspec.json.decode(self.encoded[row])

    def rows_of_ids(self, ids):
        return BitMap([id for id in ids if isinstance(id, int) and id < self.n_rows])

    def rows_with_vector(self, name):
        return BitMap([row for row in range(self.n_rows) if name in vectors_of(row)])


def vectors_of(row):
    return [["text"], ["text", "image"], []][row % 3]


def sealed_index(key, kind, payloads):
    return build_field_index(key, kind, enumerate(payloads), len(payloads))


def reopened_index(key, kind, payloads):
    arrays = sealed_index(key, kind, payloads).arrays()
    return open_field_index(key, kind, arrays, len(payloads))


def growing_index(key, kind, payloads):
    """Holds more rows than the source shows, as it does while a writer is at work."""
    index = GrowingFieldIndex(key, kind)
    for row, payload in enumerate(payloads):
        index.add(row, payload)
    for row, payload in enumerate(payloads[:3]):
        index.add(len(payloads) + row, payload)
    return index


FORMS = {"sealed": sealed_index, "reopened": reopened_index, "growing": growing_index}
index_plans = st.dictionaries(keys, st.tuples(st.sampled_from(list(FieldKind)), st.sampled_from(list(FORMS))))
