"""Random row conditions for a table of awkward values, and what each lets through, said by plain Python.

Conditions are CEL's: an error is neither true nor false, and grants nothing, and as a denial hides. A policy holds many of them,
each for a role of its own; whoever has some of these roles is asked about their conditions together, so that one configuration
gives any number of residuals. `residuals.py SEED FOLDER SAMPLES` adds the table, described in the file SAMPLES, and its policy to
the configuration in a folder.
"""

import json
import random
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

# Of one table; more grants it doesn't take.
GRANTS, DENIALS = 120, 30
OWN, FOREIGN = 90, 30
TEXTS = ["a", "A", "ä", "Ä", "a ", " a", "ab", "aB", "", "O'Neil", "o''neil", "%", "_", "a%b", "ß", "ss", "𝒜", "z", "Z", "é", "e\u0301"]
NUMBERS = ["0.1", "0.2", "0.3", "1", "1.5", "-1.5", "0", "99999.99", "0.000001", "123456789.125", "10", "9"]
WHOLES = [0, 1, -1, 7, 2147483647, -2147483648, 42]
INSTANTS = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123Z", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.124Z",
            "2026-01-01T00:00:00.1239Z", "2026-01-01T00:00:01Z", "2025-12-31T23:59:59.999999Z", "2026-06-30T12:00:00.5Z"]
DAYS = ["2026-01-01", "2025-12-31", "2024-02-29", "1999-01-01"]
KINDS = {"text": TEXTS, "word": TEXTS, "loose": TEXTS, "unsaid": TEXTS, "number": NUMBERS, "whole": WHOLES, "at": INSTANTS, "day": DAYS,
         "flag": [True, False]}
# What a related sample says is tested, too.
PARENTS = ["parent.text", "parent.word", "parent.whole"]


class Samples:
    """The table as an upstream's description has it: `required` have a value in each row."""

    def __init__(self, described):
        fields = re.findall(r"^      (\w+): (.*)$", described.read_text(), re.MULTILINE)
        self.required = {name for name, of in fields if name in KINDS and "nullable" not in of}

    def rows(self):
        chance = random.Random(1)
        made = []
        for number in range(OWN + FOREIGN):
            empty = lambda name: name not in self.required and chance.random() < 0.15
            row = {name: None if empty(name) else chance.choice(values) for name, values in KINDS.items()}
            # Of the same tenant, and before this one.
            first = 0 if number < OWN else OWN
            row["parentId"] = chance.randrange(first, number) + 1 if number > first and chance.random() < 0.7 else None
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


def leaf(chance, names, required):
    path = names.pop()
    if path in PARENTS:
        text, passes = test(chance, path, path.removeprefix("parent."), required)
        # Of what isn't there, nothing is true or false.
        return text, lambda row, regions: passes(row["parent"], regions) if row["parent"] else None
    return test(chance, path, path, required)


def test(chance, path, name, required):
    value = chance.choice(KINDS[name])
    told, meant = literal(name, value), value_of(name, value)
    held = lambda row: value_of(name, row[name])
    is_text = name in ("text", "word", "loose", "unsaid")
    draw = chance.random()
    if name == "flag":
        return f"record.{path} == {told}", lambda row, _: held(row) == value
    if draw < 0.15 and name not in required:
        word = chance.choice(["==", "!="])
        return f"record.{path} {word} null", lambda row, _: (held(row) is None) == (word == "==")
    if draw < 0.3 and is_text:
        return f"record.{path} in principal.attributes.regions", lambda row, regions: held(row) in regions
    if draw < 0.45 and is_text and value:
        word = chance.choice(sorted(PARTS))
        passes = PARTS[word]
        return f"record.{path}.{word}({told})", lambda row, _: None if held(row) is None else passes(held(row), value)
    if draw < 0.55:
        values = [chance.choice(KINDS[name]) for _ in range(3)]
        meant_values = [value_of(name, one) for one in values]
        return f"record.{path} in [{', '.join(literal(name, one) for one in values)}]", lambda row, _: held(row) in meant_values
    if draw < 0.8:
        word = chance.choice(["==", "!="])
        return f"record.{path} {word} {told}", lambda row, _: (held(row) == meant) == (word == "==")
    word = chance.choice(sorted(ORDERS))
    order = ORDERS[word]
    return f"record.{path} {word} {told}", lambda row, _: None if held(row) is None else order(held(row), meant)


def negated(truth):
    return None if truth is None else not truth


def both(one, other):
    return False if one is False or other is False else None if one is None or other is None else True


def condition(chance, depth, names, required):
    """Of each field one test at most: what contradicts itself is no policy."""
    draw = chance.random()
    if depth == 0 or draw < 0.2 or len(names) < 2:
        return leaf(chance, names, required)
    text, first = condition(chance, depth - 1, names, required)
    if draw < 0.4 or not names:
        return f"!({text})", lambda row, of: negated(first(row, of))
    other, second = condition(chance, depth - 1, names, required)
    if draw < 0.7:
        return f"({text} && {other})", lambda row, of: both(first(row, of), second(row, of))
    either = lambda a, b: negated(both(negated(a), negated(b)))
    return f"({text} || {other})", lambda row, of: either(first(row, of), second(row, of))


def conditions(seed, samples):
    """Those of the grants, then those of the denials."""
    chance = random.Random(seed + 2)
    names = sorted([*KINDS, *PARENTS])
    one = lambda: condition(chance, chance.choice([0, 1, 2, 3]), chance.sample(names, len(names)), samples.required)
    made = [one() for _ in range(GRANTS + DENIALS)]
    return made[:GRANTS], made[GRANTS:]


def configure(seed, folder, described):
    api = (folder / "api.yaml").read_text()
    (folder / "api.yaml").write_text(api.replace("max: 100", f"max: {OWN + FOREIGN}") + described.read_text())
    grants, denials = conditions(seed, Samples(described))
    said = ["table: samples", "grants:"]
    for number, (text, _) in enumerate(grants):
        said += [f"  - name: g{number}", f"    roles: [g{number}]", "    actions: [list]", f"    rows: {json.dumps(text)}", "    read: { clear: [id] }"]
    said.append("denials:")
    for number, (text, _) in enumerate(denials):
        said += [f"  - name: d{number}", f"    roles: [d{number}]", "    actions: [list]", f"    rows: {json.dumps(text)}"]
    (folder / "policies" / "samples.yaml").write_text("\n".join(said) + "\n")
    gateway = (folder / "gateway.yaml").read_text()
    roles = ", ".join([*(f"g{number}" for number in range(GRANTS)), *(f"d{number}" for number in range(DENIALS))])
    (folder / "gateway.yaml").write_text(gateway.replace("support, auditor]", f"support, auditor, {roles}]"))


def ask(seed, samples, rows, count, list_as):
    """So many residuals, each asked for through the gateway. `rows` are those of the tenant as the upstream holds them, by key, in
    the order of the list; `list_as(claims)` gives the keys and the total of a list, each `None` where there is none. Gives how many
    were asked for and how many of these were said exactly.
    """
    grants, denials = conditions(seed, samples)
    for row in rows.values():
        row["parent"] = rows.get(row["parentId"])

    def one(number):
        chance = random.Random(f"{seed}/{number}")
        granted = chance.sample(range(GRANTS), chance.choice([1, 1, 2, 3]))
        denied = chance.sample(range(DENIALS), chance.choice([0, 0, 1, 2]))
        regions = chance.sample(TEXTS, chance.randrange(4))
        passes = lambda row: any(grants[at][1](row, regions) is True for at in granted) and all(
            denials[at][1](row, regions) is False for at in denied
        )
        expected = [key for key, row in rows.items() if passes(row)]
        roles = [*(f"g{at}" for at in granted), *(f"d{at}" for at in denied)]
        found, total = list_as(roles, regions)
        told = [grants[at][0] for at in granted], [denials[at][0] for at in denied], regions, f"seed {seed}, residual {number}:"
        if found is None:
            # Conditions that can't hold hide the table.
            wrong = "hides" if expected else None
        elif found != expected:
            wrong = f"finds {found}"
        else:
            wrong = f"counts {total}" if total not in (None, len(expected)) else None
        return (f"{told} {wrong}, not {expected}" if wrong else None), found is not None, total is not None

    start = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(one, range(count)))
    wrong = [said for said, _, _ in told if said]
    asked, exact = sum(there for _, there, _ in told), sum(counted for _, _, counted in told)
    print(f"{count} random residuals, seed {seed}: {asked} lists of which nothing was lost, {exact} said exactly, "
          f"{len(wrong)} wrong, {time.monotonic() - start:.0f}s", flush=True)
    return wrong, asked, exact


if __name__ == "__main__":
    configure(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
