"""The wheel for PyPI: `pip install sampan` puts the program on PATH."""

import base64
import hashlib
import time
import zipfile
from pathlib import Path

from .release import Release, glibc_of

MODULE = '''"""The sampan program, as a Python package: `python -m sampan` runs it."""

import os
import sysconfig


def program() -> str:
    """Where the program of this package is.

    Raises FileNotFoundError if it was not installed with it."""
    user = sysconfig.get_preferred_scheme("user")
    for folder in (sysconfig.get_path("scripts"), sysconfig.get_path("scripts", scheme=user)):
        path = os.path.join(folder, "sampan")
        if os.path.isfile(path):
            return path
    raise FileNotFoundError("the program sampan is not beside this package: pip install --force-reinstall sampan")
'''

RUN = '''import os
import sys

from . import program

path = program()
os.execv(path, [path, *sys.argv[1:]])
'''


def make(release: Release) -> Path:
    major, minor = glibc_of(release.program)
    tag = f"py3-none-manylinux_{major}_{minor}_{release.machine}"
    # PEP 440 has no hyphens in versions.
    version = release.version.replace("-", "")
    info = f"sampan-{version}.dist-info"
    readme = Path("README.md").read_text()
    metadata = (
        f"Metadata-Version: 2.4\nName: sampan\nVersion: {version}\n"
        "Summary: A WebAssembly-sandboxed lightweight orchestrator: HTTP services as Wasm components, in one binary\n"
        "License-Expression: Apache-2.0\nLicense-File: LICENSE\nKeywords: webassembly,wasm,wasi,orchestrator,kubernetes\n"
        "Classifier: Operating System :: POSIX :: Linux\nClassifier: Programming Language :: Rust\n"
        f"Requires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n{readme}"
    )
    files = {
        "sampan/__init__.py": MODULE.encode(),
        "sampan/__main__.py": RUN.encode(),
        f"sampan-{version}.data/scripts/sampan": release.program.read_bytes(),
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: sampan\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
        f"{info}/licenses/LICENSE": Path("LICENSE").read_bytes(),
    }
    record = f"{info}/RECORD"
    lines = [f"{name},{digest(data)},{len(data)}" for name, data in files.items()] + [f"{record},,"]
    files[record] = ("\n".join(lines) + "\n").encode()

    path = release.out / f"sampan-{version}-{tag}.whl"
    moment = time.gmtime(release.epoch)[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1 if release.fast else 9) as wheel:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, moment)
            # pip makes programs of regular files alone: the kind of the file has to be said too.
            entry.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    return path


def digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
