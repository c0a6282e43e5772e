#!/usr/bin/env python3
"""The rows as PocketBase holds them: `seed.py rows` prints them, `seed.py fill` writes them into a running server.

Keys are 15 characters, what has no value is an empty text, instants have a space for their `T`. A superuser's token is
left in the run's folder: the gateway's own credential.
"""

import json
import os
import sys
from pathlib import Path

import httpx

import data
import residuals

WORK = Path(os.environ["E2E_WORK_DIR"])
ADMIN = {"identity": "admin@e2e.example", "password": os.environ.get("E2E_ADMIN_PASSWORD", "")}
PREFIX = {"accounts": "acc", "contacts": "con", "deals": "dea", "activities": "act", "notes": "not", "samples": "sam"}
COLLECTIONS = {table: table for table in PREFIX} | {"users": "staff"}
POINTS = {"accountId": "accounts", "dealId": "deals", "parentId": "samples"}
NUMBERS = {"revenue", "amount", "weight", "rank", "number", "whole"}
BOOLS = {"private", "done", "flag"}
DATES = {"seen_at", "at"}
SAMPLES = residuals.Samples(Path(__file__).with_name("samples.yaml"))


def key(table, number):
    return number if table == "users" else f"{PREFIX[table]}{number:012}"


def stored(table, row):
    """A row as the server holds it."""
    made = {}
    for name, value in row.items():
        if name == "id":
            made[name] = key(table, value)
        elif value is None:
            made[name] = ""
        elif name in POINTS:
            made[name] = key(POINTS[name], value)
        elif name in DATES:
            made[name] = value.replace("T", " ")
        elif name in NUMBERS:
            made[name] = float(value) if isinstance(value, str) else value
        else:
            made[name] = value
    return made


def rows():
    return {table: [stored(table, row) for row in found] for table, found in data.build().items()}


def field(name, ids):
    if name == "id":
        return {"name": "id", "type": "text", "system": True, "primaryKey": True, "required": True, "min": 1, "max": 64,
                "pattern": "^[a-z0-9-]+$", "autogeneratePattern": "[a-z0-9]{15}"}
    if name in POINTS:
        return {"name": name, "type": "relation", "collectionId": ids[POINTS[name]], "maxSelect": 1}
    kinds = [(NUMBERS, "number"), (BOOLS, "bool"), (DATES, "date")]
    return {"name": name, "type": next((kind for names, kind in kinds if name in names), "text")}


class Server:
    def __init__(self):
        self.client = httpx.Client(base_url=os.environ["E2E_UPSTREAM"], timeout=60, trust_env=False)
        answer = self.call("POST", "/api/collections/_superusers/auth-with-password", ADMIN)
        self.token = self.client.headers["Authorization"] = answer["token"]

    def call(self, method, path, body=None):
        answer = self.client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def fill(self, all_rows):
        self.call("PATCH", "/api/settings", {"batch": {"enabled": True, "maxRequests": 500, "timeout": 60}})
        ids = {}
        for table in ["users", "accounts", "contacts", "deals", "activities", "notes"]:
            fields = [field(name, ids) for name in all_rows[table][0]]
            collection = {"name": COLLECTIONS[table], "type": "base", "fields": fields}
            ids[table] = self.call("POST", "/api/collections", collection)["id"]
            self.insert(table, all_rows[table])

    def fill_samples(self):
        """The table of awkward values, each of which may point to another one."""
        given = [stored("samples", row) for row in SAMPLES.rows()]
        fields = [field(name, {}) for name in given[0] if name not in POINTS]
        made = self.call("POST", "/api/collections", {"name": "samples", "type": "base", "fields": fields})
        pointing = [*made["fields"], field("parentId", {"samples": made["id"]})]
        self.call("PATCH", f"/api/collections/{made['id']}", {"fields": pointing})
        self.insert("samples", given)

    def insert(self, table, given):
        path = f"/api/collections/{COLLECTIONS[table]}/records"
        requests = [{"method": "POST", "url": path, "body": row} for row in given]
        for start in range(0, len(requests), 100):
            self.call("POST", "/api/batch", {"requests": requests[start:start + 100]})

    def records(self, table):
        """Every record of a table as it stands, without what the server says of itself."""
        path = f"/api/collections/{COLLECTIONS[table]}/records?perPage=1000&sort=@rowid"
        return [plain(row) for row in self.call("GET", path)["items"]]

    def record(self, table, wanted):
        answer = self.client.get(f"/api/collections/{COLLECTIONS[table]}/records/{wanted}")
        return plain(answer.json()) if answer.status_code == 200 else None


def plain(row):
    return {name: value for name, value in row.items() if name not in ("collectionId", "collectionName")}


if __name__ == "__main__":
    if sys.argv[1] == "rows":
        print(json.dumps(rows()))
    else:
        server = Server()
        made = json.loads((WORK / "original.json").read_text())
        server.fill(made)
        for table, expected in made.items():
            found = server.records(table)
            assert found == expected, (table, [pair for pair in zip(found, expected) if pair[0] != pair[1]][:2])
        server.fill_samples()
        token = WORK / "crm-token"
        token.touch(mode=0o600)
        token.write_text(server.token)
