"""The checksums of all that was made, as `sha256sum -c` reads them, and their signature."""

import hashlib
from pathlib import Path

from .release import Release, said


def write(release: Release, key: Path | None) -> None:
    made = sorted(path for path in release.out.iterdir() if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made]
    sums = release.out / "SHA256SUMS"
    sums.write_text("".join(lines))
    if key is None:
        print("dist: SHA256SUMS, not signed: --key FILE signs it (`sampan sign --help` says how to make a key)")
        return
    said(release.program, "sign", "--file", str(sums), "--key", str(key))
    # What sampan writes is for its user alone.
    sums.with_suffix(".sig").chmod(0o644)
    print(f"dist: SHA256SUMS and SHA256SUMS.sig: sampan verify --file {sums} --key signing.pub")
