"""The bill of materials: `scripts/sbom`."""

import shutil
import subprocess
from pathlib import Path

from .release import Release


def make(release: Release) -> Path:
    subprocess.run(["scripts/sbom"], stdout=subprocess.DEVNULL, check=True)
    path = release.out / f"sampan-{release.version}.cdx.json"
    shutil.copyfile("target/sampan.cdx.json", path)
    return path
