"""Settings of embedders: a table `[embedders.NAME]` for each, whose `kind` says which fields it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec

MIB = 1 << 20
AtLeastOne: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class _Common(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    query_prefix: str = ""  # goes before a text that is asked with, such as "query: "
    passage_prefix: str = ""  # and before one that is stored
    cache_bytes: int = 64 * MIB  # of vectors of recent texts; 0: none are kept
    batch_texts: AtLeastOne = 64  # texts that the model gets at a time, at most


class OpenAI(_Common, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="openai"):
    """An HTTP endpoint that answers as OpenAI's `POST /v1/embeddings` does."""

    url: str  # up to and without "/embeddings", such as "https://api.openai.com/v1"
    model: str
    key_env: str = ""  # the environment variable that holds the key; empty: none is sent
    dimensions: int = 0  # asked for by name; 0: what the model gives
    batch_bytes: AtLeastOne = 200_000  # UTF-8 bytes of the texts of a request; a token is about 4
    requests_in_flight: AtLeastOne = 4
    requests_per_minute: int = 0  # 0: no bound
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0  # of one request
    retries: int = 5  # after errors that pass: 408, 429, 5xx, lost connections


class Onnx(_Common, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="onnx"):
    """A model in a local ONNX file, and its tokenizer."""

    model: str  # path of the .onnx file
    tokenizer: str = ""  # path of tokenizer.json (or .json.gz); empty: beside the model
    # Of the last layer's token vectors: their mean, the first one, all of them (a multi-vector), or weights of words,
    # SPLADE's maximum of log(1 + relu(logit)) (a sparse vector). A model that pools by itself is taken as it is.
    pooling: Literal["mean", "cls", "tokens", "splade"] = "mean"
    normalize: bool = True  # to unit length; not of sparse vectors
    max_tokens: Annotated[int, msgspec.Meta(ge=3)] = 512  # of a text, special ones included; the rest of it is not read
    batch_tokens: AtLeastOne = 4_096  # tokens that the model gets at a time, padding included
    threads: int = 0  # of one batch; 0: one for each core


class SentenceTransformers(_Common, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="sentence-transformers"):
    """A model that the library sentence-transformers loads: a directory, or a name that it finds or downloads."""

    model: str
    device: str = "cpu"
    normalize: bool = True
    max_tokens: int = 0  # 0: the model's own


class FastEmbed(_Common, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="fastembed"):
    """A model of the library fastembed's list, which downloads it unless `path` names a directory that has it."""

    model: str
    path: str = ""
    gives: Literal["dense", "sparse", "multi"] = "dense"
    threads: int = 0


class Static(_Common, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="static"):
    """A table of word vectors for model2vec (Model2Vec, Potion): a directory. A text's vector is the mean of its
    words'."""

    model: str
    normalize: bool = True


EmbedderSettings: TypeAlias = OpenAI | Onnx | SentenceTransformers | FastEmbed | Static
FIELDS = sorted({"kind"}.union(*(one.__struct_fields__ for one in EmbedderSettings.__args__)), key=len, reverse=True)


def from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Tables by name from `VECSTORE_EMBEDDERS_<NAME>_<FIELD>`, such as VECSTORE_EMBEDDERS_MINILM_KIND=onnx; a name is
    in lower case. What ends in no field's name is left to the check of unknown fields."""
    tables: dict[str, dict[str, str]] = {}
    start = "VECSTORE_EMBEDDERS_"
    for variable, value in environ.items():
        if not variable.startswith(start):
            continue
        rest = variable[len(start) :].lower()
        field = next((one for one in FIELDS if rest.endswith("_" + one)), rest.rpartition("_")[2])
        tables.setdefault(rest[: -len(field) - 1], {})[field] = value
    return tables
