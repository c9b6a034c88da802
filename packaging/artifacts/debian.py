"""The Debian package, by cargo-deb: what it holds is listed in `[package.metadata.deb]` of Cargo.toml."""

import shutil
import subprocess
import sys
from pathlib import Path

from .release import Release

# Where Cargo.toml looks for what is made here.
STAGE = Path("target/debian-stage")
COMPLETIONS = {
    "bash": "bash-completion/completions/sampan",
    "zsh": "zsh/vendor-completions/_sampan",
    "fish": "fish/vendor_completions.d/sampan.fish",
}


def make(release: Release) -> Path:
    if shutil.which("cargo-deb") is None:
        sys.exit("dist: error: cargo-deb is missing: scripts/setup dist")
    shutil.rmtree(STAGE, ignore_errors=True)
    share = {COMPLETIONS[shell]: text for shell, text in release.completions.items()}
    share |= {f"man/man1/{name}": page for name, page in release.pages.items()}
    share["doc/sampan/README.md"] = Path("README.md").read_bytes()
    for name, data in share.items():
        path = STAGE / "share" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    shutil.copy(release.program, STAGE / "sampan")
    command = ["cargo", "deb", "--no-build", "--no-strip", "--deb-revision", "1", "--output", release.out]
    command += ["--fast"] if release.fast else []
    ran = subprocess.run([*command, "--quiet", "--locked"], stdout=subprocess.DEVNULL, check=False)
    if ran.returncode != 0:
        sys.exit("dist: error: cargo-deb failed")
    return next(release.out.glob("*.deb"))
