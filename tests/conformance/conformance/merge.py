"""Stories of server-side apply: Kubernetes' structured merge tells them (`go/merge`), and `kube-api/tests/merge.rs` tells them again."""

import os
import random
import subprocess
from collections.abc import Iterator

from .built import BUILT, go_program
from .expected import Cases

STORIES = 2000


def run() -> Iterator[tuple[str, Cases]]:
    program, stories = go_program("merge", "."), BUILT / "stories.jsonl"
    seed = random.randrange(1 << 30)
    with stories.open("w", encoding="utf-8") as file:
        subprocess.run([str(program), str(seed), str(STORIES)], stdout=file, check=True)
    told = subprocess.run(
        ["cargo", "test", "-q", "--locked", "--workspace", "--test", "merge"], capture_output=True, text=True, check=False,
        env={**os.environ, "SAMPAN_MERGE_STORIES": str(stories)},
    )
    failure = f"seed {seed}: {told.stdout[-1000:]}{told.stderr[-1000:]}" if told.returncode else None
    yield "structured merge", {f"{STORIES} stories": failure}
