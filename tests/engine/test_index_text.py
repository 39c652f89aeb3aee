"""Index specs as text: there and back for random specs, errors that say where, faiss's strings, checks per field."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from vecstore.client.fields import Binary as BinaryField
from vecstore.client.fields import Dense
from vecstore.errors import InvalidArgument
from vecstore.index_check import check_index, read_index
from vecstore.index_spec import (
    IVF,
    MIH,
    OPQ,
    PCA,
    PQ,
    SAQ,
    BFloat16,
    Binary,
    Center,
    Flat,
    Float8,
    Float16,
    Funnel,
    Graph,
    HammingIVF,
    Index,
    Int4,
    Int8,
    LloydMax,
    Normalize,
    RaBitQ,
    Rotate,
    Truncate,
)
from vecstore.index_text import format_index, parse_index
from vecstore.schema import Schema, VectorField


def random_spec(rng: random.Random) -> Index:
    transform: list[Any] = [
        lambda: Normalize(),
        lambda: Center(),
        lambda: Truncate(rng.randint(1, 999)),
        lambda: Rotate(rng.randint(0, 9)),
        lambda: PCA(rng.randint(1, 999), rng.choice([None, True, False])),
        lambda: OPQ(rng.randint(1, 99), rng.choice([None, 64])),
    ]
    quantizer: list[Any] = [
        lambda: None,
        lambda: Float16(),
        lambda: BFloat16(),
        lambda: Float8(rng.choice(["e4m3", "e5m2"])),
        lambda: Int8(rng.choice([0.0, 1e-5, 0.01])),
        lambda: Int4(rng.random()),
        lambda: PQ(rng.randint(1, 99), rng.choice([4, 8])),
        lambda: RaBitQ(rng.randint(1, 8)),
        lambda: SAQ(rng.choice([4.0, 0.5, rng.random()])),
        lambda: LloydMax(rng.choice([1, 2, 4])),
        lambda: Binary(rng.choice([None, 64]), rng.choice([True, False])),
    ]
    transforms = tuple(rng.choice(transform)() for _ in range(rng.randint(0, 3)))
    rerank: Any = rng.choice(["none", "stored", "float32", "float16", "bfloat16", "int8"])
    lists: Any = rng.choice(["auto", rng.randint(1, 10_000)])
    probes: Any = rng.choice(["auto", rng.randint(1, 100)])
    kinds: list[Any] = [
        lambda: Flat(rng.choice(quantizer)(), transforms, rerank),
        lambda: IVF(lists, rng.choice(quantizer)(), transforms, rerank, probes, rng.choice(["none", "soar"])),
        lambda: Funnel(tuple(sorted(rng.sample(range(1, 500), rng.randint(1, 4)))), rng.choice([8.0, 2.5])),
        lambda: HammingIVF(lists, probes),
        lambda: MIH(lists),
        lambda: Graph(rng.choice(["auto", 32, 5]), rng.choice(quantizer)(), rerank, probes),
    ]
    spec: Index = rng.choice(kinds)()
    return spec


def test_there_and_back() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(2_000):
        spec = random_spec(rng)
        text = format_index(spec)
        assert parse_index(text) == spec, text
        assert format_index(parse_index(text)) == text
        assert read_index(msgspec.to_builtins(spec)) == spec


def test_text_of_the_manual() -> None:
    spec = IVF("auto", RaBitQ(5), (PCA(256),), "float16")
    assert parse_index("pca(256) | ivf(nlist=auto) | rabitq(bits=5) | rerank(float16)") == spec
    assert parse_index("pca(dim=256)|ivf|rabitq(5)|rerank(float16)") == spec
    assert format_index(spec) == "pca(256) | ivf | rabitq(bits=5) | rerank(float16)"
    assert parse_index("  int8 ") == Flat(Int8())
    graph = Graph(48, SAQ(1.5), "int8", 64)
    assert parse_index("graph(degree=48, ef=64) | saq(bits=1.5) | rerank(int8)") == graph
    assert format_index(graph) == "graph(degree=48, ef=64) | saq(bits=1.5) | rerank(int8)"
    assert (parse_index("graph"), format_index(Graph())) == (Graph(), "graph")
    assert IVF(transforms=[PCA(2)]) == IVF(transforms=(PCA(2),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("IVF4096,PQ48x4fs,RFlat", IVF(4096, PQ(48))),
        ("SQ8", Flat(Int8())),
        ("SQfp16", Flat(Float16())),
        ("PCA64,IVF1024,RaBitQ4", IVF(1024, RaBitQ(4), (PCA(64),))),
        ("OPQ48_384,PQ48", Flat(PQ(48, 8), (OPQ(48, 384),))),
        ("IVF64,SQ4,Refine(SQfp16)", IVF(64, Int4(), rerank="float16")),
        ("PCAR32,Flat", Flat(None, (PCA(32), Rotate()))),
        ("ITQ256,LSH", Flat(Binary(256, itq=True))),
        ("SQtqmse4", Flat(LloydMax(4))),
        ("RaBitQfs4_64", Flat(RaBitQ(4))),
        ("BFlat", Flat()),
        ("BIVF32", HammingIVF(32)),
        ("HNSW", Graph(64)),
        ("HNSW16", Graph(32)),
        ("HNSW20,Flat", Graph(48)),
        ("HNSW32,SQ8", Graph(64, rerank="int8")),
        ("HNSW32_SQ8", Graph(64, rerank="int8")),
        ("HNSW32,SQ8,RFlat", Graph(64)),
        ("HNSW32,SQfp16", Graph(64, rerank="float16")),
        ("HNSW32,RaBitQ2,Refine(SQfp16)", Graph(64, RaBitQ(2), "float16")),
        ("NSG32", Graph(32)),
    ],
)
def test_strings_of_faiss(text: str, spec: Index) -> None:
    assert parse_index(text) == spec


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("HNSW32,PQ16", "PQ16"),
        ("HNSW32,SQ8,SQ8", "SQ8"),
        ("HNSW32_PQ16x4", "PQ16x4"),
        ("PCA64,HNSW32", "HNSW32"),
        ("HNSWx", "HNSWx"),
        ("IVF4096_HNSW32,Flat", "IVF4096_HNSW32"),
        ("SQ6", "SQ6"),
        ("PCAW64,Flat", "PCAW64"),
        ("PCA64,IVF16,LSQ4x8", "LSQ4x8"),
        ("IMI2x8,PQ8", "IMI2x8"),
        ("SQ8,RFlat,RFlat", "RFlat"),
        ("SQtqmse3", "SQtqmse3"),
    ],
)
def test_strings_of_faiss_without_counterpart_are_refused_by_name(text: str, token: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        parse_index(text)
    assert error.value.reason == "BAD_INDEX_SPEC"
    assert error.value.metadata["token"] == token


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("", 0, "a spec such as"),
        ("pca", 0, "required field dim"),
        ("pca(256", 7, "',' or ')'"),
        ("pca(x=3)", 6, "dim, centered"),
        ("ivf|ivf", 4, "one structure"),
        ("int8|ivf", 5, "transforms, then one"),
        ("rabitq(bits=five)", 12, "Expected int"),
        ("pca(256)|foo", 9, "one of normalize"),
        ("pca(1)$", 6, "a name"),
        ("mih|int8", 0, "no quantizer beside mih"),
        ("rerank(foo)", 7, "one of none, stored"),
        ("ivf(nlist=1,2)", 12, "name=value"),
        ("pca(64,dim=3)", 11, "only once"),
        ("ivf | ", 6, "the name"),
        ("funnel([8,[9]])", 10, "a value"),
        ("center(1)", 7, "takes none"),
        ("ivf) ", 3, "'|' or the end"),
        ("pca(8) | graph", 9, "no transforms beside graph"),
        ("graph(nlist=8)", 12, "degree, ef"),
    ],
)
def test_errors_say_where_and_what(text: str, at: int, expected: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        parse_index(text)
    assert error.value.reason == "BAD_INDEX_SPEC"
    assert error.value.metadata["position"] == str(at)
    assert expected in error.value.message


def test_no_text_raises_anything_else() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    pieces = [
        "ivf",
        "pca",
        "(",
        ")",
        "|",
        ",",
        "=",
        "[",
        "]",
        "12",
        "1e400",
        "-3",
        "none",
        " ",
        "IVF4",
        "SQ8",
        "\x00",
        "é",
    ]
    for _ in range(3_000):
        text = "".join(rng.choices(pieces, k=rng.randint(0, 9)))
        try:
            assert read_index(format_index(parse_index(text))) is not None
        except InvalidArgument as error:
            if error.reason != "BAD_INDEX_SPEC":
                raise


DENSE, BITS = Dense(64), BinaryField(64)


@pytest.mark.parametrize(
    ("field", "spec", "path"),
    [
        (DENSE, Flat(Int8(), (PCA(65),)), "index.transforms[0].dim"),
        (DENSE, Flat(Int8(), (Truncate(32), PCA(33))), "index.transforms[1].dim"),
        (DENSE, Flat(PQ(33), (PCA(32),)), "index.quantizer.m"),
        (DENSE, IVF(quantizer=PQ(0)), "index.quantizer.m"),
        (DENSE, IVF(quantizer=RaBitQ(9)), "index.quantizer.bits"),
        (DENSE, Flat(SAQ(0.1)), "index.quantizer.bits"),
        (DENSE, Flat(SAQ(float("nan"))), "index.quantizer.bits"),
        (DENSE, Flat(Int8(0.3)), "index.quantizer.clip"),
        (DENSE, IVF(0), "index.nlist"),
        (DENSE, IVF(8, nprobe=9), "index.nprobe"),
        (DENSE, IVF(1 << 21), "index.nlist"),
        (DENSE, Funnel((32, 16)), "index.dims"),
        (DENSE, Funnel((16, 65)), "index.dims[1]"),
        (DENSE, Funnel(()), "index.dims"),
        (DENSE, Funnel((16,), 0.5), "index.oversampling"),
        (DENSE, MIH(), "index"),
        (DENSE, HammingIVF(), "index"),
        (DENSE, Flat(None, (PCA(8),)), "index.transforms"),
        (DENSE, Flat(rerank="int8"), "index.rerank"),
        (DENSE, Flat(Binary(65, itq=True)), "index.quantizer.bits"),
        (DENSE, Flat(Int8(), (OPQ(65),)), "index.transforms[0].m"),
        (DENSE, Flat(Int8(), (Center(),) * 9), "index.transforms"),
        (BITS, IVF(), "index"),
        (BITS, Funnel((8,)), "index"),
        (BITS, Flat(Int8()), "index"),
        (BITS, MIH(65), "index.chunks"),
        (BITS, MIH(2), "index.chunks"),
        (BITS, HammingIVF(4, 5), "index.nprobe"),
        (Dense(64, metric="dot"), Flat(Int8(), (Normalize(),)), "index.transforms[0]"),
        (DENSE, "ivf", "index"),
        (DENSE, IVF(nlist="many"), "index"),
        (DENSE, Flat(RaBitQ(2.5)), "index"),
        (BITS, Graph(), "index"),
        (DENSE, Graph(0), "index.degree"),
        (DENSE, Graph(24), "index.degree"),
        (DENSE, Graph(144), "index.degree"),
        (DENSE, Graph(ef=0), "index.ef"),
        (DENSE, Graph(ef=10_001), "index.ef"),
        (DENSE, Graph(quantizer=Int8()), "index.quantizer"),
        (DENSE, Graph(quantizer=RaBitQ(3)), "index.quantizer.bits"),
        (DENSE, Graph(quantizer=SAQ(9)), "index.quantizer.bits"),
        (DENSE, Graph(degree="many"), "index"),
        (DENSE, Graph(rerank="int4"), "index"),
    ],
)
def test_a_spec_that_does_not_suit_the_field_is_refused_at_its_path(field: VectorField, spec: Any, path: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        check_index(msgspec.structs.replace(field, index=spec))
    assert error.value.reason == "BAD_INDEX_SPEC"
    assert error.value.field_violations[0][0] == path
    assert error.value.message.startswith(path)


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        (DENSE, None),
        (DENSE, Flat()),
        (BITS, Flat()),
        (DENSE, Flat(Int8(0.25), (PCA(64),))),
        (DENSE, IVF(1, nprobe=1)),
        (DENSE, IVF(1 << 20, PQ(64), (OPQ(64, 64),))),
        (DENSE, Funnel((64,), 1.0)),
        (BITS, MIH(64)),
        (BITS, HammingIVF()),
        (DENSE, Flat(RaBitQ(8), (Normalize(),))),
        (DENSE, IVF(transforms=(PCA(8),))),
        (DENSE, Graph(16, RaBitQ(4), "none", 1)),
        (DENSE, Graph(128, SAQ(0.25), "int8", 10_000)),
    ],
)
def test_bounds_are_inclusive(field: VectorField, spec: Any) -> None:
    check_index(msgspec.structs.replace(field, index=spec))


@pytest.mark.parametrize("value", [{"type": "ivff"}, {}, {"type": "ivf", "x": 1}, 7, {"type": "pq", "m": 3}, [1]])
def test_dictionaries_that_are_no_spec_are_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument) as error:
        read_index(value)
    assert error.value.reason == "BAD_INDEX_SPEC"


def test_schemas_from_before_there_were_indexes_still_read() -> None:
    old = {"vectors": {"v": {"kind": "dense", "dim": 4, "metric": "l2", "datatype": "float32"}}, "fields": {}}
    schema = msgspec.convert(old, Schema)
    assert schema.vectors["v"].index is None
    again = msgspec.convert(msgspec.to_builtins(schema), Schema)
    assert again == schema
