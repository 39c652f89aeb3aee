"""The entry point of the `vecstore` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 an error of ours (one line on stderr), 2 wrong usage."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError as error:
        sys.exit(f"error: EXTRA_MISSING: the vecstore command needs {error.name}: pip install 'vecstore[cli]'")
    from vecstore.cli.app import app

    app(prog_name="vecstore")


if __name__ == "__main__":
    main()
