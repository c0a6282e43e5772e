#!/usr/bin/env python3
"""Slow and flooding clients against the gateway, one attack after the other, while others ask for what is theirs.

    tests/e2e/floods/floods.py [--seconds 60] [slow_header ...]

For each: the 99th percentile of the legitimate clients and the gateway's memory, before and during, and how long it takes
until it answers as before. Before is under the load of the legitimate clients alone. It fails where the percentile is more than
three times what it was (and more than the noise of a machine that is shared), memory more than twice, any legitimate request
fails, or it takes more than five seconds to recover. The gateway has its defaults, but for `idle_uncapped`: there it holds as
many idle connections as come, and each may cost so much and no more. SCRIM_BIN: the binary (default: target/release/scrim).
"""

import argparse
import asyncio
import itertools
import multiprocessing
import os
import socket
import ssl
import struct
import sys
import time

from world import Load, World, many_files, open_tls, p99, tls

NOISE = 0.025
# What an idle connection may cost where nothing bounds how many there are.
HELD = 18 * 1024
UNCAPPED = "limits: { new_connections: 100000, head_time: 10m, idle_time: 10m, connections: 100000 }\n"


def source(index):
    """One of many addresses, so that none of them is over its limit."""
    return f"127.0.{1 + index % 8}.{1 + index // 8 % 200}"


async def again(attack, index, world):
    """One attacker, who comes back whenever it is thrown out."""
    while True:
        try:
            await attack(index, world)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        await asyncio.sleep(0.05)


async def until_closed(reader):
    while await reader.read(65536):
        pass


async def trickle(reader, writer, text):
    """A byte at a time, until it is thrown out."""
    closed = asyncio.ensure_future(until_closed(reader))
    try:
        for byte in itertools.cycle(text):
            if closed.done():
                return
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.5)
    finally:
        closed.cancel()
        writer.close()


async def slow_header(index, world):
    reader, writer = await open_tls(world, source=source(index))
    writer.write(b"GET /contacts/1 HTTP/1.1\r\nhost: localhost\r\n")
    await trickle(reader, writer, b"x-a: 1\r\n")


async def slow_body(index, world):
    reader, writer = await open_tls(world, source=source(index))
    head = f"POST /contacts HTTP/1.1\r\nhost: localhost\r\nx-api-key: {world.keys['globex']}\r\n"
    writer.write(f"{head}content-type: application/json\r\ncontent-length: 100000\r\n\r\n".encode())
    await trickle(reader, writer, b'{"name":"x"}')


async def open_narrow(index, world):
    """A connection that holds next to nothing of what it doesn't read."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.bind((source(index), 0))
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, world.address)
    return await asyncio.open_connection(sock=plain, ssl=tls(), server_hostname="localhost", limit=1024)


async def slow_read(index, world):
    """Asks for much, and reads next to nothing of it."""
    reader, writer = await open_narrow(index, world)
    try:
        line = f"GET /contacts?limit=2000 HTTP/1.1\r\nhost: localhost\r\nx-api-key: {world.keys['globex']}\r\n\r\n"
        writer.write(line.encode())
        while await reader.read(100):
            await asyncio.sleep(0.5)
    finally:
        writer.close()


async def idle(index, world):
    reader, writer = await open_tls(world, source=source(index))
    try:
        await until_closed(reader)
    finally:
        writer.close()


HELLO = bytes.fromhex("16030102000100 01fc0303".replace(" ", "")) + bytes(80)


async def half_open(index, world):
    """The beginning of a handshake, and nothing more."""
    host, port = world.address
    reader, writer = await asyncio.open_connection(host, port, local_addr=(source(index), 0))
    try:
        writer.write(HELLO)
        await until_closed(reader)
    finally:
        writer.close()


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


async def flood(world, index, batches):
    reader, writer = await open_tls(world, "h2", source(index))
    closed = asyncio.ensure_future(until_closed(reader))
    try:
        writer.write(GREETING)
        for batch in batches:
            if closed.done():
                return
            writer.write(batch)
            await writer.drain()
            await asyncio.sleep(0)
    finally:
        closed.cancel()
        writer.close()


async def rapid_reset(index, world):
    fields = [(":method", "GET"), (":scheme", "https"), (":path", "/contacts/1"), (":authority", "localhost"),
              ("x-api-key", world.keys["globex"])]
    head = b"".join(literal(name, value) for name, value in fields)

    def batches():
        for first in range(1, 2**31 - 400, 200):
            streams = range(first, first + 200, 2)
            yield b"".join(frame(1, 5, stream, head) + frame(3, 0, stream, b"\0\0\0\x08") for stream in streams)

    await flood(world, index, batches())


async def continuation(index, world):
    more = frame(9, 0, 1, b"".join(literal(f"x-{number}", "y" * 50) for number in range(200)))
    await flood(world, index, itertools.chain([frame(1, 1, 1, literal(":method", "GET"))], itertools.repeat(more)))


async def zero_window(index, world):
    """Nobody, who has no room for a single refusal."""
    fields = [(":method", "GET"), (":scheme", "https"), (":path", "/contacts/1"), (":authority", "localhost")]
    head = b"".join(literal(name, value) for name, value in fields)
    reader, writer = await open_tls(world, "h2", source(index))
    try:
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, 0)))
        writer.write(b"".join(frame(1, 5, stream, head) for stream in range(1, 201, 2)))
        await until_closed(reader)
    finally:
        writer.close()
        # It counts what is held, not how many requests and handshakes there are.
        await asyncio.sleep(3)


async def endless_head(index, world):
    """A megabyte of a head, and no end of it."""
    reader, writer = await open_tls(world, source=source(index))
    try:
        writer.write(b"GET /contacts/1 HTTP/1.1\r\nhost: localhost\r\nx-a: " + b"a" * 1_000_000)
        await until_closed(reader)
    finally:
        writer.close()


async def never_read(index, world):
    """One request after the other, and nothing is read of any answer."""
    _, writer = await open_narrow(index, world)
    line = f"GET /contacts?limit=50 HTTP/1.1\r\nhost: localhost\r\nx-api-key: {world.keys['globex']}\r\n\r\n"
    try:
        # The rest of what comes stays where it is: asyncio stops to read at its limit.
        while True:
            writer.write(line.encode() * 20)
            await writer.drain()
    finally:
        writer.close()


# Name: what each attacker does, how many there are, how many come in a second, and how many are to be held for it to count.
ATTACKS = {
    "slow_header": (slow_header, 400, 200, 0),
    "slow_body": (slow_body, 300, 200, 0),
    "slow_read": (slow_read, 200, 20, 0),
    "idle": (idle, 5000, 500, 450),
    "idle_uncapped": (idle, 5000, 500, 4900),
    "rapid_reset": (rapid_reset, 16, 16, 0),
    "continuation": (continuation, 16, 16, 0),
    "half_open": (half_open, 2000, 500, 0),
    "zero_window": (zero_window, 24, 24, 0),
    "endless_head": (endless_head, 200, 100, 0),
    "never_read": (never_read, 40, 20, 0),
}


class Target:
    """What attackers know of the world."""

    def __init__(self, address, keys):
        self.address, self.keys = address, keys


def attackers(name, address, keys):
    """A process of attackers. They leave the processor to the others where it is scarce: it is the gateway's part that counts."""
    os.nice(10)
    many_files()
    attack, count, rate, _ = ATTACKS[name]

    async def all_of_them():
        world = Target(address, keys)
        tasks = []
        for index in range(count):
            tasks.append(asyncio.ensure_future(again(attack, index, world)))
            await asyncio.sleep(1 / rate)
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())


def watch(world, seconds):
    """The most memory in that time."""
    most, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        most = max(most, world.resident())
        time.sleep(0.1)
    return most


def recovery(load, since, allowed):
    """Seconds until, for a second, everything is answered as it was before. At most ten."""
    time.sleep(10)
    samples = load.samples(since)
    for start in [since + step / 4 for step in range(36)]:
        window = [sample for sample in samples if start <= sample[0] < start + 1]
        if window and all(sample[2] == 200 for sample in window) and p99(window) <= allowed:
            return start - since
    return float("inf")


def run(name, seconds):
    uncapped = name == "idle_uncapped"
    world = World(UNCAPPED if uncapped else "")
    try:
        load = Load(world)
        time.sleep(2)
        began = time.monotonic()
        resident = watch(world, min(seconds, 10))
        before = p99(load.samples(began, time.monotonic()))
        bystanders = connections(world)
        allowed = max(3 * before, NOISE)

        process = multiprocessing.Process(target=attackers, args=(name, world.address, world.keys), daemon=True)
        process.start()
        began = time.monotonic()
        most = 0
        # Handshakes of thousands take a while; the time counts from when they are all there.
        wanted = ATTACKS[name][3]
        while connections(world) < wanted and time.monotonic() < began + 180:
            most = max(most, watch(world, 1))
        most = max(most, watch(world, seconds))
        held = connections(world)
        ended = time.monotonic()
        process.kill()
        process.join()
        samples = load.samples(began, ended)
        back = recovery(load, ended, allowed)
        failed = [sample for sample in load.samples() if sample[2] != 200]
        load.end()

        during = p99(samples)
        each = (most - resident) / max(held - bystanders, 1)
        wrong = []
        if during > allowed:
            wrong.append(f"p99 {during * 1000:.1f} ms is more than {allowed * 1000:.1f} ms")
        if held < wanted:
            wrong.append(f"only {held} connections were held")
        if uncapped and each > HELD:
            wrong.append(f"a connection costs {each / 1024:.1f} KiB, more than {HELD >> 10} KiB")
        if not uncapped and most > 2 * resident:
            wrong.append(f"memory {most >> 20} MiB is more than twice {resident >> 20} MiB")
        if failed:
            wrong.append(f"{len(failed)} legitimate requests failed, such as {failed[:3]}")
        if back > 5:
            wrong.append(f"recovery took {back:.1f} s")
        print(
            f"{'ok' if not wrong else 'FAILED':6} {name:12} p99 {before * 1000:6.1f} -> {during * 1000:6.1f} ms "
            f"({during / before:4.1f}x)  memory {resident >> 20:4} -> {most >> 20:4} MiB ({most / resident:4.1f}x)  "
            f"connections {held:5}{f' at {each / 1024:.1f} KiB' if name.startswith('idle') else ''}  "
            f"recovery {back:.1f} s  requests {len(samples)}  load average {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        for what in wrong:
            print(f"       {what}", flush=True)
        return not wrong
    finally:
        world.end()


def connections(world):
    return int(world.metric("scrim_connections"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    arguments = parser.parse_args()
    unknown = set(arguments.attacks) - set(ATTACKS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    outcomes = [run(name, arguments.seconds) for name in arguments.attacks or ATTACKS]
    print(f"{sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    sys.exit(0 if all(outcomes) else 1)


if __name__ == "__main__":
    main()
