"""Typical operations of a client on the command line, one after the other."""

import os
import re
import subprocess
from dataclasses import dataclass

from .expected import Cases

PATIENCE_S = 90


@dataclass
class Operation:
    """A command that must end well (or badly, where it `fails`), and print what `prints` (a regular expression) finds."""

    name: str
    arguments: list[str]
    prints: str | None = None
    stdin: str | None = None
    fails: bool = False


def operation(name: str, command: str, prints: str | None = None, stdin: str | None = None, fails: bool = False) -> Operation:
    """`command` is cut at spaces."""
    return Operation(name, command.split(), prints, stdin, fails)


def try_all(program: str, operations: list[Operation], cwd: str, **environment: str) -> Cases:
    """Each of them, also after one that failed."""
    return {each.name: _try(program, each, cwd, {**os.environ, **environment}) for each in operations}


def _try(program: str, each: Operation, cwd: str, environment: dict[str, str]) -> str | None:
    try:
        done = subprocess.run(
            [program, *each.arguments], input=each.stdin or "", cwd=cwd, env=environment,
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {PATIENCE_S} s"
    said = " ".join((done.stderr or done.stdout).split())
    if bool(done.returncode) != each.fails:
        return f"exit {done.returncode}: {said}"
    if each.prints and not re.search(each.prints, done.stdout + done.stderr, re.MULTILINE):
        return f"printed no {each.prints!r}: {' '.join(done.stdout.split())} {said}"
    return None
