"""Random writes, and what becomes of the rows: the policies' wording once more, in plain Python."""

import random

from identity import PEOPLE
from model import owns, sells


def draw(rows, chance):
    """(who, method, table, key, body): allowed or not, mostly of the tenant's own rows."""
    who = chance.choice(["ana", "ana", "marta", "marta", "vic", "support"])
    table = chance.choice(["contacts", "contacts", "contacts", "deals", "accounts"])
    near = rows.of(table, who)
    mine = [row for row in near if owns(row, PEOPLE[who])] or near
    key = chance.choice(chance.choice([mine, mine, mine, near, rows.database[table]]))["id"]
    accounts = [row["id"] for row in rows.of("accounts", who)] + [99999, chance.choice(rows.database["accounts"])["id"]]
    people = ["ana-acme-shop", "bo-acme-shop", "zoe-acme-shop", "marta-acme-shop"]
    values = {
        "contacts": {
            "name": f"Name {chance.randrange(1000)}", "phone": chance.choice([None, "+1555000"]), "region": "APAC",
            "stage": chance.choice(["lead", "qualified", "won", "lost", None]), "accountId": chance.choice(accounts),
            "owner_id": chance.choice(people), "email": "x@y.example", "national_id": "x", "organization_id": chance.choice(["acme", "globex"]),
        },
        "deals": {
            "title": f"Title {chance.randrange(1000)}", "stage": chance.choice(["lead", "won", "lost"]),
            "amount": chance.randrange(100, 9000), "margin": "x", "owner_id": chance.choice(people),
        },
        "accounts": {"name": f"Name {chance.randrange(1000)}", "region": "APAC", "revenue": 5, "internal_note": "x"},
    }[table]
    draw = chance.random()
    if table == "contacts" and draw < 0.15:
        return who, "DELETE", table, key, None
    if table == "contacts" and draw < 0.35:
        body = {"name": f"New {chance.randrange(1000)}", "email": "n@n.example", "region": chance.choice(["EMEA", "APAC"]),
                "stage": chance.choice(["lead", "lead", "won"]), "accountId": chance.choice(accounts)}
        if chance.random() < 0.2:
            name = chance.choice(["owner_id", "national_id", "organization_id"])
            body[name] = values[name]
        return who, "POST", table, None, body
    # Mostly what may be written at all, so that the rules about values have their say.
    names = sorted(values) if chance.random() < 0.3 else {"contacts": ["name", "phone", "stage", "accountId"],
                                                          "deals": ["title", "stage", "amount"], "accounts": ["name", "region"]}[table]
    return who, "PATCH", table, key, {name: values[name] for name in chance.sample(names, chance.randrange(1, 3))}


def after(rows, who, method, table, key, body):
    """The row as it would be, `None` for one that is deleted, or `False` where the write is refused."""
    claims = PEOPLE[who]
    scope = {"organization_id": claims["org_id"], "app_id": claims["app_id"]}
    body = dict(body or {})
    if any(body.get(name, value) != value for name, value in scope.items()):
        return False
    body = {name: value for name, value in body.items() if name not in scope}
    if not sells(claims):
        return False
    if body.get("accountId") is not None:
        target = next((row for row in rows.of("accounts", who) if row["id"] == body["accountId"]), None)
        if target is None or not owns(target, claims):
            return False
    if method == "POST":
        if body.pop("owner_id", claims["sub"]) != claims["sub"]:
            return False
        writable = {"name", "email", "phone", "region", "stage", "accountId"}
        if not set(body) <= writable or body["stage"] != "lead":
            return False
        empty = dict.fromkeys(["phone", "birthday", "national_id"])
        return empty | body | scope | {"owner_id": claims["sub"]}
    before = next((row for row in rows.of(table, who) if row["id"] == key), None)
    if before is None or not owns(before, claims):
        return False
    manages = "manager" in claims["roles"]
    if method == "DELETE":
        return None if manages and before["stage"] != "lost" else False
    row = before | body
    if table == "contacts":
        transfers = "owner_id" in body
        if transfers and not (manages and body["owner_id"] in claims.get("reports", [])):
            return False
        others = set(body) - {"owner_id"}
        if not others <= {"name", "phone", "stage", "accountId"}:
            return False
        # A body that names nothing but the tenant is an update all the same.
        if (others or not transfers) and not (manages or row["stage"] not in (None, "won")):
            return False
    if table == "deals":
        if not set(body) <= {"title", "stage", "amount"} or before["stage"] == "won":
            return False
        if row["amount"] < before["amount"] and not manages:
            return False
    if table == "accounts" and not set(body) <= {"name", "region"}:
        return False
    return row


def wanted(table, number):
    """What of the answer to a write is asked for, all of which whoever sees the table might read."""
    few = {"contacts": "?$select=id,name", "deals": "?$select=id,stage", "accounts": "?$select=id,name"}[table]
    return few if number % 3 == 0 else ""


def told(view, asked):
    """The answer to a write: what its writer would be shown of the row, as far as they asked for it."""
    names = asked.partition("$select=")[2]
    return {name: view[name] for name in names.split(",")} if view and names else view


def chance_of(seed):
    return random.Random(seed + 1)
