"""Random lists in Directus' own language, and what they find, said by plain Python over the rows that it was given.

Its database is SQLite: texts are equal byte by byte, patterns fold the letters of ASCII and know `%` and `_`, nothing
compares with null, and null comes first.
"""

import json
import re
from dataclasses import dataclass
from typing import Callable, Optional
from urllib.parse import quote

NUMBERS = {"id", "dealId", "weight", "rank"}
BOOLS, INSTANTS = {"done"}, {"seen_at"}
NULLABLE = {"dealId", "seen_at"}
# What the server reads as something else.
WORDS = {"true", "false", "null", "NULL"}


@dataclass
class Query:
    text: str
    size: int
    finds: Callable[[list], list]
    total: bool
    # Whether it compares what only some rows show: the gateway may have no words for where they do.
    guarded: bool


def folded(text):
    return "".join(c.lower() if c.isascii() else c for c in text)


def like(value, pattern):
    signs = {"%": ".*", "_": "."}
    written = "".join(signs.get(sign) or re.escape(sign) for sign in folded(pattern))
    return re.fullmatch(written, folded(value), re.DOTALL) is not None


ORDERS = {
    "_lt": lambda a, b: a < b, "_lte": lambda a, b: a <= b, "_gt": lambda a, b: a > b, "_gte": lambda a, b: a >= b,
}
EQUALS = {"_eq": lambda a, b: a == b, "_neq": lambda a, b: a != b}
PATTERNS = {"contains": "%{}%", "starts_with": "{}%", "ends_with": "%{}"}


def test(name, operator, value, passes):
    """A comparison, which no row without a value passes."""
    return {name: {operator: value}}, lambda row: row[name] is not None and passes(row[name])


class Fields:
    """What somebody may compare: clear everywhere, or where a function of the row says so. `deals`: those that notes point to
    as far as they show, by key; `related` says of which notes they show."""

    def __init__(self, clear, sometimes, deals, related):
        self.clear, self.sometimes, self.deals, self.related = clear, sometimes, deals, related
        self.guarded = False

    def draw(self, rows, chance):
        kind = chance.random()
        if self.deals and kind < 0.12:
            self.guarded = True
            tree, passes = comparison(list(self.deals.values()), "stage", chance)
            return {"dealId": tree}, lambda row: self.related(row) and row["dealId"] in self.deals and passes(self.deals[row["dealId"]])
        if self.sometimes and kind < 0.4:
            self.guarded = True
            name = chance.choice(sorted(self.sometimes))
            tree, passes = comparison(rows, name, chance)
            return tree, lambda row: self.sometimes[name](row) and passes(row)
        return comparison(rows, chance.choice(self.clear), chance)


def comparison(rows, name, chance):
    value = chance.choice(rows)[name]
    draw = chance.random()
    if name in NULLABLE and (value is None or draw < 0.2):
        operator, truth = chance.choice(["_null", "_nnull"]), chance.random() < 0.8
        return {name: {operator: truth}}, lambda row: (row[name] is None) == ((operator == "_null") == truth)
    if name in BOOLS:
        operator, truth = chance.choice(list(EQUALS)), chance.random() < 0.5
        return test(name, operator, truth, lambda held: EQUALS[operator](held, truth))
    if name in NUMBERS or name in INSTANTS:
        if name in NUMBERS:
            value += chance.choice([0, 0, 1, -2] if name != "weight" else [0, 0, 1, 0.25])
        other = chance.choice([row[name] for row in rows if row[name] is not None])
        low, high = sorted([value, other])
        if draw < 0.35:
            operator = chance.choice(["_between", "_nbetween"])
            return test(name, operator, [low, high], lambda held: (low <= held <= high) == (operator == "_between"))
        if draw < 0.5:
            operator = chance.choice(["_in", "_nin"])
            return test(name, operator, [value, other], lambda held: (held in (value, other)) == (operator == "_in"))
        signs = ORDERS | EQUALS
        operator = chance.choice(list(signs))
        return test(name, operator, value, lambda held: signs[operator](held, value))
    value = chance.choice([value, value, value, value.swapcase(), value + " ", value[:3], "nothing"])
    if value in WORDS or value.startswith("$"):
        value = "other"
    if draw < 0.35:
        word, negated = chance.choice(list(PATTERNS)), chance.random() < 0.4
        part = chance.choice([value, value[:2], value[-2:]]) or "a"
        pattern = PATTERNS[word].format(part)
        return test(name, f"_{'n' if negated else ''}{word}", part, lambda held: like(held, pattern) != negated)
    if draw < 0.45:
        word = chance.choice(list(PATTERNS))
        part = "".join(c for c in value if c.isascii())[:3] or "a"
        return test(name, f"_i{word}", part, lambda held: like(held, PATTERNS[word].format(part)))
    if draw < 0.55:
        operator, truth = chance.choice(["_empty", "_nempty"]), chance.random() < 0.8
        return {name: {operator: truth}}, lambda row: (not row[name]) == ((operator == "_empty") == truth)
    if draw < 0.75:
        values, operator = [value, chance.choice(["EMEA", "APAC", "x"])], chance.choice(["_in", "_nin"])
        return test(name, operator, values, lambda held: (held in values) == (operator == "_in"))
    operator = chance.choice(list(EQUALS))
    return test(name, operator, value, lambda held: EQUALS[operator](held, value))


def condition(rows, fields, chance, depth=2):
    if depth and chance.random() < 0.6:
        sign, whole = chance.choice([("_and", all), ("_or", any)])
        parts = [condition(rows, fields, chance, depth - 1) for _ in range(chance.choice([2, 2, 3]))]
        return {sign: [part for part, _ in parts]}, lambda row: whole(passes(row) for _, passes in parts)
    if depth and chance.random() < 0.3:
        # Members of one object must all hold.
        (a, first), (b, second) = fields.draw(rows, chance), fields.draw(rows, chance)
        if not set(a) & set(b):
            return a | b, lambda row: first(row) and second(row)
    return fields.draw(rows, chance)


def brackets(tree, name="filter"):
    """The same filter as names in brackets."""
    if isinstance(tree, dict):
        return [pair for key, value in tree.items() for pair in brackets(value, f"{name}[{key}]")]
    if isinstance(tree, list):
        return [pair for key, value in enumerate(tree) for pair in brackets(value, f"{name}[{key}]")]
    return [(name, str(tree).lower() if isinstance(tree, bool) else written(tree))]


def written(value):
    return value if isinstance(value, str) else json.dumps(value)


def draw(rows, fields_of, chance):
    """A query of somebody who may compare these fields; `rows` are the whole tenant's, also the hidden ones."""
    clear, fields_of.guarded = fields_of.clear, False
    pairs, passes, order, fields = [], (lambda row: True), None, None
    if chance.random() < 0.8:
        tree, passes = condition(rows, fields_of, chance)
        pairs += brackets(tree) if chance.random() < 0.3 else [("filter", json.dumps(tree, ensure_ascii=chance.random() < 0.5))]
    if chance.random() < 0.5:
        order = chance.choice(clear), chance.random() < 0.5
        pairs.append(("sort", f"{'-' if order[1] else ''}{order[0]}"))
    if chance.random() < 0.4:
        fields = chance.sample(clear, chance.randint(1, len(clear)))
        pairs.append(("fields", ",".join(fields)))
    total = chance.random() < 0.7
    if total:
        pairs.append(("meta", chance.choice(["*", "filter_count"])))
    chance.shuffle(pairs)

    def finds(visible):
        found = [(row, view) for row, view in visible if passes(row)]
        if order:
            name, down = order
            sortable = lambda value: (value is not None, value.encode() if isinstance(value, str) else value or 0)
            found.sort(key=lambda pair: sortable(pair[0][name]), reverse=down)
        return [{name: view[name] for name in fields} if fields else view for _, view in found]

    text = "".join(f"&{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return Query(text, chance.choice([3, 7, 25, 200]), finds, total, fields_of.guarded)
