"""Random lists that people may ask for, and what they find, said by plain Python over the rows that json-server was given."""

import random
from typing import NamedTuple
from urllib.parse import quote

from model import Rows

# By whom and of what: fields that are read in clear on every row, with whether they are numbers.
CLEAR = {
    ("ana", "contacts"): {"id": True, "name": False, "region": False, "accountId": True},
    ("vic", "contacts"): {"id": True, "name": False, "region": False, "accountId": True},
    ("marta", "contacts"): {"id": True, "owner_id": False, "name": False, "region": False, "stage": False, "accountId": True},
    ("support", "contacts"): {"id": True, "name": False, "region": False, "stage": False},
    ("ana", "accounts"): {"id": True, "owner_id": False, "name": False, "region": False, "revenue": True},
    ("marta", "accounts"): {"id": True, "owner_id": False, "name": False, "region": False, "revenue": True},
    ("support", "accounts"): {"id": True, "name": False},
    ("ana", "deals"): {"id": True, "owner_id": False, "title": False, "stage": False, "amount": True, "accountId": True},
    ("auditor", "deals"): {"id": True, "stage": False},
    ("ana", "activities"): {"id": True, "owner_id": False, "dealId": True, "kind": False, "private": False},
    ("auditor", "activities"): {"id": True, "owner_id": False, "kind": False, "private": False},
}


class Query(NamedTuple):
    who: str
    table: str
    text: str
    size: int
    expected: list


def spelled(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def comparison(rows, fields, chance):
    """A parameter, and whether a row passes it."""
    field = chance.choice(sorted(fields))
    value = chance.choice(rows)[field]
    operator = chance.choice(["", "", "_ne", *(["_gte", "_lte"] if fields[field] else [])])
    passes = {
        "": lambda row: row[field] == value,
        "_ne": lambda row: row[field] != value,
        "_gte": lambda row: row[field] >= value,
        "_lte": lambda row: row[field] <= value,
    }[operator]
    return f"{field}{operator}", spelled(value), passes


def draw(rows: Rows, count, seed):
    chance = random.Random(seed)
    for _ in range(count):
        (who, table), fields = chance.choice(sorted(CLEAR.items()))
        text, visible, names = "", rows.visible(table, who), set()
        # Values of the whole tenant: also such as only hidden rows have.
        every = rows.of(table, who)
        for _ in range(chance.choice([0, 1, 1, 2])):
            name, value, passes = comparison(every, fields, chance)
            if name not in names:
                names.add(name)
                text += f"&{name}={quote(value, safe='')}"
                visible = [(row, view) for row, view in visible if passes(row)]
        if chance.random() < 0.4:
            by, down = chance.choice(sorted(fields)), chance.random() < 0.5
            text += f"&_sort={by}&_order={'desc' if down else 'asc'}"
            visible.sort(key=lambda pair: pair[0][by], reverse=down)
        yield Query(who, table, text, chance.choice([3, 7, 10, 25]), [view for _, view in visible])
