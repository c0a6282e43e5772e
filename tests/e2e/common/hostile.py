"""Requests that must be refused, in each version of HTTP, and the cases that send them."""

from dataclasses import dataclass, field

import harness
from harness import expect, plain


@dataclass(frozen=True)
class Attack:
    """`same_as`: a request about something that doesn't exist, whose answer must be the same bytes."""

    name: str
    target: str
    status: int
    code: str
    who: str = "ana"
    method: str = "GET"
    headers: dict = field(default_factory=dict)
    body: object = None
    same_as: str | None = None


def add(reads, writes, database):
    """`database`: all that the upstream holds, which no write may change."""
    expect(len(reads) + len(writes) >= 50, "too few attacks")
    for attack in reads + writes:
        def attacked(run, attack=attack):
            before = database(run) if attack in writes else None
            for version in (1, 2):
                arguments = dict(body=attack.body, headers=attack.headers, version=version)
                answer = run.ask(attack.who, attack.method, attack.target, **arguments)
                run.refused(answer, attack.status, attack.code)
                if attack.same_as:
                    other = run.ask(attack.who, attack.method, attack.same_as, **arguments)
                    expect(plain(answer) == plain(other), plain(answer), "differs from", plain(other))
            if before:
                expect(database(run) == before, "it changed the upstream:", attack.name)

        harness.add("serving", f"refused: {attack.name}", attacked)


def tells_nothing(run, spell, targets):
    """Each asks the same with another guess of a hidden value: the answers are the same bytes."""
    answers = {str(plain(run.ask("ana", "GET", target))) for target in targets}
    expect(len(answers) == 1, spell, "tells guesses apart:", answers)
