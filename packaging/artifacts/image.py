"""The OCI image: a layout in a tar archive, which podman, skopeo, nerdctl and containerd read.

Its lower layer holds the C library that the program was linked to and the authorities of the web; nothing else is in it."""

import hashlib
import json
import re
import subprocess
import time
from pathlib import Path

from .archive import Entry, compressed, tar
from .release import Release

# No user of the host has it.
USER = 65532
HOME = "var/lib/sampan"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def make(release: Release) -> Path:
    architecture = MACHINES[release.machine]
    layers = [tar(base(release), release.epoch), tar(program(release), release.epoch)]
    packed = [compressed(layer, release.fast) for layer in layers]
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(release.epoch))
    labels = {
        "org.opencontainers.image.title": "sampan",
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.created": created,
    }
    config = encoded({
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/bin", f"HOME=/{HOME}", f"SAMPAN_DATA_DIR=/{HOME}", "SAMPAN_HTTP=0.0.0.0:8080"],
            "Entrypoint": ["/usr/bin/sampan"],
            "Cmd": ["up"],
            "WorkingDir": f"/{HOME}",
            "Volumes": {f"/{HOME}": {}},
            "ExposedPorts": {"8080/tcp": {}},
            "StopSignal": "SIGTERM",
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        "history": [{"created": created, "created_by": name} for name in ("the C library", "sampan")],
    })
    manifest = encoded({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config),
        "layers": [descriptor(GZIP_LAYER, layer) for layer in packed],
        "annotations": labels,
    })
    listed = descriptor(MANIFEST, manifest) | {
        "platform": {"architecture": architecture, "os": "linux"},
        # What podman and skopeo call it, and what containerd does.
        "annotations": {
            "org.opencontainers.image.ref.name": f"sampan:{release.version}",
            "io.containerd.image.name": f"docker.io/library/sampan:{release.version}",
        },
    }
    index = encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed]})
    entries = [Entry("oci-layout", encoded({"imageLayoutVersion": "1.0.0"})), Entry("index.json", index)]
    entries += [Entry(f"blobs/{digest(blob).replace(':', '/')}", blob) for blob in (config, manifest, *packed)]
    path = release.out / f"sampan-{release.version}-{architecture}.oci.tar"
    path.write_bytes(tar(entries, release.epoch))
    return path


def base(release: Release) -> list[Entry]:
    entries = [
        Entry("etc/passwd", f"root:x:0:0::/:/\nsampan:x:{USER}:{USER}::/{HOME}:/\n".encode()),
        Entry("etc/group", f"root:x:0:\nsampan:x:{USER}:\n".encode()),
        Entry("etc/nsswitch.conf", b"hosts: files dns\n"),
        Entry("tmp", None, 0o1777),
        Entry(HOME, None, 0o700, USER),
    ]
    if AUTHORITIES.exists():
        entries.append(Entry(str(AUTHORITIES).lstrip("/"), AUTHORITIES.read_bytes()))
    for library in libraries(release.program):
        entries.append(Entry(str(library).lstrip("/"), library.read_bytes(), 0o755))
        terms = Path("/usr/share/doc", package_of(library), "copyright")
        if terms.exists() and all(entry.name != str(terms).lstrip("/") for entry in entries):
            entries.append(Entry(str(terms).lstrip("/"), terms.read_bytes()))
    return entries


def program(release: Release) -> list[Entry]:
    return [
        Entry("usr/bin/sampan", release.program.read_bytes(), 0o755),
        Entry("usr/share/doc/sampan/copyright", Path("LICENSE").read_bytes()),
    ]


def libraries(program: Path) -> list[Path]:
    """What the program is linked to, and what loads it, where the loader looks for them."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", listed)]


def package_of(library: Path) -> str:
    """The Debian package that a library is of, to pass its terms on with it."""
    for path in (library, library.resolve()):
        asked = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return asked.stdout.split(":")[0]
    return "unknown"


def encoded(value: dict) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type: str, data: bytes) -> dict:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}
