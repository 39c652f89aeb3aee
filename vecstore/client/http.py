"""What calls over HTTP have in common, blocking or not: addresses, headers, bodies, errors."""

from __future__ import annotations

import math
import re
import ssl
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import msgspec

from vecstore.client.tls import Tls
from vecstore.config import Settings
from vecstore.errors import DeadlineExceeded, InvalidArgument, Unavailable, VecstoreError
from vecstore.types import (
    DeleteRequest,
    DeleteVectorsRequest,
    PayloadOp,
    PayloadRequest,
    UpdateBatchRequest,
    UpdateVectorsRequest,
    UpsertRequest,
    WriteRequest,
)
from vecstore.wire.rest import batches as b
from vecstore.wire.rest import points as p
from vecstore.wire.rest.base import bad_argument
from vecstore.wire.rest.problem import Problem, error_of

MARGIN_S = 0.25  # the server, which knows more about a late call, answers before the client gives up
NEVER_S = (1 << 31) / 1000  # the longest deadline that the interface takes: 24 days

_encode = msgspec.json.Encoder().encode
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


class Target(NamedTuple):
    """Of a request."""

    method: str
    path: str


def collection_path(collection: str, *more: str) -> str:
    return "/v1/collections/" + "/".join([quote(collection, safe=""), *more])


def segment(text: str) -> str:
    """As one segment of a path; dots alone would be taken for directories."""
    return quote(text, safe="").replace(".", "%2E") if set(text) <= {"."} else quote(text, safe="")


def base_url(address: str, tls: Tls | None) -> str:
    return f"{'http' if tls is None else 'https'}://{address}"


def headers(api_key: str | None) -> dict[str, str]:
    found = {"accept-encoding": "identity", "content-type": "application/json"}
    return {**found, "authorization": f"Bearer {api_key}"} if api_key else found


def ssl_context(tls: Tls | None) -> ssl.SSLContext | bool:
    """The given roots, or the usual ones; and the client's own certificate."""
    if tls is None:
        return True
    context = ssl.create_default_context(cadata=None if tls.ca is None else tls.ca.decode("ascii"))
    if tls.cert is not None and tls.key is not None:
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads its own certificate from files only
            cert, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
            key.touch(mode=0o600)
            cert.write_bytes(tls.cert)
            key.write_bytes(tls.key)
            context.load_cert_chain(cert, key)
    return context


def packed_settings(settings: Settings) -> Settings:
    """Of the bytes that a body may have, vectors take four for three, as base64: requests are cut by what fits."""
    limits = msgspec.structs.replace(settings.limits, message_bytes_max=settings.limits.message_bytes_max * 3 // 4)
    return msgspec.structs.replace(settings, limits=limits)


def timeout_header(seconds: float) -> dict[str, str]:
    return {"x-timeout-ms": str(max(1, round(min(seconds, NEVER_S) * 1000)))}


def encode(body: msgspec.Struct | None) -> bytes | None:
    """Raises InvalidArgument for what has no form in JSON, such as an integer above 64 bits."""
    if body is None:
        return None
    try:
        encoded = _encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidArgument(f"the request cannot be written as JSON: {error}", reason="BAD_ARGUMENT") from None
    # JSON has no NaN: it becomes a null, which would say nothing. Only where there is one need anybody look.
    where = _not_finite(body, "") if b"null" in encoded else None
    if where is not None:
        path, reason = where.removeprefix("."), "BAD_ARGUMENT"
        if path.startswith("schema."):
            path, reason = path.removeprefix("schema."), "BAD_SCHEMA"
        if found := re.match(r"(.*)nearest\.values\[\d+\]\Z", path):  # of a sparse query; others are packed
            path, reason = f"{found[1]}query", "NAN_OR_INF"
        raise bad_argument(path, "is NaN or infinite, which JSON cannot hold", reason)
    return encoded


def _not_finite(value: Any, path: str) -> str | None:
    """The path of the first float that is NaN or infinite."""
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    if isinstance(value, msgspec.Struct):
        inner = [(getattr(value, name), f"{path}.{name}") for name in value.__struct_fields__]
    elif isinstance(value, dict):
        inner = [(item, f"{path}.{key}") for key, item in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(item, f"{path}[{place}]") for place, item in enumerate(value)]
    else:
        return None
    return next((found for item, where in inner if (found := _not_finite(item, where)) is not None), None)


def decode(response: httpx.Response, kind: Any) -> Any:
    """The answer. Raises the error that the server named."""
    if response.is_success:
        decoder = _decoders.get(kind)
        if decoder is None:
            decoder = _decoders[kind] = msgspec.json.Decoder(kind)
        try:
            return decoder.decode(response.content)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise VecstoreError(f"the answer is not what this client knows: {error}") from None
    raise error_from(response)


def error_from(response: httpx.Response) -> VecstoreError:
    """Answers of others than the server, such as a proxy, have no problem in them."""
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            return error_of(msgspec.json.decode(response.content, type=Problem))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
    message = f"HTTP status {response.status_code} from {response.url}, without a reason"
    return (Unavailable if response.status_code in (502, 503, 504) else VecstoreError)(message)


def error_of_http(error: httpx.HTTPError, timeout_s: float) -> VecstoreError:
    """What went wrong before there was an answer."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return DeadlineExceeded(f"no answer within timeout_s={timeout_s:g}")
    said = str(error) or type(error).__name__
    try:
        where = f"the server at {error.request.url.copy_with(raw_path=b'/')}"
    except RuntimeError:  # of what failed before there was a request
        where = "the server"
    return Unavailable(f"{where} cannot be reached: {said}")


def write_call(request: WriteRequest) -> tuple[Target, msgspec.Struct]:
    """The route for a write, and its body."""

    def at(method: str, *more: str) -> Target:
        return Target(method, collection_path(request.collection, "points", *more))

    match request:
        case UpsertRequest():
            return at("PUT"), p.upsert_to_json(request)
        case DeleteRequest():
            return at("POST", "delete"), p.delete_to_json(request)
        case UpdateVectorsRequest():
            return at("PUT", "vectors"), b.update_vectors_to_json(request)
        case DeleteVectorsRequest():
            return at("POST", "vectors", "delete"), b.delete_vectors_to_json(request)
        case UpdateBatchRequest():
            return at("POST", "batch"), b.update_batch_to_json(request)
        case PayloadRequest():
            where = {
                PayloadOp.SET: ("POST", "payload"),
                PayloadOp.OVERWRITE: ("PUT", "payload"),
                PayloadOp.DELETE_KEYS: ("POST", "payload", "delete"),
                PayloadOp.CLEAR: ("POST", "payload", "clear"),
            }
            return at(*where[request.op]), p.payload_to_json(request)
