"""A server of the Model Context Protocol, by which language models search and fill a database: `vecstore mcp`,
`pip install 'vecstore[mcp]'`."""

from vecstore.integrations.mcp.serving import run_http, run_stdio

__all__ = ["run_http", "run_stdio"]
