"""Stands between the gateway and its upstream and counts what the upstream sends: `relay.py PORT UPSTREAM_PORT FILE`.

The file holds the number of bytes so far. It is written before the bytes go on, so that whoever has an answer finds it counted.
"""

import asyncio
import os
import sys

PORT, UPSTREAM, FILE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
CHUNK = 64 * 1024


class Counter:
    def __init__(self):
        self.bytes, self.file = 0, os.open(FILE, os.O_CREAT | os.O_WRONLY, 0o600)
        self.add(0)

    def add(self, count):
        self.bytes += count
        os.pwrite(self.file, f"{self.bytes:20}".encode(), 0)


async def pass_on(source, sink, count):
    try:
        while chunk := await source.read(CHUNK):
            count(len(chunk))
            sink.write(chunk)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()


async def main():
    counter = Counter()

    async def relay(reader, writer):
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", UPSTREAM)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pass_on(reader, upstream_writer, lambda _: None), pass_on(upstream_reader, writer, counter.add))

    server = await asyncio.start_server(relay, "127.0.0.1", PORT)
    async with server:
        await server.serve_forever()


asyncio.run(main())
