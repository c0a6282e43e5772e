#!/usr/bin/env python3
"""The cases: what people see and change of CAP's records through the gateway, and what nobody gets out of it.

`client.py prepare` makes the identity provider's key. `client.py PHASE` runs the cases of one phase: `serving` (all is
well), `gone` (CAP was killed), `residuals` (it was started again, and a table of awkward values is served besides).
"""

import json
import os
import random
import subprocess
from pathlib import Path
from urllib.parse import quote

import attacks
import bodies
import figures
import harness
import hostile
import identity
import model
import multipart
import notes
import policed
import queries
import residuals
import upserts
import writes
from attacks import ROOT
from harness import Failed, case, expect, plain, same
from identity import PEOPLE
from model import Rows
from policed import keyed

SEED = int(os.environ["E2E_SEED"])
TABLES = ["users", "accounts", "contacts", "deals", "activities"]
# Of 300 lists that ask for it, so many at least must tell how many records there are.
COUNTED = 150


class Run(policed.Run):
    def pages(self, who, table, query="", size=None):
        """A whole list: page by page of a size, or from link to link."""
        found, link, skip = [], f"{table}?{query}" if query else table, 0
        for _ in range(200):
            sized = f"{'&' if query else '?'}$top={size}&$skip={skip}" if size else ""
            part = self.get(who, f"{ROOT}/{link}{sized}")
            extra = set(part) - {"value", "@odata.count", "@odata.nextLink"}
            expect(not extra, "the envelope holds", extra)
            found += part["value"]
            if size:
                expect("@odata.nextLink" not in part and len(part["value"]) <= size, part)
                skip += size
                if len(part["value"]) < size:
                    return found
            elif "@odata.nextLink" not in part:
                return found
            else:
                link = part["@odata.nextLink"]
                expect(link.startswith(f"{table}?") and "/" not in link, link)
        raise Failed("the list does not end")

    def database(self):
        return {table: self.behind.get(f"{ROOT}/{table}?$top=1000&$orderby=id").json()["value"] for table in TABLES}

    def stored(self, table, key):
        answer = self.behind.get(f"{ROOT}/{table}({key})")
        return {k: v for k, v in answer.json().items() if k[0] != "@"} if answer.status_code == 200 else None


def spelled(row):
    return json.dumps(row, sort_keys=True)


def add_lists():
    for who, table in sorted({*queries.CLEAR, ("ana", "users"), ("marta", "users")}):
        def listed(run, who=who, table=table):
            expected = run.rows.views(table, who)
            expect(expected, "the case is empty")
            for size in (None, 7, 100):
                found = run.pages(who, table, size=size)
                same(sorted(found, key=lambda row: str(row["id"])), sorted(expected, key=lambda row: str(row["id"])))

        harness.add("serving", f"{who} lists {table}, by links and by numbers, as the policy says", listed)

        def read(run, who=who, table=table):
            views = {view["id"]: view for view in run.rows.views(table, who)}
            for row in run.rows.database[table]:
                key = f"'{row['id']}'" if isinstance(row["id"], str) else row["id"]
                answer = run.ask(who, "GET", f"{ROOT}/{table}({key})")
                if row["id"] in views:
                    expect(answer.status_code == 200 and answer.json() == views[row["id"]], answer.text)
                else:
                    run.refused(answer, 404, "not_found")

        if table in ("users", "deals"):
            harness.add("serving", f"{who} reads each of the {table} that the list shows and no other", read)


add_lists()


@case("serving")
def random_queries_find_what_the_rows_say_and_count_it(run):
    counted = linked = 0
    for number, query in enumerate(queries.draw(run.rows, 300, SEED)):
        text = query.text()
        told = (query.who, query.table, query.options, f"seed {SEED}, query {number}:")
        found = run.pages(query.who, query.table, text, size=[None, 3, 10, 100][number % 4])
        if "$orderby" not in query.options:
            found.sort(key=spelled)
            query.expected.sort(key=spelled)
        expect(found == query.expected, *told, found, "is not", query.expected)
        first = run.get(query.who, f"{ROOT}/{query.table}?{text}{'&' if text else ''}$count=true&$top=1")
        if "@odata.count" in first:
            counted += 1
            expect(first["@odata.count"] == len(query.expected), *told, first["@odata.count"], "of", len(query.expected))
        linked += number % 4 == 0 and len(query.expected) > 10
    print(f"300 random lists, seed {SEED}: 0 differences; {counted} told their total, {linked} were longer than a page", flush=True)
    expect(counted >= COUNTED and linked > 10, counted, "told their total,", linked, "were long")


@case("serving")
def random_policies_and_queries_find_what_the_rows_say(run):
    run.rows.database["notes"] = notes.held(run.behind.get(f"{ROOT}/notes?$top=1000&$orderby=id").text)

    def pages(run, who, query, _chance):
        text = query.text.removeprefix("&")
        found = run.pages(who, "notes", text, size=query.size)
        first = run.get(who, f"{ROOT}/notes?{text}{'&' if text else ''}$count=true&$top=1")
        expect(first.get("@odata.count", len(found)) == len(found), first, "of", len(found))
        return (found if query.ordered else sorted(found, key=notes.spelled)), "@odata.count" in first

    hidden = [("filter", "$filter", "{} ne null"), ("sort", "$orderby", "{} desc"), ("choice", "$select", "{}"),
              ("filter", "$filter", "id gt 0 or not ({} eq null)")]
    target = lambda key=None: f"{ROOT}/notes" if key is None else f"{ROOT}/notes({key})"
    upstream = policed.Upstream(target, lambda answer: answer.json(), pages, notes.draw, notes.Fields, hidden)
    policed.random_lists(run, upstream, 20)


@case("serving")
def random_figures_come_to_what_the_rows_say(run):
    counted = ordered = cut = 0
    for number, asked in enumerate(figures.draw(run.rows, 120, SEED)):
        told = (asked, f"seed {SEED}, figures {number}:")
        found = run.get(asked.who, asked.target(ROOT), version=1 + number % 2)
        expect(asked.is_told(found), *told, found)
        ordered += "$orderby" in asked.options and len(asked.page) > 1
        cut += 0 < len(asked.page) < len(asked.groups)
        answer = run.ask(asked.who, "GET", asked.count(ROOT).replace(" ", "%20"))
        expect(answer.status_code == 200 and answer.headers["content-type"] == "text/plain", *told, answer.status_code, answer.text)
        expect(answer.text == str(asked.rows), *told, answer.text, "of", asked.rows)
        counted += asked.rows > 0
    print(f"120 random figures and as many counts, seed {SEED}: 0 differences; {counted} of some rows, {ordered} in an order, "
          f"{cut} were a page of more", flush=True)
    expect(counted > 60 and ordered > 10 and cut > 5, counted, "were of some rows,", ordered, "in an order,", cut, "a page of more")
    outcome = run.outcome(run.ask("ana", "GET", f"{ROOT}/deals?$apply=groupby((stage),aggregate(amount%20with%20sum%20as%20s))"))
    expect(outcome["aggregated"] == ["sum amount", "by stage"] and outcome["groups"] == 4 and "keys" not in outcome, outcome)


@case("serving")
def counts_and_figures_in_batches_come_to_what_the_rows_say(run):
    some = 0
    for number, asked in enumerate(figures.draw(run.rows, 60, SEED + 3)):
        told = (asked, f"seed {SEED}, batch {number}:")
        urls = [asked.count("..")[3:].replace(" ", "%20"), asked.target("..")[3:]]
        if number % 2:
            answer = run.ask(asked.who, "POST", f"{ROOT}/$batch", body=multipart.reads(urls), headers=multipart.HEADERS)
        else:
            requests = [{"id": str(at), "method": "GET", "url": url} for at, url in enumerate(urls)]
            answer = run.ask(asked.who, "POST", f"{ROOT}/$batch", body={"requests": requests}, version=1 + number // 2 % 2)
        expect(answer.status_code == 200, *told, answer.status_code, answer.text)
        counted, summed = multipart.answers(answer) if number % 2 else answer.json()["responses"]
        expect(counted["body"] == (asked.rows if number % 2 else str(asked.rows)), *told, counted)
        expect(asked.is_told(summed["body"]), *told, summed)
        some += asked.rows > 0
    print(f"60 random batches of a count and figures, seed {SEED}: 0 differences; {some} of some rows", flush=True)
    expect(some > 25, some, "were of some rows")


@case("serving")
def random_searches_find_what_the_declared_fields_say(run):
    some = 0
    for number, (who, table, text, expected) in enumerate(figures.searches(run.rows, 80, SEED)):
        told = (who, table, text, f"seed {SEED}, search {number}:")
        target = f"$search={quote(text, safe='')}"
        found = sorted(str(row["id"]) for row in run.pages(who, table, target, size=[None, 3, 100][number % 3]))
        expect(found == expected, *told, found, "is not", expected)
        answer = run.ask(who, "GET", f"{ROOT}/{table}/$count?{target}")
        expect(answer.status_code == 200 and answer.text == str(len(expected)), *told, answer.text, "of", len(expected))
        some += bool(expected)
    print(f"80 random searches, seed {SEED}: 0 differences; {some} found something", flush=True)
    expect(some > 30, some, "found something")


@case("serving")
def expansions_follow_the_other_tables_policy(run):
    accounts = {view["id"]: view for view in run.rows.views("accounts", "ana")}
    found = run.pages("ana", "contacts", "$expand=account")
    expected = [view | {"account": accounts.get(view["accountId"])} for view in run.rows.views("contacts", "ana")]
    same(sorted(found, key=lambda row: row["id"]), expected)
    expect({row["account"] is None for row in found} == {True, False}, "the case shows both")
    one = run.get("ana", f"{ROOT}/contacts(id={found[0]['id']})?$expand=account&$select=id", version=2)
    expect(one == {"id": found[0]["id"], "account": found[0]["account"]}, one)


@case("serving")
def expansions_within_expansions_follow_each_tables_policy(run):
    """Contacts, their accounts, and all contacts of those: on the first level a row may be hidden, on the third one, too."""
    for who in ("ana", "marta"):
        accounts = {view["id"]: view for view in run.rows.views("accounts", who)}
        mine = run.rows.visible("contacts", who)
        points = {row["id"]: row["accountId"] for row, _ in mine}
        of = lambda key: sorted(([{"id": view["id"], "name": view["name"]} for row, view in mine if row["accountId"] == key]), key=lambda row: row["id"])
        expected = [
            {"id": key, "account": account and {"name": account["name"], "contacts": of(account["id"])}}
            for key, account in ((key, accounts.get(points[key])) for key in points)
        ]
        found = run.pages(who, "contacts", "$select=id&$expand=account($select=name%3B$expand=contacts($select=id,name))", size=100)
        for row in found:
            if row["account"]:
                row["account"]["contacts"].sort(key=lambda one: one["id"])
        same(sorted(found, key=lambda row: row["id"]), expected)
        expect({row["account"] is None for row in found} == {True, False}, "the case shows both")
        expect(any(len(row["account"]["contacts"]) > 1 for row in found if row["account"]), "the case shows nothing")
        # Some of the tenant's contacts are missing behind an account that shows.
        tenant = run.rows.of("contacts", who)
        expect(who == "marta" or any(len(of(key)) < sum(row["accountId"] == key for row in tenant) for key in accounts), "nothing is hidden")
    deep = "$select=id&$expand=account($select=id%3B$expand=contacts($select=id%3B$expand=account($select=id%3B$expand=contacts($select=id))))"
    found = run.get("ana", f"{ROOT}/contacts?{deep}", version=2)["value"]
    for row in found:
        account = row["account"]
        for one in (account or {}).get("contacts", []):
            expect(one["account"] is not None and one["account"]["id"] == account["id"], row)
            expect([inner["id"] for inner in one["account"]["contacts"]] == [inner["id"] for inner in account["contacts"]], row)


@case("serving")
def properties_are_what_a_read_of_the_record_shows(run):
    """Each by a path of its own, as JSON and alone; what is hidden, masked away and never was are one answer."""
    chance, told, absent = random.Random(SEED), 0, 0
    for who in ("ana", "marta", "support", "vic"):
        views = keyed(run.rows.views("contacts", who))
        related = keyed(run.rows.views("accounts", who))
        nobody = plain(run.ask(who, "GET", f"{ROOT}/contacts(99999)/name"))
        rows = run.rows.database["contacts"]
        mine, others = ([row for row in rows if (row["id"] in views) is seen] for seen in (True, False))
        for row in chance.sample(mine, min(8, len(mine))) + chance.sample(others, 6):
            view, record = views.get(row["id"], {}), f"{ROOT}/contacts({row['id']})"
            for name in [*row, "nothing"]:
                for target in (f"{record}/{name}", f"{record}/{name}/$value"):
                    answer = run.ask(who, "GET", target)
                    if name not in view:
                        expect(plain(answer) == nobody, who, target, answer.text)
                        absent += 1
                    elif view[name] is None:
                        expect((answer.status_code, answer.content) == (204, b""), who, target, answer.status_code)
                    elif target.endswith("$value"):
                        value = answer.text if isinstance(view[name], str) else json.loads(answer.text)
                        expect((answer.status_code, value) == (200, view[name]), who, target, answer.text)
                        expect(answer.headers["content-type"] == "text/plain; charset=utf-8", answer.headers)
                    else:
                        expect((answer.status_code, answer.json()) == (200, {"value": view[name]}), who, target, answer.text)
                    told += name in view
            answer = run.ask(who, "GET", f"{record}/account")
            if not view or who == "support":
                expect(plain(answer) == nobody, who, record, answer.text)
            elif row["accountId"] in related:
                expect((answer.status_code, answer.json()) == (200, related[row["accountId"]]), who, record, answer.text)
            else:
                expect((answer.status_code, answer.content) == (204, b""), who, record, answer.text)
    print(f"{told} properties told, {absent} not there, seed {SEED}: 0 differences", flush=True)
    expect(told > 200 and absent > 200, told, absent)
    outcome = run.outcome(run.ask("ana", "GET", f"{ROOT}/contacts(1)/email"))
    expect((outcome["rows_returned"], outcome["keys"], outcome["upstream_requests"]) == (1, ["1"], 1), outcome)


@case("serving")
def less_moves_than_without_the_gateway(run):
    for who, table in [("ana", "accounts"), ("marta", "contacts"), ("auditor", "deals"), ("auditor", "activities")]:
        answer = run.ask(who, "GET", f"{ROOT}/{table}?$top=100")
        outcome = run.outcome(answer)
        shown = len(answer.json()["value"])
        expect(outcome["pushed"] and outcome["rows_dropped"] == 0 and outcome["upstream_requests"] == 1, outcome)
        claims = PEOPLE[who]
        scope = f"organization_id%20eq%20'{claims['org_id']}'%20and%20app_id%20eq%20'{claims['app_id']}'"
        # Whose an activity is, its deal says.
        whole = f"{ROOT}/{table}?$filter={scope}&$top=1000{'&$expand=deal' if table == 'activities' else ''}"
        tenant = len(run.behind.get(whole).json()["value"])
        expect(shown < tenant, "the case shows nothing")
        less = run.less_moves(who, f"{ROOT}/{table}?$top=100", whole)
        print(f"{who} lists {table}: {shown} of {tenant} rows of the tenant, {less:.0%} of the bytes", flush=True)


# What nobody gets.


hostile.add(attacks.READS, attacks.WRITES, lambda run: run.database())


@case("serving")
def a_binary_search_of_a_hidden_value_learns_nothing(run):
    """Whatever is guessed, the answer is the same: by filter, order, count, cursor, error and validator."""
    guesses = ["SECRET-ID-000", "SECRET-ID-019", "A", "Z", "SECRET-", ""]
    for spell in [
        "$filter=national_id ge '{}'", "$filter=startswith(national_id,'{}')", "$filter=id eq 1 and national_id lt '{}'",
        "$filter=not (national_id eq '{}')", "$filter=national_id in ('{}')", "$filter=national_id eq '{}'&$count=true&$top=0",
        "$orderby=national_id&$filter=name ge '{}'", "$skiptoken={}", "$filter=account/internal_note ge '{}'",
        "$filter=account/contacts/any(c:c/national_id ge '{}')", "$apply=filter(national_id ge '{}')/aggregate($count as n)",
        "$compute=national_id ge '{}' as x&$select=x", "$search={}",
    ]:
        say = lambda guess: spell.format(guess).replace(" ", "%20").replace("'", "%27")
        hostile.tells_nothing(run, spell, [f"{ROOT}/contacts?{say(guess)}" for guess in guesses])


@case("serving")
def a_masked_value_of_a_row_that_shows_passes_no_test(run):
    """Whatever is guessed, and however: the row is there or not as if it had no such value, in the page and in the count."""
    mine = [row for row, view in run.rows.visible("contacts", "ana") if view["email"] != row["email"]]
    asked = 0
    for row in mine[:4]:
        key, email = row["id"], row["email"]
        for guess in [email, email[:3], "a", "zzz", row["phone"] or "x"]:
            for text, found in [
                (f"id eq {key} and email ge '{guess}'", 0), (f"id eq {key} and not (email ge '{guess}')", 0),
                (f"id eq {key} and (email eq '{guess}' or email ne '{guess}')", 0), (f"id eq {key} and contains(email,'{guess}')", 0),
                (f"id eq {key} and email in ('{guess}')", 0), (f"id eq {key} and (email eq null or not (email eq null))", 0),
                (f"id eq {key} and phone eq null", 0), (f"id eq {key} and phone ne null", 0),
                (f"id eq {key} and (id gt 0 or email lt '{guess}')", 1), (f"id eq {key} and not (id lt 0 and email lt '{guess}')", 1),
                (f"id eq {key} and not (id lt 0 or email lt '{guess}')", 0), (f"not (id ne {key} or not (email eq '{guess}'))", 0),
            ]:
                for more in ("$count=true", "$count=true&$top=1", "$top=1&$skip=0&$orderby=name", "$count=true&$top=0"):
                    if found and more.endswith("$top=0"):
                        continue
                    answer = run.get("ana", f"{ROOT}/contacts?$filter={quote(text, safe='')}&{more}")
                    expect(len(answer["value"]) == found, text, more, answer)
                    expect(answer.get("@odata.count", found) == found, text, more, answer)
                    asked += 1
    expect(asked > 300, asked)


@case("serving")
def hidden_rows_take_no_place_in_pages_and_totals(run):
    # Of contacts that ana can't see, a filter finds none, whatever it says of their id.
    mine = {row["id"] for row, _ in run.rows.visible("contacts", "ana")}
    for key in range(1, 241, 3):
        answer = run.get("ana", f"{ROOT}/contacts?$filter=id%20eq%20{key}&$count=true")
        expect(len(answer["value"]) == (key in mine), key, answer)
        expect(answer.get("@odata.count", len(answer["value"])) == len(answer["value"]), answer)
        expect("@odata.nextLink" not in answer, answer)


@case("serving")
def validators_and_ranges_of_the_upstream_are_no_oracle(run):
    whole = run.ask("ana", "GET", f"{ROOT}/contacts(1)")
    for headers in [{"If-None-Match": '"1"'}, {"If-None-Match": 'W/"1"'}, {"If-Modified-Since": "Wed, 21 Oct 2099 07:28:00 GMT"},
                    {"Range": "bytes=0-9"}, {"Prefer": "odata.include-annotations=\"*\""}, {"OData-MaxVersion": "4.01"}]:
        answer = run.ask("ana", "GET", f"{ROOT}/contacts(1)", headers=headers)
        expect(plain(answer) == plain(whole), answer.status_code, answer.headers)
    # A tag tells its reader's own view: it stays as it is whatever happens to what they don't see.
    stored = run.stored("contacts", 1)
    for guess in ["SECRET-ID-000", "SECRET-ID-019", "SECRET-", stored["national_id"]]:
        run.behind.patch(f"{ROOT}/contacts(1)", json={"national_id": guess}).raise_for_status()
        known = run.ask("ana", "GET", f"{ROOT}/contacts(1)", headers={"If-None-Match": whole.headers["etag"]})
        expect(known.status_code == 304 and known.content == b"", guess, known.status_code)
    expect(run.stored("contacts", 1) == stored, "it changed the upstream")


@case("serving")
def a_write_of_what_was_changed_since_it_was_read_is_refused(run):
    stale = {"If-Match": run.ask("ana", "GET", f"{ROOT}/contacts(1)").headers["etag"]}
    before = run.stored("contacts", 1)
    changed = run.ask("ana", "PATCH", f"{ROOT}/contacts(1)", body={"phone": "+1 555 0100"}, headers=stale)
    expect(changed.status_code == 200 and changed.json()["phone"] == "+1 555 0100", changed.text)
    run.refused(run.ask("ana", "PATCH", f"{ROOT}/contacts(1)", body={"phone": "+2"}, headers=stale), 412, "precondition_failed")
    fresh = {"If-Match": run.ask("ana", "GET", f"{ROOT}/contacts(1)").headers["etag"]}
    back = run.ask("ana", "PATCH", f"{ROOT}/contacts(1)", body={"phone": before["phone"]}, headers=fresh)
    expect(back.status_code == 200 and run.stored("contacts", 1) == before, back.text)


@case("serving")
def a_batch_that_could_be_done_in_part_is_refused(run):
    before = run.database()
    fine = {"id": "a", "atomicityGroup": "g", "method": "PATCH", "url": "contacts(1)", "body": {"phone": "+1"}}
    again = {"id": "b", "atomicityGroup": "g", "method": "PATCH", "url": "contacts(1)", "body": {"phone": "+2"}}
    run.refused(run.ask("ana", "POST", f"{ROOT}/$batch", body={"requests": [fine, again]}), 400, "body_malformed")
    alone = [part | {"atomicityGroup": group} for part, group in [(fine, "g"), (again | {"url": "contacts(4)"}, "h")]]
    run.refused(run.ask("ana", "POST", f"{ROOT}/$batch", body={"requests": alone}), 400, "body_malformed")
    multipart = {"Content-Type": "multipart/mixed; boundary=b"}
    run.refused(run.ask("ana", "POST", f"{ROOT}/$batch", body=b"--b--", headers=multipart), 400, "body_malformed")
    expect(run.database() == before, "it changed the upstream")


@case("serving")
def reads_in_a_batch_are_reads(run):
    requests = [
        {"id": "list", "method": "GET", "url": "contacts?$top=3&$orderby=id&$count=true"},
        {"id": "one", "method": "GET", "url": "contacts(1)"},
    ]
    answer = run.ask("ana", "POST", f"{ROOT}/$batch", body={"requests": requests})
    expect(answer.status_code == 200, answer.text)
    listed, one = answer.json()["responses"]
    expect(listed["body"] == run.get("ana", f"{ROOT}/contacts?$top=3&$orderby=id&$count=true"), listed)
    expect(one["body"] == run.get("ana", f"{ROOT}/contacts(1)"), one)
    hidden = {"id": "hidden", "method": "GET", "url": "contacts(3)"}
    run.refused(run.ask("ana", "POST", f"{ROOT}/$batch", body={"requests": [*requests, hidden]}), 404, "not_found")


@case("serving")
def bodies_of_more_than_one_record_change_nothing(run):
    before = run.database()
    for number, (method, target, body, status, code) in enumerate(bodies.REFUSED):
        sent = json.dumps(body).encode()
        run.refused(run.ask("ana", method, f"{ROOT}/{target}", body=sent, version=1 + number % 2), status, code)
        batch = bodies.batched(number, method, target, body)
        answer = run.ask("ana", "POST", f"{ROOT}/$batch", body=batch, version=2 - number % 2)
        expect(answer.status_code in (400, 403, 404), method, target, body, "in a batch:", answer.status_code, answer.text)
    expect(run.database() == before, "it changed the upstream")


# Clients that know nothing of the gateway.


@case("serving")
def an_odata_client_works_unmodified(run):
    environment = os.environ | {"NODE_EXTRA_CA_CERTS": str(harness.WORK / "gateway.pem"), "E2E_TOKEN": run.tokens["marta"]}
    script = Path(__file__).with_name("odata-client.cjs")
    done = subprocess.run([os.environ["E2E_NODE"], script], env=environment, capture_output=True, timeout=60, check=False)
    expect(done.returncode == 0, done.stderr.decode())
    found = json.loads(done.stdout)
    views = run.rows.views("contacts", "marta")
    accounts = {view["id"]: view for view in run.rows.views("accounts", "marta")}
    same(found["pages"], views)
    expect(found["count"] == len(views), found["count"])
    emea = [{"id": row["id"], "region": row["region"]} for row in views if row["region"] == "EMEA" and row["id"] > 30]
    same(found["found"], emea)
    same(found["expanded"], [view | {"account": accounts.get(view["accountId"])} for view in views[:5]])
    of = lambda key: [{"id": view["id"]} for view in views if view["accountId"] == key]
    nested = [accounts.get(view["accountId"]) for view in views[:5]]
    nested = [account and {"name": account["name"], "contacts": of(account["id"])} for account in nested]
    for row in found["nested"]:
        if row["account"]:
            row["account"]["contacts"].sort(key=lambda one: one["id"])
    same(found["nested"], [view | {"account": account} for view, account in zip(views, nested)])
    expect(found["one"] == views[0], found["one"])
    made, changed = found["made"], found["changed"]
    expect(made["owner_id"] == "marta-acme-shop" and made["organization_id"] == "acme" and "national_id" not in made, made)
    expect(changed == made | {"name": "Renamed"}, changed)
    expect(run.stored("contacts", made["id"]) is None, "it was deleted")


# What people change. These come last: from here on the upstream differs from the original rows.


@case("serving")
def random_writes_leave_what_the_policies_say(run):
    chance = writes.chance_of(SEED)
    rows = Rows(run.database())
    allowed = chosen = 0
    for number in range(100):
        who, method, table, key, body = write = writes.draw(rows, chance)
        expected = writes.after(rows, *write)
        target = f"{ROOT}/{table}" if key is None else f"{ROOT}/{table}({key})"
        # Of some of them no more than a part is wanted.
        asked = writes.wanted(table, number) if method != "DELETE" else ""
        answer = run.ask(who, method, target + asked, body=body, version=1 + number % 2)
        told = (write, asked, f"seed {SEED}, write {number}:", answer.status_code, answer.text)
        kept = rows.database[table]
        if expected is False:
            expect(answer.status_code in (403, 404), *told, "is not refused")
        else:
            allowed += 1
            expect(answer.status_code in (200, 201, 204), *told, "is refused")
            if expected:
                shown = answer.json() if answer.content else None
                if method == "POST":
                    key = expected["id"] = shown["id"]
                view = writes.told(model.VIEWS[table](expected, PEOPLE[who]), asked)
                expect(shown == view, *told, "is not told as", view)
                chosen += bool(asked)
            kept[:] = [row for row in kept if row["id"] != key]
            if expected:
                kept.append(expected)
                kept.sort(key=lambda row: row["id"])
        found = run.database()
        for name in TABLES:
            wrong = [(one, other) for one, other in zip(found[name], rows.database[name]) if one != other][:1]
            expect(len(found[name]) == len(rows.database[name]) and not wrong, *told, name, wrong)
    print(f"100 random writes, seed {SEED}: {allowed} allowed, 0 differences in the database and in what was told; {chosen} chose of it",
          flush=True)
    expect(15 <= allowed <= 85 and chosen > 3, allowed, "were allowed,", chosen, "chose of the answer")


@case("serving")
def random_batches_are_done_as_a_whole_or_not_at_all(run):
    chance = writes.chance_of(SEED + 7)
    rows = Rows(run.database())
    done = 0
    for number in range(40):
        parts, touched, who = [], set(), None
        while len(parts) < 1 + number % 3:
            drawn = writes.draw(rows, chance)
            if who in (None, drawn[0]) and (drawn[2], drawn[3]) not in touched:
                who = drawn[0]
                parts.append(drawn)
                touched.update([(drawn[2], drawn[3])] if drawn[3] else [])
            if writes.after(rows, *parts[-1]) is False and chance.random() < 0.6:
                parts, touched, who = [], set(), None
        requests = [
            {"id": f"p{at}", "atomicityGroup": "g", "method": method, "url": table if key is None else f"{table}({key})"}
            | ({} if body is None else {"headers": {"content-type": "application/json"}, "body": body})
            for at, (_, method, table, key, body) in enumerate(parts)
        ]
        expected = [writes.after(rows, *part) for part in parts]
        in_parts = number % 4 > 1
        sent = {"body": multipart.written(requests), "headers": multipart.HEADERS} if in_parts else {"body": {"requests": requests}}
        answer = run.ask(who, "POST", f"{ROOT}/$batch", version=1 + number % 2, **sent)
        told = (parts, f"seed {SEED}, batch {number}:", answer.status_code, answer.text)
        if False in expected:
            expect(answer.status_code in (403, 404), *told, "is not refused")
        else:
            done += 1
            expect(answer.status_code == 200, *told, "is refused")
            responses = multipart.answers(answer) if in_parts else answer.json()["responses"]
            for at, (part, row, shown) in enumerate(zip(parts, expected, responses, strict=True)):
                expect(shown["id"] == f"p{at}" and shown["atomicityGroup"] == "g" and shown["status"] < 300, *told)
                _, method, table, key, _ = part
                if method == "POST":
                    key = row["id"] = shown["body"]["id"]
                if row:
                    expect(shown["body"] == model.VIEWS[table](row, PEOPLE[who]), *told, "is not told as", row)
                kept = rows.database[table]
                kept[:] = [one for one in kept if one["id"] != key] + ([row] if row else [])
                kept.sort(key=lambda one: one["id"])
        found = run.database()
        for name in TABLES:
            wrong = [(one, other) for one, other in zip(found[name], rows.database[name]) if one != other][:1]
            expect(len(found[name]) == len(rows.database[name]) and not wrong, *told, name, wrong)
    print(f"40 random batches, seed {SEED}: {done} done, 0 differences in the database", flush=True)
    expect(5 <= done <= 35, done, "were done")


@case("serving")
def random_upserts_leave_what_the_policies_say(run):
    chance = writes.chance_of(SEED + 11)
    stored = lambda: {table: run.behind.get(f"{ROOT}/{table}?$top=1000&$orderby=id").json()["value"] for table in upserts.METHODS}
    database = stored()
    made = changed = refused = 0
    for number in range(80):
        who, table, key, body, condition = write = upserts.draw(database, chance)
        expected, method = upserts.after(database, *write), upserts.METHODS[table]
        told = (write, f"seed {SEED}, upsert {number}:")
        batched = number % 4 == 3 and not condition
        if batched:
            part = {"id": "1", "method": method, "url": f"{table}({key})", "body": body}
            answer = run.ask(who, "POST", f"{ROOT}/$batch", body={"requests": [part]})
        else:
            answer = run.ask(who, method, f"{ROOT}/{table}({key})", body=body, headers=condition, version=1 + number % 2)
        told = (*told, answer.status_code, answer.text)
        if expected == upserts.TAKEN:
            refused += 1
            run.refused(answer, 502, "upstream_failed")
        elif expected is None:
            refused += 1
            expect(answer.status_code in (400, 403, 404, 409, 412, 422), *told, "is not refused")
        else:
            row, is_new = expected
            made, changed = made + is_new, changed + (not is_new)
            answer = answer.json()["responses"][0] if batched else {"status": answer.status_code, "body": answer.json()}
            expect(answer["status"] == (201 if is_new else 200) and answer["body"] == upserts.shown(row), *told, "is not", row)
            database[table] = sorted([one for one in database[table] if one["id"] != key] + [row], key=lambda one: one["id"])
        found = stored()
        for name in upserts.METHODS:
            wrong = [(one, other) for one, other in zip(found[name], database[name]) if one != other][:1]
            expect(len(found[name]) == len(database[name]) and not wrong, *told, name, wrong)
    print(f"80 random upserts, seed {SEED}: {made} made a record, {changed} changed one, {refused} refused; 0 differences in the database",
          flush=True)
    expect(made >= 5 and changed >= 5 and refused >= 20, made, changed, refused)


@case("serving")
def a_key_that_is_taken_unseen_is_one_answer_whoever_has_it(run):
    """Another tenant's, and a colleague's that the caller may not see."""
    for table, method in upserts.METHODS.items():
        rows = run.behind.get(f"{ROOT}/{table}?$top=1000&$orderby=id").json()["value"]
        mine = lambda row: (row["organization_id"], row["app_id"]) == ("acme", "shop")
        foreign = next(row["id"] for row in rows if not mine(row))
        hidden = next(row["id"] for row in rows if mine(row) and row["owner_id"] == "zoe-acme-shop")
        one, other = (run.ask("ana", method, f"{ROOT}/{table}({key})", body={"written": "x"}) for key in (foreign, hidden))
        expect(one.status_code >= 400 and plain(one) == plain(other), plain(one), "differs from", plain(other))
        expect(run.behind.get(f"{ROOT}/{table}?$top=1000&$orderby=id").json()["value"] == rows, "it changed the upstream")


@case("serving")
def the_metrics_of_leaks_are_zero(run):
    import httpx

    text = httpx.get(f"{os.environ['E2E_ADMIN']}/metrics", trust_env=False).text
    for name in ("scrim_tenant_violations_total", "scrim_pushdown_leaks_total"):
        values = [line.split()[-1] for line in text.splitlines() if line.startswith(name)]
        expect(values and all(float(value) == 0 for value in values), name, values)


@case("gone")
def a_dead_upstream_is_a_clean_failure(run):
    run.refused(run.ask("ana", "GET", f"{ROOT}/contacts"), 502, "upstream_failed")
    run.refused(run.ask("ana", "GET", f"{ROOT}/contacts?$filter=nothing%20eq%201"), 400, "query_not_allowed")


@case("residuals")
def random_conditions_are_pushed_without_a_loss(run):
    samples = residuals.Samples(Path(__file__).with_name("samples.yaml"))
    # As the database holds them, which knows no more of an instant than it does.
    rows = run.behind.get(f"{ROOT}/samples?$filter=organization_id%20eq%20'acme'&$orderby=id&$top=1000").json()["value"]
    kept = ["id", "text", "word", "loose", "unsaid", "whole", "day", "flag", "parentId"]
    for row, given in zip(rows, samples.rows()):
        expect(all(row[name] == given[name] for name in kept), row, given)
    expect(len(rows) == residuals.OWN, len(rows))

    def list_as(roles, regions):
        answer = run.ask_as(identity.person("ana-acme-shop", roles, regions=regions),
                            f"{ROOT}/samples?$top={residuals.OWN}&$count=true&$orderby=id")
        if answer is None:
            return None, None
        return [row["id"] for row in answer["value"]], answer.get("@odata.count")

    wrong, asked, exact = residuals.ask(SEED, samples, {row["id"]: row for row in rows}, harness.RESIDUALS, list_as)
    expect(not wrong, *wrong[:1])
    expect(asked > harness.RESIDUALS / 2 and asked > exact > asked / 20, asked, exact)


case("residuals")(the_metrics_of_leaks_are_zero)
case("gone")(harness.no_row_came_back_that_was_not_asked_for)
case("gone")(harness.the_audit_log_and_the_log_hold_no_secrets)

if __name__ == "__main__":
    harness.main(Run)
