"""What the runs share that put random policies for `notes` in force: how policies are exchanged while the gateway runs, random
lists under each of them, and what its metrics say at the end.

What is an upstream's own, its client hands over.
"""

import itertools
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Callable, NamedTuple
from urllib.parse import quote, unquote

import httpx

import harness
import model
import rules
from harness import expect, plain
from identity import PEOPLE

SEED = int(os.environ["E2E_SEED"])
# Lists under random policies.
LISTS_ASKED = int(os.environ.get("E2E_LISTS", 320))
# Of each person under each of the random policies.
QUERIES = 5


class Run(harness.Run):
    def __init__(self):
        super().__init__()
        self.admin = httpx.Client(base_url=os.environ["E2E_ADMIN"], timeout=30, trust_env=False)

    def metric(self, name):
        lines = self.admin.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}(\{{| )", line))

    def rule(self, policies):
        """Puts policies for `notes` in force. Whether they are: a condition that can't hold is refused as a mistake."""
        before = self.metric("scrim_reloads_total")
        (Path(os.environ["E2E_POLICIES"]) / "notes.yaml").write_text(policies.text)
        os.kill(int(os.environ["E2E_GATEWAY_PID"]), signal.SIGHUP)
        for _ in range(200):
            if self.metric("scrim_reloads_total") > before:
                break
            time.sleep(0.02)
        return self.metric("scrim_last_reload_ok") == 1


def keyed(records):
    return {record["id"]: record for record in records}


def ordered(records):
    return sorted(records, key=lambda record: str(record["id"]))


class Upstream(NamedTuple):
    """An upstream's own ways. `target`: of `notes`, or of one by its key. `record`: out of the answer to a read. `pages`: a whole
    list of somebody's, and whether it told its length. `draw`, `fields`: its queries, and what they may compare. `hidden`: for a
    filter, an order and a choice, the parameter and a text in which a name's place is `{}`."""

    target: Callable
    record: Callable
    pages: Callable
    draw: Callable
    fields: Callable
    hidden: list


def random_lists(run, upstream, most_guarded):
    """Lists under random policies find what the rows say; more than `most_guarded` compare what only some rows show."""
    rows, deals = run.rows.database["notes"], keyed(run.rows.database["deals"])
    chance = random.Random(SEED)
    asked = refused = with_totals = shown = rounds = guarded = unsaid = 0
    drawn = ((seed_, rules.draw(rows, deals, seed_)) for seed_ in itertools.count(SEED))
    in_force = ((seed_, policies) for seed_, policies in drawn if run.rule(policies))
    for number, policies in in_force:
        if asked >= LISTS_ASKED:
            break
        rounds += 1
        for who in ("ana", "marta", "support", "auditor", "vic"):
            claims = PEOPLE[who]
            mine = run.rows.of("notes", who)
            pairs = [(row, policies.view(row, claims)) for row in mine]
            visible = [(row, view) for row, view in pairs if view is not None]
            for row, view in pairs[:8]:
                answer = run.ask(who, "GET", upstream.target(row["id"]))
                told = upstream.record(answer) if answer.status_code == 200 else None
                expect(told == view, f"policies {number}", who, row, answer.text)
            if run.ask(who, "GET", upstream.target()).status_code == 404:
                # Conditions that can't hold for somebody hide the table from them.
                expect(not any(policies.view(row, claims) for row in rows), f"policies {number}", who, "sees no table", policies.text)
                continue
            fields = upstream.fields(policies.clear(claims), policies.sometimes(claims), model.visible_deals(deals, claims),
                                    lambda row, claims=claims: policies.is_clear("dealId", row, claims))
            for _ in range(QUERIES):
                query = upstream.draw(mine, fields, chance)
                if query.guarded:
                    # Where a field is clear may be more than can be said.
                    answer = run.ask(who, "GET", f"{upstream.target()}?{query.text.removeprefix('&')}")
                    if answer.status_code == 400:
                        run.refused(answer, 400, "query_not_allowed")
                        unsaid += 1
                        continue
                    guarded += 1
                found, told = upstream.pages(run, who, query, chance)
                expected = query.finds(visible)
                told_of = (f"seed {SEED}, policies {number}, {who}:", unquote(query.text), len(found), "records, not", len(expected))
                expect(found == expected, *told_of, found[:2], expected[:2], policies.text)
                asked, with_totals, shown = asked + 1, with_totals + told, shown + len(found)
            hidden = ["hidden", *policies.hidden(claims, rows)]
            for name in chance.sample(hidden, min(2, len(hidden))):
                kind, parameter, text = chance.choice(upstream.hidden)
                # One that some rows show may be filtered by on these.
                if kind == "filter" and name in fields.sometimes:
                    kind, parameter, text = next(one for one in upstream.hidden if one[0] == "sort")
                # What isn't clear may be shown all the same.
                if kind == "choice" and name != "hidden":
                    continue
                target = f"{upstream.target()}?{parameter}="
                answer = run.ask(who, "GET", target + quote(text.format(name), safe=""))
                run.refused(answer, 400, "query_not_allowed")
                other = run.ask(who, "GET", target + quote(text.format("nothing"), safe=""))
                expect(plain(answer) == plain(other), "a hidden field is told from none:", parameter, text)
                refused += 1
    print(f"{asked} lists under {rounds} policies, seed {SEED}: 0 differences; {shown} records, {with_totals} with totals; "
          f"{refused} refused; {guarded} compare what some rows hide, {unsaid} more could not be said", flush=True)
    expect(asked >= 300 and refused > 40 and with_totals > 20 and guarded > most_guarded, "too few were asked")


def nothing_of_another_tenant_has_changed(run):
    def others(rows):
        return [row for row in rows if (row["organization_id"], row["app_id"]) not in (("acme", "shop"), ("globex", "shop"))]

    for table, rows in run.rows.database.items():
        expect(ordered(others(run.server.records(table))) == ordered(others(rows)), "a row of another tenant changed in", table)


def the_metrics_of_what_must_never_be_are_zero(run):
    for name in ("scrim_tenant_violations_total", "scrim_pushdown_leaks_total"):
        expect(f"# TYPE {name} counter" in run.admin.get("/metrics").text, name, "is not told")
        expect(run.metric(name) == 0, name, run.metric(name))
