#!/usr/bin/env python3
"""The cases for PocketBase: what each person sees and may change through the gateway, and what nobody gets out of it.

`client.py prepare` makes the identity provider's key. `client.py serving` runs the cases and appends a line for each to the
file of results.
"""

import json
import os
import random
import subprocess
from pathlib import Path
from urllib.parse import quote

import attacks
import harness
import hostile
import identity
import policed
import queries
import residuals
import seed
import writes
from harness import WORK, Failed, case, expect, plain, same
from identity import PEOPLE
from policed import SEED, keyed

ENVELOPE = {"page", "perPage", "totalItems", "totalPages", "items"}


def path(table, key=""):
    return f"/api/collections/{seed.COLLECTIONS[table]}/records{'/' if key else ''}{key}"


class Run(policed.Run):
    def __init__(self):
        super().__init__()
        self.server = seed.Server()

    def page(self, who, table, query="", version=1):
        answer = self.get(who, f"{path(table)}?{query}", version=version)
        expect(set(answer) <= ENVELOPE and "items" in answer, list(answer))
        return answer

    def pages(self, who, table, query="", size=7, total=True):
        """A whole list, page by page, and what it says of its length."""
        found, totals = [], set()
        for number in range(1, 200):
            part = self.page(who, table, f"perPage={size}&page={number}{query}")
            found += part["items"]
            totals.add((part["totalItems"], part["totalPages"]))
            expect((part["page"], part["perPage"]) == (number, size), part["page"], part["perPage"])
            expect(len(part["items"]) <= size, "a page is too long")
            if len(part["items"]) < size:
                break
        else:
            raise Failed("the list does not end")
        expect(len(totals) == 1, "totals that differ from page to page:", totals)
        told = totals.pop()
        true = (len(found), -(-len(found) // size))
        expect(told == (-1, -1) or (total and told == true), told, "is not", true)
        return found, told != (-1, -1)


# What people see.

LISTS = [
    ("ana", "contacts"), ("ana", "accounts"), ("ana", "deals"), ("ana", "activities"), ("ana", "users"),
    ("marta", "contacts"), ("marta", "accounts"), ("marta", "users"), ("support", "contacts"),
    ("support", "accounts"), ("auditor", "deals"), ("auditor", "activities"), ("vic", "contacts"),
]


def add_lists():
    for who, table in LISTS:
        def listed(run, who=who, table=table):
            expected = run.rows.views(table, who)
            expect(expected, "the case is empty")
            for size in (7, 200):
                same(run.pages(who, table, size=size)[0], expected)
            same(run.page(who, table, "", version=2)["items"], expected[:30])

        harness.add("serving", f"{who} lists {table}, page by page, as the policy says", listed)

        def read(run, who=who, table=table):
            views = keyed(run.rows.views(table, who))
            for row in run.rows.database[table]:
                answer = run.ask(who, "GET", path(table, row["id"]))
                if row["id"] in views:
                    expect(answer.status_code == 200 and answer.json() == views[row["id"]], answer.text)
                else:
                    run.refused(answer, 404, "not_found")

        harness.add("serving", f"{who} reads each of the {table} that the list shows and no other", read)


add_lists()


@case("serving")
def totals_stand_where_the_filter_says_all_of_the_policy(run):
    for who, table in [("marta", "contacts"), ("ana", "accounts"), ("auditor", "deals"), ("ana", "activities")]:
        found, told = run.pages(who, table)
        expect(told, who, table, "has no totals, although PocketBase can say what the policy says")


@case("serving")
def what_a_policy_lets_through_is_what_the_server_is_asked_for(run):
    for who, table in [("ana", "accounts"), ("marta", "contacts"), ("auditor", "deals"), ("ana", "activities")]:
        answer = run.ask(who, "GET", f"{path(table)}?perPage=200")
        shown = len(answer.json()["items"])
        outcome = run.outcome(answer)
        expect(outcome["pushed"] and outcome["rows_dropped"] == 0, outcome)
        expect((outcome["rows_returned"], outcome["upstream_requests"]) == (shown, 1), outcome)
        claims, tenant = PEOPLE[who], run.rows.of(table, who)
        expect(shown < len(tenant), "the case shows nothing")
        scope = quote(f"organization_id='{claims['org_id']}' && app_id='{claims['app_id']}'", safe="")
        # Whose an activity is, its deal says.
        whole = f"{path(table)}?perPage=1000&skipTotal=1&filter={scope}{'&expand=dealId' if table == 'activities' else ''}"
        less = run.less_moves(who, f"{path(table)}?perPage=200", whole, {"Authorization": run.server.token})
        print(f"{who} lists {table}: {shown} of {len(tenant)} rows of the tenant, {less:.0%} of the bytes", flush=True)


@case("serving")
def of_the_same_records_less_moves(run):
    """No row is left out here: what doesn't move is fields that the caller may not see."""
    claims, known = PEOPLE["support"], {}
    scope = quote(f"organization_id='{claims['org_id']}' && app_id='{claims['app_id']}'", safe="")
    for who, table, query in [("support", "contacts", ""), ("marta", "contacts", ""), ("ana", "deals", ""), ("ana", "contacts", "?expand=accountId")]:
        one = path(table, known.setdefault((who, table), run.rows.views(table, who)[0]["id"])) + query
        less = run.less_moves(who, one, one, {"Authorization": run.server.token})
        print(f"{who} reads one of the {table}{query}: {less:.0%} of the bytes", flush=True)
    listed = f"{path('contacts')}?perPage=200"
    expect(len(run.get("support", listed)["items"]) == len(run.rows.of("contacts", "support")), "rows are left out")
    less = run.less_moves("support", listed, f"{listed}&skipTotal=1&filter={scope}", {"Authorization": run.server.token})
    print(f"support lists all contacts of the tenant: {less:.0%} of the bytes", flush=True)


@case("serving")
def expansions_follow_the_other_tables_policy(run):
    accounts = keyed(run.rows.views("accounts", "ana"))
    found, _ = run.pages("ana", "contacts", "&expand=accountId")
    expected = [
        view | ({"expand": {"accountId": accounts[view["accountId"]]}} if view["accountId"] in accounts else {})
        for view in run.rows.views("contacts", "ana")
    ]
    same(found, expected)
    expect({"expand" in row for row in found} == {True, False}, "the case shows both")
    key = next(row["id"] for row in found if "expand" in row)
    one = run.get("ana", path("contacts", key) + "?expand=accountId", version=2)
    expect(one == keyed(expected)[key], one)
    some = run.get("ana", path("contacts", key) + "?expand=accountId&fields=name,expand.accountId")
    expect(some == {"name": one["name"], "expand": one["expand"]}, some)
    # What is asked for is shown, whether or not it is among the fields.
    same([run.get("ana", path("contacts", key) + "?expand=accountId&fields=name")], [some])


@case("serving")
def expansions_within_expansions_follow_each_tables_policy(run):
    accounts, deals = keyed(run.rows.views("accounts", "ana")), keyed(run.rows.views("deals", "ana"))

    def inside(view, choose=lambda table, row: row):
        deal = deals[view["dealId"]]
        account = accounts.get(deal["accountId"])
        inner = {"expand": {"accountId": choose("accounts", account)}} if account else {}
        return {"expand": {"dealId": choose("deals", deal) | inner}}

    found, _ = run.pages("ana", "activities", "&expand=dealId.accountId")
    views = run.rows.views("activities", "ana")
    same(found, [view | inside(view) for view in views])
    expect({"expand" in row["expand"]["dealId"] for row in found} == {True, False}, "the case shows both")
    # Some fields of each, in any spelling of the path.
    choose = lambda table, row: {name: row[name] for name in {"accounts": ["name"], "deals": ["id", "title"]}[table]}
    fields = "fields=id,expand.dealId.title,expand.dealId.id,expand.dealId.expand.accountId.name"
    for expand in ["dealId.accountId", "dealId,dealId.accountId"]:
        found, _ = run.pages("ana", "activities", f"&expand={expand}&{fields}", size=200)
        same(found, [{"id": view["id"]} | inside(view, choose) for view in views])
    # All of one level, and some of the next one.
    found = run.get("ana", f"{path('activities', views[0]['id'])}?expand=dealId.accountId&fields=*,expand.dealId.*,expand.dealId.expand.accountId.name")
    expect(found == views[0] | inside(views[0], lambda table, row: row if table == "deals" else {"name": row["name"]}), found)


@case("serving")
def a_filter_with_characters_of_the_upstreams_syntax_is_a_value(run):
    for text in ["EMEA' || '1'='1", "EMEA') || (id!='", 'EMEA" || id!="', "EMEA' //", "@request.auth.id", "{:x}", "[[id]]", "%"]:
        written = queries.literal(text, random.Random(1))
        answer = run.ask("ana", "GET", f"{path('contacts')}?filter={quote('region=' + written, safe='')}")
        expect(answer.status_code == 200 and answer.json()["items"] == [], written, answer.text)


# Random policies and random queries.


@case("serving")
def random_policies_and_queries_find_what_the_rows_say(run):
    def pages(run, who, query, _chance):
        return run.pages(who, "notes", query.text, size=query.size, total=query.total)

    hidden = [("filter", "filter", "{}!=''"), ("sort", "sort", "{}"), ("filter", "filter", "(id!=''||{}>0)"), ("choice", "fields", "{}")]
    target = lambda key="": path("notes", key)
    upstream = policed.Upstream(target, lambda answer: answer.json(), pages, queries.draw, queries.Fields, hidden)
    policed.random_lists(run, upstream, 40)


# What nobody gets.


hostile.add(attacks.READS, attacks.WRITES, lambda run: {table: run.server.records(table) for table in seed.COLLECTIONS})


@case("serving")
def ids_of_others_answer_like_ids_of_nobody(run):
    mine = {row["id"] for row, _ in run.rows.visible("contacts", "ana")}
    nobody = plain(run.ask("ana", "GET", path("contacts", "con000000099999")))
    for row in run.rows.database["contacts"]:
        if row["id"] not in mine:
            expect(plain(run.ask("ana", "GET", path("contacts", row["id"]))) == nobody, row["id"])


@case("serving")
def a_count_never_speaks_of_hidden_rows(run):
    """Bisecting a hidden value, a hidden row and another tenant's row by what a count or a page tells."""
    for text in ["name~'globex'", "owner_id='zoe-acme-shop'", "id='con000000000003'", "name>'Contact' && id='con000000000007'"]:
        answer = run.ask("marta", "GET", f"{path('contacts')}?filter={quote(text, safe='')}")
        expect(answer.status_code == 200, answer.text)
        expect((answer.json()["totalItems"], answer.json()["items"]) == (0, []), text, answer.text)


def lists(filter=None, **options):
    pairs = ([("filter", filter)] if filter is not None else []) + list(options.items())
    return f"{path('contacts')}?" + "&".join(f"{name}={quote(str(value), safe='')}" for name, value in pairs)


@case("serving")
def a_binary_search_of_a_hidden_value_learns_nothing(run):
    """Whatever is guessed, the answer is the same: by filter, order, count, cursor and error."""
    guesses = ["SECRET-ID-000", "SECRET-ID-019", "A", "Z", "SECRET-", ""]
    one = "id='con000000000001'"
    for spell in [
        {"filter": "national_id>='{}'"}, {"filter": "national_id~'{}'"}, {"filter": one + " && national_id<'{}'"}, {"filter": "national_id!~'{}'"},
        {"filter": "national_id?='{}'"}, {"filter": "'{}'<national_id"}, {"filter": "(id='' || national_id!='{}')"}, {"filter": "national_id:lower>'{}'"},
        {"filter": "national_id='{}'", "perPage": 1}, {"filter": "national_id='{}'", "skipTotal": 1}, {"filter": "national_id='{}'", "page": 2},
        {"filter": "name>='{}'", "sort": "national_id"}, {"filter": "name>='{}'", "sort": "-national_id", "page": 2, "perPage": 1},
        {"filter": "accountId.internal_note>='{}'"}, {"filter": "@collection.contacts.national_id?>='{}'"},
        {"filter": "accountId.contacts_via_accountId.national_id?~'{}'"}, {"filter": "@collection.staff.password_hash?~'{}'"},
        {"filter": "name!='{}'", "fields": "national_id:excerpt(5)"}, {"filter": "name!='{}'", "expand": "accountId.internal_note"},
        {"scrim_cursor": "{}"}, {"filter": "national_id>='{}' &&"}, {"filter": "national_id>='{}' || 1"}, {"sort": "national_id,{}"},
    ]:
        say = lambda guess: {name: str(text).format(guess) for name, text in spell.items()}
        # An empty cursor is none, and so is an order by nothing: they name no field.
        hostile.tells_nothing(run, spell, [lists(**say(guess)) for guess in guesses])


@case("serving")
def a_masked_value_of_a_row_that_shows_passes_no_test(run):
    """Whatever is guessed, and however: the row is there or not as if it had no such value, in the page and in the count."""
    mine = [row for row, view in run.rows.visible("contacts", "ana") if view["email"] != row["email"]]
    asked = 0
    for row in mine[:4]:
        one, email = f"id='{row['id']}'", row["email"]
        for guess in [email, email[:3], "a", "zzz", row["phone"] or "x"]:
            for text, found in [
                (f"{one} && email>='{guess}'", 0), (f"{one} && email<'{guess}'", 0), (f"{one} && (email='{guess}' || email!='{guess}')", 0),
                (f"{one} && email~'{guess}'", 0), (f"{one} && email!~'{guess}'", 0), (f"{one} && (email=null || email!=null)", 0),
                (f"{one} && phone=null", 0), (f"{one} && phone!=null", 0), (f"{one} && (name!='' || email<'{guess}')", 1),
                (f"{one} && (email!~'{guess}' || email~'{guess}')", 0), (f"{one} && name!='' && ('{guess}'>email || '{guess}'<=email)", 0),
            ]:
                for more in ({}, {"perPage": 1}, {"skipTotal": 1}, {"sort": "-name"}):
                    answer = run.get("ana", lists(text, **more))
                    expect(len(answer["items"]) == found and answer["totalItems"] in (found, -1), text, more, answer)
                    asked += 1
    expect(asked > 300, "few rows show it masked")


@case("serving")
def validators_and_ranges_are_no_oracle(run):
    """A tag tells its reader's own view of a record: it stays as it is whatever happens to what they don't see."""
    target, key = path("contacts", "con000000000001"), "con000000000001"
    whole = run.ask("ana", "GET", target)
    # The server puts the members into another order each time.
    view = lambda answer: (*plain(answer)[:2], answer.json())
    others = run.ask("support", "GET", target).headers["etag"]
    for headers in [{"If-None-Match": '"1"'}, {"If-None-Match": others}, {"If-None-Match": f'W/"1", {others}'},
                    {"If-Modified-Since": "Wed, 21 Oct 2099 07:28:00 GMT"}, {"Range": "bytes=0-9"}, {"Range": "bytes=-1", "If-Range": others}]:
        answer = run.ask("ana", "GET", target, headers=headers)
        expect(view(answer) == view(whole), headers, answer.status_code, answer.headers)
    tag = {"If-None-Match": whole.headers["etag"]}
    stored = run.server.record("contacts", key)
    for guess in ["SECRET-ID-000", "SECRET-ID-019", "SECRET-", ""]:
        run.server.call("PATCH", target, {"national_id": guess})
        known = run.ask("ana", "GET", target, headers=tag)
        expect((known.status_code, known.content) == (304, b""), guess, known.status_code)
        for method, body in [("PATCH", {"name": "x"}), ("PATCH", {"national_id": guess})]:
            refused = run.ask("ana", method, target, body=body, headers={"If-Match": others})
            run.refused(refused, 412, "precondition_failed")
    run.server.call("PATCH", target, {"national_id": stored["national_id"]})
    expect(run.server.record("contacts", key) == stored, "it changed the upstream")


# Clients that others wrote.


@case("serving")
def pocketbases_own_client_works_within_its_rights(run):
    script = Path(__file__).parent / "sdk.mjs"
    environment = os.environ | {
        "NODE_EXTRA_CA_CERTS": str(WORK / "gateway.pem"), "E2E_TOKEN": run.tokens["marta"],
        "E2E_EXPECTED": json.dumps(len(run.rows.of("contacts", "marta"))),
    }
    done = subprocess.run(["node", str(script)], env=environment, capture_output=True, timeout=60, check=False)
    expect(done.returncode == 0, done.stdout.decode(), done.stderr.decode())
    expect("SECRET-" not in done.stdout.decode(), done.stdout)


# What people change.


@case("serving")
def random_writes_leave_what_the_policies_say(run):
    outcomes = writes.play(run, SEED, 130)
    print("writes:", ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())), flush=True)
    expect(len(outcomes) >= 6, "too few kinds of writes came up:", outcomes)


case("serving")(policed.nothing_of_another_tenant_has_changed)
case("serving")(policed.the_metrics_of_what_must_never_be_are_zero)
case("serving")(harness.no_row_came_back_that_was_not_asked_for)
case("serving")(harness.the_audit_log_and_the_log_hold_no_secrets)

@case("residuals")
def random_conditions_are_pushed_without_a_loss(run):
    # As the server holds them: instants without what is below milliseconds, and nothing where there is no value.
    rows = [row for row in run.server.records("samples") if row["organization_id"] == "acme"]
    expect(len(rows) == residuals.OWN, len(rows))
    optional = set(rows[0]) - seed.SAMPLES.required
    rows = [{name: None if name in optional and value == "" else value for name, value in row.items()} for row in rows]

    def list_as(roles, regions):
        who = identity.person("ana-acme-shop", roles, regions=regions)
        answer = run.ask_as(who, f"{path('samples')}?perPage={residuals.OWN}&sort=id")
        if answer is None:
            return None, None
        return [row["id"] for row in answer["items"]], answer["totalItems"] if answer["totalItems"] >= 0 else None

    wrong, asked, exact = residuals.ask(SEED, seed.SAMPLES, {row["id"]: row for row in rows}, harness.RESIDUALS, list_as)
    expect(not wrong, *wrong[:1])
    expect(asked > harness.RESIDUALS / 2 and asked > exact > asked / 20, asked, exact)


if __name__ == "__main__":
    harness.main(Run)
