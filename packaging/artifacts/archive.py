"""The tar archive: one folder with the program, completions, man pages, units and the example of a configuration."""

import gzip
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from .release import SHELLS, UNITS, Release


@dataclass
class Entry:
    """A file, or a folder if it has no bytes."""

    name: str
    bytes: bytes | None
    mode: int = 0o644
    owner: int = 0


def make(release: Release) -> Path:
    top = f"sampan-{release.version}-{release.target}"
    entries = [Entry(f"{top}/sampan", release.program.read_bytes(), 0o755)]
    entries += [Entry(f"{top}/{name}", Path(name).read_bytes()) for name in ("LICENSE", "README.md", "CHANGELOG.md")]
    entries.append(Entry(f"{top}/sampan.toml", Path("packaging/sampan.toml").read_bytes()))
    entries += [Entry(f"{top}/systemd/{unit}", Path("packaging/systemd", unit).read_bytes()) for unit in UNITS]
    entries += [Entry(f"{top}/completions/{SHELLS[shell]}", text) for shell, text in release.completions.items()]
    entries += [Entry(f"{top}/man/man1/{name}", page) for name, page in release.pages.items()]
    path = release.out / f"{top}.tar.gz"
    path.write_bytes(compressed(tar(entries, release.epoch), release.fast))
    return path


def tar(entries: list[Entry], epoch: int) -> bytes:
    """The same entries make the same bytes: no names of users, one time, the order of names."""
    folders = {str(folder) for entry in entries for folder in Path(entry.name).parents if str(folder) != "."}
    named = {entry.name for entry in entries}
    entries = entries + [Entry(folder, None, 0o755) for folder in folders - named]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in sorted(entries, key=lambda entry: entry.name):
            info = tarfile.TarInfo(entry.name)
            info.mode, info.mtime, info.uid, info.gid = entry.mode, epoch, entry.owner, entry.owner
            if entry.bytes is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(entry.bytes)
            archive.addfile(info, io.BytesIO(entry.bytes or b""))
    return made.getvalue()


def compressed(plain: bytes, fast: bool) -> bytes:
    """gzip, without a time and a name."""
    return gzip.compress(plain, compresslevel=1 if fast else 9, mtime=0)
