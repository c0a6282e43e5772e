#!/usr/bin/env python3
"""Writes the rows into a running Directus, with the relations between them, and looks whether it holds them as they are."""

import json
import os
from pathlib import Path

import httpx

import residuals

WORK = Path(os.environ["E2E_WORK_DIR"])
TABLES = ["users", "accounts", "contacts", "deals", "activities", "notes"]
# (table, column, the table that it points to, what the records are called there)
POINTS = [("contacts", "accountId", "accounts", "contacts"), ("deals", "accountId", "accounts", "deals"),
          ("activities", "dealId", "deals", "activities"), ("notes", "dealId", "deals", "notes"),
          ("samples", "parentId", "samples", "children")]
# The first key of the activities that are nobody's.
STRAY = 1001
SAMPLES = residuals.Samples(Path(__file__).with_name("samples.yaml"))
KINDS = {
    "id": "integer", "accountId": "integer", "dealId": "integer", "revenue": "integer", "amount": "integer", "rank": "integer",
    "weight": "decimal", "private": "boolean", "done": "boolean", "seen_at": "timestamp", "birthday": "date", "body": "text",
    "number": "decimal", "whole": "integer", "at": "timestamp", "day": "date", "flag": "boolean", "parentId": "integer",
}


class Server:
    def __init__(self):
        headers = {"Authorization": f"Bearer {os.environ['E2E_ADMIN_TOKEN']}"}
        self.client = httpx.Client(base_url=os.environ["E2E_UPSTREAM"], headers=headers, timeout=120, trust_env=False)

    def call(self, method, path, body=None):
        answer = self.client.request(method, path, json=body)
        if answer.is_error:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:400]}")
        return answer.json()["data"] if answer.content else None

    def make(self, table, row):
        fields = []
        for name, value in row.items():
            kind = "string" if table == "users" and name == "id" else KINDS.get(name, "string")
            schema = {"is_primary_key": True, "has_auto_increment": kind == "integer"} if name == "id" else {}
            if kind == "decimal":
                schema |= {"numeric_precision": 24, "numeric_scale": 9}
            meta = {"special": ["cast-boolean"]} if kind == "boolean" else {}
            fields.append({"field": name, "type": kind, "schema": schema, "meta": meta})
        self.call("POST", "/collections", {"collection": table, "schema": {}, "meta": {"accountability": "all"}, "fields": fields})

    def fill(self, rows):
        for table, found in rows.items():
            self.make(table, found[0])
        for many, column, one, alias in POINTS:
            self.call("POST", f"/fields/{one}", {"field": alias, "type": "alias", "meta": {"special": ["o2m"]}})
            relation = {"collection": many, "field": column, "related_collection": one, "meta": {"one_field": alias}}
            self.call("POST", "/relations", relation | {"schema": {"on_delete": "SET NULL"}})
        for table, found in rows.items():
            for start in range(0, len(found), 100):
                self.call("POST", f"/items/{table}?fields=id", found[start:start + 100])

    def stray(self, rows):
        """Activities that are nobody's, whatever their own columns say: of no deal, or of one of another tenant."""
        deals = [None, *(row["id"] for row in rows["deals"] if row["organization_id"] == "initech")]
        base = next(row for row in rows["activities"] if row["organization_id"] == "acme" and row["app_id"] == "shop")
        made = [base | {"id": STRAY + n, "dealId": deal, "private": False, "body": "SECRET-STRAY"} for n, deal in enumerate(deals)]
        self.call("POST", "/items/activities?fields=id", made)

    def records(self, table):
        """Every record of a table as it stands, without what others call it."""
        plain = {alias for _, _, one, alias in POINTS if one == table}
        found = self.call("GET", f"/items/{table}?limit=-1&sort=id")
        return [{name: value for name, value in row.items() if name not in plain} for row in found]


if __name__ == "__main__":
    server = Server()
    made = json.loads((WORK / "original.json").read_text())
    server.fill({table: made[table] for table in TABLES} | {"samples": SAMPLES.rows()})
    for table in TABLES:
        found, expected = server.records(table), sorted(made[table], key=lambda row: row["id"])
        assert found == expected, (table, [pair for pair in zip(found, expected) if pair[0] != pair[1]][:2])
    server.stray(made)
