"""TLS with certificates made here: who is trusted, who is refused, and how a certificate is renewed."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from server_support import serving

import vecstore
from vecstore.access.certificates import Certificates
from vecstore.config import Server, Settings
from vecstore.engine.database import Database
from vecstore.errors import InvalidArgument, Unavailable
from vecstore.server.running import start_server


class Files(NamedTuple):
    cert: Path
    key: Path
    ca: Path


def make(folder: Path, name: str, authority: trustme.CA, host: str = "127.0.0.1") -> Files:
    made = authority.issue_cert(host, common_name=name)
    files = Files(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}.ca")
    made.private_key_pem.write_to_path(files.key)
    with files.cert.open("wb") as file:
        file.writelines(part.bytes() for part in made.cert_chain_pems)
    authority.cert_pem.write_to_path(files.ca)
    return files


@pytest.fixture(scope="module")
def authorities() -> tuple[trustme.CA, trustme.CA]:
    return trustme.CA(), trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authorities: tuple[trustme.CA, trustme.CA]) -> tuple[Files, Files]:
    """The server's, and those of another authority."""
    return make(tmp_path, "server", authorities[0]), make(tmp_path, "stranger", authorities[1])


def settings_of(files: Files, **more: str) -> dict[str, str]:
    return {"tls_cert": str(files.cert), "tls_key": str(files.key), "api_key": "k", **more}


def names(port: int, scheme: str = "grpcs", **options: object) -> list[str]:
    with vecstore.connect(f"{scheme}://127.0.0.1:{port}", timeout_s=60, api_key="k", **options) as client:
        return [info.name for info in client.list_collections()]


def test_trusted_and_not(files: tuple[Files, Files]) -> None:
    server, stranger = files
    with serving(**settings_of(server)) as (handle, _):
        assert names(handle.port, ca=server.ca) == []
        with pytest.raises(Unavailable, match=r"(?i)certificate"):
            names(handle.port, ca=stranger.ca)
        with pytest.raises(Unavailable, match=r"(?i)certificate"):
            names(handle.port)
        with pytest.raises(vecstore.VecstoreError):
            names(handle.port, "grpc")  # in clear text

        async def over_asyncio() -> list[object]:
            target = f"grpcs://127.0.0.1:{handle.port}"
            async with await vecstore.connect_async(target, api_key="k", ca=server.ca) as client:
                return list(await client.list_collections())

        assert asyncio.run(over_asyncio()) == []


def test_another_host_is_not_this_one(tmp_path: Path, authorities: tuple[trustme.CA, trustme.CA]) -> None:
    server = make(tmp_path, "elsewhere", authorities[0], "elsewhere.example")
    with serving(**settings_of(server)) as (handle, _), pytest.raises(Unavailable):
        names(handle.port, ca=server.ca)


def test_clients_need_a_certificate_and_a_key(
    files: tuple[Files, Files], tmp_path: Path, authorities: tuple[trustme.CA, trustme.CA]
) -> None:
    server, stranger = files
    client = make(tmp_path, "client", authorities[0])
    with serving(**settings_of(server, tls_client_ca=str(server.ca))) as (handle, _):
        assert names(handle.port, ca=server.ca, client_cert=client.cert, client_key=client.key) == []
        with pytest.raises(Unavailable):
            names(handle.port, ca=server.ca)
        with pytest.raises(Unavailable):
            names(handle.port, ca=server.ca, client_cert=stranger.cert, client_key=stranger.key)
        with (
            vecstore.connect(
                f"grpcs://127.0.0.1:{handle.port}", ca=server.ca, client_cert=client.cert, client_key=client.key
            ) as keyless,
            pytest.raises(vecstore.VecstoreError) as refused,
        ):
            keyless.list_collections()
        assert refused.value.reason == "UNAUTHENTICATED"


def replace(files: Files, by: Files) -> None:
    for there, new in ((files.cert, by.cert), (files.key, by.key)):
        os.replace(new, there)


def test_a_renewed_certificate_is_taken_up(
    files: tuple[Files, Files], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    server, stranger = files
    with (
        serving(**settings_of(server)) as (handle, _),
        vecstore.connect(f"grpcs://127.0.0.1:{handle.port}", api_key="k", ca=server.ca) as before,
    ):
        before.list_collections()
        good = server.cert.read_bytes()
        server.cert.write_bytes(stranger.cert.read_bytes())  # half of the way: not the key's
        assert names(handle.port, ca=server.ca) == []
        assert "stays as it was" in caplog.text
        server.cert.write_bytes(good)
        replace(server, stranger)
        assert names(handle.port, ca=stranger.ca) == []
        with pytest.raises(Unavailable):
            names(handle.port, ca=server.ca)
        before.list_collections()  # its connection is older


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tls_key": ""}, "both server.tls_cert and server.tls_key"),
        ({"tls_cert": ""}, "both server.tls_cert and server.tls_key"),
        ({"tls_cert": "", "tls_key": ""}, "both server.tls_cert and server.tls_key"),
        ({"tls_cert": "/nonexistent"}, r"server.tls_cert=/nonexistent: No such file"),
        ({"tls_key": "stranger"}, "are no pair"),
        ({"tls_key": "cert"}, "are no pair"),
        ({"tls_client_ca": "key"}, "holds no certificate"),
    ],
)
def test_certificates_that_do_not_serve(files: tuple[Files, Files], change: dict[str, str], problem: str) -> None:
    server, stranger = files
    paths = {"stranger": stranger.key, "cert": server.cert, "key": server.key}
    given = settings_of(server, tls_client_ca=str(server.ca)) | {n: str(paths.get(v, v)) for n, v in change.items()}
    settings = Settings(server=Server(port=0, **given))
    with Database.open(None) as database, pytest.raises(InvalidArgument, match=problem) as raised:
        start_server(database, settings)
    assert raised.value.reason == "BAD_CONFIG"


def test_tls_does_not_make_up_for_a_key(files: tuple[Files, Files]) -> None:
    settings = Settings(server=Server(host="0.0.0.0", port=0, **settings_of(files[0], api_key="")))
    with Database.open(None) as database, pytest.raises(InvalidArgument, match="not loopback"):
        start_server(database, settings)


def test_contexts_for_other_servers_are_renewed_too(files: tuple[Files, Files]) -> None:
    server, stranger = files
    certificates = Certificates.from_settings(Server(**settings_of(server)))
    assert certificates is not None
    context = certificates.context()
    assert subject(context, server.ca) == "server"
    replace(server, stranger)
    assert certificates.renew() is not None
    assert certificates.renew() is None
    assert subject(context, stranger.ca) == "stranger"


def subject(context: ssl.SSLContext, ca: Path) -> str:
    """The name in the certificate that a server with this context shows."""
    one, two = socket.socketpair()
    client = ssl.create_default_context(cafile=str(ca))
    with one, two, ThreadPoolExecutor(1) as pool:
        server = pool.submit(context.wrap_socket, one, True)
        with client.wrap_socket(two, server_hostname="127.0.0.1") as shown:
            found = shown.getpeercert() or {}
        server.result().close()
    return str(dict(pair[0] for pair in found["subject"])["commonName"])  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"ca": "/nonexistent"}, "ca=/nonexistent: No such file"),
        ({"client_cert": "x"}, "belong together"),
        ({"client_key": "x"}, "belong together"),
    ],
)
def test_what_a_client_is_given_is_checked(options: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem) as raised:
        vecstore.connect("grpcs://localhost", **options)  # type: ignore[arg-type]
    assert raised.value.reason == "BAD_TARGET"


@pytest.mark.parametrize("target", [":memory:", "grpc://localhost"])
def test_trust_is_for_tls(files: tuple[Files, Files], target: str) -> None:
    with pytest.raises(InvalidArgument, match="are for grpcs://"):
        vecstore.connect(target, ca=files[0].ca)
