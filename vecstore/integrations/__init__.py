"""Vecstore behind other frameworks' interfaces: `langchain`, `llamaindex`, `haystack`, and an MCP server in `mcp`. Each
framework is an extra, and is imported by its own module only."""
