"""One runner for each waiting job that no runner is there for, of the first class that its labels fit:
spot, or on demand for a job that waited long.

`wit_world` is made from wit/v0.1/policy.wit when the component is built; for an editor,
`componentize-py -d wit/v0.1 -w scale-up-policy bindings FOLDER` writes it down. `option` is a value or
None, and the error of a `result` is raised as Err.
"""

import json
from dataclasses import dataclass

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.about import Complaint, Description, Needs
from wit_world.exports.scale_up import Deferral, Launch, Plan
from wit_world.imports.facts import Capacity, DecisionKind, Job, RunnerClass, RunnerPhase, Situation

LONGEST = 0xFFFF_FFFF

# What editors and people see of the settings. A settings.json has an object for each decision.
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "scale-up": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "on_demand_after": {
                    "description": "A job that has waited this many seconds gets on-demand capacity.",
                    "type": "integer",
                    "minimum": 0,
                    "maximum": LONGEST,
                    "default": 600,
                },
            },
        },
    },
}


@dataclass
class Settings:
    on_demand_after: int = 600


class About(exports.About):
    def describe(self) -> Description:
        return Description(
            name="python",
            version="1.0.0",
            summary="One runner for each waiting job, on demand where it waited long.",
            settings_schema=json.dumps(SCHEMA),
        )

    def validate_settings(self, decision: DecisionKind, settings: str) -> Needs:
        complaints = complaints_about(json.loads(settings))
        if complaints:
            raise Err(complaints)
        return Needs(time_zones=[])


def complaints_about(settings: dict) -> list[Complaint]:
    """A misspelt key is told and not ignored: whoever wrote it believes that it does something."""
    complaints = []
    for key, value in settings.items():
        at = "/" + key.replace("~", "~0").replace("/", "~1")
        if key != "on_demand_after":
            complaints.append(Complaint(at, f"unknown field `{key}`, expected `on_demand_after`"))
        # In Python, True is an int.
        elif type(value) is not int or not 0 <= value <= LONGEST:
            complaints.append(Complaint(at, f"`{key}` is a whole number of seconds, 0 or more"))
    return complaints


def read(text: str) -> Settings:
    settings = json.loads(text)
    for wrong in complaints_about(settings):
        # To refuse is better than to guess: the host falls back to what decided before.
        raise Err(f"settings{wrong.at}: {wrong.problem}")
    return Settings(**settings)


# What a runner does that can take a job.
SUPPLY = (RunnerPhase.IDLE, RunnerPhase.BOOTING, RunnerPhase.LAUNCHING)


class ScaleUp(exports.ScaleUp):
    def decide(self, situation: Situation) -> Plan:
        classes, repositories, headroom = situation.classes, situation.repositories, situation.headroom
        scopes = read(situation.settings)
        # A repository's settings are merged already, and hold for its jobs in place of the scope's.
        settings = [scopes if own.settings is None else read(own.settings) for own in repositories]

        # By class: runners that can take a job, and those that may still be launched.
        supply = [0] * len(classes)
        for runner in situation.runners:
            if runner.phase in SUPPLY:
                supply[runner.runner_class] += 1
        class_left = [runner_class.left for runner_class in classes]
        repository_left = [repository.left for repository in repositories]
        spend_left = float("inf") if headroom.spend_left is None else headroom.spend_left
        launched = 0

        # Jobs that share an outcome share a launch or a deferral, and its reason. A dict keeps the order
        # in which they came; a set of strings would have another in every build.
        launches: dict[tuple[int, Capacity], list[int]] = {}
        deferrals: dict[str, Deferral] = {}

        def wait(job: int, reason: str, retry_after: int | None = None) -> None:
            deferrals.setdefault(reason, Deferral([], retry_after, reason)).jobs.append(job)

        for place in in_order(situation.pending):
            job = situation.pending[place]
            fits = situation.label_sets[job.labels].fits
            there = next((fit for fit in fits if supply[fit] > 0), None)
            runner_class = next((fit for fit in fits if class_left[fit] > 0), None)
            if there is not None:
                supply[there] -= 1
                wait(place, "a runner that is idle or on its way can take it")
            elif not fits:
                wait(place, "no runner class has all of its labels")
            elif launched >= headroom.runners_left:
                maximum = headroom.runners_maximum
                wait(place, f"the operator's maximum of {maximum} runners for this scope is reached")
            elif repository_left[job.repository] == 0:
                wait(place, f"there is no room left for `{repositories[job.repository].name}`")
            elif launched >= headroom.launches_left:
                most = headroom.launches_left
                wait(place, f"one decision launches at most {most} runners", headroom.registrations_reset)
            elif launched >= headroom.registrations_left:
                wait(place, "GitHub lets no more runners register now", headroom.registrations_reset)
            elif runner_class is None:
                wait(place, "every class that fits is at its maximum")
            else:
                capacity, price = choose(classes[runner_class], job, settings[job.repository])
                if price > spend_left:
                    wait(place, "the operator's spend limit is reached")
                    continue
                launched += 1
                class_left[runner_class] -= 1
                repository_left[job.repository] -= 1
                spend_left -= price
                launches.setdefault((runner_class, capacity), []).append(place)

        return Plan(
            launches=[complete(*kind, jobs, situation) for kind, jobs in launches.items()],
            deferrals=list(deferrals.values()),
            notes=[],
            attributes=[],
        )


def in_order(pending: list[Job]) -> list[int]:
    """The longest waiting first. Those that waited as long go by what they ask for, so that how many get
    a runner does not depend on the order in which they happen to be shown.
    """

    def order(place: int) -> tuple[int, int, int]:
        job = pending[place]
        return -job.waited, job.labels, job.repository

    return sorted(range(len(pending)), key=order)


def choose(runner_class: RunnerClass, job: Job, settings: Settings) -> tuple[Capacity, float]:
    """A class offers spot, on demand, or both."""
    spot, on_demand = runner_class.spot_price, runner_class.on_demand_price
    if spot is None or (on_demand is not None and job.waited >= settings.on_demand_after):
        return Capacity.ON_DEMAND, on_demand
    return Capacity.SPOT, spot


def complete(runner_class: int, capacity: Capacity, jobs: list[int], situation: Situation) -> Launch:
    # A launch is for a repository only if all of its jobs are that repository's.
    repositories = {situation.pending[job].repository for job in jobs}
    name = situation.classes[runner_class].name
    return Launch(
        runner_class=runner_class,
        capacity=capacity,
        count=len(jobs),
        launched_for=repositories.pop() if len(repositories) == 1 else None,
        jobs=jobs,
        reason=f"no runner of `{name}` is free for jobs that wait ({len(jobs)})",
    )
