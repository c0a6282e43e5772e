#!/usr/bin/env python3
"""Changes under constant load: policies and certificates are replaced, another process takes over, the upstream is killed and
started again, and no request fails that the upstream has answered.

    tests/e2e/floods/changes.py [--policies 50] [--certificates 20] [--handovers 5] [--upstreams 10] [--pause 0.5]

Every request is for a record of its own, and the upstream notes each that it has given: a request that got no 200 although
its record was given, or no answer at all, was failed by the gateway. SCRIM_BIN: the binary (default: target/release/scrim).
"""

import argparse
import random
import signal
import sys
import time

from world import Load, World, wait_for


def policies(world, count):
    """Another policy, and SIGHUP."""
    reloads = world.count("the configuration was reloaded")
    world.policy(count)
    world.signal(signal.SIGHUP)
    wait_for(lambda: world.count("the configuration was reloaded") > reloads)


def certificates(world, _):
    """Another certificate, which the gateway finds by itself."""
    replaced = world.count("certificates were replaced")
    world.certificate()
    wait_for(lambda: world.count("certificates were replaced") > replaced)


def upstreams(world, _):
    world.kill_upstream()
    time.sleep(0.2)
    world.start_upstream()


def handovers(world, _):
    """The listening sockets go to another process."""
    world.hand_over()


# Name: what happens, and how often.
CHANGES = {
    "policies": (policies, 50),
    "certificates": (certificates, 20),
    "handovers": (handovers, 5),
    "upstreams": (upstreams, 10),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (_, count) in CHANGES.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two changes")
    arguments = parser.parse_args()
    plan = [name for name in CHANGES for _ in range(getattr(arguments, name))]
    seed = int(time.time())
    random.Random(seed).shuffle(plan)
    print(f"seed {seed}", flush=True)

    world = World()
    try:
        load = Load(world, clients=16, pause=0.005)
        time.sleep(1)
        for count, name in enumerate(plan):
            CHANGES[name][0](world, count + 1)
            time.sleep(arguments.pause)
        time.sleep(1)
        samples = load.samples()
        load.end()
        given = {int(line) for line in (world.path / "answered").read_text().split()}
        failed = [sample for sample in samples if sample[2] != 200 and (sample[2] == 0 or sample[3] in given)]
        refused = sum(1 for sample in samples if sample[2] not in (0, 200))
        print(f"{len(plan)} changes, {len(samples)} requests, {refused} while the upstream was away, {len(failed)} failed")
        for start, seconds, status, key in failed[:20]:
            print(f"FAILED record {key}: status {status} after {seconds:.3f} s")
        # What nobody asked for proves nothing.
        sys.exit(0 if not failed and len(samples) > 20 * len(plan) else 1)
    finally:
        world.end()


if __name__ == "__main__":
    main()
