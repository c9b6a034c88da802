"""Packs one program in each of the forms: `scripts/dist`."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from . import archive, bill, debian, image, sums, wheel
from .release import Release

KINDS = {"archive": archive, "debian": debian, "wheel": wheel, "image": image, "bill": bill}


def main() -> None:
    parser = argparse.ArgumentParser(prog="dist")
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("target/dist-packages"))
    parser.add_argument("--key", type=Path)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(KINDS)
    if unknown:
        sys.exit(f"dist: error: --only: {', '.join(sorted(unknown))}: the kinds are {', '.join(KINDS)}")
    if not options.binary.is_file():
        sys.exit(f"dist: error: --binary: there is no {options.binary}")

    # What was made before of another version stays out of the checksums.
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as work:
        release = Release.of(options.binary, Path(work), options.out.resolve(), fast=options.fast)
        for kind in options.only.split(","):
            made = KINDS[kind].make(release)
            print(f"dist: {made.name}  {made.stat().st_size / 1e6:.1f} MB", flush=True)
        sums.write(release, options.key)


main()
