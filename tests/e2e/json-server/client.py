#!/usr/bin/env python3
"""The cases: what each person sees and may change through the gateway, and what nobody gets out of it.

`client.py prepare` makes the identity provider's key. `client.py PHASE` runs the cases of one phase and appends a line
for each to the file of results: `serving` (all is well), `stalled` (json-server is stopped), `gone` (it was killed),
`back` (it was started again). Every byte of every answer is searched for hidden values and for other tenants' rows.
"""

import json
import os
import re
import subprocess
import time

import attacks
import harness
import hostile
import queries
from harness import WORK, Failed, case, expect, plain, same
from identity import PEOPLE


class Run(harness.Run):
    def pages(self, who, table, query="", size=7):
        """A whole list, page by page."""
        found = []
        for page in range(1, 100):
            part = self.get(who, f"/{table}?_limit={size}&_page={page}{query}")
            expect(len(part) <= size, "a page is too long")
            found += part
            if len(part) < size:
                return found
        raise Failed("the list does not end")

    def stored(self, table, key):
        answer = self.behind.get(f"/{table}/{key}")
        return answer.json() if answer.status_code == 200 else None

    def database(self):
        return self.behind.get("/db").json()


# What people see.


def add_lists():
    for who, table in [
        ("ana", "contacts"), ("ana", "accounts"), ("ana", "deals"), ("ana", "activities"), ("ana", "users"),
        ("marta", "contacts"), ("marta", "accounts"), ("marta", "users"), ("support", "contacts"),
        ("support", "accounts"), ("auditor", "deals"), ("auditor", "activities"), ("vic", "contacts"),
    ]:
        def listed(run, who=who, table=table):
            expected = run.rows.views(table, who)
            expect(0 < len(expected), "the case is empty")
            same(run.pages(who, table), expected)
            same(run.pages(who, table, size=25), expected)

        harness.add("serving", f"{who} lists {table}, page by page, as the policy says", listed)

        def read(run, who=who, table=table):
            seen = {row["id"] for row, _ in run.rows.visible(table, who)}
            views = {view["id"]: view for view in run.rows.views(table, who)}
            for row in run.rows.database[table]:
                answer = run.ask(who, "GET", f"/{table}/{row['id']}")
                if row["id"] in seen:
                    expect(answer.status_code == 200 and answer.json() == views[row["id"]], answer.text)
                else:
                    run.refused(answer, 404, "not_found")

        harness.add("serving", f"{who} reads each of the {table} that the list shows and no other", read)


add_lists()


@case("serving")
def a_list_without_a_size_has_the_declared_one(run):
    same(run.get("ana", "/contacts"), run.rows.views("contacts", "ana")[:10])
    same(run.get("support", "/contacts", version=2), run.rows.views("contacts", "support")[:10])


@case("serving")
def a_page_behind_the_end_is_empty(run):
    same(run.get("ana", "/contacts?_page=50"), [])
    same(run.get("support", "/contacts?_page=50"), [])


@case("serving")
def hashes_tell_equal_values_and_nothing_else(run):
    rows = run.rows.of("contacts", "auditor")
    found = run.pages("auditor", "contacts")
    expect(len(found) == len(rows), len(found))
    hashes = {}
    for row, shown in zip(rows, found):
        expect(set(shown) == {"id", "stage", "national_id", "owner_id"}, shown)
        for name in ("national_id", "owner_id"):
            expect(re.fullmatch("[0-9a-f]{64}", shown[name]), shown)
            expect(hashes.setdefault((name, row[name]), shown[name]) == shown[name], "equal values differ")
    expect(len(set(hashes.values())) == len(hashes), "different values are alike")


@case("serving")
def orders_are_kept_over_pages(run):
    expected = sorted(run.rows.views("contacts", "ana"), key=lambda row: row["name"], reverse=True)
    same(run.pages("ana", "contacts", "&_sort=name&_order=desc"), expected)
    expected = sorted(run.rows.views("contacts", "support"), key=lambda row: (row["stage"], row["id"]))
    same(run.pages("support", "contacts", "&_sort=stage,id&_order=asc,asc"), expected)


@case("serving")
def filters_on_clear_fields_work(run):
    views = run.rows.views("contacts", "ana")
    same(run.pages("ana", "contacts", "&region=EMEA"), [row for row in views if row["region"] == "EMEA"])
    same(run.pages("ana", "contacts", "&region_ne=EMEA"), [row for row in views if row["region"] != "EMEA"])
    same(run.pages("ana", "contacts", "&id_gte=50&id_lte=120"), [row for row in views if 50 <= row["id"] <= 120])
    views = run.rows.views("contacts", "support")
    same(run.pages("support", "contacts", "&stage=won"), [row for row in views if row["stage"] == "won"])


@case("serving")
def a_filter_with_characters_of_the_upstreams_syntax_is_a_value(run):
    for text in ["EMEA%26organization_id%3Dglobex", "EMEA%23", "%25", "EMEA%0", ".*", "EMEA%2526app_id"]:
        answer = run.ask("ana", "GET", f"/contacts?region={text}")
        expect(answer.status_code == 400 or answer.json() == [], answer.text)


@case("serving")
def expansions_follow_the_other_tables_policy(run):
    accounts = {view["id"]: view for view in run.rows.views("accounts", "ana")}
    found = run.pages("ana", "contacts", "&_expand=account")
    expected = [view | {"account": accounts.get(view["accountId"])} for view in run.rows.views("contacts", "ana")]
    same(found, expected)
    expect({row["account"] is None for row in found} == {True, False}, "the case shows both")
    key = next(row["id"] for row in found if row["account"])
    one = run.get("ana", f"/contacts/{key}?_expand=account", version=2)
    expect(one == next(row for row in expected if row["id"] == key), one)


@case("serving")
def somebody_of_two_tenants_works_in_one_at_a_time(run):
    for app in ("shop", "desk"):
        found = run.get("max", "/contacts?_limit=25", headers={"X-Scrim-Tenant": f"acme/{app}"})
        expect(len(found) == 25, len(found))
        expect(all(f"acme.{app}" in row["name"] for row in found), found)


@case("serving")
def validators_and_ranges_of_the_upstream_are_no_oracle(run):
    whole = run.ask("ana", "GET", "/contacts/1")
    for headers in [{"If-None-Match": '"1"'}, {"If-Modified-Since": "Wed, 21 Oct 2099 07:28:00 GMT"}, {"Range": "bytes=0-9"}]:
        answer = run.ask("ana", "GET", "/contacts/1", headers=headers)
        expect(plain(answer) == plain(whole), answer.status_code, answer.headers)


# What nobody gets.


hostile.add(attacks.READS, attacks.WRITES, lambda run: run.database())


@case("serving")
def ids_of_others_answer_like_ids_of_nobody(run):
    mine = {row["id"] for row, _ in run.rows.visible("contacts", "ana")}
    nobody = plain(run.ask("ana", "GET", "/contacts/99999"))
    for key in range(1, 241):
        if key not in mine:
            expect(plain(run.ask("ana", "GET", f"/contacts/{key}")) == nobody, "contact", key)


def curl(*arguments):
    command = ["curl", "-sS", "-i", "--noproxy", "*", "--max-time", "20", "--cacert", str(WORK / "gateway.pem"), *arguments]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    expect(b"SECRET-" not in done.stdout and b"globex" not in done.stdout, "leaked", done.stdout)
    return done.stdout.decode(), done.returncode


@case("serving")
def curl_gets_its_own_rows_over_both_versions(run):
    for flag, line in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")]:
        text, _ = curl(flag, "-H", f"Authorization: Bearer {run.tokens['ana']}", f"{os.environ['E2E_GATEWAY']}/contacts/1")
        expect(text.startswith(line), text)
        expect(json.loads(text.split("\r\n\r\n", 1)[1]) == run.rows.views("contacts", "ana")[0], text)


@case("serving")
def curl_can_not_climb_out_of_a_route(run):
    for path in ["/contacts/../db", "/contacts/..;/db", "/contacts/%2e%2e/db", "/contacts\\..\\db"]:
        url = f"{os.environ['E2E_GATEWAY']}{path}"
        text, _ = curl("--http1.1", "--path-as-is", "-H", f"Authorization: Bearer {run.tokens['ana']}", url)
        expect(text.startswith("HTTP/1.1 400"), path, text)


@case("serving")
def curl_can_not_send_two_framings_or_an_upgrade(run):
    for headers in [
        ["-H", "Transfer-Encoding: chunked", "-H", "Content-Length: 5", "-d", "{}"],
        ["-H", "Upgrade: websocket", "-H", "Connection: Upgrade"],
        ["-H", "Connection: Authorization"],
        ["-H", "Host: a", "-H", "Host:"],
        ["--http1.0", "--no-alpn"],
    ]:
        version = [] if "--http1.0" in headers else ["--http1.1"]
        token = ["-H", f"Authorization: Bearer {run.tokens['ana']}"]
        text, _ = curl(*version, *token, *headers, f"{os.environ['E2E_GATEWAY']}/contacts/1")
        wrong = text.startswith(("HTTP/1.1 4", "HTTP/1.0 4", "HTTP/1.1 505")) or ("Host: a" in headers and "200" in text[:20])
        expect(wrong, headers, text)


# What json-server is asked.


@case("serving")
def random_queries_find_what_the_rows_say(run):
    seed = int(os.environ.get("E2E_SEED", time.time()))
    print(f"queries: seed {seed}", flush=True)
    for query in queries.draw(run.rows, 300, seed):
        found = run.pages(query.who, query.table, query.text, size=query.size)
        expect(found == query.expected, query.who, query.table, query.text, f"seed {seed}:", found, "is not", query.expected)


@case("serving")
def what_a_policy_lets_through_is_what_json_server_is_asked_for(run):
    for who, table in [
        ("ana", "accounts"), ("marta", "accounts"), ("marta", "contacts"), ("auditor", "deals"), ("ana", "activities"),
    ]:
        answer = run.ask(who, "GET", f"/{table}?_limit=25")
        shown = len(answer.json())
        outcome = run.outcome(answer)
        expect(outcome["pushed"] and outcome["rows_dropped"] == 0, outcome)
        expect((outcome["rows_returned"], outcome["upstream_requests"]) == (shown, 1), outcome)
        claims = PEOPLE[who]
        whole = run.behind.get(f"/{table}?organization_id={claims['org_id']}&app_id={claims['app_id']}")
        asked = [row for row in whole.json() if row["id"] in {row["id"] for row in answer.json()}]
        expect(shown < len(whole.json()), "the case shows nothing")
        less = len(json.dumps(asked)) / len(json.dumps(whole.json()))
        print(f"{who} lists {table}: {shown} of {len(whole.json())} rows of the tenant, {less:.0%} of their bytes", flush=True)


# What people change. These come last: from here on the upstream differs from the original rows.


@case("serving")
def a_rep_creates_a_record_in_her_own_tenant_and_name(run):
    for body, version in [(attacks.NEW, 1), (attacks.NEW | {"organization_id": "acme", "app_id": "shop"}, 2)]:
        answer = run.ask("ana", "POST", "/contacts", body=body, version=version)
        expect(answer.status_code == 201, answer.status_code, answer.text)
        made = answer.json()
        expected = attacks.NEW | {"id": made["id"], "owner_id": "ana-acme-shop", "organization_id": "acme", "app_id": "shop"}
        expect(run.stored("contacts", made["id"]) == expected, run.stored("contacts", made["id"]))
        expect(made == expected and run.get("ana", f"/contacts/{made['id']}") == expected, made)
        run.refused(run.ask("vic", "GET", f"/contacts/{made['id']}"), 404, "not_found")


@case("serving")
def a_rep_changes_what_she_may_and_nothing_else_changes(run):
    before = run.stored("contacts", 1)
    answer = run.ask("ana", "PATCH", "/contacts/1", body={"name": "Renamed", "phone": None, "accountId": 25})
    expect(answer.status_code == 200, answer.status_code, answer.text)
    after = before | {"name": "Renamed", "phone": None, "accountId": 25}
    expect(run.stored("contacts", 1) == after, run.stored("contacts", 1))
    expect(answer.json() == {name: value for name, value in after.items() if name != "national_id"}, answer.text)


@case("serving")
def a_check_compares_the_record_before_and_after(run):
    answer = run.ask("ana", "PATCH", "/deals/1", body={"amount": 99999}, version=2)
    expect(answer.status_code == 200 and answer.json()["amount"] == 99999, answer.text)
    expect(run.stored("deals", 1)["amount"] == 99999)
    expect("margin" not in answer.json())


@case("serving")
def a_manager_reassigns_within_the_team(run):
    answer = run.ask("marta", "PATCH", "/contacts/1", body={"owner_id": "bo-acme-shop"})
    expect(answer.status_code == 200, answer.status_code, answer.text)
    expect(run.stored("contacts", 1)["owner_id"] == "bo-acme-shop")
    run.refused(run.ask("ana", "PATCH", "/contacts/1", body={"name": "x"}), 403, "forbidden")


@case("serving")
def a_manager_deletes_a_record_of_the_team(run):
    answer = run.ask("marta", "DELETE", "/contacts/1")
    expect(answer.status_code == 204 and answer.content == b"", answer.status_code, answer.text)
    expect(run.stored("contacts", 1) is None)
    run.refused(run.ask("marta", "GET", "/contacts/1"), 404, "not_found")
    run.refused(run.ask("marta", "DELETE", "/contacts/1"), 404, "not_found")


@case("serving")
def nothing_of_another_tenant_has_changed(run):
    def others(database):
        return {
            table: [row for row in rows if (row["organization_id"], row["app_id"]) != ("acme", "shop")]
            for table, rows in database.items()
        }

    expect(others(run.database()) == others(run.rows.database), "a row of another tenant changed")


# When json-server is ill.


@case("stalled")
def a_silent_upstream_is_a_timeout_and_no_data(run):
    for version in (1, 2):
        run.refused(run.ask("ana", "GET", "/contacts", version=version), 504, "upstream_timeout")


@case("gone")
def a_dead_upstream_is_a_clean_failure(run):
    for version in (1, 2):
        run.refused(run.ask("ana", "GET", "/contacts", version=version), 502, "upstream_failed")
        run.refused(run.ask("ana", "PATCH", "/contacts/25", body={"name": "x"}, version=version), 502, "upstream_failed")


@case("gone")
def refusals_need_no_upstream(run):
    run.refused(run.ask("no", "GET", "/contacts"), 401, "unauthenticated")
    run.refused(run.ask("ana", "GET", "/db"), 404, "not_found")
    run.refused(run.ask("ana", "GET", "/contacts?nothing=1"), 400, "query_not_allowed")


@case("back")
def the_gateway_recovers_with_its_upstream(run):
    for who in ("marta", "support"):
        expect(run.pages(who, "deals" if who == "marta" else "contacts"), "nothing came")
    same(run.get("vic", "/contacts?_limit=25"), run.rows.views("contacts", "vic")[:25])


case("back")(harness.no_row_came_back_that_was_not_asked_for)
case("back")(harness.the_audit_log_and_the_log_hold_no_secrets)

if __name__ == "__main__":
    harness.main(Run)
