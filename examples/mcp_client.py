"""What a language model does with `vecstore mcp`: a process with tools, asked over stdin and stdout.

python examples/mcp_client.py
"""

import asyncio
import sys
import tempfile

from mcp import Client, StdioServerParameters


async def main(directory: str) -> None:
    command = ["-m", "vecstore.cli.main", "mcp", "--target", f"{directory}/db"]
    async with Client(StdioServerParameters(command=sys.executable, args=command)) as client:
        print(
            *[f"{tool.name}: {tool.description.split('.')[0]}" for tool in (await client.list_tools()).tools], sep="\n"
        )

        async def call(tool: str, **arguments: object) -> dict:
            result = await client.call_tool(tool, arguments)
            return {"error": result.content[0].text} if result.is_error else result.structured_content

        await call("create_collection", name="notes", language="english")
        notes = [
            {"id": 1, "text": "The boiler was serviced in May", "payload": {"room": "cellar"}},
            {"id": 2, "text": "Paint for the kitchen walls: RAL 9010", "payload": {"room": "kitchen"}},
        ]
        await call("add", collection="notes", points=notes)
        print(await call("search", collection="notes", query="painting the walls"))
        only = {"must": [{"key": "room", "match": {"value": "cellar"}}]}
        print(await call("search", collection="notes", query="service", filter=only))
        print(await call("search", collection="nots", query="service"))


with tempfile.TemporaryDirectory() as directory:
    asyncio.run(main(directory))
