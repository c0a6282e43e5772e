"""Random writes of contacts, and what the policies say of each: the answer's status and the rows afterwards.

The rows are the oracle's own, changed along with the server's; both are compared after every write.
"""

import random
from collections import Counter

import model
from harness import expect
from identity import PEOPLE

COLUMNS = ["id", "owner_id", "organization_id", "app_id", "accountId", "name", "email", "phone", "birthday", "region", "stage",
           "national_id"]
WRITERS = ["ana", "ana", "marta", "marta", "vic", "support", "auditor", "eve"]
UPDATABLE = {"name", "phone", "stage", "accountId"}
CREATABLE = {"name", "email", "phone", "region", "stage", "accountId"}


class Oracle:
    def __init__(self, rows):
        self.rows = rows
        self.contacts = {row["id"]: dict(row) for row in rows.database["contacts"]}

    def find(self, who, key):
        """A row of somebody's tenant that they may read."""
        row, claims = self.contacts.get(key), PEOPLE[who]
        if row is None or (row["organization_id"], row["app_id"]) != (claims.get("org_id"), claims.get("app_id")):
            return None
        return row if model.contact(row, claims) is not None or "auditor" in claims["roles"] else None

    def account(self, who, key):
        return any(view["id"] == key for view in self.rows.views("accounts", who))

    def points_well(self, who, body):
        return body.get("accountId") is None or self.account(who, body["accountId"])

    def create(self, who, body):
        claims = PEOPLE[who]
        if who == "eve":
            return 404, None
        if not model.sells(claims):
            return 403, None
        own = {"owner_id": claims["sub"], "organization_id": claims["org_id"], "app_id": claims["app_id"]}
        known = all(name in CREATABLE or own.get(name) == value for name, value in body.items())
        if not known or body.get("stage") != "lead" or not self.points_well(who, body):
            return 403, None
        row = dict.fromkeys(COLUMNS, "") | {name: "" if value is None else value for name, value in body.items()} | own
        return 201, row

    def update(self, who, key, body):
        claims, row = PEOPLE[who], self.find(who, key)
        # To whom nothing of the kind is granted, every row is the same.
        if who != "eve" and not model.sells(claims):
            return 403, None
        if row is None:
            return 404, None
        manages = "manager" in claims["roles"]
        if not model.owns(row, claims):
            return 403, None
        for name, value in body.items():
            transfer = name == "owner_id" and manages and value in claims.get("reports", [])
            same_tenant = name in ("organization_id", "app_id") and value == row[name]
            if name not in UPDATABLE and not transfer and not same_tenant:
                return 403, None
        after = row | {name: "" if value is None else value for name, value in body.items()}
        changes = set(body) & UPDATABLE
        if changes and not ((after["stage"] not in ("", "won")) or manages):
            return 403, None
        if not self.points_well(who, body):
            return 403, None
        return 200, after

    def delete(self, who, key):
        claims, row = PEOPLE[who], self.find(who, key)
        if who != "eve" and "manager" not in claims["roles"]:
            return 403, None
        if row is None:
            return 404, None
        if not model.owns(row, claims) or row["stage"] == "lost":
            return 403, None
        return 204, None


def body(chance, oracle, fresh):
    values = {
        "name": ["Ann", "Ünï", "it's", 'say "so"', "back\\slash", ""],
        "phone": [None, "+15550001111"],
        "stage": ["lead", "lead", "qualified", "won", "lost", None],
        "accountId": [None, *(row["id"] for row in oracle.rows.database["accounts"][:30])],
        "email": ["x@y.example"],
        "region": ["EMEA", "AMER"],
        "owner_id": ["ana-acme-shop", "bo-acme-shop", "zoe-acme-shop", "ana-globex-shop"],
        "organization_id": ["acme", "globex"],
        "app_id": ["shop", "desk"],
        "national_id": ["x"],
    }
    usual = ["name", "stage", "email", "region", "phone", "accountId"] if fresh else ["name", "phone", "stage", "accountId"]
    rare = [name for name in values if name not in usual]
    names = chance.sample(usual, chance.randint(1, 3)) + (chance.sample(rare, 1) if chance.random() < 0.3 else [])
    if fresh and "stage" not in names and chance.random() < 0.9:
        names.append("stage")
    made = {name: chance.choice(values[name]) for name in dict.fromkeys(names)}
    if fresh and chance.random() < 0.7:
        made["stage"] = "lead"
    return made


def play(run, seed, count):
    chance = random.Random(seed)
    oracle = Oracle(run.rows)
    outcomes = Counter()
    path = "/api/collections/contacts/records"
    for number in range(count):
        who, kind = chance.choice(WRITERS), chance.choice(["create", "update", "update", "update", "delete"])
        mine = [row["id"] for row in oracle.contacts.values() if row["owner_id"] in (PEOPLE[who]["sub"], *PEOPLE[who].get("reports", []))]
        key = chance.choice(mine) if mine and chance.random() < 0.7 else chance.choice([*oracle.contacts, "con000000099999"])
        if kind == "create":
            sent = body(chance, oracle, True)
            status, after = oracle.create(who, sent)
            answer = run.ask(who, "POST", path, body=sent, version=1 + number % 2)
        elif kind == "update":
            sent = body(chance, oracle, False)
            status, after = oracle.update(who, key, sent)
            answer = run.ask(who, "PATCH", f"{path}/{key}", body=sent, version=1 + number % 2)
        else:
            sent = None
            status, after = oracle.delete(who, key)
            answer = run.ask(who, "DELETE", f"{path}/{key}", version=1 + number % 2)
        told = (f"seed {seed}, write {number}:", who, kind, key, sent, answer.status_code, answer.text)
        expect(answer.status_code == status, *told, "should be", status)
        if kind == "create" and status == 201:
            key = answer.json()["id"]
            after["id"] = key
        if kind == "delete" and status == 204:
            del oracle.contacts[key]
        elif after is not None:
            oracle.contacts[key] = after
            expect(answer.json() == model.contact(after, PEOPLE[who]), *told)
        expect(run.server.record("contacts", key) == oracle.contacts.get(key), *told, run.server.record("contacts", key))
        outcomes[f"{kind} {status}"] += 1
    stored = {row["id"]: row for row in run.server.records("contacts")}
    expect(stored == oracle.contacts, "the rows differ after all writes, seed", seed)
    return outcomes
