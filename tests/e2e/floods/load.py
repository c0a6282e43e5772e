"""Clients that ask for one record after the other on connections that they keep. Prints when each began, how long it took, its
status (0: no answer) and the record's id, which is asked for once only. With `all`, some ask for lists, write, are nobody or
come on a connection of their own."""

import asyncio
import itertools
import os
import ssl
import sys
import time

HOST, PORT, KEY, CLIENTS, PAUSE = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
ASKS = sys.argv[6]
IDS = itertools.count(1)
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


async def ask(reader, writer, key):
    line, headers, body = f"GET /contacts/{key}", f"x-api-key: {KEY}\r\n", ""
    match key % 16 if ASKS == "all" else 0:
        case 1:
            line = "GET /contacts?limit=200"
        case 2:
            line = "GET /contacts?limit=2000"
        case 3:
            line, body = "POST /contacts", '{"name":"Ada","note":"n"}'
            headers += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        case 4:
            headers = ""
        case 5:
            headers += "connection: close\r\n"
    writer.write(f"{line} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n{body}".encode())
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
    await reader.readexactly(length)
    while "transfer-encoding: chunked" in head:
        size = int(await reader.readuntil(b"\r\n"), 16)
        await reader.readexactly(size + 2)
        if size == 0:
            break
    return int(head.split(" ")[1]), "connection: close" not in head


async def client():
    connection = None
    while True:
        key, start, status, stays = next(IDS), time.monotonic(), 0, False
        try:
            async with asyncio.timeout(20):
                connection = connection or await asyncio.open_connection(HOST, PORT, ssl=CONTEXT, limit=2**20)
                status, stays = await ask(*connection, key)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass
        os.write(1, f"{start:.6f} {time.monotonic() - start:.6f} {status} {key}\n".encode())
        if connection and not stays:
            connection[1].close()
            connection = None
        await asyncio.sleep(PAUSE)


async def main():
    await asyncio.gather(*(client() for _ in range(CLIENTS)))


asyncio.run(main())
