"""What a user asks of an index: transforms, structure, quantizer and rerank, as typed builders. Stored in the schema.

`IVF(nlist="auto", quantizer=RaBitQ(bits=5), transforms=[PCA(256)], rerank="float16")`
"""

from __future__ import annotations

from typing import Literal

import msgspec

BAD_INDEX_SPEC = "BAD_INDEX_SPEC"  # the reason of every error about a spec

Rerank = Literal["none", "stored", "float32", "float16", "bfloat16", "int8"]


class _Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    pass


def _as_tuple(spec: msgspec.Struct, name: str) -> None:
    """Users write lists; specs are compared and hashed."""
    value = getattr(spec, name)
    if isinstance(value, list):
        msgspec.structs.force_setattr(spec, name, tuple(value))


# --- transforms: vectors to vectors, in the order listed ---


class Normalize(_Spec, frozen=True, tag="normalize"):
    """Unit length."""


class Center(_Spec, frozen=True, tag="center"):
    """Subtract the mean of the stored vectors."""


class Truncate(_Spec, frozen=True, tag="truncate"):
    """Keep the first `dim` components (Matryoshka prefixes); unit length again under cosine."""

    dim: int


class PCA(_Spec, frozen=True, tag="pca"):
    """Keep the `dim` leading principal directions; centred under l2, uncentred under cosine and dot by default. Under
    cosine the last component stands for the length of what is dropped."""

    dim: int
    centered: bool | None = None


class Rotate(_Spec, frozen=True, tag="rotate"):
    """A random orthogonal map (fast Hadamard rounds), serialised."""

    seed: int = 0


class OPQ(_Spec, frozen=True, tag="opq"):
    """A learned rotation that suits product quantization with `m` subspaces."""

    m: int
    dim: int | None = None


Transform = Normalize | Center | Truncate | PCA | Rotate | OPQ


# --- quantizers: vectors to codes ---


class Float16(_Spec, frozen=True, tag="float16"):
    """Two bytes a component."""


class BFloat16(_Spec, frozen=True, tag="bfloat16"):
    """Two bytes a component, the range of float32."""


class Float8(_Spec, frozen=True, tag="float8"):
    """One byte a component, no training."""

    format: Literal["e4m3", "e5m2"] = "e4m3"


class Int8(_Spec, frozen=True, tag="int8"):
    """One byte a component, with a range for each dimension; `clip` is the share of values cut off at each end."""

    clip: float = 0.0


class Int4(_Spec, frozen=True, tag="int4"):
    """Half a byte a component, with a range for each dimension."""

    clip: float = 0.001


class PQ(_Spec, frozen=True, tag="pq"):
    """Product quantization: `m` subspaces of 2**`bits` centroids (4 or 8 bits)."""

    m: int
    bits: Literal[4, 8] = 4


class RaBitQ(_Spec, frozen=True, tag="rabitq"):
    """Rotated grid codes of 1 to 8 bits a dimension with an unbiased estimate and an error bound."""

    bits: int = 4


class SAQ(_Spec, frozen=True, tag="saq"):
    """Principal directions with bits spent where the variance is; `bits` is the average for each dimension, factors
    included, and may be fractional."""

    bits: float = 4.0


class LloydMax(_Spec, frozen=True, tag="lloyd_max"):
    """TurboQuant's levels with length renormalisation: no training; 1, 2 or 4 bits a dimension."""

    bits: Literal[1, 2, 4] = 4


class Binary(_Spec, frozen=True, tag="binary"):
    """Sign codes, centred and rotated: by ITQ when `itq`, else at random; scored by a float query."""

    bits: int | None = None
    itq: bool = False


Quantizer = Float16 | BFloat16 | Float8 | Int8 | Int4 | PQ | RaBitQ | SAQ | LloydMax | Binary


# --- structures ---


class Flat(_Spec, frozen=True, tag="flat"):
    """Scan every row: exact without a quantizer."""

    quantizer: Quantizer | None = None
    transforms: tuple[Transform, ...] = ()
    rerank: Rerank = "stored"

    def __post_init__(self) -> None:
        _as_tuple(self, "transforms")


class IVF(_Spec, frozen=True, tag="ivf"):
    """Scan the lists of the nearest centroids."""

    nlist: int | Literal["auto"] = "auto"
    quantizer: Quantizer | None = None
    transforms: tuple[Transform, ...] = ()
    rerank: Rerank = "stored"
    nprobe: int | Literal["auto"] = "auto"
    spill: Literal["none", "soar"] = "none"

    def __post_init__(self) -> None:
        _as_tuple(self, "transforms")


class Graph(_Spec, frozen=True, tag="graph"):
    """Walk a graph of near neighbours by short codes, then rescore: the fastest at high recall. `degree` is a row's
    neighbours (a multiple of 16), `quantizer` the code that the walk reads (SAQ or RaBitQ; by default SAQ in whole
    cache lines), `ef` the width of the walk where a query does not say."""

    degree: int | Literal["auto"] = "auto"
    quantizer: Quantizer | None = None
    rerank: Rerank = "stored"
    ef: int | Literal["auto"] = "auto"


class Funnel(_Spec, frozen=True, tag="funnel"):
    """Rank by a short prefix, then the best of these by longer ones (Matryoshka)."""

    dims: tuple[int, ...]
    oversampling: float = 8.0

    def __post_init__(self) -> None:
        _as_tuple(self, "dims")


class HammingIVF(_Spec, frozen=True, tag="hamming_ivf"):
    """Binary vectors in lists around majority centroids."""

    nlist: int | Literal["auto"] = "auto"
    nprobe: int | Literal["auto"] = "auto"


class MIH(_Spec, frozen=True, tag="mih"):
    """Exact search of binary vectors by multi-index hashing; suits 64 to 256 bits and near neighbours."""

    chunks: int | Literal["auto"] = "auto"


class Inverted(_Spec, frozen=True, tag="inverted"):
    """Exact search of sparse vectors by postings in windows of rows."""


class Seismic(_Spec, frozen=True, tag="seismic"):
    """Approximate search of sparse vectors: blocks of similar rows, skipped by what stands for them, answers scored by
    the stored vectors. The more of each number, the larger the index and the better its answers.

    `postings` is how many entries of an index are kept on average for finding candidates, the largest of all ("auto"
    keeps every one), and `list_factor`, which goes with such a number, how many times as many of one at most. `summary`
    is what stands for a block: "mean", a power mean of its values, tells blocks apart best; "max" bounds them, so that
    a search for all of the k nearest may skip blocks too.

    `values` other than "stored" give the index a copy of the rows of its own, smaller than the stored ones and always
    in memory, by which candidates are scored: as float16, or in 8 bits of fixed point ("fixed8", Q2.6 up to 3.98). Its
    `components` are whole numbers of terms ("plain", 2 or 4 bytes each) or gaps between them ("delta8", 1 byte and 1 to
    2 bits; what "auto" takes). Scores are those of the stored vectors but with `rescore=False`."""

    postings: int | Literal["auto"] = "auto"
    list_factor: float | Literal["auto"] = "auto"
    summary: Literal["mean", "max"] = "mean"
    values: Literal["stored", "float16", "fixed8"] = "stored"
    components: Literal["auto", "plain", "delta8"] = "auto"


TokenStore = Literal["stored", "int8", "residual1", "residual2", "residual4", "residual8"]


class Plaid(_Spec, frozen=True, tag="plaid"):
    """Search of multi-vectors by the centroids of their tokens: rows that have a token at a centroid near one of the
    query's are scored by their tokens' centroids, the best of these by all tokens.

    `centroids` are shared by all tokens; `nprobe` of them for each token of a query are visited. `tokens` says what the
    index holds to score candidates by before the stored tokens do: nothing, bytes, or residuals from the centroids of
    so many bits a dimension. `pooling` holds a row's tokens in clusters, on average so many tokens in each, but for the
    first `protected` ones. Before that, but for these, tokens are left out that are within sqrt(2 `dedup_eps`) of an
    earlier one of their row: of unit length, those of a cosine of at least 1 - `dedup_eps` to it. `rerank` none answers
    by what the index holds."""

    centroids: int | Literal["auto"] = "auto"
    nprobe: int | Literal["auto"] = "auto"
    tokens: TokenStore = "stored"
    pooling: int = 1
    protected: int = 1
    dedup_eps: float = 0.0
    rerank: Literal["stored", "none"] = "stored"


class Muvera(_Spec, frozen=True, tag="muvera"):
    """Search of multi-vectors by one vector for each row (fixed dimensional encodings), as dense vectors are searched:
    of `repetitions` * 2^`k_sim` * `projection` components, or of `final_dim` where that is not 0.

    In each repetition the signs of `k_sim` random directions put a token in a cell, and a row's vector holds the mean
    of the tokens of each cell, projected to `projection` components (0: all of them). With `fill_empty` an empty cell
    takes the token that is nearest by signs. `first` says how these vectors are searched, `quantizer` by what codes;
    with `whole`, and where lists or a graph find them, the vectors themselves are held as well, and rank again twice
    as many rows as are then scored by their tokens.
    For `tokens`, `pooling`, `protected`, `dedup_eps` and `rerank` see Plaid; `tokens` may be bytes here (int8)."""

    repetitions: int = 20
    k_sim: int = 5
    projection: int = 8
    final_dim: int = 0
    fill_empty: bool = False
    seed: int = 1
    first: Literal["flat", "ivf", "graph"] = "flat"
    quantizer: Quantizer | None = None
    whole: bool = False
    tokens: TokenStore = "stored"
    pooling: int = 1
    protected: int = 1
    dedup_eps: float = 0.0
    rerank: Literal["stored", "none"] = "stored"


class Auto(_Spec, frozen=True, tag="auto"):
    """Left to the engine (`index.auto`), by the field's kind, a segment's rows and the memory of all indexes."""


Index = Flat | IVF | Graph | Funnel | HammingIVF | MIH | Inverted | Seismic | Plaid | Muvera | Auto
