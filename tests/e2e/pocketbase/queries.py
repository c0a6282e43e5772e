"""Random lists in PocketBase's own language, and what they find, said by plain Python over the rows that it was given.

Texts are compared by their bytes, `~` folds the letters of ASCII, numbers are floats, what is empty is null.
"""

import re
from dataclasses import dataclass
from typing import Callable, Optional
from urllib.parse import quote

from seed import BOOLS, DATES, NUMBERS


@dataclass
class Query:
    text: str
    size: int
    finds: Callable[[list], list]
    fields: Optional[list]
    total: bool
    # Whether it compares what only some rows show: the gateway may have no words for where they do.
    guarded: bool


def literal(text, chance):
    """A text as it is quoted, in one of both ways."""
    mark = chance.choice("'\"")
    return mark + text.replace(mark, "\\" + mark) + mark


def sayable(text):
    return not text.endswith("\\") and "\\'" not in text and '\\"' not in text


def folded(text):
    return "".join(c.lower() if c.isascii() else c for c in text)


def like(value, pattern):
    if "%" not in pattern:
        return folded(pattern) in folded(value)
    parts = (re.escape(part) for part in folded(pattern).split("%"))
    return re.fullmatch(".*".join(parts), folded(value), re.DOTALL) is not None


SIGNS = {
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}


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
            text, passes = comparison(list(self.deals.values()), "stage", chance, "dealId.")
            return text, lambda row: self.related(row) and row["dealId"] in self.deals and passes(self.deals[row["dealId"]])
        if self.sometimes and kind < 0.4:
            self.guarded = True
            name = chance.choice(sorted(self.sometimes))
            text, passes = comparison(rows, name, chance)
            return text, lambda row: self.sometimes[name](row) and passes(row)
        return comparison(rows, chance.choice(self.clear), chance)


def comparison(rows, name, chance, before=""):
    value, said = chance.choice(rows)[name], before + name
    if name in BOOLS:
        truth, sign = chance.random() < 0.5, chance.choice(["=", "!="])
        return f"{said}{sign}{str(truth).lower()}", lambda row: SIGNS[sign](row[name], truth)
    if name in NUMBERS:
        number, sign = value + chance.choice([0, 0, 1, 0.25]), chance.choice(list(SIGNS))
        written = f"{number:.9f}".rstrip("0").rstrip(".")
        if float(written) != number:
            number = float(written)
        # A literal may stand on the left.
        turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(sign, sign)
        text = f"{said} {sign} {written}" if chance.random() < 0.8 else f"{written}{turned}{said}"
        return text, lambda row: SIGNS[sign](row[name], number)
    kind = chance.random()
    if kind < 0.12:
        sign, none = chance.choice(["=", "!="]), chance.choice(["null", "''", "NULL", '""'])
        return f"{said}{sign}{none}", lambda row: SIGNS[sign](row[name], "")
    value = chance.choice([value, value, value, value.swapcase(), value + " ", value[:3], "nothing"])
    if not sayable(value):
        value = "other"
    if kind < 0.4 and name not in DATES:
        pattern = value.replace("%", "").replace("_", "").replace("\\", "") or "a"
        pattern = chance.choice([pattern, pattern[:2], pattern[:2] + "%", "%" + pattern[-2:]])
        negated = chance.random() < 0.4
        sign = "!~" if negated else "~"
        return f"{said} {sign} {literal(pattern, chance)}", lambda row: like(row[name], pattern) != negated
    sign = chance.choice(["=", "=", "!=", "!=", *SIGNS])
    any_of = "?" if chance.random() < 0.1 else ""
    return f"{said}{any_of}{sign}{literal(value, chance)}", lambda row: SIGNS[sign](row[name].encode(), value.encode())


def condition(rows, fields, chance, depth=2):
    if depth and chance.random() < 0.6:
        sign, whole = chance.choice([("&&", all), ("||", any)])
        parts = [condition(rows, fields, chance, depth - 1) for _ in range(chance.choice([2, 2, 3]))]
        space = chance.choice(["", " ", "  "])
        text = f"{space}{sign}{space}".join(f"({part})" for part, _ in parts)
        return text, lambda row: whole(passes(row) for _, passes in parts)
    if depth and chance.random() < 0.2:
        # Without parentheses: `&&` binds tighter.
        (a, first), (b, second), (c, third) = (fields.draw(rows, chance) for _ in range(3))
        return f"{a} || {b} && {c}", lambda row: first(row) or (second(row) and third(row))
    return fields.draw(rows, chance)


def draw(rows, fields_of, chance):
    """A query of somebody who may compare these fields; `rows` are the whole tenant's, also the hidden ones."""
    clear, fields_of.guarded = fields_of.clear, False
    pairs, passes, order, fields, total = [], (lambda row: True), None, None, True
    if chance.random() < 0.8:
        text, passes = condition(rows, fields_of, chance)
        pairs.append(("filter", text))
    if chance.random() < 0.5:
        name, down = chance.choice(clear), chance.random() < 0.5
        order = (name, down)
        pairs.append(("sort", f"{'-' if down else chance.choice(['', '+'])}{name}"))
    if chance.random() < 0.3:
        fields = chance.sample(clear, chance.randint(1, len(clear)))
        pairs.append(("fields", ",".join(fields)))
    if chance.random() < 0.3:
        total = False
        pairs.append(("skipTotal", chance.choice(["1", "true"])))
    chance.shuffle(pairs)

    def finds(visible):
        found = [(row, view) for row, view in visible if passes(row)]
        if order:
            name, down = order
            sortable = lambda value: value.encode() if isinstance(value, str) else value
            found.sort(key=lambda pair: pair[0]["id"].encode())
            found.sort(key=lambda pair: sortable(pair[0][name]), reverse=down)
        return [{name: view[name] for name in fields} if fields else view for _, view in found]

    text = "".join(f"&{name}={quote(value, safe='')}" for name, value in pairs)
    return Query(text, chance.choice([3, 7, 25, 200]), finds, fields, total, fields_of.guarded)
