#!/usr/bin/env python3
"""Full load for long, of all kinds, with a reload and a fresh audit log every minute: nothing may grow.

    tests/e2e/floods/soak.py [--seconds 1200] [--load 2] [--samples FILE]

After a warm-up of a quarter of the time it fails where memory grows by more than 1 MiB in ten minutes, where there are more
open files or tasks than could be in use, or more at the end than at the
beginning, or where a request fails. Of less than ten minutes, no slope can be told from noise: memory may then be 12 MiB more
in the last third than in the first. SCRIM_BIN: the binary (default: target/release/scrim).
"""

import argparse
import itertools
import os
import signal
import statistics
import sys
import time
from pathlib import Path

from world import Load, World

MIB = 1 << 20
CLIENTS = 16
# Whether a request is refused is a matter of what was asked.
USUAL = {200, 201, 401}


def sample(world):
    return time.monotonic(), world.resident(), world.files(), world.metric("scrim_tasks")


def slope(samples):
    """Bytes a second: the median of the slopes between any two minutes (Theil and Sen). Where large answers meet, memory
    goes up by some MiB and is given back over minutes; by least squares one such peak near the end would be growth."""
    minutes = {}
    for time_of, size, *_ in samples:
        minutes.setdefault(int((time_of - samples[0][0]) // 60), []).append(size)
    sizes = [(minute * 60, statistics.median(sizes)) for minute, sizes in minutes.items()]
    return statistics.median((b - a) / (t - s) for (s, a), (t, b) in itertools.combinations(sizes, 2))


def thirds(samples, of):
    """The medians of the first third and of the last one."""
    third = max(1, len(samples) // 3)
    values = [s[of] for s in samples]
    return statistics.median(values[:third]), statistics.median(values[-third:])


def watch(world, seconds):
    samples, end, fresh = [], time.monotonic() + seconds, time.monotonic() + 60
    while time.monotonic() < end:
        samples.append(sample(world))
        if time.monotonic() > fresh:
            fresh += 60
            os.remove(world.path / "audit.jsonl")
            world.signal(signal.SIGHUP)
        time.sleep(0.5)
    return samples


def judge(samples, processes):
    """What is wrong, and the figures in words."""
    wrong = []
    seconds = samples[-1][0] - samples[0][0]
    first, last = thirds(samples, 1)
    said = [f"memory {first / MIB:.1f} -> {last / MIB:.1f} MiB"]
    if seconds >= 450:
        growth = slope(samples) * 600 / MIB
        said.append(f"slope {growth:+.2f} MiB in ten minutes")
        if growth >= 1:
            wrong.append(f"memory grows by {growth:.2f} MiB in ten minutes")
    elif last - first > 12 * MIB:
        wrong.append(f"memory grew by {(last - first) / MIB:.1f} MiB")
    # Each client has a connection and as many tasks as that takes, and each of the upstream's connections is kept.
    room = processes * CLIENTS * 2
    for name, of in (("files", 2), ("tasks", 3)):
        first, last = thirds(samples, of)
        said.append(f"{name} {first:.0f} -> {last:.0f}")
        if last > first + max(8, first // 10) or last > 64 + 2 * room:
            wrong.append(f"{name} grew from {first:.0f} to {last:.0f}")
    return wrong, ", ".join(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--load", type=int, default=2, help="processes of clients")
    parser.add_argument("--samples", help="where all of them go: seconds, bytes, files, tasks")
    arguments = parser.parse_args()
    world = World()
    try:
        loads = [Load(world, CLIENTS, 0, "all") for _ in range(arguments.load)]
        watch(world, arguments.seconds / 4)
        began = os.getloadavg()[0]
        samples = watch(world, arguments.seconds * 3 / 4)
        asked = [sample for load in loads for sample in load.samples()]
        for load in loads:
            load.end()
        if arguments.samples:
            lines = (",".join(f"{value:.6g}" if number == 0 else f"{value:.0f}" for number, value in enumerate(s)) for s in samples)
            Path(arguments.samples).write_text("\n".join(lines) + "\n")
        wrong, said = judge(samples, arguments.load)
        failed = [sample for sample in asked if sample[2] not in USUAL]
        if failed:
            wrong.append(f"{len(failed)} of {len(asked)} requests failed, such as {failed[:3]}")
        # A gateway that does nothing does not grow.
        if len(asked) < 100 * arguments.seconds / 4:
            wrong.append(f"only {len(asked)} requests were made")
        rate = len(asked) / arguments.seconds
        print(f"{said}, {len(asked)} requests ({rate:.0f} a second), load average {began:.1f} -> {os.getloadavg()[0]:.1f}")
        for what in wrong:
            print(f"FAILED: {what}")
        sys.exit(1 if wrong else 0)
    finally:
        world.end()


if __name__ == "__main__":
    main()
