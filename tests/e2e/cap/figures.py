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
    # An order of the groups, and which of them are told.
    options: dict
    page: list

    def target(self, root):
        options = "".join(f"&{name}={quote(value, safe='')}" for name, value in self.options.items())
        return f"{root}/{self.table}?$apply={quote(self.apply, safe='')}{options}"

    def count(self, root):
        return f"{root}/{self.table}/$count{f'?$filter={quote(self.filter, safe=chr(39))}' if self.filter else ''}"

    def is_told(self, answer):
        """Whether an answer holds the groups, in their order if they have one, and their number if it was asked for."""
        total = {"@odata.count": len(self.groups)} if self.options.get("$count") == "true" else {}
        if {name: value for name, value in answer.items() if name != "value"} != total:
            return False
        found = answer["value"]
        if not self.options:
            return same(found, self.groups)
        return len(found) == len(self.page) and all(same([one], [other]) for one, other in zip(found, self.page))


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
        options, page = paged(chance, groups, by, [alias for _, alias, _ in measures]) if by and chance.random() < 0.7 else ({}, groups)
        yield Figures(who, table, apply, text, len(visible), groups, options, page)


def paged(chance, groups, by, aliases):
    """Options beside `$apply`, and the groups that are then told. What tells groups apart ends every order."""
    names = by + aliases
    order = [(name, chance.random() < 0.5) for name in chance.sample(names, chance.choice([0, 1, 1, 2]) if len(names) > 1 else 1)]
    top = chance.choice([None, None, 0, 1, 2, 3, 7, 50])
    skip = chance.choice([None, None, None, 0, 1, 2, 5])
    options = {"$orderby": ",".join(f"{name} desc" if down else name for name, down in order)} if order else {}
    options |= {} if top is None else {"$top": str(top)}
    options |= {} if skip is None else {"$skip": str(skip)}
    options |= {"$count": "true"} if chance.random() < 0.3 else {}
    found = list(groups)
    for name, down in reversed(order + [(name, False) for name in by if name not in dict(order)]):
        # What has no value comes first.
        found.sort(key=lambda group: (group[name] is not None, group[name]), reverse=down)
    return options, found[skip or 0:][:top]


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
