"""What the cases of every upstream share: how they ask, what no answer may hold, and how their outcomes are kept.

A case is a function of a `Run`, registered for one phase of the run. Every byte of every answer is searched for hidden
values and for other tenants' rows.
"""

import json
import os
import re
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx

import data
import identity
from identity import PEOPLE
from model import Rows

WORK = Path(os.environ["E2E_WORK_DIR"])
RESULTS = WORK / "results"
# What the gateway may say of itself, whatever the upstream said.
HEADERS = {"cache-control", "connection", "content-length", "content-type", "date", "etag", "odata-version", "retry-after",
           "strict-transport-security", "www-authenticate", "x-content-type-options", "x-request-id"}
CASES = {}
# How many random conditions are pushed.
RESIDUALS = int(os.environ.get("E2E_RESIDUALS", 1500))


# How often what is moved is measured: between two measures the gateway may read who manages whom.
MEASURES = 3


class Failed(Exception):
    pass


def expect(condition, *said):
    if not condition:
        raise Failed(" ".join(str(part) for part in said)[:600])


def case(phase):
    def register(check):
        add(phase, check.__name__.replace("_", " "), check)
        return check

    return register


def add(phase, name, check):
    CASES.setdefault(phase, []).append((name, check))


class Run:
    """The gateway as its clients see it, and the upstream as only the gateway should."""

    def __init__(self):
        context = ssl.create_default_context(cafile=WORK / "gateway.pem")
        base = os.environ["E2E_GATEWAY"]
        self.clients = {
            1: httpx.Client(base_url=base, verify=context, timeout=30, trust_env=False),
            2: httpx.Client(base_url=base, verify=context, timeout=30, trust_env=False, http1=False, http2=True),
        }
        self.behind = httpx.Client(base_url=os.environ["E2E_UPSTREAM"], timeout=30, trust_env=False)
        self.tokens = identity.tokens(WORK)
        self.rows = Rows(json.loads((WORK / "original.json").read_text()))

    def ask(self, who, method, target, body=None, headers=None, version=1):
        """One request; the target's bytes leave as they are written here."""
        sent = dict(headers or {})
        if self.tokens[who]:
            sent["Authorization"] = f"Bearer {self.tokens[who]}"
        if isinstance(body, bytes):
            sent = {"Content-Type": "application/json"} | sent
            content = {"content": body}
        else:
            content = {} if body is None else {"json": body}
        answer = self.clients[version].request(
            method, "/", headers=sent, extensions={"target": target.encode()}, **content
        )
        expect(answer.http_version == ("HTTP/2" if version == 2 else "HTTP/1.1"), answer.http_version)
        self.search(who, answer, sent.get("X-Scrim-Tenant"))
        return answer

    def ask_as(self, claims, target):
        """A list for somebody who is none of the cases' people; `None` if there is none. By several at a time."""
        headers = {"Authorization": f"Bearer {identity.signed(WORK, claims)}"}
        answer = self.clients[1].request("GET", "/", headers=headers, extensions={"target": target.encode()})
        expect(answer.status_code in (200, 404), answer.status_code, answer.text)
        return answer.json() if answer.status_code == 200 else None

    def search(self, who, answer, chosen=None):
        claims = PEOPLE.get(who, PEOPLE["ana"])
        own = chosen.replace("/", ".") if chosen else f"{claims.get('org_id')}.{claims.get('app_id')}"
        heads = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
        for part in (heads, answer.content):
            expect(b"SECRET-" not in part, "a hidden value leaked:", part)
            for tenant in data.TENANTS:
                expect(data.mark(tenant) == own or data.mark(tenant).encode() not in part, "a foreign row leaked:", part)
        unknown = {name.lower() for name in answer.headers} - HEADERS
        # The gateway's own, and no other: where a list goes on.
        if re.fullmatch(r'<\?([^>]*&)?scrim_cursor=[\w-]{104}>; rel="next"', answer.headers.get("link", "")):
            unknown -= {"link"}
        expect(not unknown, "headers of the upstream:", unknown)

    def get(self, who, target, **more):
        answer = self.ask(who, "GET", target, **more)
        expect(answer.status_code == 200, answer.status_code, answer.text)
        return answer.json()

    def less_moves(self, who, target, whole, headers=None):
        """Asked for a list, the upstream sends less than it does for `whole`, the same list of the whole tenant. How much less."""
        direct = httpx.Client(base_url=os.environ["E2E_RELAY"], timeout=30, trust_env=False)
        plainly = {"Accept-Encoding": "identity"} | (headers or {})
        asked = [lambda: self.get(who, target), lambda: direct.get(whole, headers=plainly).raise_for_status()]
        through, alone = (min(moved(ask) for _ in range(MEASURES)) for ask in asked)
        expect(0 < through < alone, target, "moves", through, "bytes,", whole, "moves", alone)
        return through / alone

    def refused(self, answer, status, code):
        expect(answer.status_code == status, "status", answer.status_code, answer.text)
        expect(answer.headers["content-type"] == "application/problem+json", answer.headers)
        expect(answer.request.method == "HEAD" or answer.json()["code"] == code, answer.text)

    def outcome(self, answer):
        """What the audit log says came of a request, once it says so."""
        wanted = answer.headers["x-request-id"]
        for _ in range(100):
            for line in (WORK / "audit.jsonl").read_text().splitlines():
                if wanted in line and '"kind":"outcome"' in line:
                    return json.loads(line)
            time.sleep(0.05)
        raise Failed("no outcome is in the audit log")


def moved(ask):
    """Bytes that the upstream sends meanwhile, heads included."""
    relayed = lambda: int((WORK / "relayed").read_text())
    before = relayed()
    ask()
    return relayed() - before


def same(found, expected):
    expect(len(found) == len(expected), len(found), "records, not", len(expected))
    for one, other in zip(found, expected):
        expect(one == other, one, "is not", other)


def plain(answer):
    """An answer without what is new in each: the request's id and the time."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status_code, headers, answer.content


def no_row_came_back_that_was_not_asked_for(run):
    lines = [json.loads(line) for line in (WORK / "audit.jsonl").read_text().splitlines()]
    outcomes = [line for line in lines if line["kind"] == "outcome"]
    expect(sum("pushed" in line for line in outcomes) > 100, "too little was pushed")
    for counted in ("pushdown_leaks", "tenant_violations"):
        expect(not any(line[counted] for line in outcomes), counted, [line for line in outcomes if line[counted]][:1])


def the_audit_log_and_the_log_hold_no_secrets(run):
    for name in ("audit.jsonl", "scrim.log"):
        text = (WORK / name).read_text()
        expect(text and "SECRET-" not in text, name, "holds a hidden value")
        for token in filter(None, run.tokens.values()):
            signature = token.rsplit(".")[-1] or token
            expect(token not in text and signature not in text, name, "holds a token")


def main(make):
    """`prepare` makes the identity provider's key; any other word is the phase whose cases are run."""
    phase = sys.argv[1]
    if phase == "prepare":
        identity.prepare(WORK)
        return
    run = make()
    with RESULTS.open("a") as results:
        for name, check in CASES[phase]:
            try:
                check(run)
                outcome = "ok"
            except (Failed, httpx.HTTPError, KeyError, ValueError, subprocess.SubprocessError) as error:
                outcome = "FAILED"
                print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
            print(f"{outcome} {name}", file=results, flush=True)
