"""Random lists that people may ask an OData service for, and what they find, said by plain Python over the rows."""

import random
from typing import NamedTuple
from urllib.parse import quote

import model
from identity import PEOPLE

# By whom and of what: fields that are read in clear on every row, with what kind of values they hold.
CLEAR = {
    ("ana", "contacts"): {"id": int, "name": str, "region": str, "accountId": int},
    ("vic", "contacts"): {"id": int, "name": str, "region": str, "accountId": int},
    ("marta", "contacts"): {"id": int, "owner_id": str, "name": str, "region": str, "stage": str, "accountId": int, "birthday": "date"},
    ("support", "contacts"): {"id": int, "name": str, "region": str, "stage": str},
    ("ana", "accounts"): {"id": int, "owner_id": str, "name": str, "region": str, "revenue": int},
    ("marta", "accounts"): {"id": int, "owner_id": str, "name": str, "region": str, "revenue": int},
    ("support", "accounts"): {"id": int, "name": str},
    ("ana", "deals"): {"id": int, "owner_id": str, "title": str, "stage": str, "amount": int, "accountId": int},
    ("marta", "deals"): {"id": int, "owner_id": str, "title": str, "stage": str, "amount": int, "accountId": int},
    ("auditor", "deals"): {"id": int, "stage": str},
    ("ana", "activities"): {"id": int, "owner_id": str, "dealId": int, "kind": str, "private": bool},
    ("auditor", "activities"): {"id": int, "owner_id": str, "kind": str, "private": bool},
}
# Of which some rows have no value, by who reads it in clear.
NULLABLE = {("marta", "contacts"): "phone"}
# Fields that only some rows show in clear: to whom they belong, or whom those who own them report to.
SOMETIMES = {who: {"email": str, "stage": str, "owner_id": str, "birthday": "date"} for who in ("ana", "vic")}
# Fields of the account that a row leads to, which shows to the same people.
RELATED = {("ana", "contacts"), ("vic", "contacts"), ("marta", "contacts"), ("ana", "deals"), ("marta", "deals")}
COMPARED = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
}


class Query(NamedTuple):
    who: str
    table: str
    options: dict
    expected: list

    def text(self):
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in self.options.items())


def literal(value, kind):
    if kind is bool:
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if kind is str else str(value)


class Kind:
    """What a person may compare of a table, over the rows of their tenant."""

    def __init__(self, rows, who, table):
        self.rows, self.claims, self.table = rows, PEOPLE[who], table
        self.every = rows.of(table, who)
        self.fields, self.nullable = CLEAR[who, table], NULLABLE.get((who, table))
        self.sometimes = SOMETIMES.get(who, {}) if table == "contacts" else {}
        self.related = (who, table) in RELATED

    def draw(self, chance):
        """A test as OData says it, and what Python makes of it: neither true nor false where the row doesn't show the field."""
        draw = chance.random()
        owns = lambda row: model.sells(self.claims) and model.owns(row, self.claims)
        if self.related and draw < 0.2:
            account = lambda row: self.rows.row("accounts", row["accountId"])
            text, passes = comparison(chance, [account(row) for row in self.every], {"name": str, "region": str}, None, "account/")
            return text, lambda row: passes(account(row)) if owns(account(row)) else None
        if self.sometimes and draw < 0.5:
            text, passes = comparison(chance, self.every, self.sometimes, None)
            return text, lambda row: passes(row) if owns(row) else None
        return comparison(chance, self.every, self.fields, self.nullable)


def comparison(chance, rows, fields, nullable, before=""):
    """A test as OData says it, and as Python does."""
    if nullable and chance.random() < 0.2:
        word = chance.choice(["eq", "ne"])
        return f"{nullable} {word} null", lambda row: (row[nullable] is None) == (word == "eq")
    field = chance.choice(sorted(fields))
    kind, value = fields[field], chance.choice(rows)[field]
    draw = chance.random()
    if kind is str and draw < 0.25:
        start = chance.randrange(max(1, len(value) - 1))
        part = value[start:start + chance.randrange(1, 8)]
        word, passes = chance.choice([
            ("contains", lambda row: part in row[field]),
            ("startswith", lambda row: row[field].startswith(part)),
            ("endswith", lambda row: row[field].endswith(part)),
        ])
        return f"{word}({before}{field},{literal(part, str)})", passes
    if kind is not bool and draw < 0.4:
        values = [value, *(chance.choice(rows)[field] for _ in range(chance.randrange(3)))]
        return f"{before}{field} in ({','.join(literal(one, kind) for one in values)})", lambda row: row[field] in values
    if kind is bool and draw < 0.3:
        return field, lambda row: row[field]
    word = chance.choice(["eq", "ne"] if kind is bool else sorted(COMPARED))
    compare = COMPARED[word]
    return f"{before}{field} {word} {literal(value, kind)}", lambda row: compare(row[field], value)


def negated(truth):
    return None if truth is None else not truth


def both(one, other):
    return False if one is False or other is False else None if one is None or other is None else True


def condition(chance, depth, kind):
    draw = chance.random()
    if depth == 0 or draw < 0.35:
        return kind.draw(chance)
    if draw < 0.5:
        text, passes = condition(chance, depth - 1, kind)
        return f"not ({text})", lambda row: negated(passes(row))
    (one, first), (other, second) = condition(chance, depth - 1, kind), condition(chance, depth - 1, kind)
    if draw < 0.75:
        return f"({one}) or ({other})", lambda row: negated(both(negated(first(row)), negated(second(row))))
    return f"({one}) and ({other})", lambda row: both(first(row), second(row))


def draw(rows, count, seed):
    chance = random.Random(seed)
    for _ in range(count):
        (who, table), fields = chance.choice(sorted(CLEAR.items()))
        visible, options = rows.visible(table, who), {}
        # Values of the whole tenant: also such as only hidden rows have.
        kind = Kind(rows, who, table)
        if chance.random() < 0.8:
            depth = chance.choice([0, 1, 2, 3])
            options["$filter"], passes = condition(chance, depth, kind)
            visible = [(row, view) for row, view in visible if passes(row) is True]
        if chance.random() < 0.4:
            by, down = chance.choice(sorted(fields)), chance.random() < 0.5
            options["$orderby"] = f"{by}{chance.choice([' desc']) if down else chance.choice(['', ' asc'])},id"
            if by == "id":
                options["$orderby"] = options["$orderby"].removesuffix(",id")
            visible.sort(key=lambda pair: pair[0]["id"])
            visible.sort(key=lambda pair: pair[0][by], reverse=down)
        views = [view for _, view in visible]
        if chance.random() < 0.4:
            names = chance.sample(sorted(fields), chance.randrange(1, len(fields) + 1))
            options["$select"] = ",".join(names)
            views = [{name: value for name, value in view.items() if name in names} for view in views]
        yield Query(who, table, options, views)
