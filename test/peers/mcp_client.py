"""An MCP client: the official Python SDK. Argument, as JSON:

  url, key         the server, and the bearer token for it
  mode             "auto", "legacy" (the initialize handshake), or a protocol version
  tool, arguments  what to call

It prints what it saw as one line of JSON.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main() -> None:
    options = json.loads(sys.argv[1])
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {options['key']}"}, timeout=60) as http:
        async with Client(streamable_http_client(options["url"], http_client=http), mode=options["mode"]) as client:
            tools = await client.list_tools()
            result = await client.call_tool(options["tool"], options["arguments"])
            print(json.dumps({
                "version": client.protocol_version,
                "tools": [tool.name for tool in tools.tools],
                "text": result.content[0].text,
                "is_error": result.is_error,
            }))


asyncio.run(main())
