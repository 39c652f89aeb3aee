"""Every limit and setting, with its unit. `load_settings` reads a TOML file and the environment (environment wins).

A setting's environment name is `VECSTORE_<SECTION>_<NAME>`, such as `VECSTORE_LIMITS_K_MAX=500`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from vecstore.embedder_settings import EmbedderSettings, from_environment
from vecstore.errors import InvalidArgument

MIB = 1 << 20
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on what one request may ask. A value at the bound is accepted, one past it is LIMIT_EXCEEDED."""

    dim_max: int = 8_192
    k_max: int = 10_000
    queries_per_request_max: int = 256
    message_bytes_max: int = 32 * MIB
    batch_points_max: int = 10_000
    batch_operations_max: int = 1_000  # writes of one atomic batch
    idempotency_keys_max: int = 10_000  # of each collection, that are remembered with their answers
    payload_bytes_max: int = 64 * 1024
    payload_depth_max: int = 16
    text_length_max: int = 1_000_000  # characters of one text of a text field
    tokens_max: int = 8_192  # token vectors of one multi-vector
    prefetch_depth_max: int = 4
    prefetch_candidates_max: int = 100_000  # limits of all prefetches of a query together
    matrix_points_max: int = 1_000  # points of one distance matrix
    filter_depth_max: int = 32
    filter_terms_max: int = 1_024
    formula_depth_max: int = 32
    formula_terms_max: int = 256  # nodes of a rank expression
    in_list_max: int = 10_000
    name_length_max: int = 255
    string_id_bytes_max: int = 128
    collections_max: int = 1_000
    aliases_max: int = 1_000
    vector_fields_max: int = 64
    field_indexes_max: int = 64
    filtered_update_points_max: int = 100_000  # points that one set_payload by filter may rewrite
    rpcs_in_flight_max: int = 128
    rpcs_queued_max: int = 128
    request_bytes_held_max: int = 0  # of all requests that are being answered; 0: 1/16 of memory_max
    connections_max: int = 1_024
    deadline_default_s: float = 30.0
    receive_deadline_s: float = 30.0


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the engine keeps data."""

    memory_max: int = 0  # the budget of memory whose parts settings at 0 are (`memory.budget`); 0: all there is
    durability: Literal["fsync", "os"] = "fsync"
    seal_rows: int = 200_000  # a growing segment with this many rows is sealed
    seal_bytes: int = 0  # or with this many bytes of vectors and payloads; 0: 1/32 of memory_max, at most 256 MiB
    seal_idle_s: float = 30.0  # or one large enough for an index, when no write came for so long
    merge_factor: int = 4  # this many sealed segments of one size class are merged
    segment_bytes_max: int = 0  # a merge does not make larger segments; 0: 1/16 of memory_max, at most 1 GiB
    compact_deleted_ratio: float = 0.25  # a sealed segment with more dead rows than this is rewritten
    index_rows_min: int = 10_000  # smaller sealed segments get no vector index: they are scanned exactly
    auto_index_rows_min: int = 20_000  # and with index "auto", fewer rows than this are scanned exactly
    index_memory_bytes: int = 0  # what indexes may take where the engine chooses them; 0: 1/4 of memory_max
    in_place_rows: int = 5_000  # segments up to this size are built in process, larger ones in a worker
    resident_vectors_bytes: int = 256 * MIB  # stored vectors of indexed fields that may stay in memory
    wal_bytes_max: int = 0  # of the write-ahead log; 0: 1/32 of memory_max, at most 64 MiB
    disk_reserve_bytes: int = 64 * MIB  # writes are refused when less than this is free
    verify_on_open: bool = True  # checksum a column's bytes when it is first mapped
    maintenance: bool = True  # seal and merge in the background
    feed: bool = False  # let other processes of this machine follow, read-only; `serve --readers` does


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how the server listens."""

    host: str = "127.0.0.1"
    port: int = 7334
    rest: bool = True  # whether REST is served, too
    rest_port: int = 7333
    console: bool = True  # whether REST shows the web console at /
    cors_origins: str = ""  # whose pages may call REST: a list with commas, or "*"
    api_key: str = ""  # of an admin; it or keys_file is required when the host is not loopback
    keys_file: str = ""  # written by `vecstore keys`
    tls_cert: str = ""  # PEM, the chain; with tls_key
    tls_key: str = ""
    tls_client_ca: str = ""  # clients must have a certificate by it
    readers: int = 0  # processes that answer reads beside the one that writes; 0: one process does both
    pin_readers: bool = True  # each keeps to its share of the cores
    snapshots_dir: str = ""  # where snapshots are kept under their names; empty: `snapshots` in the database's folder
    restore_dir: str = ""  # where they are restored to; empty: `restored` in the database's folder
    drain_s: float = 10.0
    reflection: bool = True
    metrics_port: int = 0  # 0: no listener; a REST gateway serves the same pages
    metrics_collections_max: int = 100  # collections with metrics of their own
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    slow_query_s: float = 1.0  # calls that take longer are logged with where the time went; 0: none


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How queries run."""

    threads: int = 0  # threads of the kernel pool; 0 = one for each core
    strict_filters: bool = False  # refuse filters on fields without an index
    filter_cache_bytes: int = 0  # 0: 1/64 of memory_max, at most 64 MiB
    number_cache_bytes: int = 0  # numbers at payload keys that queries ranked by; 0: 1/64 of memory_max, at most 64 MiB
    exact_cache_bytes: int = 0  # vectors as bytes, which exact searches read first; 0: 1/32 of memory_max
    shadow_sample: Share = 0.01  # share of live queries that are answered again exactly, to see what recall they got
    shadow_first: int = 200  # queries of each vector field that are all checked before it is by that share
    shadow_tune: bool = True  # tune on them where they got less recall than was promised, or are unlike the rows
    shadow_cpu_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.02  # of the time, at most, that these checks take
    device_bytes: int = 0  # of each GPU's memory for arrays of segments; 0: four fifths of it


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limits: Limits = Limits()
    storage: Storage = Storage()
    server: Server = Server()
    search: Search = Search()
    embedders: dict[str, EmbedderSettings] = {}  # by name; kinds and their fields in `vecstore.embedder_settings`


SECTIONS = tuple(name for name in Settings.__struct_fields__ if name != "embedders")


def load_settings(path: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read settings from defaults, then the TOML file at `path`, then the environment.

    Raises InvalidArgument (reason BAD_CONFIG) naming the setting for an unknown name or a value of the wrong type.
    """
    tree: dict[str, dict[str, Any]] = {}
    if path is not None:
        try:
            tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InvalidArgument(f"config file {path} does not exist", reason="BAD_CONFIG") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidArgument(f"config file {path} is not TOML: {error}", reason="BAD_CONFIG") from None
    for section in SECTIONS:
        fields = getattr(Settings(), section).__struct_fields__
        for name in fields:
            value = environ.get(f"VECSTORE_{section}_{name}".upper())
            if value is not None:
                tree.setdefault(section, {})[name] = value
    for name, table in from_environment(environ).items():
        tree.setdefault("embedders", {}).setdefault(name, {}).update(table)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"bad configuration: {error}", reason="BAD_CONFIG") from None
    tables = {section: getattr(settings, section) for section in SECTIONS}
    tables |= {f"embedders.{name}": one for name, one in settings.embedders.items()}
    for section, values in tables.items():
        for name in values.__struct_fields__:
            value = getattr(values, name)
            if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
                message = f"{section}.{name}={value} must not be negative"
                raise InvalidArgument(message, reason="BAD_CONFIG")
    return settings
