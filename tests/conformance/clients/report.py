"""Tries named operations one after the other and prints, as JSON, in what each failed."""

import json
import traceback
from collections.abc import Callable


class Report:
    def __init__(self) -> None:
        self._cases: dict[str, str | None] = {}

    def attempt(self, name: str, action: Callable[[], object]) -> None:
        """An operation passes unless it raises."""
        try:
            action()
            self._cases[name] = None
        except Exception as failure:  # whatever a client raises is what is wanted here
            self._cases[name] = f"{type(failure).__name__}: {failure}" or traceback.format_exc()

    def print(self) -> None:
        print(json.dumps(self._cases))


def must(holds: bool, what: object) -> None:
    if not holds:
        raise AssertionError(f"not as expected: {what}")


DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "hello:conformance"}]},
        },
    },
}
