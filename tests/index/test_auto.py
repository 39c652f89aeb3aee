"""What the engine chooses where nobody says: by rows and memory, and without going back and forth."""

from __future__ import annotations

import random

import pytest

from vecstore.index.auto import POSTINGS_ROWS_MIN, SEISMIC_ROWS_MIN, choose, row_bytes, tiers
from vecstore.index_check import check_index
from vecstore.index_spec import IVF, SAQ, Auto, Index, Inverted, Plaid, Seismic
from vecstore.index_text import format_index, parse_index
from vecstore.schema import Metric, VectorField, VectorKind

FIELD = VectorField(VectorKind.DENSE, 384, Metric.COSINE, index=Auto())
BITS = VectorField(VectorKind.BINARY, 384, Metric.HAMMING, index=Auto())
TOKENS = VectorField(VectorKind.MULTI, 96, Metric.MAXSIM, index=Auto())
TIERS = tiers(FIELD)
PLENTY = 1 << 40


def test_auto_is_a_spec_of_its_own_for_every_field() -> None:
    assert parse_index("auto") == Auto()
    assert format_index(Auto()) == "auto"
    for field in (FIELD, BITS, TOKENS):
        check_index(field)


def test_few_rows_and_bits_are_scanned() -> None:
    assert choose(FIELD, 19_999, None, 0, PLENTY, 20_000).spec is None
    assert choose(FIELD, 20_000, None, 0, PLENTY, 20_000).spec == TIERS[0]
    assert choose(FIELD, 19_999, TIERS[0], 0, PLENTY, 20_000).spec is None
    assert choose(BITS, 1 << 30, None, 0, PLENTY, 20_000).spec is None
    assert choose(TOKENS, 20_000, None, 0, PLENTY, 20_000).spec == Plaid()


def test_few_sparse_rows_and_texts_have_lists() -> None:
    """They are made in milliseconds, and searched exactly in a fraction of a scan's time."""
    sparse = VectorField(VectorKind.SPARSE, 0, Metric.DOT, index=Auto())
    text = VectorField(VectorKind.TEXT, 0, Metric.BM25, index=Auto())
    for field, larger in ((sparse, Seismic()), (text, Inverted())):
        assert choose(field, POSTINGS_ROWS_MIN - 1, None, 0, PLENTY, 20_000).spec is None
        assert choose(field, POSTINGS_ROWS_MIN, None, 0, PLENTY, 20_000).spec == Inverted()
        assert choose(field, 19_999, Seismic(), 0, PLENTY, 20_000).spec == Inverted()
        assert choose(field, 20_000, None, 0, PLENTY, 20_000).spec == Inverted()
        assert choose(field, SEISMIC_ROWS_MIN - 1, Seismic(), 0, PLENTY, 20_000).spec == Inverted()
        assert choose(field, SEISMIC_ROWS_MIN, Inverted(), 0, PLENTY, 20_000).spec == larger


def test_each_choice_takes_less_than_the_one_before() -> None:
    for dim in (8, 96, 384, 1536, 8192):
        field = VectorField(VectorKind.DENSE, dim, Metric.L2, index=Auto())
        sizes = [row_bytes(spec, field) for spec in tiers(field)]
        assert (len(sizes) >= 3) == (dim >= 256)
        assert sizes == sorted(set(sizes), reverse=True)
    assert 250 <= row_bytes(IVF(quantizer=SAQ(bits=4.0)), FIELD) <= 256  # 253 measured for 100,000 rows


def test_less_memory_means_shorter_codes() -> None:
    sizes = [int(row_bytes(spec, FIELD) * 100_000) for spec in TIERS]
    for place, size in enumerate(sizes):
        chosen = choose(FIELD, 100_000, None, 1_000, size + 1_000, 1)
        assert chosen.spec == TIERS[place]
        assert ("would take" in chosen.why) == (place > 0)
    assert choose(FIELD, 100_000, None, 0, sizes[-1] - 1, 1).spec == TIERS[-1], "what takes least is taken anyway"


@pytest.mark.parametrize("place", range(len(TIERS)))
def test_what_is_there_stays_while_the_budget_is_nearly_full(place: int) -> None:
    has, size = TIERS[place], int(row_bytes(TIERS[place], FIELD) * 100_000)
    for share in (0.85, 1.0, 1.2):
        budget = int(size / share)
        assert choose(FIELD, 100_000, has, 0, budget, 1).spec == has, share
    kept = choose(FIELD, 100_000, has, 0, int(size / 1.3), 1).spec
    assert kept != has or has == TIERS[-1]
    assert choose(FIELD, 100_000, has, 0, 100 * size, 1).spec == TIERS[0]


def test_decisions_come_to_rest() -> None:
    """Segments decide one after the other, each by what all others have, until nobody changes: never for ever."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(200):
        rows = [rng.randint(20_000, 2_000_000) for _ in range(rng.randint(1, 12))]
        budget = int(rng.uniform(0.1, 1.5) * sum(rows) * row_bytes(TIERS[0], FIELD))
        have: list[Index | None] = [rng.choice([None, *TIERS]) for _ in rows]
        changes = 0
        while True:
            changed = False
            for at, n_rows in enumerate(rows):
                used = sum(size(spec, n) for i, (spec, n) in enumerate(zip(have, rows, strict=True)) if i != at)
                chosen = choose(FIELD, n_rows, have[at], used, budget, 20_000).spec
                changes += chosen != have[at]
                changed |= chosen != have[at]
                have[at] = chosen
            if not changed:
                break
            assert changes <= 4 * len(rows) + 4
        total = sum(size(spec, n) for spec, n in zip(have, rows, strict=True))
        assert total <= 1.25 * budget or all(spec == TIERS[-1] for spec in have)


def size(spec: Index | None, n_rows: int) -> int:
    return 0 if spec is None else int(row_bytes(spec, FIELD) * n_rows)
