"""The `vecstore` command."""
