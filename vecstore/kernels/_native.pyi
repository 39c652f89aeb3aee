from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

def scan(
    metric: int,
    queries: _Array,
    rows: _Array,
    inverse_norms: _Array | None,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
) -> None: ...
def nearest(
    metric: int,
    queries: _Array,
    rows: _Array,
    query_bounds: _Array,
    row_bounds: _Array,
    base: _Array,
    out_rows: _Array,
    out_distances: _Array,
) -> int: ...
def scan_by_bytes(
    metric: int,
    queries: _Array,
    rows: _Array,
    inverse_norms: _Array | None,
    allowed: _Array | None,
    blocks: _Array,
    scales: _Array,
    squares: _Array,
    errors: _Array,
    lengths: _Array,
    out_rows: _Array,
    out_distances: _Array,
) -> int: ...
def row_bytes_pay() -> bool: ...
def round_rows(
    metric: int,
    rows: _Array,
    inverse_norms: _Array | None,
    blocks: _Array,
    scales: _Array,
    squares: _Array,
    errors: _Array,
    lengths: _Array,
) -> None: ...
def hamming_scan(
    queries: _Array, rows: _Array, allowed: _Array | None, out_rows: _Array, out_distances: _Array
) -> None: ...
def hamming_list_scan(
    queries: _Array,
    codes: _Array,
    rows: _Array,
    offsets: _Array,
    probes: _Array,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
    out_scanned: _Array,
) -> None: ...
def dense_list_scan(
    metric: int,
    queries: _Array,
    rows: _Array,
    inverse_norms: _Array | None,
    list_rows: _Array,
    offsets: _Array,
    probes: _Array,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
    out_scanned: _Array,
) -> None: ...
def mih_search(
    queries: _Array,
    rows: _Array,
    starts: _Array,
    buckets: _Array,
    table_rows: _Array,
    max_distance: int,
    budget: int,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
    out_counters: _Array,
) -> None: ...
def rerank(
    metric: int,
    queries: _Array,
    rows: _Array,
    inverse_norms: _Array | None,
    candidates: _Array,
    out_distances: _Array,
) -> None: ...
def block_scan(
    queries: _Array,
    blocks: _Array,
    inverse_norms: _Array | None,
    kept: _Array,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
) -> None: ...

class Packed:
    def __init__(
        self, offsets: _Array, terms: _Array, flags: _Array, lows: _Array, starts: _Array, highs: _Array,
        values: _Array, step: float,
    ) -> None: ...  # fmt: skip
    def places(self, rows: _Array, offsets: _Array, out: _Array) -> None: ...

def sparse_ready(indices: _Array, values: _Array, squared_max: float) -> bool: ...
def sparse_scan(
    query_offsets: _Array,
    query_indices: _Array,
    query_values: _Array,
    offsets: _Array | None,
    indices: _Array | None,
    values: _Array | None,
    packed: Packed | None,
    lengths: _Array | None,
    base: float,
    slope: float,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
) -> None: ...
def sparse_rerank(
    query_offsets: _Array,
    query_indices: _Array,
    query_values: _Array,
    offsets: _Array | None,
    indices: _Array | None,
    values: _Array | None,
    packed: Packed | None,
    lengths: _Array | None,
    base: float,
    slope: float,
    candidates: _Array,
    out_distances: _Array,
) -> None: ...
def sparse_document_frequency(
    terms: _Array,
    offsets: _Array | None,
    indices: _Array | None,
    values: _Array | None,
    packed: Packed | None,
    allowed: _Array | None,
    out: _Array,
) -> None: ...

class Window:
    def __init__(
        self,
        first_row: int,
        n: int,
        terms: _Array,
        starts: _Array,
        steps: _Array,
        ids: _Array,
        codes: _Array,
        dense_lists: _Array,
        dense: _Array,
        slope: float,
    ) -> None: ...

def build_window(
    offsets: _Array, indices: _Array, values: _Array, lengths: _Array | None, base: float, slope: float
) -> tuple[_Array, _Array, _Array, _Array, _Array, _Array, _Array]: ...
def inverted_search(
    windows: list[Window],
    query_offsets: _Array,
    query_indices: _Array,
    query_values: _Array,
    offsets: _Array | None,
    indices: _Array | None,
    values: _Array | None,
    packed: Packed | None,
    lengths: _Array | None,
    base: float,
    slope: float,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
    out_counters: _Array,
) -> None: ...
def inverted_document_frequency(
    windows: list[Window],
    terms: _Array,
    offsets: _Array | None,
    indices: _Array | None,
    values: _Array | None,
    packed: Packed | None,
    allowed: _Array | None,
    out: _Array,
) -> None: ...
def hadamard(rows: _Array, permutations: _Array, factors: _Array, block: int, out: _Array) -> None: ...
def table_scan(
    offsets: _Array,
    counts: _Array,
    rows: _Array,
    blocks: _Array,
    factors: _Array,
    table_dims: _Array,
    table_values: _Array,
    extra: _Array | None,
    extra_factors: _Array | None,
    extra_runs: _Array | None,
    extra_dims: _Array | None,
    extra_steps: _Array | None,
    queries: _Array,
    probes: _Array,
    list_add: _Array,
    list_radius: _Array,
    k: int,
    eps: float,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
    out_counters: _Array,
) -> None: ...
def project(rows: _Array, matrix: _Array, out: _Array) -> None: ...
def row_dots(a: _Array, b: _Array, out: _Array) -> None: ...
def grid_steps(rows: _Array, half: int, normal_step: float, out: _Array) -> None: ...
def grid_codes(rows: _Array, inverse_rows: _Array, inverse_dims: _Array, halves: _Array, codes: _Array) -> None: ...
def level_codes(rows: _Array, inverse_rows: _Array, bounds: _Array, codes: _Array) -> None: ...
def nearest_codes(rows: _Array, columns: _Array, half_squares: _Array, codes: _Array) -> None: ...
def shaped_codes(cells: _Array, feedback: _Array, codes: _Array) -> None: ...
def gather_bits(codes: _Array, fields: _Array, out: _Array) -> None: ...
def row_scan(
    kind: int,
    query_bytes: int,
    offsets: _Array,
    counts: _Array,
    rows: _Array,
    blocks: _Array,
    factors: _Array,
    levels: _Array | None,
    queries: _Array,
    probes: _Array,
    list_add: _Array,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
    out_counters: _Array,
) -> None: ...
def byte_scan(
    offsets: _Array,
    counts: _Array,
    rows: _Array,
    codes: _Array,
    factors: _Array,
    table_dims: _Array,
    table_values: _Array,
    queries: _Array,
    probes: _Array,
    list_add: _Array,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
    out_counters: _Array,
) -> None: ...
def maxsim_scan(
    query_offsets: _Array,
    query_tokens: _Array,
    offsets: _Array,
    tokens: _Array,
    allowed: _Array | None,
    out_rows: _Array,
    out_distances: _Array,
) -> None: ...
def maxsim_scan_by_bytes(
    query_offsets: _Array,
    query_tokens: _Array,
    offsets: _Array,
    tokens: _Array,
    allowed: _Array | None,
    bytes: _Array,
    scales: _Array,
    errors: _Array,
    lengths: _Array,
    out_rows: _Array,
    out_distances: _Array,
) -> int: ...
def token_bytes_pay() -> bool: ...
def round_tokens(
    offsets: _Array, tokens: _Array, bytes: _Array, scales: _Array, errors: _Array, lengths: _Array
) -> None: ...
def maxsim_rerank(
    query_offsets: _Array,
    query_tokens: _Array,
    offsets: _Array,
    tokens: _Array,
    candidates: _Array,
    out_distances: _Array,
) -> None: ...
def nearest_centroids(tokens: _Array, centroids: _Array, scales: _Array, homes: _Array) -> None: ...
def pool_tokens(tokens: _Array, offsets: _Array, kept: int, out_offsets: _Array, out: _Array) -> None: ...
def fde_cells(
    signs: _Array, projected: _Array, offsets: _Array, repetitions: int, k_sim: int, width: int, mean: bool,
    fill: bool, out: _Array,
) -> None: ...  # fmt: skip
def inverse_norms(rows: _Array, out: _Array) -> None: ...
def cut_rows(content: np.ndarray, offsets: np.ndarray, rows: np.ndarray, empty: bytes | None) -> list[bytes | None]: ...
def run_formula(code: _Array, constants: _Array, columns: _Array, out: _Array) -> None: ...
def read_rows(file: int, n: int, numbers: _Array, out: _Array) -> int: ...
def read_bytes(array: NDArray[np.uint8]) -> int: ...
def sketch_nearest(ids: _Array, weights: _Array, members: _Array, centroids: _Array, out: _Array) -> None: ...
def set_stop(flag: NDArray[np.int32] | None, seconds: float) -> None: ...
def set_threads(threads: int) -> None: ...
def threads() -> int: ...
def supported_isas() -> list[str]: ...
def use_isa(name: str) -> None: ...
def current_isa() -> str: ...

class Graph:
    def __init__(
        self, metric: int, rows: _Array, inverse_norms: _Array | None, neighbours: _Array, codes: _Array,
        entries: _Array, mean: _Array, directions: _Array, direction_scales: _Array, fields: _Array,
        field_weights: _Array, add_unit: float, scale_unit: float,
    ) -> None: ...  # fmt: skip
    def search(
        self, queries: _Array, ef: int, rescored: int, detours: bool, allowed: _Array | None,
        skipped: _Array | None, reach: float, least: float, near: int, kept: int, out_rows: _Array,
        out_distances: _Array, out_counters: _Array,
    ) -> None: ...  # fmt: skip
    def scan(
        self, queries: _Array, rescored: int, allowed: _Array | None, out_rows: _Array, out_distances: _Array,
        out_counters: _Array,
    ) -> None: ...  # fmt: skip
    def tune(self, interleave: int, code_lines: int, heads: int, sparse_from: int = ...) -> None: ...

class Tokens:
    def __init__(
        self, dim: int, offsets: _Array, homes: _Array | None, centroids: _Array | None,
        centroid_scales: _Array | None, codes: _Array | None, bits: int, levels: _Array | None, step: float,
        scales: _Array | None, scale_values: _Array | None, list_starts: _Array | None, lists: _Array | None,
    ) -> None: ...  # fmt: skip
    def search(
        self, query_offsets: _Array, query_tokens: _Array, lists: int, allowed: _Array | None, out_rows: _Array,
        out_distances: _Array, out_counters: _Array,
    ) -> None: ...  # fmt: skip
    def rerank(
        self, query_offsets: _Array, query_tokens: _Array, candidates: _Array, out_distances: _Array
    ) -> None: ...

class GraphBuilder:
    def __init__(
        self, bytes: _Array, scales: _Array, squares: _Array, sums: _Array, leaf_rows: int, leaf_nearest: int,
        reservoir: int, fanout: list[int], seed: int, alpha: float, neighbours: _Array,
    ) -> None: ...  # fmt: skip
    def carve(self) -> int: ...
    def join(self, begin: int, end: int) -> None: ...
    def seed(self, rows: _Array, neighbours: _Array) -> None: ...
    def prune(self, begin: int, end: int) -> None: ...
    def pruned(self, begin: int, end: int) -> None: ...
    def held(self, begin: int, end: int, out: _Array) -> None: ...
    def reverse(self) -> None: ...
    def finish(self, begin: int, end: int) -> None: ...

class Seismic:
    def __init__(
        self, rows: _Array, terms: _Array, scales: _Array, term_parts: _Array, block_bits: _Array,
        part_blocks: _Array, part_codes: _Array, part_records: _Array, record_bases: _Array, records: _Array,
    ) -> None: ...  # fmt: skip
    def search(
        self, query_offsets: _Array, query_indices: _Array, query_values: _Array, offsets: _Array | None,
        indices: _Array | None, values: _Array | None, packed: Packed | None, depth: int, first: int,
        block_factor: float, terms: int, share: float, all: bool, bounded: bool, coded: bool,
        allowed: _Array | None, out_rows: _Array, out_distances: _Array, out_counters: _Array,
    ) -> None: ...  # fmt: skip
