"""Random arrays of new and of changed contacts: all of them are written where each alone is allowed, else none."""

import random
from collections import Counter

import model
import writes
from harness import expect
from identity import PEOPLE

PATH = "/items/contacts"


def drawn(rows, chance, who, method):
    """One write of a contact by somebody: (key, body)."""
    while True:
        by, how, table, key, body = writes.draw(rows, chance)
        if (by, how, table) == (who, method, "contacts"):
            return key, body


def draw(rows, chance):
    """(who, method, [(key, body)]): mostly such as may be written at all."""
    who, method = chance.choice(["ana", "ana", "marta", "marta", "vic", "support"]), chance.choice(["POST", "PATCH", "PATCH"])
    mine = [row["id"] for row in rows.of("contacts", who) if model.owns(row, PEOPLE[who])]
    plain = chance.random() < 0.6
    elements = []
    for _ in range(chance.choice([1, 2, 3, 3, 8])):
        key, body = drawn(rows, chance, who, method)
        if plain and method == "POST":
            body = {"name": f"New {chance.randrange(1000)}", "email": "n@n.example", "region": "EMEA", "stage": "lead", "accountId": None}
        elif plain:
            key = chance.choice(mine or [key])
            body = chance.choice([{"name": f"Name {chance.randrange(1000)}"}, {"phone": chance.choice([None, "+1555000"])}, {"accountId": None}])
        if method == "POST" or key not in [known for known, _ in elements]:
            elements.append((key, body))
    return who, method, elements


def play(run, rows, seed, count):
    """Each array, what came of it, and the rows of the database, which hold what `rows` do."""
    chance, outcomes = random.Random(seed), Counter()
    for number in range(count):
        who, method, elements = draw(rows, chance)
        expected = [writes.after(rows, who, method, "contacts", key, body) for key, body in elements]
        sent = [body if method == "POST" else {"id": key} | body for key, body in elements]
        answer = run.ask(who, method, PATH, body=sent, version=1 + number % 2)
        told = (f"seed {seed}, array {number}:", who, method, sent, answer.status_code, answer.text)
        kept = rows.database["contacts"]
        if False in expected:
            expect(answer.status_code in (403, 404), *told, "is not refused")
        else:
            expect(answer.status_code == (201 if method == "POST" else 200), *told, "is refused")
            shown = sorted(answer.json()["data"], key=lambda row: row["id"])
            for position, (row, (key, _)) in enumerate(zip(expected, elements)):
                row["id"] = shown[position]["id"] if method == "POST" else key
            expected.sort(key=lambda row: row["id"])
            expect(shown == [model.contact(row, PEOPLE[who]) for row in expected], *told)
            changed = {row["id"]: row for row in expected}
            kept[:] = sorted([row for row in kept if row["id"] not in changed] + expected, key=lambda row: row["id"])
        found = run.server.records("contacts")
        wrong = [(one, other) for one, other in zip(found, kept) if one != other][:1]
        expect(len(found) == len(kept) and not wrong, *told, "the rows differ:", len(found), len(kept), wrong)
        outcomes[f"{method} {'refused' if False in expected else 'done'}"] += 1
    return outcomes
