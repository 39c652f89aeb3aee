"""A second, independent reading of docs/FILTERS.md, over the JSON form of filters. Nothing of vecstore is used."""

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(*args, tz=UTC):
    return (datetime(*args, tzinfo=tz) - EPOCH) // timedelta(microseconds=1)


# Texts with the instants they mean, written out so that no parser is needed here.
INSTANTS = {
    "2024-02-29T12:00:00Z": micros(2024, 2, 29, 12),
    "2024-02-29t12:00:00z": micros(2024, 2, 29, 12),
    "2024-02-29 12:00:00": micros(2024, 2, 29, 12),
    "2024-02-29T14:00:00+02:00": micros(2024, 2, 29, 12),
    "2024-02-29T12:00:00.000001Z": micros(2024, 2, 29, 12, 0, 0, 1),
    "2024-02-29T12:00:00.0000019Z": micros(2024, 2, 29, 12, 0, 0, 1),
    "2024-02-29": micros(2024, 2, 29),
    "1969-12-31T23:59:59.5-05:00": micros(1969, 12, 31, 23, 59, 59, 500_000, tz=timezone(timedelta(hours=-5))),
    "0001-01-01T00:00:00+23:00": micros(1, 1, 1) - 23 * 3_600_000_000,
    "9999-12-31T23:59:59.999999Z": micros(9999, 12, 31, 23, 59, 59, 999_999),
}
NOT_INSTANTS = [
    "2023-02-29T00:00:00Z",
    "20240229",
    "2024-W09-4",
    "2024-02-29T24:00:00Z",
    "2024-02-29T12:00:60Z",
    "2024",
]

RANGE = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def oracle(where, payload, id, vectors):
    return group(where, payload or {}, id, vectors)


def group(where, payload, id, vectors):
    def holds(condition):
        return single(condition, payload, id, vectors)

    if not all(holds(c) for c in where.get("must", [])):
        return False
    if any(holds(c) for c in where.get("must_not", [])):
        return False
    if where.get("should") and not any(holds(c) for c in where["should"]):
        return False
    some = where.get("min_should")
    return some is None or len([c for c in some["conditions"] if holds(c)]) >= some["min_count"]


def single(condition, payload, id, vectors):
    if "has_id" in condition:
        return id in condition["has_id"]
    if "has_vector" in condition:
        return condition["has_vector"] in vectors
    for name in ("exists", "is_null", "is_empty"):
        if name in condition:
            ends = walk(payload, condition[name]["key"].split("."))
            values = flat(ends)
            if name == "exists":
                return ends != []
            if name == "is_null":
                return any(v is None for v in values)
            return all(v is None for v in values)
    if "nested" in condition:
        values = flat(walk(payload, condition["nested"]["key"].split(".")))
        return any(type(v) is dict and group(condition["nested"]["filter"], v, id, vectors) for v in values)
    if "key" not in condition:
        return group(condition, payload, id, vectors)
    values = flat(walk(payload, condition["key"].split(".")))
    if "values_count" in condition:
        count = len([v for v in values if v is not None])
        return all(RANGE[name](count, bound) for name, bound in condition["values_count"].items())
    return any(value_holds(condition, v) for v in values)


def walk(node, names):
    if not names:
        return [node]
    if type(node) is list:
        return [end for item in node for end in walk(item, names)]
    if type(node) is dict and names[0] in node:
        return walk(node[names[0]], names[1:])
    return []


def flat(ends):
    return [value for end in ends for value in (end if type(end) is list else [end])]


def value_holds(condition, value):
    if "match" in condition:
        ((name, wanted),) = condition["match"].items()
        return match_holds(name, wanted, value)
    if "range" in condition:
        bounds = condition["range"]
        if any(type(bound) is str for bound in bounds.values()):
            if type(value) is not str or value not in INSTANTS:
                return False
            return all(RANGE[name](INSTANTS[value], INSTANTS[bound]) for name, bound in bounds.items())
        return type(value) in (int, float) and all(RANGE[name](value, bound) for name, bound in bounds.items())
    if (
        type(value) is not dict
        or type(value.get("lat")) not in (int, float)
        or type(value.get("lon")) not in (int, float)
    ):
        return False
    lat, lon = value["lat"], value["lon"]
    if abs(lat) > 90 or abs(lon) > 180:
        return False
    if "geo_radius" in condition:
        center = condition["geo_radius"]["center"]
        return distance(center["lat"], center["lon"], lat, lon) <= condition["geo_radius"]["radius"]
    top_left, bottom_right = condition["geo_bounding_box"]["top_left"], condition["geo_bounding_box"]["bottom_right"]
    if not (bottom_right["lat"] <= lat <= top_left["lat"]):
        return False
    width = bottom_right["lon"] - top_left["lon"]
    return (
        top_left["lon"] <= lon <= top_left["lon"] + width
        if width >= 0
        else not (bottom_right["lon"] < lon < top_left["lon"])
    )


def match_holds(name, wanted, value):
    if name == "value":
        return same(wanted, value)
    if name == "any":
        return any(same(w, value) for w in wanted)
    if name == "except":
        return type(value) in (str, int, float, bool) and not any(same(w, value) for w in wanted)
    if type(value) is not str:
        return False
    if name == "prefix":
        return value[: len(wanted)] == wanted
    have, want = words(value), words(wanted)
    if not want:
        return False
    if name == "text":
        return all(word in have for word in want)
    return any(have[i : i + len(want)] == want for i in range(len(have)))


def same(wanted, value):
    numbers = (int, float)
    if type(wanted) in numbers and type(value) in numbers:
        return wanted == value
    return type(wanted) is type(value) and wanted == value


def words(text):
    return [word for word in re.split(r"\W+", unicodedata.normalize("NFKC", text).casefold()) if word]


def distance(lat1, lon1, lat2, lon2):
    """Metres on the sphere, by the angle between unit vectors."""

    def vector(lat, lon):
        lat, lon = math.radians(lat), math.radians(lon)
        return (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))

    a, b = vector(lat1, lon1), vector(lat2, lon2)
    cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return 6_371_008.8 * math.atan2(math.hypot(*cross), sum(x * y for x, y in zip(a, b, strict=True)))
