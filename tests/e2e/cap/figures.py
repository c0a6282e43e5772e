"""Random figures that people may ask an OData service for, and what plain Python makes of the rows that they may see."""

import random
from typing import NamedTuple
from urllib.parse import quote

import queries
from queries import Kind, condition

# By whom and of what figures are told: fields that can be summed up, and those that have an order.
TOLD = {
    ("ana", "accounts"): (["id", "revenue"], ["revenue"]),
    ("marta", "accounts"): (["id", "revenue"], ["revenue"]),
    ("support", "accounts"): (["id"], []),
    ("support", "contacts"): (["id"], []),
    ("ana", "deals"): (["id", "amount", "accountId"], ["amount", "title"]),
    ("marta", "deals"): (["id", "amount", "accountId"], ["amount", "title"]),
    ("auditor", "deals"): (["id"], []),
    ("ana", "activities"): (["id", "dealId"], []),
    ("auditor", "activities"): (["id"], []),
}
# Whose search looks into which of their fields.
SEARCHED = {
    ("ana", "accounts"): ["name", "region"], ("marta", "accounts"): ["name", "region"], ("ana", "users"): ["name"],
    ("marta", "users"): ["name"], ("ana", "deals"): ["title"], ("marta", "deals"): ["title"],
}
FUNCTIONS = {
    "sum": lambda values: sum(values) if values else None,
    "average": lambda values: sum(values) / len(values) if values else None,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "countdistinct": lambda values: len(set(values)),
}


class Figures(NamedTuple):
    who: str
    table: str
    apply: str
    filter: str | None
    rows: int
    groups: list

    def target(self, root):
        return f"{root}/{self.table}?$apply={quote(self.apply, safe='')}"

    def count(self, root):
        return f"{root}/{self.table}/$count{f'?$filter={quote(self.filter, safe=chr(39))}' if self.filter else ''}"


def draw(rows, count, seed):
    chance = random.Random(seed)
    for _ in range(count):
        (who, table), (numbers, ordered) = chance.choice(sorted(TOLD.items()))
        fields = queries.CLEAR[who, table]
        visible, text = [row for row, _ in rows.visible(table, who)], None
        if chance.random() < 0.7:
            text, passes = condition(chance, chance.choice([0, 1, 2]), Kind(rows, who, table))
            visible = [row for row in visible if passes(row) is True]
        by = chance.sample(sorted(set(fields) - {"id"}) or ["id"], chance.choice([0, 1, 1, 2]) if len(fields) > 2 else 1)
        measures = [measure(chance, number, sorted(fields), numbers, ordered) for number in range(chance.choice([1, 1, 2, 4]))]
        if by and chance.random() < 0.15:
            measures = []
        inner = f"aggregate({','.join(said for said, _, _ in measures)})"
        asked = f"groupby(({','.join(by)}){f',{inner}' if measures else ''})" if by else inner
        apply = f"filter({text})/{asked}" if text else asked
        grouped = {} if by else {(): visible}
        for row in visible if by else []:
            grouped.setdefault(tuple(row[name] for name in by), []).append(row)
        groups = [dict(zip(by, key)) | {alias: of(found) for _, alias, of in measures} for key, found in grouped.items()]
        yield Figures(who, table, apply, text, len(visible), groups)


def measure(chance, number, fields, numbers, ordered):
    """(as OData says it, its name, what Python makes of some rows)"""
    alias = chance.choice([f"f{number}", f"margin{number}", f"national_id{number}", f"figure{9 - number}"])
    word = chance.choice(["$count", "countdistinct", "sum", "average", "min", "max"])
    if word in ("min", "max") and not ordered or word == "$count":
        return f"$count as {alias}", alias, len
    field = chance.choice({"sum": numbers, "average": numbers, "min": ordered, "max": ordered}.get(word, fields))
    function = FUNCTIONS[word]
    return f"{field} with {word} as {alias}", alias, lambda rows: function([row[field] for row in rows if row[field] is not None])


def searches(rows, count, seed):
    """(who, table, text, the keys of what it finds)"""
    chance = random.Random(seed)
    for _ in range(count):
        (who, table), fields = chance.choice(sorted(SEARCHED.items()))
        value = chance.choice(rows.of(table, who))[chance.choice(fields)]
        words = [chance.choice([str.upper, str.lower, str])(word) for word in chance.sample(value.split(" "), chance.choice([1, 1, 2]))
                 ] if " " in value else [value.lower()]
        words += [chance.choice(["a", "cust", "emea", "SECRET-"])] if chance.random() < 0.3 else []
        text = " ".join(chance.choice([word, f'"{word}"']) for word in words if word not in ("AND", "OR", "NOT"))
        found = lambda row: all(any(word.lower() in row[name].lower() for name in fields) for word in words)
        yield who, table, text, sorted(str(row["id"]) for row, _ in rows.visible(table, who) if found(row))


def same(found, expected):
    """Whether two lists of groups hold the same, whatever their order; means may differ by what a float is short of."""
    rounded = lambda value: round(value, 6) if isinstance(value, float) else value
    spelled = lambda group: sorted((name, str(rounded(float(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else value))
                                   for name, value in group.items())
    return sorted(map(spelled, found)) == sorted(map(spelled, expected))
