"""An upstream that answers every request from memory, and prints the id of each record that it has given."""

import asyncio
import functools
import json
import os
import sys

RECORD = {"organization_id": "acme", "owner_id": "sync-acme", "name": "Ada", "note": "x" * 40}


@functools.lru_cache
def page(organization, count):
    rows = [{"id": index, **RECORD, "organization_id": organization, "note": "x" * 500} for index in range(count)]
    return json.dumps({"data": rows}).encode()


def answer(line):
    """The id of the record that is given, if it is one, and the body."""
    method, target, _ = line.split(" ", 2)
    path, _, query = target.partition("?")
    organization = "globex" if "organization_id=globex" in query else "acme"
    if path == "/contacts" and method == "GET":
        return None, page(organization, next((int(pair[6:]) for pair in query.split("&") if pair.startswith("limit=")), 20))
    key = path.rsplit("/", 1)[-1]
    key = int(key) if key.isdigit() else None
    return key, json.dumps({"data": {"id": key or 1, **RECORD, "organization_id": organization}}).encode()


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0
            )
            if length:
                await reader.readexactly(length)
            key, body = answer(head.split("\r\n")[0])
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            await writer.drain()
            if key is not None:
                os.write(1, b"%d\n" % key)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


asyncio.run(main())
