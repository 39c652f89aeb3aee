"""python -m vecstore: the command line."""

from vecstore.cli.main import main

if __name__ == "__main__":
    main()
