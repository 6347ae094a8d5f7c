"""A stock MCP client: the published SDK and nothing of ours. One line of JSON on standard output says what became of it.

Arguments: one JSON object with `server` (the address of the MCP server), `issuer`, `client_id`, `client_secret`, `method`
(`client_secret_basic` or `client_secret_post`) and `calls`, a list of [tool, arguments].
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.auth.exceptions import OAuthFlowError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client


class Memory:
    """Where the SDK keeps its tokens."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Recorded(httpx2.AsyncHTTPTransport):
    """Notes what goes over the wire: method, path and status, and never a header."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    async def handle_async_request(self, request):
        response = await super().handle_async_request(request)
        self.seen.append([request.method, request.url.path, response.status_code])
        return response


async def talk(asked, seen):
    provider = ClientCredentialsOAuthProvider(
        server_url=asked["server"],
        storage=Memory(),
        client_id=asked["client_id"],
        client_secret=asked["client_secret"],
        token_endpoint_auth_method=asked["method"],
        issuer=asked["issuer"],
    )
    async with httpx2.AsyncClient(auth=provider, transport=Recorded(seen), timeout=30) as http:
        async with Client(streamable_http_client(asked["server"], http_client=http)) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            results = [await call(client, tool, arguments) for tool, arguments in asked["calls"]]
    return {"tools": tools, "results": results}


async def call(client, tool, arguments):
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        return {"error": str(error)}
    return {"content": result.structured_content, "is_error": result.is_error}


def causes(error):
    """The errors at the leaves: a task group wraps them."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in causes(inner)]
    return [error]


def main():
    asked, seen = json.loads(sys.argv[1]), []
    try:
        told = asyncio.run(talk(asked, seen))
    except BaseException as error:
        flow = [str(cause) for cause in causes(error) if isinstance(cause, OAuthFlowError)]
        if not flow:
            raise
        told = {"stopped": flow}
    print(json.dumps({**told, "seen": seen}))


main()
