"""Random row conditions for a table of awkward values, and what each lets through, said by plain Python.

Conditions are CEL's: an error is neither true nor false, and grants nothing. `residuals.py SEED FOLDER` adds the table to a
configuration, and a role for each condition.
"""

import json
import random
import sys
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

# A table takes so many grants.
ROLES, OWN, FOREIGN = 120, 90, 30
TEXTS = ["a", "A", "ä", "Ä", "a ", " a", "ab", "aB", "", "O'Neil", "o''neil", "%", "_", "a%b", "ß", "ss", "𝒜", "z", "Z", "é", "e\u0301"]
NUMBERS = ["0.1", "0.2", "0.3", "1", "1.5", "-1.5", "0", "99999.99", "0.000001", "123456789.125", "10", "9"]
WHOLES = [0, 1, -1, 7, 2147483647, -2147483648, 42]
INSTANTS = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123Z", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.124Z",
            "2026-01-01T00:00:00.1239Z", "2026-01-01T00:00:01Z", "2025-12-31T23:59:59.999999Z", "2026-06-30T12:00:00.5Z"]
DAYS = ["2026-01-01", "2025-12-31", "2024-02-29", "1999-01-01"]
FIELDS = """
  samples:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    routes: [list]
    fields:
      id: int
      organization_id: string
      app_id: string
      text: { type: string, nullable: true, push: ordered }
      word: { type: string, push: exact }
      loose: { type: string, nullable: true, push: loose }
      number: { type: decimal, nullable: true, push: rounded } # it prints 99999.99 as 99999.99000000001, and compares floats
      whole: { type: int, nullable: true, push: exact }
      at: { type: timestamp, push: milliseconds }
      day: { type: date, nullable: true, push: exact }
      flag: { type: bool, nullable: true, push: exact }
      unsaid: { type: string, nullable: true }
"""
KINDS = {"text": TEXTS, "word": TEXTS, "loose": TEXTS, "unsaid": TEXTS, "number": NUMBERS, "whole": WHOLES, "at": INSTANTS, "day": DAYS,
         "flag": [True, False]}
REQUIRED = {"word", "at"}


def rows():
    chance = random.Random(1)
    made = []
    for number in range(OWN + FOREIGN):
        row = {name: None if name not in REQUIRED and chance.random() < 0.15 else chance.choice(values) for name, values in KINDS.items()}
        organization = "acme" if number < OWN else "globex"
        made.append({"id": number + 1, "organization_id": organization, "app_id": "shop"} | row)
    return made


def instant(text):
    """Microseconds, which Python's own fractions of six digits hold."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)


def value_of(name, value):
    if value is None:
        return None
    return Decimal(str(value)) if name == "number" else instant(value) if name == "at" else value


def literal(name, value):
    if name in ("at", "day"):
        return f"timestamp('{value if name == 'at' else value + 'T00:00:00Z'}')"
    return json.dumps(value, ensure_ascii=False) if name not in ("number", "whole") else str(value)


ORDERS = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b}
PARTS = {"startsWith": str.startswith, "endsWith": str.endswith, "contains": lambda a, b: b in a}


def leaf(chance, names):
    name = names.pop()
    value = chance.choice(KINDS[name])
    told, meant = literal(name, value), value_of(name, value)
    held = lambda row: value_of(name, row[name])
    draw = chance.random()
    if name == "flag":
        return f"record.flag == {told}", lambda row, _: held(row) == value
    if draw < 0.15 and name not in REQUIRED:
        word = chance.choice(["==", "!="])
        return f"record.{name} {word} null", lambda row, _: (held(row) is None) == (word == "==")
    if draw < 0.3 and name in ("text", "word", "loose", "unsaid"):
        return f"record.{name} in principal.attributes.regions", lambda row, regions: held(row) in regions
    if draw < 0.45 and name in ("text", "word", "loose", "unsaid") and value:
        word = chance.choice(sorted(PARTS))
        passes = PARTS[word]
        return f"record.{name}.{word}({told})", lambda row, _: None if held(row) is None else passes(held(row), value)
    if draw < 0.55:
        values = [chance.choice(KINDS[name]) for _ in range(3)]
        meant_values = [value_of(name, one) for one in values]
        return f"record.{name} in [{', '.join(literal(name, one) for one in values)}]", lambda row, _: held(row) in meant_values
    if draw < 0.8:
        word = chance.choice(["==", "!="])
        return f"record.{name} {word} {told}", lambda row, _: (held(row) == meant) == (word == "==")
    word = chance.choice(sorted(ORDERS))
    order = ORDERS[word]
    return f"record.{name} {word} {told}", lambda row, _: None if held(row) is None else order(held(row), meant)


def negated(truth):
    return None if truth is None else not truth


def both(one, other):
    return False if one is False or other is False else None if one is None or other is None else True


def condition(chance, depth, names):
    """Of each field one test at most: what contradicts itself is no policy."""
    draw = chance.random()
    if depth == 0 or draw < 0.2 or len(names) < 2:
        return leaf(chance, names)
    text, first = condition(chance, depth - 1, names)
    if draw < 0.4 or not names:
        return f"!({text})", lambda row, of: negated(first(row, of))
    other, second = condition(chance, depth - 1, names)
    if draw < 0.7:
        return f"({text} && {other})", lambda row, of: both(first(row, of), second(row, of))
    either = lambda a, b: negated(both(negated(a), negated(b)))
    return f"({text} || {other})", lambda row, of: either(first(row, of), second(row, of))


def conditions(seed):
    chance = random.Random(seed + 2)
    return [condition(chance, chance.choice([0, 1, 2, 3]), chance.sample(sorted(KINDS), len(KINDS))) for _ in range(ROLES)]


def configure(seed, folder):
    api = (folder / "api.yaml").read_text()
    (folder / "api.yaml").write_text(api.replace("max: 100", f"max: {OWN + FOREIGN}") + FIELDS)
    grants = "".join(
        f"  - name: g{number}\n    roles: [r{number}]\n    actions: [list]\n    rows: {json.dumps(text)}\n    read: {{ clear: [id] }}\n"
        for number, (text, _) in enumerate(conditions(seed))
    )
    (folder / "policies" / "samples.yaml").write_text(f"table: samples\ngrants:\n{grants}")
    gateway = (folder / "gateway.yaml").read_text()
    roles = ", ".join(f"r{number}" for number in range(ROLES))
    (folder / "gateway.yaml").write_text(gateway.replace("support, auditor]", f"support, auditor, {roles}]"))


if __name__ == "__main__":
    configure(int(sys.argv[1]), Path(sys.argv[2]))
