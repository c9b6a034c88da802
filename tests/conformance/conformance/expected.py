"""What is expected of each suite: the table `expected.toml`."""

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

# Of each case, by its name: None if it passed, else in what it failed.
Cases = dict[str, str | None]

TABLE = Path(__file__).parent.parent / "expected.toml"
SHOWN_OF_A_FAILURE = 300


@dataclass
class Expected:
    suites: dict

    @staticmethod
    def read() -> "Expected":
        return Expected(tomllib.loads(TABLE.read_text(encoding="utf-8")))

    def compare(self, suite: str, cases: Cases) -> list[str]:
        """Prints the suite's line; answers what is wrong with it."""
        passed = sum(failure is None for failure in cases.values())
        print(f"{suite}: {passed} of {len(cases)}", flush=True)
        recorded = self.suites.get(suite)
        if recorded is None:
            return [f"{suite}: nothing is recorded in {TABLE.name}: add [{suite!r}]", *_told(suite, cases)]
        explained = {**self.suites["shared"].get(recorded.get("shares"), {}), **recorded.get("not-passed", {})}
        unexplained = {name: failure for name, failure in cases.items() if failure is not None and name not in explained}
        complaints = _told(suite, unexplained)
        if passed < recorded["passed"]:
            complaints.append(f"{suite}: {passed} passed, below the {recorded['passed']} in {TABLE.name}")
        if passed > recorded["passed"]:
            print(f"  {suite}: more than the {recorded['passed']} in {TABLE.name}: record it", file=sys.stderr)
        for name in explained:
            if name not in cases:
                complaints.append(f"{suite}: {name!r} of {TABLE.name} is no case of this suite: remove it there")
            elif cases[name] is None:
                print(f"  {suite}: {name!r} passed: {explained[name]}", file=sys.stderr)
        return complaints


def _told(suite: str, cases: Cases) -> list[str]:
    failed = {name: failure for name, failure in cases.items() if failure is not None}
    return [f"{suite}: {name!r} failed: {failure[:SHOWN_OF_A_FAILURE]}" for name, failure in failed.items()]
