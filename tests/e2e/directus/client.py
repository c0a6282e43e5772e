#!/usr/bin/env python3
"""The cases for Directus: what each person sees and may change through the gateway, and what nobody gets out of it.

`client.py prepare` makes the identity provider's key. `client.py serving` runs the cases and appends a line for each to the
file of results.
"""

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import quote

import aggregates
import arrays
import attacks
import harness
import hostile
import identity
import model
import policed
import queries
import residuals
import seed
import writes
from harness import WORK, Failed, case, expect, plain, same
from identity import PEOPLE
from policed import SEED, keyed, ordered

TABLES = ["accounts", "contacts", "deals"]


class Run(policed.Run):
    def __init__(self):
        super().__init__()
        self.server = seed.Server()

    def page(self, who, table, query="", version=1):
        answer = self.get(who, f"/items/{table}?{query}", version=version)
        expect(set(answer) <= {"data", "meta"} and set(answer.get("meta") or {}) <= {"filter_count"}, list(answer), answer.get("meta"))
        return answer

    def pages(self, who, table, query="", size=7, by="page", counted=True):
        """A whole list, page by page, and whether it said how long it is."""
        found, totals = [], set()
        for number in range(200):
            start = f"page={number + 1}" if by == "page" else f"offset={number * size}"
            part = self.page(who, table, f"limit={size}&{start}{query}")
            found += part["data"]
            totals.add((part.get("meta") or {}).get("filter_count"))
            expect(len(part["data"]) <= size, "a page is too long")
            if len(part["data"]) < size:
                break
        else:
            raise Failed("the list does not end")
        expect(len(totals) == 1, "totals that differ from page to page:", totals)
        told = totals.pop()
        expect(told is None or (counted and told == len(found)), told, "is not", len(found))
        return found, told is not None

    def database(self):
        return {table: self.server.records(table) for table in ["users", *TABLES]}


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
            for size, by in [(7, "page"), (7, "offset"), (200, "page")]:
                found, told = run.pages(who, table, "&meta=*", size=size, by=by)
                same(ordered(found), ordered(expected))
                expect(told, "has no total, although Directus can say what the policy says")
            same(run.page(who, table, "", version=2)["data"], found[:25])

        harness.add("serving", f"{who} lists {table}, page by page, as the policy says", listed)

        def read(run, who=who, table=table):
            views = keyed(run.rows.views(table, who))
            for row in run.rows.database[table]:
                answer = run.ask(who, "GET", f"/items/{table}/{row['id']}")
                if row["id"] in views:
                    expect(answer.status_code == 200 and answer.json() == {"data": views[row["id"]]}, answer.text)
                else:
                    run.refused(answer, 404, "not_found")

        harness.add("serving", f"{who} reads each of the {table} that the list shows and no other", read)


add_lists()


@case("serving")
def what_a_policy_lets_through_is_what_the_server_is_asked_for(run):
    for who, table in [("ana", "accounts"), ("marta", "contacts"), ("auditor", "deals"), ("ana", "activities")]:
        answer = run.ask(who, "GET", f"/items/{table}?limit=200")
        shown = len(answer.json()["data"])
        outcome = run.outcome(answer)
        expect(outcome["pushed"] and outcome["rows_dropped"] == 0, outcome)
        expect((outcome["rows_returned"], outcome["upstream_requests"]) == (shown, 1), outcome)
        claims = PEOPLE[who]
        scope = f"filter[organization_id][_eq]={claims['org_id']}&filter[app_id][_eq]={claims['app_id']}"
        # Whose an activity is, its deal says.
        whole = f"/items/{table}?limit=-1&{scope}{'&fields=*,dealId.*' if table == 'activities' else ''}"
        tenant = len(run.server.client.get(whole).json()["data"])
        expect(shown < tenant, "the case shows nothing")
        bearer = {"Authorization": run.server.client.headers["Authorization"]}
        less = run.less_moves(who, f"/items/{table}?limit=200", whole, bearer)
        print(f"{who} lists {table}: {shown} of {tenant} rows of the tenant, {less:.0%} of the bytes", flush=True)


@case("serving")
def expansions_follow_the_other_tables_policy(run):
    accounts = keyed(run.rows.views("accounts", "ana"))
    expected = [view | {"accountId": accounts.get(view["accountId"])} for view in run.rows.views("contacts", "ana")]
    found, _ = run.pages("ana", "contacts", "&fields=*,accountId.*")
    same(found, expected)
    expect({row["accountId"] is None for row in found} == {True, False}, "the case shows both")
    key = next(row["id"] for row in found if row["accountId"])
    one = run.get("ana", f"/items/contacts/{key}?fields=id,accountId.name", version=2)["data"]
    expect(one == {"id": key, "accountId": {"name": keyed(found)[key]["accountId"]["name"]}}, one)
    # To-many: the elements that show, in the table's own words.
    contacts = run.rows.views("contacts", "ana")
    of = lambda account: [{"id": row["id"], "name": row["name"]} for row in contacts if row["accountId"] == account]
    found, _ = run.pages("ana", "accounts", "&fields=id,contacts.id,contacts.name")
    same([row | {"contacts": ordered(row["contacts"])} for row in found], [{"id": key, "contacts": ordered(of(key))} for key in accounts])


@case("serving")
def expansions_within_expansions_follow_each_tables_policy(run):
    accounts, deals = keyed(run.rows.views("accounts", "ana")), keyed(run.rows.views("deals", "ana"))
    talks = run.rows.views("activities", "ana")
    some = lambda row, *names: row and {name: row[name] for name in names}
    deal = lambda key: some(deals[key], "title") | {"accountId": some(accounts.get(deals[key]["accountId"]), "name")}
    found, _ = run.pages("ana", "activities", "&fields=id,dealId.title,dealId.accountId.name")
    same(found, [{"id": view["id"], "dealId": deal(view["dealId"])} for view in talks])
    expect({row["dealId"]["accountId"] is None for row in found} == {True, False}, "the case shows both")
    # Whose an activity is, its deal says, which the gateway asks for behind the deal: a stray one is not there.
    of = lambda key: ordered([{"id": view["id"]} for view in talks if view["dealId"] == key])
    found, _ = run.pages("ana", "deals", "&fields=id,activities.id", size=200)
    same([row | {"activities": ordered(row["activities"])} for row in found], [{"id": key, "activities": of(key)} for key in deals])
    expect(any(len(row["activities"]) > 1 for row in found), "the case shows nothing")
    # There and back again.
    contacts = run.rows.views("contacts", "ana")
    mine = {view["id"]: view["accountId"] for view in contacts if view["accountId"] in accounts}
    names = lambda account: [{"name": view["name"], "accountId": {"id": account}} for view in contacts if view["accountId"] == account]
    found, _ = run.pages("ana", "contacts", "&fields=id,accountId.contacts.name,accountId.contacts.accountId.id", size=200)
    by_name = lambda rows: sorted(rows, key=lambda row: row["name"])
    shown = {row["id"]: by_name(row["accountId"]["contacts"]) for row in found if row["accountId"]}
    expect(len(found) == len(contacts) and shown == {key: by_name(names(account)) for key, account in mine.items()}, found[:2])


@case("serving")
def a_wildcard_is_every_relation_that_may_be_seen(run):
    accounts = keyed(run.rows.views("accounts", "ana"))
    contacts = run.rows.views("contacts", "ana")
    expected = [view | {"accountId": accounts.get(view["accountId"])} for view in contacts]
    found, _ = run.pages("ana", "contacts", "&fields=*.*")
    same(found, expected)
    of = lambda account: ordered([view for view in contacts if view["accountId"] == account])
    found, _ = run.pages("ana", "contacts", "&fields=*.*.*", size=200)
    for row in found:
        if row["accountId"]:
            row["accountId"]["contacts"] = ordered(row["accountId"]["contacts"])
    expected = [row | {"accountId": row["accountId"] and row["accountId"] | {"contacts": of(row["accountId"]["id"])}} for row in expected]
    same(found, expected)
    # To support, accounts are names, and no relation shows.
    same(run.pages("support", "accounts", "&fields=*.*.*")[0], run.rows.views("accounts", "support"))


@case("serving")
def a_filter_with_characters_of_the_upstreams_syntax_is_a_value(run):
    for text in ['EMEA"}},{"id":{"_nnull":true', "EMEA' OR 1=1 --", "{}", "[]", "%", "\\", "EMEA\\", "a,b", "(1)"]:
        answer = run.get("ana", f"/items/contacts?filter={quote(json.dumps({'region': {'_eq': text}}), safe='')}")
        expect(answer["data"] == [], text, answer)


@case("serving")
def random_figures_come_to_what_the_rows_say(run):
    some = of_parents = 0
    for number, asked in enumerate(aggregates.draw(run.rows, 160, SEED)):
        told = (asked, f"seed {SEED}, figures {number}:")
        found = run.get(asked.who, asked.target(), version=1 + number % 2)
        expect(set(found) == {"data"} and aggregates.same(found["data"], asked.groups), *told, found)
        some += len(asked.groups) > 1
        of_parents += asked.table == "activities"
    print(f"160 random figures, seed {SEED}: 0 differences; {some} of several groups, {of_parents} of a table whose tenant is its parent's", flush=True)
    expect(some > 30 and of_parents > 20, some, "were of several groups,", of_parents, "of activities")
    outcome = run.outcome(run.ask("ana", "GET", "/items/deals?groupBy=stage&aggregate[sum]=amount"))
    expect(outcome["aggregated"] == ["sum amount", "by stage"] and outcome["groups"] == 4 and "keys" not in outcome, outcome)


@case("serving")
def records_without_a_parent_of_ones_own_are_nobodys(run):
    nobody = plain(run.ask("ana", "GET", "/items/activities/99999"))
    strays = [row for row in run.server.records("activities") if row["id"] >= seed.STRAY]
    expect(len(strays) > 5 and {row["dealId"] is None for row in strays} == {True, False}, strays)
    for row in strays:
        expect(plain(run.ask("ana", "GET", f"/items/activities/{row['id']}")) == nobody, row)
    expected = len(run.rows.views("activities", "ana"))
    found = run.get("ana", "/items/activities?aggregate[count]=*&aggregate[max]=id")["data"]
    expect(aggregates.same(found, [{"count": expected, "max": {"id": max(row["id"] for row in run.rows.views("activities", "ana"))}}]), found)
    for query in [f"filter[id][_gte]={seed.STRAY}", "filter[dealId][_null]=true", "search=STRAY"]:
        answer = run.get("ana", f"/items/activities?{query}&meta=filter_count")
        expect(answer == {"data": [], "meta": {"filter_count": 0}}, query, answer)


@case("serving")
def random_searches_find_what_the_declared_columns_say(run):
    some = 0
    for number, (who, table, text, expected) in enumerate(aggregates.searches(run.rows, 80, SEED)):
        found, told = run.pages(who, table, f"&search={quote(text, safe='')}&meta=filter_count", size=[3, 25, 200][number % 3])
        expect(told and [row["id"] for row in found] == expected, who, table, text, f"seed {SEED}, search {number}:", found, expected)
        some += bool(expected)
    print(f"80 random searches, seed {SEED}: 0 differences; {some} found something", flush=True)
    expect(some > 30, some, "found something")


# Random policies and random queries.


@case("serving")
def random_policies_and_queries_find_what_the_rows_say(run):
    def pages(run, who, query, chance):
        by = chance.choice(["page", "offset"])
        return run.pages(who, "notes", query.text, size=query.size, by=by, counted=query.total)

    hidden = [("filter", "filter", '{{"{}":{{"_nnull":true}}}}'), ("sort", "sort", "{}"), ("choice", "fields", "{}"),
              ("filter", "filter", '{{"_or":[{{"id":1}},{{"{}":{{"_nempty":true}}}}]}}')]
    target = lambda key=None: "/items/notes" if key is None else f"/items/notes/{key}"
    upstream = policed.Upstream(target, lambda answer: answer.json()["data"], pages, queries.draw, queries.Fields, hidden)
    policed.random_lists(run, upstream, 20)


# What nobody gets.


hostile.add(attacks.READS, attacks.WRITES, lambda run: run.database())


@case("serving")
def a_binary_search_of_a_hidden_value_learns_nothing(run):
    """Whatever is guessed, the answer is the same: by filter, order, count, cursor, error and validator."""
    guesses = ["SECRET-ID-000", "SECRET-ID-019", "A", "Z", "SECRET-", "0"]
    for spell in [
        'filter={{"national_id":{{"_gte":"{}"}}}}', 'filter={{"national_id":{{"_starts_with":"{}"}}}}', 'filter={{"id":1,"national_id":{{"_lt":"{}"}}}}',
        'filter={{"_or":[{{"national_id":{{"_neq":"{}"}}}}]}}', 'filter={{"national_id":{{"_in":["{}"]}}}}', "filter[national_id][_eq]={}",
        'filter={{"national_id":{{"_eq":"{}"}}}}&meta=filter_count&limit=1', 'sort=national_id&filter={{"name":{{"_neq":"{}"}}}}', "search={}",
        'filter={{"accountId":{{"internal_note":{{"_gte":"{}"}}}}}}', "deep[accountId][_filter][internal_note][_eq]={}&fields=accountId.name",
        'filter={{"accountId":{{"contacts":{{"_some":{{"national_id":{{"_eq":"{}"}}}}}}}}}}', "aggregate[count]=*&filter[national_id][_gt]={}",
        "groupBy=national_id&filter[national_id][_gt]={}", "version={}", 'filter={{"year(birthday)":{{"_eq":"{}"}}}}', "alias[x]={}",
    ]:
        targets = [quote(spell.format(guess), safe="=&[]") for guess in guesses]
        hostile.tells_nothing(run, spell, [f"/items/contacts?{target}" for target in targets])


@case("serving")
def hidden_rows_take_no_place_in_pages_and_totals(run):
    mine = {row["id"] for row, _ in run.rows.visible("contacts", "ana")}
    nobody = plain(run.ask("ana", "GET", "/items/contacts/99999"))
    for row in run.rows.database["contacts"]:
        answer = run.page("ana", "contacts", f"filter[id][_eq]={row['id']}&meta=*")
        expect(len(answer["data"]) == (row["id"] in mine) and answer["meta"] == {"filter_count": len(answer["data"])}, row["id"], answer)
        if row["id"] not in mine:
            expect(plain(run.ask("ana", "GET", f"/items/contacts/{row['id']}")) == nobody, row["id"])


@case("serving")
def validators_and_ranges_of_the_upstream_are_no_oracle(run):
    whole = run.ask("ana", "GET", "/items/contacts/1")
    etag = run.server.client.get("/items/contacts/1").headers["etag"]
    for headers in [{"If-None-Match": '"1"'}, {"If-None-Match": etag}, {"If-Modified-Since": "Wed, 21 Oct 2099 07:28:00 GMT"},
                    {"Range": "bytes=0-9"}, {"Cache-Control": "no-store"}]:
        answer = run.ask("ana", "GET", "/items/contacts/1", headers=headers)
        expect(plain(answer) == plain(whole), answer.status_code, answer.headers)
    # A tag tells its reader's own view: it stays as it is whatever happens to what they don't see.
    stored = run.server.client.get("/items/contacts/1").json()["data"]
    for guess in ["SECRET-ID-000", "SECRET-ID-019", "SECRET-", stored["national_id"]]:
        run.server.client.patch("/items/contacts/1", json={"national_id": guess}).raise_for_status()
        known = run.ask("ana", "GET", "/items/contacts/1", headers={"If-None-Match": whole.headers["etag"]})
        expect((known.status_code, known.content) == (304, b""), guess, known.status_code)
    expect(run.server.client.get("/items/contacts/1").json()["data"] == stored, "it changed the upstream")


# Clients that others wrote.


@case("serving")
def directus_own_client_works_within_its_rights(run):
    script = Path(__file__).parent / "sdk.mjs"
    environment = os.environ | {"NODE_EXTRA_CA_CERTS": str(WORK / "gateway.pem"), "E2E_TOKEN": run.tokens["marta"]}
    done = subprocess.run(["node", str(script)], env=environment, capture_output=True, timeout=60, check=False)
    expect(done.returncode == 0, done.stdout.decode(), done.stderr.decode()[-800:])
    expect("SECRET-" not in done.stdout.decode(), done.stdout)


# What people change. These come last: from here on the upstream differs from the original rows.


@case("serving")
def random_writes_leave_what_the_policies_say(run):
    chance = writes.chance_of(SEED)
    rows = model.Rows({table: run.server.records(table) for table in TABLES})
    allowed = 0
    for number in range(100):
        who, method, table, key, body = write = writes.draw(rows, chance)
        expected = writes.after(rows, *write)
        target = f"/items/{table}" if key is None else f"/items/{table}/{key}"
        answer = run.ask(who, method, target, body=body, version=1 + number % 2)
        told = (write, f"seed {SEED}, write {number}:", answer.status_code, answer.text)
        kept = rows.database[table]
        if expected is False:
            expect(answer.status_code in (403, 404), *told, "is not refused")
        else:
            allowed += 1
            expect(answer.status_code in (200, 201, 204), *told, "is refused")
            if method == "POST":
                key = expected["id"] = answer.json()["data"]["id"]
            kept[:] = [row for row in kept if row["id"] != key]
            if expected:
                expect(answer.json()["data"] == model.VIEWS[table](expected, PEOPLE[who]), *told)
                kept.append(expected)
                kept.sort(key=lambda row: row["id"])
        for name in TABLES:
            found = run.server.records(name)
            wrong = [(one, other) for one, other in zip(found, rows.database[name]) if one != other][:1]
            expect(len(found) == len(rows.database[name]) and not wrong, *told, name, wrong)
    print(f"100 random writes, seed {SEED}: {allowed} allowed, 0 differences in the database", flush=True)
    expect(15 <= allowed <= 85, allowed, "were allowed")


@case("serving")
def random_arrays_are_written_whole_or_not_at_all(run):
    rows = model.Rows({table: run.server.records(table) for table in TABLES})
    outcomes = arrays.play(run, rows, SEED, 60)
    print(f"60 random arrays, seed {SEED}: 0 differences in the database; {dict(sorted(outcomes.items()))}", flush=True)
    expect(len(outcomes) == 4 and min(outcomes.values()) > 2, outcomes)


case("serving")(policed.nothing_of_another_tenant_has_changed)
case("serving")(policed.the_metrics_of_what_must_never_be_are_zero)
case("serving")(harness.no_row_came_back_that_was_not_asked_for)
case("serving")(harness.the_audit_log_and_the_log_hold_no_secrets)


@case("residuals")
def random_conditions_are_pushed_without_a_loss(run):
    # As the database holds them, which knows no more of an instant than milliseconds.
    rows = {row["id"]: row for row in run.server.records("samples") if row["organization_id"] == "acme"}
    expect(len(rows) == residuals.OWN, len(rows))

    def list_as(roles, regions):
        who = identity.person("ana-acme-shop", roles, regions=regions)
        answer = run.ask_as(who, f"/items/samples?limit={residuals.OWN}&meta=filter_count")
        if answer is None:
            return None, None
        return [row["id"] for row in answer["data"]], (answer.get("meta") or {}).get("filter_count")

    wrong, asked, exact = residuals.ask(SEED, seed.SAMPLES, rows, harness.RESIDUALS, list_as)
    expect(not wrong, *wrong[:1])
    expect(asked > harness.RESIDUALS / 2 and asked > exact > asked / 20, asked, exact)


case("residuals")(policed.the_metrics_of_what_must_never_be_are_zero)

if __name__ == "__main__":
    harness.main(Run)
