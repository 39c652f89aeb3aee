"""One process of `vecstore serve --readers`; not for people."""

from __future__ import annotations

from vecstore.cli.serve import gateway_is_there
from vecstore.server.child import read_role, run


def main() -> None:
    role = read_role()
    if role.settings.server.rest and gateway_is_there():
        from vecstore.gateway.serving import beside

        run(role, beside)
    else:
        run(role, None)


if __name__ == "__main__":
    main()
