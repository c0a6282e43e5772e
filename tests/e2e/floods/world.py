"""A gateway with TLS between clients and an upstream of its own, each in a process, on ports that the system chose."""

import asyncio
import json
import os
import re
import resource
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]

API = """api: crm
upstream: crm
dialect: rest
rest:
  list: "$.data[*]"
  record: "$.data"
  parameters: { limit: { name: limit, default: 20, max: 2000 }, offset: offset }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id }
    tenant_filter: { organization_id: organization_id }
    routes: { list: GET /contacts, read: "GET /contacts/{id}", create: POST /contacts }
    fields: { id: int, organization_id: string, owner_id: string, name: string, note: string }
"""
POLICY = """table: contacts
grants:
  - { name: read, roles: [rep], actions: [list, read], rows: all, read: { clear: [id, name, note] } }
  - { name: create, roles: [rep], actions: [create], presets: { owner_id: principal.id }, write: [name, note] }
"""
GATEWAY = """listeners:
  - { address: 127.0.0.1:PORT, tls: { certificates: [{ cert: tls.pem, key: tls.key }] } }
admin: { address: 127.0.0.1:0 }
secrets: { hashing: { file: hashing } }
upstreams: { crm: { url: "http://127.0.0.1:UPSTREAM" } }
principal: { roles: [rep] }
authn: { api_keys: { file: keys.yaml, hash_key: { secret: hashing } } }
tenancy: { dimensions: [organization_id] }
audit: { file: audit.jsonl, fsync: never }
apis: [api.yaml]
policies: policies
"""


def binary():
    named = [os.environ.get("SCRIM_BIN"), ROOT / "target/release/scrim", ROOT / "target/dist/scrim"]
    for path in named:
        if path and os.access(path, os.X_OK):
            return str(Path(path).resolve())
    sys.exit("no binary; run cargo build --release, or set SCRIM_BIN")


def many_files():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class World:
    def __init__(self, more=""):
        """`more`: further keys of the gateway's file."""
        many_files()
        self.folder = tempfile.TemporaryDirectory(prefix="scrim-floods-")
        self.path = Path(self.folder.name)
        self.upstream = self.gateway = None
        self.upstream_port = free_port()
        self.certificate()
        self.write("api.yaml", API)
        self.write("hashing", "0123456789abcdef0123456789abcdef")
        self.write("keys.yaml", "keys: []\n")
        self.write("gateway.yaml", GATEWAY.replace("PORT", str(free_port()), 1).replace("UPSTREAM", str(self.upstream_port)) + more)
        self.policy(0)
        self.keys = {of: self.key(of) for of in ("acme", "globex")}
        self.start_upstream()
        self.start_gateway()

    def write(self, name, text):
        """Whole or not at all, for whoever reads it at that moment."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.rename(path)

    def policy(self, version):
        self.write("policies/contacts.yaml", f"# {version}\n{POLICY}")

    def certificate(self):
        fresh = ["tls.key.fresh", "tls.pem.fresh"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", fresh[0],
             "-out", fresh[1]],
            cwd=self.path, check=True, capture_output=True,
        )
        for name in fresh:
            os.chmod(self.path / name, 0o600)
            os.rename(self.path / name, self.path / name.removesuffix(".fresh"))

    def key(self, of):
        made = subprocess.run(
            [binary(), "keys", "new", "--config", "gateway.yaml", "--principal", f"sync-{of}", "--role", "rep",
             "--tenant", of, "--expires", "1d"],
            cwd=self.path, check=True, capture_output=True, text=True,
        ).stdout
        entry = made[made.index("  - id:"):]
        keys = (self.path / "keys.yaml").read_text().replace("keys: []\n", "keys:\n")
        self.write("keys.yaml", keys + entry)
        return re.search(r"^scrim_\S+", made, re.M).group()

    def start_upstream(self):
        log = open(self.path / "answered", "ab")
        self.upstream = subprocess.Popen([sys.executable, HERE / "upstream.py", str(self.upstream_port)], stdout=log)
        wait_for(lambda: connects(self.upstream_port))

    def kill_upstream(self):
        self.upstream.send_signal(signal.SIGKILL)
        self.upstream.wait()

    def start_gateway(self):
        self.log = open(self.path / "log", "w+")
        self.gateway = subprocess.Popen(
            [binary(), "serve", "--config", "gateway.yaml"], cwd=self.path, stderr=self.log,
        )
        self.pid = self.gateway.pid
        self.address = wait_for(lambda: self.said("listening"))
        self.admin = wait_for(lambda: self.said("admin: /metrics /healthz /readyz"))

    def said(self, message):
        """The address in the first line of the log with this message."""
        if self.gateway.poll() is not None:
            sys.exit((self.path / "log").read_text())
        for fields in self.lines():
            if fields.get("message") == message:
                host, port = fields["address"].rsplit(":", 1)
                return host, int(port)
        return None

    def signal(self, signal):
        os.kill(self.pid, signal)

    def hand_over(self):
        """Has another process take over, and waits until the one before it has left."""
        def takers():
            return [fields["pid"] for fields in self.lines() if fields.get("message") == "taken over"]

        before, taken = self.pid, len(takers())
        self.signal(signal.SIGQUIT)
        wait_for(lambda: len(takers()) > taken)
        self.pid = takers()[-1]
        wait_for(lambda: not runs(before))

    def lines(self):
        """What the gateway's log says."""
        return [json.loads(line)["fields"] for line in (self.path / "log").read_text().splitlines() if line.startswith("{")]

    def count(self, message):
        return (self.path / "log").read_text().count(f'"message":"{message}"')

    def resident(self):
        """Bytes of the gateway in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024

    def files(self):
        """Files that the gateway has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def metric(self, name):
        host, port = self.admin
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(name + " ")), 0.0)

    def end(self):
        for process in (self.gateway, self.upstream):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if self.gateway and self.pid != self.gateway.pid and runs(self.pid):
            self.signal(signal.SIGKILL)
        self.folder.cleanup()


def runs(pid):
    """Whether a process does; one that has ended and waits for nobody but its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connects(port):
    import socket
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    sys.exit("something did not come about in time")


def tls(protocol="http/1.1"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


class Load:
    """Legitimate clients, in a process of their own. A line for each request: when it began, seconds, status, id."""

    def __init__(self, world, clients=8, pause=0.05, asks="records"):
        self.file = world.path / f"load-{time.monotonic_ns()}"
        host, port = world.address
        self.process = subprocess.Popen(
            [sys.executable, HERE / "load.py", host, str(port), world.keys["acme"], str(clients), str(pause), asks],
            stdout=open(self.file, "wb"),
        )

    def samples(self, since=0.0, until=float("inf")):
        found = []
        for line in self.file.read_text().splitlines():
            parts = line.split()
            if len(parts) == 4 and since <= float(parts[0]) < until:
                found.append((float(parts[0]), float(parts[1]), int(parts[2]), int(parts[3])))
        return found

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def p99(samples):
    seconds = sorted(sample[1] for sample in samples)
    return seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))] if seconds else float("inf")


async def open_tls(world, protocol="http/1.1", source=None):
    host, port = world.address
    return await asyncio.open_connection(
        host, port, ssl=tls(protocol), local_addr=(source, 0) if source else None, limit=2**16,
    )
