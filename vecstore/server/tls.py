"""TLS for the gRPC server."""

from __future__ import annotations

from typing import Any

import grpc

from vecstore.access.certificates import Certificates, Pem


def tls_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """gRPC asks for the certificate at each new connection, and keeps what it has when it is told None."""

    def renewed() -> Any:
        pem = certificates.renew()
        return None if pem is None else _configuration(pem)

    pem = certificates.pem
    made: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
        _configuration(pem), renewed, require_client_authentication=pem.client_ca is not None
    )
    return made


def _configuration(pem: Pem) -> Any:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.cert)], root_certificates=pem.client_ca)
