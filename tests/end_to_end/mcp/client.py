"""A stock MCP client: the published SDK and nothing of ours. One line of JSON on standard output says what became of it.

On standard input, one JSON object with `server` (the address of the MCP server), `issuer`, `client_id`, what it authenticates with
(`client_secret` and `method`, `client_secret_basic` or `client_secret_post`; or `private_key`, a PEM of an RSA key), with the former
optionally an `assertion` of who is at work (an ID-JAG), and `calls`, a list of [tool, arguments].
"""

import asyncio
import json
import logging
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.auth.exceptions import OAuthFlowError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
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
    """Notes what goes over the wire, method, path and status, and the challenges of refusals; never a credential."""

    def __init__(self, seen, challenges):
        super().__init__()
        self.seen = seen
        self.challenges = challenges

    async def handle_async_request(self, request):
        response = await super().handle_async_request(request)
        self.seen.append([request.method, request.url.path, response.status_code])
        if response.status_code in (401, 403):
            self.challenges.append([response.status_code, *response.headers.get_list("www-authenticate")])
        return response


def provider(asked):
    common = {
        "server_url": asked["server"],
        "storage": Memory(),
        "client_id": asked["client_id"],
        "issuer": asked["issuer"],
    }
    if "private_key" in asked:
        name = asked["client_id"]
        signed = SignedJWTParameters(issuer=name, subject=name, signing_key=asked["private_key"])
        return PrivateKeyJWTOAuthProvider(**common, assertion_provider=signed.create_assertion_provider())
    secret = {"client_secret": asked["client_secret"], "token_endpoint_auth_method": asked["method"]}
    if "assertion" not in asked:
        return ClientCredentialsOAuthProvider(**common, **secret)

    async def assertion(audience, resource):
        assert (audience, resource) == (asked["issuer"], asked["server"])
        return asked["assertion"]

    return IdentityAssertionOAuthProvider(**common, **secret, assertion_provider=assertion)


async def talk(asked, seen, challenges):
    async with httpx2.AsyncClient(auth=provider(asked), transport=Recorded(seen, challenges), timeout=30) as http:
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
    # the SDK logs whole answers
    logging.disable(logging.CRITICAL)
    asked, seen, challenges = json.load(sys.stdin), [], []
    try:
        told = asyncio.run(talk(asked, seen, challenges))
    except BaseException as error:
        flow = [str(cause) for cause in causes(error) if isinstance(cause, OAuthFlowError)]
        if not flow:
            raise
        told = {"stopped": flow}
    print(json.dumps({**told, "seen": seen, "challenges": challenges}))


main()
