"""Random policies for the table `notes`: as YAML, and said a second time in plain Python.

Conditions are drawn from what the language of policies has for one record: equality, lists, order, parts of texts, truth,
null, and, or, not. Their literals are what rows hold and what lies just beside it: other cases, spaces, more digits than
an upstream keeps. `Policies.view` is the oracle; it is written from the policies' wording and knows no upstream.
"""

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Callable

FIELDS = ["id", "owner_id", "organization_id", "app_id", "dealId", "label", "weight", "rank", "seen_at", "done", "region",
          "written"]
ROLES = ["rep", "manager", "support", "auditor"]
CONSTANT = "withheld"
TEXTS = ["label", "region", "owner_id", "written"]
Rule = Callable[[dict, dict], bool]


@dataclass
class Condition:
    text: str
    holds: Rule


@dataclass
class Grant:
    name: str
    role: str
    rows: Condition
    clear: list
    constant: list


@dataclass
class Policies:
    grants: list
    denials: list
    text: str = ""

    def view(self, row, claims):
        """What a row shows to somebody; `None` if it isn't there for them."""
        if any(denial.holds(row, claims) for denial in self.denials):
            return None
        mine = [grant for grant in self.grants if grant.role in claims["roles"] and grant.rows.holds(row, claims)]
        if not mine:
            return None
        shown = {}
        for name in FIELDS:
            if any(name in grant.clear for grant in mine):
                shown[name] = row[name]
            elif any(name in grant.constant for grant in mine):
                shown[name] = CONSTANT
        return shown

    def clear(self, claims):
        """Fields that are clear on every row that somebody may see."""
        mine = [set(grant.clear) for grant in self.grants if grant.role in claims["roles"]]
        return sorted(set.intersection(*mine)) if mine else []

    def sometimes(self, claims):
        """Fields that are clear on some of the rows that somebody may see, and where."""
        mine = [grant for grant in self.grants if grant.role in claims["roles"]]
        names = set().union(*(grant.clear for grant in mine)) - set(self.clear(claims)) if mine else set()
        return {name: lambda row, name=name: self.is_clear(name, row, claims) for name in sorted(names)}

    def is_clear(self, name, row, claims):
        if any(denial.holds(row, claims) for denial in self.denials):
            return False
        return any(
            name in grant.clear and grant.role in claims["roles"] and grant.rows.holds(row, claims) for grant in self.grants
        )

    def hidden(self, claims, rows):
        """Fields that are not clear on some of these rows, if there is one that a grant without them shows."""
        mine = [grant for grant in self.grants if grant.role in claims["roles"]]
        holding = [grant for grant in mine if any(grant.rows.holds(row, claims) for row in rows)]
        return [name for name in FIELDS if any(name not in grant.clear for grant in holding)]


def instant(text):
    """An instant in microseconds: no float comes near it."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "T"))
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def number(value):
    return Decimal(str(value))


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


class Conditions:
    def __init__(self, rows, deals, chance):
        self.rows, self.deals, self.chance = rows, deals, chance

    def value(self, name):
        return self.chance.choice(self.rows)[name]

    def near(self, name):
        """A text that rows hold, or one that some comparisons can't tell from it."""
        text = self.value(name)
        return self.chance.choice([text, text, text, text.swapcase(), text + " ", text[:1], text + "\u0301", "nothing"])

    def draw(self, depth=3):
        kind = self.chance.random()
        if depth and kind < 0.25:
            return self.join(" && ", all, depth)
        if depth and kind < 0.5:
            return self.join(" || ", any, depth)
        if depth and kind < 0.58:
            inner = self.draw(depth - 1)
            return Condition(f"!({inner.text})", lambda row, claims: not inner.holds(row, claims))
        leaf = self.chance.choice([self.text, self.text, self.part, self.text_order, self.listed, self.decimal, self.integer,
                                   self.truth, self.own, self.regions, self.seen, self.parent])
        return leaf()

    def join(self, sign, whole, depth):
        parts = [self.draw(depth - 1) for _ in range(self.chance.choice([2, 2, 3]))]
        text = sign.join(f"({part.text})" for part in parts)
        return Condition(text, lambda row, claims: whole(part.holds(row, claims) for part in parts))

    def text(self):
        name, sign = self.chance.choice(TEXTS), self.chance.choice(["==", "!="])
        value = self.near(name)
        return Condition(f"record.{name} {sign} {quoted(value)}", lambda row, _: (row[name] == value) == (sign == "=="))

    def part(self):
        name, call = self.chance.choice(TEXTS[:2]), self.chance.choice(["startsWith", "endsWith", "contains"])
        value = self.near(name)[:2]
        test = {"startsWith": str.startswith, "endsWith": str.endswith, "contains": str.__contains__}[call]
        return Condition(f"record.{name}.{call}({quoted(value)})", lambda row, _: test(row[name], value))

    def text_order(self):
        value, (sign, test) = self.near("label"), self.chance.choice(ORDERS)
        return Condition(f"record.label {sign} {quoted(value)}", lambda row, _: test(row["label"].encode(), value.encode()))

    def listed(self):
        name = self.chance.choice(TEXTS)
        values = [self.near(name) for _ in range(self.chance.choice([1, 2, 4]))]
        text = f"record.{name} in [{', '.join(map(quoted, values))}]"
        return Condition(text, lambda row, _: row[name] in values)

    def decimal(self):
        value = number(self.value("weight")) + self.chance.choice([0, 0, 0, 1, Decimal("0.1"), Decimal("1e-17")])
        sign, test = self.chance.choice(ORDERS + EQUALS)
        return Condition(f"record.weight {sign} {value:f}", lambda row, _: test(number(row["weight"]), value))

    def integer(self):
        value, (sign, test) = self.chance.randint(-4, 4), self.chance.choice(ORDERS + EQUALS)
        return Condition(f"record.rank {sign} {value}", lambda row, _: test(row["rank"], value))

    def truth(self):
        if self.chance.random() < 0.5:
            return Condition("record.done", lambda row, _: row["done"])
        return Condition("record.done == false", lambda row, _: not row["done"])

    def own(self):
        return Condition("record.owner_id == principal.id", lambda row, claims: row["owner_id"] == claims["sub"])

    def regions(self):
        return Condition("record.region in principal.attributes.regions", lambda row, claims: row["region"] in claims["regions"])

    def parent(self):
        """What another record says: of a note without a deal, nothing is true."""
        if self.chance.random() < 0.4:
            sign = self.chance.choice(["==", "!="])
            return Condition(f"record.dealId {sign} null", lambda row, _: (not row["dealId"]) == (sign == "=="))
        stage, sign = self.chance.choice(["won", "lost", "lead"]), self.chance.choice(["==", "!="])
        text = f"record.dealId != null && record.deal.stage {sign} {quoted(stage)}"
        said = lambda row: (self.deals[row["dealId"]]["stage"] == stage) == (sign == "==")
        return Condition(text, lambda row, _: bool(row["dealId"]) and said(row))

    def seen(self):
        if self.chance.random() < 0.3:
            sign = self.chance.choice(["==", "!="])
            return Condition(f"record.seen_at {sign} null", lambda row, _: (not row["seen_at"]) == (sign == "=="))
        # What has no value is neither before nor after anything; the rule says so itself.
        moment = self.value("seen_at") or "2025-03-01T00:00:00.000Z"
        moment = moment.replace(" ", "T").replace("Z", self.chance.choice(["Z", "Z", "4Z", "456Z", "999Z"]))
        value, (sign, test) = instant(moment), self.chance.choice(ORDERS + EQUALS)
        text = f"record.seen_at != null && record.seen_at {sign} timestamp('{moment}')"
        return Condition(text, lambda row, _: bool(row["seen_at"]) and test(instant(row["seen_at"]), value))


ORDERS = [
    ("<", lambda a, b: a < b), ("<=", lambda a, b: a <= b), (">", lambda a, b: a > b), (">=", lambda a, b: a >= b),
]
EQUALS = [("==", lambda a, b: a == b), ("!=", lambda a, b: a != b)]


def draw(rows, deals, seed):
    """One file of policies over these rows, for each role one to three grants. `deals` are those that notes point to, by key."""
    chance = random.Random(seed)
    conditions = Conditions(rows, deals, chance)
    grants, denials = [], []
    for role in ROLES:
        for count in range(chance.choice([1, 1, 2, 3])):
            others = [name for name in FIELDS if name != "id"]
            chance.shuffle(others)
            cut = chance.randint(3, len(others))
            masked = [name for name in others[cut:] if name in ("label", "region", "written") and chance.random() < 0.5]
            grants.append(Grant(f"{role}-{count}", role, conditions.draw(), ["id", *others[:cut]], masked))
    if chance.random() < 0.6:
        denials.append(conditions.draw(2))
    policies = Policies(grants, [denial for denial in denials])
    policies.text = written(policies)
    return policies


def written(policies):
    lines = ["table: notes", "grants:"]
    for grant in policies.grants:
        lines += [
            f"  - name: {grant.name}",
            f"    roles: [{grant.role}]",
            "    actions: [list, read]",
            f"    rows: {json.dumps(grant.rows.text)}",
            f"    read: {{ clear: [{', '.join([*grant.clear, *(['deal'] if 'dealId' in grant.clear else [])])}]"
            + "".join(f", constant: {{ {', '.join(f'{name}: {CONSTANT}' for name in grant.constant)} }}" if grant.constant else "" for _ in [0])
            + " }",
        ]
    if policies.denials:
        lines.append("denials:")
    for count, denial in enumerate(policies.denials):
        lines += [f"  - name: denied-{count}", "    actions: [list, read]", f"    rows: {json.dumps(denial.text)}"]
    return "\n".join(lines) + "\n"
