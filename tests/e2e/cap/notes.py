"""Random lists of notes in OData's words, under whatever policies are in force, and what they find, said by plain Python.

SQLite compares texts byte by byte and numbers as floats. A test of what doesn't show is neither true nor false.
"""

import json
from decimal import Decimal
from typing import Callable, NamedTuple, Optional
from urllib.parse import quote

import data
import rules
from harness import expect
from queries import COMPARED, both, literal, negated

TEXTS = ["label", "region", "owner_id", "written"]
NULLABLE = {"seen_at", "dealId"}
# In whose order nothing depends on how letters are compared, and all have a value.
SORTED = ["id", "rank", "weight", "region", "written", "owner_id", "done"]


class Printed(float):
    """A number as it is printed, which is not always the one that is held: rules read the text."""

    def __new__(cls, text):
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self):
        return self.text


def held(text):
    """The notes out of the service's own answer, each with the weight that was given to it. They are those of the seed."""
    rows = json.loads(text, parse_float=Printed)["value"]
    given = data.build()["notes"]
    expect(len(rows) == len(given), len(rows))
    for row, seed in zip(rows, given):
        same = all(row[name] == value for name, value in seed.items() if name not in ("seen_at", "weight"))
        seen = None if seed["seen_at"] is None else rules.instant(seed["seen_at"])
        expect(same and (row["seen_at"] and rules.instant(row["seen_at"])) == seen, row, seed)
        expect(abs(Decimal(str(row["weight"])) - Decimal(str(seed["weight"]))) < Decimal("1e-9"), row, seed)
        row["given"] = float(seed["weight"])
    return rows


class Query(NamedTuple):
    text: str
    size: Optional[int]
    finds: Callable[[list], list]
    ordered: bool
    # Whether it compares what only some rows show: the gateway may have no words for where they do.
    guarded: bool


class Fields:
    """What somebody may compare: clear everywhere, or where a function of the row says so. `deals`: those that notes point to
    as far as they show, by key; `related` says of which notes they show."""

    def __init__(self, clear, sometimes, deals, related):
        self.clear, self.sometimes, self.deals, self.related = clear, sometimes, deals, related
        self.guarded = False

    def draw(self, rows, chance, nulls):
        kind = chance.random()
        if self.deals and kind < 0.12:
            self.guarded = True
            text, passes = comparison(list(self.deals.values()), "stage", chance, nulls, "deal/")
            shows = lambda row: self.related(row) and row["dealId"] in self.deals
            return text, lambda row: passes(self.deals[row["dealId"]]) if shows(row) else None
        if self.sometimes and kind < 0.4:
            self.guarded = True
            name = chance.choice(sorted(self.sometimes))
            text, passes = comparison(rows, name, chance, nulls)
            return text, lambda row: passes(row) if self.sometimes[name](row) else None
        return comparison(rows, chance.choice(self.clear), chance, nulls)


def comparison(rows, name, chance, nulls, before=""):
    """`nulls`: whether what has no value may be compared with a value, which is false to this service and never turned around."""
    value, said = chance.choice(rows)[name], before + name
    if name in NULLABLE:
        if not nulls or value is None or chance.random() < 0.3:
            word = chance.choice(["eq", "ne"])
            return f"{said} {word} null", lambda row: (row[name] is None) == (word == "eq")
        word = chance.choice(["eq", "lt", "le", "gt", "ge"])
        return f"{said} {word} {value}", lambda row: row[name] is not None and COMPARED[word](row[name], value)
    word = chance.choice(sorted(COMPARED))
    if name == "done":
        truth, word = chance.random() < 0.5, chance.choice(["eq", "ne"])
        return f"{said} {word} {str(truth).lower()}", lambda row: COMPARED[word](row[name], truth)
    if name == "weight":
        number = chance.choice(rows)["given"] + chance.choice([0, 0, 1, 0.25])
        text = f"{number:.9f}".rstrip("0").rstrip(".")
        return f"{said} {word} {text}", lambda row: COMPARED[word](row["given"], float(text))
    if not isinstance(value, str):
        number = value + chance.choice([0, 0, 1, -2])
        return f"{said} {word} {number}", lambda row: COMPARED[word](row[name], number)
    value = chance.choice([value, value, value, value.swapcase(), value + " ", value[:3], "nothing"])
    draw = chance.random()
    if draw < 0.3 and value:
        part = chance.choice([value, value[:2], value[-2:]])
        call, passes = chance.choice([("contains", str.__contains__), ("startswith", str.startswith), ("endswith", str.endswith)])
        return f"{call}({said},{literal(part, str)})", lambda row: passes(row[name], part)
    if draw < 0.45:
        values = [value, *(chance.choice(rows)[name] for _ in range(chance.randrange(3)))]
        return f"{said} in ({','.join(literal(one, str) for one in values)})", lambda row: row[name] in values
    return f"{said} {word} {literal(value, str)}", lambda row: COMPARED[word](row[name].encode(), value.encode())


def condition(rows, fields, chance, depth, nulls=True):
    draw = chance.random()
    if depth == 0 or draw < 0.35:
        return fields.draw(rows, chance, nulls)
    if draw < 0.5:
        text, passes = condition(rows, fields, chance, depth - 1, False)
        return f"not ({text})", lambda row: negated(passes(row))
    (one, first), (other, second) = (condition(rows, fields, chance, depth - 1, nulls) for _ in range(2))
    if draw < 0.75:
        return f"({one}) or ({other})", lambda row: negated(both(negated(first(row)), negated(second(row))))
    return f"({one}) and ({other})", lambda row: both(first(row), second(row))


def spelled(view):
    return json.dumps(view, sort_keys=True)


def draw(rows, fields, chance):
    """A query of somebody who may compare these fields; `rows` are the whole tenant's, also the hidden ones."""
    fields.guarded = False
    options, passes, order, chosen = {}, (lambda row: True), None, None
    if chance.random() < 0.8:
        options["$filter"], passes = condition(rows, fields, chance, chance.choice([0, 1, 2, 3]))
    if chance.random() < 0.5:
        order = chance.choice([name for name in SORTED if name in fields.clear]), chance.random() < 0.5
        options["$orderby"] = f"{order[0]}{' desc' if order[1] else ''}{'' if order[0] == 'id' else ',id'}"
    if chance.random() < 0.4:
        chosen = chance.sample(fields.clear, chance.randint(1, len(fields.clear)))
        options["$select"] = ",".join(chosen)

    def finds(visible):
        found = [(row, view) for row, view in visible if passes(row) is True]
        if order:
            name, down = order
            found.sort(key=lambda pair: pair[0]["id"])
            found.sort(key=lambda pair: pair[0]["given" if name == "weight" else name], reverse=down)
        views = [{name: view[name] for name in chosen} if chosen else view for _, view in found]
        return views if order else sorted(views, key=spelled)

    text = "".join(f"&{name}={quote(value, safe='')}" for name, value in options.items())
    return Query(text, chance.choice([None, 3, 25, 100]), finds, order is not None, fields.guarded)
