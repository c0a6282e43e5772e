"""What each person should see, said a second time: plain Python over the rows that an upstream was given.

Written from the policies' wording and not from the gateway's code, so that the two can disagree.
"""

from identity import PEOPLE


class Rows:
    def __init__(self, database):
        self.database = database

    def of(self, table, who):
        """Rows of a person's tenant."""
        claims = PEOPLE[who]
        scope = (claims["org_id"], claims["app_id"])
        return [row for row in self.database[table] if (row["organization_id"], row["app_id"]) == scope]

    def visible(self, table, who):
        """(row, what it shows) for every row that a list holds, in the order of the upstream."""
        shown = ((row, VIEWS[table](row, PEOPLE[who])) for row in self.of(table, who))
        return [(row, view) for row, view in shown if view is not None]

    def views(self, table, who):
        return [view for _, view in self.visible(table, who)]

    def row(self, table, key):
        return next(row for row in self.database[table] if row["id"] == key)


def sells(claims):
    return bool({"rep", "manager"} & set(claims["roles"]))


def owns(row, claims):
    return row["owner_id"] == claims["sub"] or row["owner_id"] in claims.get("reports", [])


def partial(address):
    if not address:
        return "***"
    name, domain = address.split("@")
    return f"{name[0]}***@{domain}"


def last4(number):
    return None if number is None else f"***{number[-4:]}"


def only(row, *names):
    return {name: row[name] for name in names}


def without(row, *names):
    return {name: value for name, value in row.items() if name not in names}


def contact(row, claims):
    if sells(claims) and owns(row, claims):
        return without(row, "national_id")
    if sells(claims) and row["region"] in claims["regions"]:
        masked = {"email": partial(row["email"]), "phone": last4(row["phone"])}
        return only(row, "id", "name", "region", "accountId") | masked
    if "support" in claims["roles"]:
        masked = {"email": partial(row["email"]), "phone": last4(row["phone"]), "national_id": "on file"}
        return only(row, "id", "name", "region", "stage") | masked | {"birthday": f"{row['birthday'][:4]}-01-01"}
    return None


def account(row, claims):
    if sells(claims) and owns(row, claims):
        return without(row, "internal_note")
    if "support" in claims["roles"]:
        return only(row, "id", "name") | {"revenue": row["revenue"] // 10_000 * 10_000}
    return None


def deal(row, claims):
    if sells(claims):
        return without(row, "margin")
    if "auditor" in claims["roles"] and row["stage"] in ("won", "lost"):
        return only(row, "id", "stage") | {"amount": row["amount"] // 1000 * 1000}
    return None


def activity(row, claims):
    return row if not row["private"] and (sells(claims) or "auditor" in claims["roles"]) else None


def user(row, claims):
    if not sells(claims):
        return None
    team = row["id"] in claims.get("reports", [])
    return only(row, "id", "name", "region", *(["email", "manager_id"] if team else []))


def visible_deals(deals, claims):
    """The deals whose stage shows in clear, by key."""
    scope = (claims["org_id"], claims["app_id"])
    own = {key: row for key, row in deals.items() if (row["organization_id"], row["app_id"]) == scope}
    return {key: row for key, row in own.items() if "stage" in (deal(row, claims) or {})}


VIEWS = {"accounts": account, "activities": activity, "contacts": contact, "deals": deal, "users": user}
