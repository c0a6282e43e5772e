"""Random records that people say are to be, whether they are there or not, and what becomes of the rows.

By PATCH of drafts and by PUT of memos: both hold the same, and the policies of both say the same.
"""

from identity import PEOPLE
from model import owns, sells, without

METHODS = {"drafts": "PATCH", "memos": "PUT"}
# By a record that the caller may not see: CAP itself says so, as to whoever makes one, and calls it a failure of its own (500).
TAKEN = "taken"


def draw(database, chance):
    """(who, table, key, body, condition): mostly the caller's own rows, or keys that nothing has."""
    who, table = chance.choice(["ana", "ana", "marta", "marta", "vic", "support", "auditor"]), chance.choice(["drafts", "memos"])
    rows, claims = database[table], PEOPLE[who]
    near = [row for row in rows if scope(row) == scope_of(claims)] or rows
    mine = [row for row in near if owns(row, claims)] or near
    key = chance.choice(chance.choice([mine, mine, near, rows]))["id"] if chance.random() < 0.55 else 1000 + chance.randrange(400)
    values = {
        "written": chance.choice([f"Written {chance.randrange(1000)}", None, ""]), "rank": chance.choice([None, -3, 7, 49, 50, 99, 100]),
        "id": chance.choice([key, key, key, key + 1]), "owner_id": chance.choice([claims["sub"], "bo-acme-shop"]),
        "region": chance.choice(["EMEA", "APAC"]), "hidden": "x", "organization_id": chance.choice([claims["org_id"], "globex"]),
        "nothing": 1,
    }
    names = ["written", "rank"] if chance.random() < 0.65 else sorted(values)
    body = {name: values[name] for name in chance.sample(names, chance.choice([0, 1, 1, 2]))}
    condition = chance.choice([{}, {}, {}, {}, {"If-Match": "*"}, {"If-None-Match": "*"}])
    return who, table, key, body, condition


def scope(row):
    return row["organization_id"], row["app_id"]


def scope_of(claims):
    return claims["org_id"], claims["app_id"]


def after(database, who, table, key, body, condition):
    """(the row as it would be, whether it is new), `None` where the write is refused, or `TAKEN`."""
    claims, body = PEOPLE[who], dict(body)
    own = dict(zip(("organization_id", "app_id"), scope_of(claims)))
    if not sells(claims) or body.pop("id", key) != key or body.pop("organization_id", own["organization_id"]) != own["organization_id"]:
        return None
    known = next((row for row in database[table] if row["id"] == key), None)
    if known and scope(known) == scope_of(claims) and owns(known, claims):
        row = known | body
        allowed = set(body) <= {"written", "rank"} and (row["rank"] is None or row["rank"] < 100)
        return (row, False) if allowed and "If-None-Match" not in condition else None
    presets = {"owner_id": claims["sub"], "region": "EMEA"}
    if any(body.pop(name, value) != value for name, value in presets.items()) or not set(body) <= {"written", "rank"}:
        return None
    row = {"id": key, "written": None, "rank": None, "hidden": None} | presets | body | own
    if "If-Match" in condition or not (row["rank"] is None or row["rank"] < 50):
        return None
    return TAKEN if known else (row, True)


def shown(row):
    return without(row, "hidden")
