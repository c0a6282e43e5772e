#!/usr/bin/env python3
"""The CRM that every upstream serves: six tenants with the same people and figures, and rows that must stay apart.

Every row of every table names its tenant in a text (`acme.shop`), and every column that nobody may read begins with
`SECRET-`. So a leak is a string that can be looked for in any byte of an answer. Prints the database as JSON, or those of
its tables that are named.
"""

import json
import sys

ORGANIZATIONS = ["acme", "globex", "initech"]
APPS = ["shop", "desk"]
TENANTS = [(organization, app) for organization in ORGANIZATIONS for app in APPS]
REGIONS = ["EMEA", "APAC", "AMER"]
STAGES = ["lead", "qualified", "won", "lost"]
# Texts that are one to some comparisons and two to others, or that mean something in a query's language.
LABELS = ["a", "A", "a ", " a", "aa", "é", "É", "ß", "ss", "it's", 'say "so"', "back\\slash", "50%", "under_score", "{:t}", "[[x]]",
          "\U0001f600", "\u01c4", "null", "true", "1", "1.0", "", "// b", "b) || (c", "zz"]
WEIGHTS = [0, 0.1, 0.3, 1, 1.5, 2.25, -2.5, 99.99, 100, 1000000.125, 0.000001, -100]
INSTANTS = ["2025-03-01T00:00:00.000Z", "2025-03-01T00:00:00.123Z", "2025-03-01T00:00:00.124Z", "2025-02-28T23:59:59.999Z",
            "2024-02-29T12:00:00.000Z", None]
# In each tenant: two reps, their manager, and one rep whom nobody manages.
PEOPLE = ["ana", "bo", "marta", "zoe"]


def mark(tenant):
    return ".".join(tenant)


def user_id(tenant, person):
    return f"{person}-{'-'.join(tenant)}"


def build():
    """Rows of the tenants take turns, so that neighbouring ids belong to others."""
    users, accounts, contacts, deals, activities = [], [], [], [], []
    for tenant in TENANTS:
        for number, person in enumerate(PEOPLE):
            users.append({
                "id": user_id(tenant, person),
                "name": f"{person.title()} of {mark(tenant)}",
                "email": f"{person}@{mark(tenant)}.example",
                "region": REGIONS[number % 3],
                "manager_id": user_id(tenant, "marta") if person in ("ana", "bo") else None,
                "password_hash": f"SECRET-PASSWORD-{person}",
            } | scope(tenant))
    for number in range(60):
        tenant, turn = TENANTS[number % 6], number // 6
        accounts.append({
            "id": number + 1,
            "owner_id": user_id(tenant, PEOPLE[turn % 4]),
            "name": f"Customer {turn:02} of {mark(tenant)}",
            "region": REGIONS[turn % 3],
            "revenue": 1000 * (turn * 37 % 91 + 10),
            "internal_note": f"SECRET-NOTE-{number:03}",
        } | scope(tenant))
    for number in range(240):
        tenant, turn = TENANTS[number % 6], number // 6
        contacts.append({
            "id": number + 1,
            "owner_id": user_id(tenant, PEOPLE[turn * 7 % 4]),
            "accountId": accounts[(turn * 3 % 10) * 6 + number % 6]["id"],
            "name": f"Contact {turn * 17 % 40:02} of {mark(tenant)}",
            "email": f"contact{turn:02}@{mark(tenant)}.example",
            "phone": None if turn % 9 == 5 else f"+1555{number * 7919 % 10_000_000:07}",
            "birthday": f"19{50 + turn}-{turn % 12 + 1:02}-{turn % 28 + 1:02}",
            "region": REGIONS[turn * 5 % 3],
            "stage": STAGES[(turn * 3 + turn // 4) % 4],
            "national_id": f"SECRET-ID-{turn % 20:03}",
        } | scope(tenant))
    for number in range(90):
        tenant, turn = TENANTS[number % 6], number // 6
        deals.append({
            "id": number + 1,
            "owner_id": user_id(tenant, PEOPLE[turn % 4]),
            "accountId": accounts[(turn % 10) * 6 + number % 6]["id"],
            "title": f"Deal {turn:02} of {mark(tenant)}",
            "stage": STAGES[turn % 4],
            "amount": 250 * (turn * 13 % 29 + 1),
            "margin": f"SECRET-MARGIN-{number:03}",
        } | scope(tenant))
    for number in range(120):
        tenant, turn = TENANTS[number % 6], number // 6
        private = turn % 5 == 0
        activities.append({
            "id": number + 1,
            "owner_id": user_id(tenant, PEOPLE[turn % 4]),
            "dealId": deals[(turn % 15) * 6 + number % 6]["id"],
            "kind": ["call", "note"][turn % 2],
            "private": private,
            "body": f"SECRET-TALK-{number:03}" if private else f"Talk {turn:02} of {mark(tenant)}",
        } | scope(tenant))
    notes = []
    for number in range(240):
        tenant, turn = TENANTS[number % 6], number // 6
        notes.append({
            "id": number + 1,
            "owner_id": user_id(tenant, PEOPLE[turn % 4]),
            "dealId": None if turn % 4 == 3 else deals[(turn * 7 % 15) * 6 + number % 6]["id"],
            "label": LABELS[turn * 5 % len(LABELS)],
            "weight": WEIGHTS[turn * 7 % len(WEIGHTS)],
            "rank": turn * 11 % 7 - 3,
            "seen_at": INSTANTS[turn % len(INSTANTS)],
            "done": turn % 3 == 0,
            "region": REGIONS[turn % 3],
            "written": f"Note {turn:02} of {mark(tenant)}",
            "hidden": f"SECRET-REMARK-{turn % 13:03}",
        } | scope(tenant))
    return {
        "users": users, "accounts": accounts, "contacts": contacts, "deals": deals, "activities": activities, "notes": notes,
    }


def scope(tenant):
    return {"organization_id": tenant[0], "app_id": tenant[1]}


if __name__ == "__main__":
    database = build()
    print(json.dumps({table: database[table] for table in sys.argv[1:] or database}))
