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

    def upsert(self, who, key, body):
        if who == "eve":
            return 404, None
        # Keys of new records are not for clients to choose, so that a record that can't be seen is one that may not be made.
        if not model.sells(PEOPLE[who]) or self.find(who, key) is None:
            return 403, None
        return self.update(who, key, body)

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


def batch(run, chance, oracle, who, mine, told):
    """Several writes of different records at once: all of them where each alone is allowed, else none."""
    path = "/api/collections/contacts/records"
    parts, outcomes = [], []
    pool = mine if len(mine) > 3 and chance.random() < 0.9 else list(oracle.contacts)
    for key in chance.sample(pool, chance.randint(1, 3)):
        kind = chance.choice(["create", "update", "update", "upsert", "delete"])
        sent = None if kind == "delete" else body(chance, oracle, kind == "create")
        if chance.random() < 0.7 and kind != "delete":
            sent = {"name": "Ann", "stage": "lead"}
        outcome = {"create": lambda: oracle.create(who, sent), "delete": lambda: oracle.delete(who, key),
                   "update": lambda: oracle.update(who, key, sent), "upsert": lambda: oracle.upsert(who, key, sent)}[kind]()
        method = {"create": "POST", "update": "PATCH", "upsert": "PUT", "delete": "DELETE"}[kind]
        url = path if kind in ("create", "upsert") else f"{path}/{key}"
        parts.append({"method": method, "url": url, "body": {} if kind == "delete" else sent | ({"id": key} if kind == "upsert" else {})})
        outcomes.append((kind, key, *outcome))
    answer = run.ask(who, "POST", "/api/batch", body={"requests": parts})
    told = (told, who, parts, answer.status_code, answer.text)
    statuses = {status for _, _, status, _ in outcomes if status >= 400}
    expect(answer.status_code in (statuses or {200}), *told, "should be", statuses)
    if not statuses:
        for (kind, key, status, after), shown in zip(outcomes, answer.json(), strict=True):
            expect(shown["status"] == status, *told)
            if kind == "delete":
                del oracle.contacts[key]
                continue
            key = shown["body"]["id"]
            oracle.contacts[key] = after | {"id": key}
            expect(shown["body"] == model.contact(oracle.contacts[key], PEOPLE[who]), *told)
    stored = {row["id"]: row for row in run.server.records("contacts")}
    expect(stored == oracle.contacts, *told, "the rows differ")
    return "refused" if statuses else "done"


def play(run, seed, count):
    chance = random.Random(seed)
    oracle = Oracle(run.rows)
    outcomes = Counter()
    path = "/api/collections/contacts/records"
    for number in range(count):
        who, kind = chance.choice(WRITERS), chance.choice(["create", "update", "update", "update", "delete", "upsert", "batch", "batch"])
        mine = [row["id"] for row in oracle.contacts.values() if row["owner_id"] in (PEOPLE[who]["sub"], *PEOPLE[who].get("reports", []))]
        key = chance.choice(mine) if mine and chance.random() < 0.7 else chance.choice([*oracle.contacts, "con000000099999"])
        if kind == "batch":
            outcomes[f"batch {batch(run, chance, oracle, who, mine, f'seed {seed}, write {number}:')}"] += 1
            continue
        if kind == "upsert":
            sent = body(chance, oracle, False)
            status, after = oracle.upsert(who, key, sent)
            answer = run.ask(who, "PUT", path, body=sent | {"id": key}, version=1 + number % 2)
        elif kind == "create":
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
