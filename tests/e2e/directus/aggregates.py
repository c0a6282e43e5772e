"""Random figures and searches in Directus' own language, and what plain Python makes of the rows that people may see."""

import json
import random
from typing import NamedTuple
from urllib.parse import quote

# By whom and of what figures are told: (numbers, other fields that groups have in common).
TOLD = {
    ("ana", "contacts"): (["id", "accountId"], ["name", "region"]),
    ("marta", "contacts"): (["id", "accountId"], ["region", "stage", "owner_id"]),
    ("support", "contacts"): (["id"], ["region", "stage"]),
    ("ana", "accounts"): (["id", "revenue"], ["region", "owner_id"]),
    ("marta", "accounts"): (["id", "revenue"], ["region", "owner_id"]),
    ("ana", "deals"): (["id", "amount", "accountId"], ["stage", "owner_id"]),
    ("marta", "deals"): (["id", "amount", "accountId"], ["stage", "owner_id"]),
    ("auditor", "deals"): (["id"], ["stage"]),
    # Whose tenant is the deal's.
    ("ana", "activities"): (["id", "dealId"], ["kind", "owner_id", "body"]),
    ("marta", "activities"): (["id", "dealId"], ["kind", "owner_id"]),
    ("vic", "activities"): (["id", "dealId"], ["kind"]),
    ("auditor", "activities"): (["id", "dealId"], ["kind", "owner_id"]),
}
# Whose search looks into which of their fields.
SEARCHED = {("ana", "accounts"): ["name"], ("marta", "accounts"): ["name"], ("ana", "deals"): ["title"], ("marta", "deals"): ["title"],
            ("ana", "activities"): ["body"], ("auditor", "activities"): ["body"]}
NUMBERS = {
    "sum": lambda values: sum(values) if values else None,
    "sumDistinct": lambda values: sum(set(values)) if values else None,
    "avg": lambda values: sum(values) / len(values) if values else None,
    "avgDistinct": lambda values: sum(set(values)) / len(set(values)) if values else None,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
}
COUNTS = {"count": len, "countDistinct": lambda values: len(set(values))}


class Figures(NamedTuple):
    who: str
    table: str
    pairs: list
    groups: list

    def target(self):
        return f"/items/{self.table}?" + "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in self.pairs)


def draw(rows, count, seed):
    chance = random.Random(seed)
    for _ in range(count):
        (who, table), (numbers, others) = chance.choice(sorted(TOLD.items()))
        visible, pairs = [row for row, _ in rows.visible(table, who)], []
        if chance.random() < 0.6:
            tree, passes = narrowed(chance, rows.of(table, who), others)
            if table == "activities" and who != "auditor" and chance.random() < 0.5:
                tree, passes = by_deal(chance, rows.of("deals", who))
            visible = [row for row in visible if passes(row)]
            pairs.append(("filter", json.dumps(tree)))
        by = chance.sample(others, chance.choice([0, 1, 1, min(2, len(others))]))
        asked = {}
        for _ in range(chance.choice([1, 1, 2, 4])):
            word = chance.choice(["*", *COUNTS, *NUMBERS])
            word, field = ("count", "*") if word == "*" else (word, chance.choice(numbers if word in NUMBERS else numbers + others))
            if field not in asked.get(word, []) and "*" not in asked.get(word, []) and not (field == "*" and word in asked):
                asked.setdefault(word, []).append(field)
        pairs += spelled(chance, asked)
        if by:
            pairs += [("groupBy", ",".join(by))] if chance.random() < 0.5 else [("groupBy[]", ",".join(by))]
            pairs.append(("limit", "200"))
        chance.shuffle(pairs)
        grouped = {} if by else {(): visible}
        for row in visible if by else []:
            grouped.setdefault(tuple(row[name] for name in by), []).append(row)
        groups = [dict(zip(by, key)) | figures(asked, found) for key, found in grouped.items()]
        yield Figures(who, table, pairs, groups)


def narrowed(chance, rows, others):
    field, key = chance.choice(others), chance.choice(rows)["id"]
    value = chance.choice(rows)[field]
    return chance.choice([
        ({"id": {"_gt": key}}, lambda row: row["id"] > key),
        ({field: {"_eq": value}}, lambda row: row[field] == value),
        ({field: {"_neq": value}}, lambda row: row[field] != value),
        ({"_or": [{"id": {"_lt": key}}, {field: {"_eq": value}}]}, lambda row: row["id"] < key or row[field] == value),
    ])


def by_deal(chance, deals):
    """By a column of the deal, all of which show to whoever sells."""
    deals, bound = {row["id"]: row for row in deals}, chance.choice(deals)
    return chance.choice([
        ({"dealId": {"amount": {"_gt": bound["amount"]}}}, lambda row: deals[row["dealId"]]["amount"] > bound["amount"]),
        ({"dealId": {"stage": {"_neq": bound["stage"]}}}, lambda row: deals[row["dealId"]]["stage"] != bound["stage"]),
        ({"_or": [{"dealId": {"stage": {"_eq": bound["stage"]}}}, {"kind": {"_eq": "call"}}]},
         lambda row: deals[row["dealId"]]["stage"] == bound["stage"] or row["kind"] == "call"),
    ])


def spelled(chance, asked):
    if chance.random() < 0.3:
        return [("aggregate", json.dumps(asked))]
    return [(f"aggregate[{word}]{chance.choice(['', '[]'])}", ",".join(fields)) for word, fields in asked.items()]


def figures(asked, rows):
    found = {}
    for word, fields in asked.items():
        for field in fields:
            if field == "*":
                found["count"] = len(rows)
                continue
            values = [row[field] for row in rows if row[field] is not None]
            found.setdefault(word, {})[field] = (NUMBERS | COUNTS)[word](values)
    return found


def same(found, expected):
    """Whether two lists of groups hold the same, whatever their order and however numbers are written."""

    def plain(value):
        if isinstance(value, dict):
            return sorted((name, plain(inner)) for name, inner in value.items())
        try:
            return None if value is None else str(round(float(value), 6))
        except ValueError:
            return value

    return sorted(map(str, map(plain, found))) == sorted(map(str, map(plain, expected)))


def searches(rows, count, seed):
    """(who, table, text, the keys of what it finds)"""
    chance = random.Random(seed)
    for _ in range(count):
        (who, table), fields = chance.choice(sorted(SEARCHED.items()))
        value = chance.choice(rows.of(table, who))[chance.choice(fields)]
        start = chance.randrange(len(value) - 2)
        text = chance.choice([str.upper, str.lower, str])(value[start:start + chance.randrange(2, 9)])
        if chance.random() < 0.2:
            text = chance.choice(["EMEA", "SECRET-", "won", "nothing"])
        found = lambda row: any(text.lower() in row[name].lower() for name in fields)
        yield who, table, text, [row["id"] for row, _ in rows.visible(table, who) if found(row)]
