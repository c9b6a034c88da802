"""Pulls, the built-in registry against `docker-registry`, and the way from a registry to the first answer."""

import contextlib
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from .servers import GUESTS, Sampan, free_port, stop, wait_for_port

COMPONENT_BYTES = 20_000_000
BLOB_BYTES = 256 << 20
ROUNDS = 5


def measure() -> None:
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, docker_registry(Path(folder)) as peer:
        component = padded(GUESTS / "hello.wasm", Path(folder, "large.wasm"))
        with Sampan(log=os.environ.get("SAMPAN_LOG", "registry_client=debug,runtime=debug")) as sampan:
            pulls(sampan, component, peer.port)
            first_answer(sampan, component, peer.port)
        with docker_registry(Path(folder), tls=True) as peer, Sampan() as sampan:
            registries(sampan, peer, Path(folder))


def pulls(sampan: Sampan, component: Path, port: int) -> None:
    image = f"localhost:{port}/large:v1"
    sampan.cli("push", str(component), image)
    build = ["cargo", "build", "-q", "--profile", "dist", "--locked", "-p", "sampan-registry-client", "--example", "pulls"]
    subprocess.run(build, check=True)
    program = Path(os.environ["SAMPAN"]).parent / "examples/pulls"
    runs = [dict(line.split() for line in subprocess.check_output([program, image], text=True).splitlines())
            for _ in range(ROUNDS)]
    for name in runs[0]:
        median = statistics.median(float(run[name]) for run in runs)
        print(f"pull of {COMPONENT_BYTES / 1e6:.0f} MB, {name:12}: {median:7.1f} ms (median of {ROUNDS})", flush=True)


def first_answer(sampan: Sampan, component: Path, port: int) -> None:
    """Each run takes a component that differs by a byte, so that nothing of it is here."""
    total, parts = [], {"fetch_ms": [], "verify_ms": [], "compile_ms": []}
    for run in range(ROUNDS):
        image = f"localhost:{port}/fresh:v{run}"
        other = component.with_name("other.wasm")
        other.write_bytes(component.read_bytes()[:-1] + bytes([run + 1]))
        with tempfile.TemporaryDirectory() as elsewhere:
            pushed = [sampan.program, "push", str(other), image, "--data-dir", elsewhere]
            subprocess.run(pushed, check=True, stdout=subprocess.DEVNULL)
        sampan.log.flush()
        before = Path(sampan.log.name).stat().st_size
        began = time.perf_counter()
        sampan.deploy(f"fresh-{run}", image)
        while sampan.request(f"fresh-{run}") != 200:
            pass
        total.append((time.perf_counter() - began) * 1000)
        said = re.sub(r"\x1b\[[0-9;]*m", "", Path(sampan.log.name).read_text(encoding="utf-8")[before:])
        for name, values in parts.items():
            values.append(max((int(value) for value in re.findall(rf"{name}=(\d+)", said)), default=0))
    medians = {name: statistics.median(values) for name, values in parts.items()}
    whole = statistics.median(total)
    rest = whole - sum(medians.values())
    print(f"apply of a {COMPONENT_BYTES / 1e6:.0f} MB image not yet here, to the first answer: {whole:.0f} ms = "
          f"pull {medians['fetch_ms']:.0f} + verify {medians['verify_ms']:.0f} + compile {medians['compile_ms']:.0f} "
          f"+ start and the rest {rest:.0f}", flush=True)


class Peer:
    """A registry, how it is reached, and its process."""

    def __init__(self, name: str, port: int, process: subprocess.Popen, curl: list[str]) -> None:
        self.name, self.port, self.process, self.curl = name, port, process, curl


def registries(sampan: Sampan, peer: Peer, folder: Path) -> None:
    blob = folder / "blob"
    blob.write_bytes(os.urandom(BLOB_BYTES))
    digest = "sha256:" + subprocess.check_output(["sha256sum", str(blob)], text=True).split()[0]
    token = Path(sampan.data_dir, "api/token").read_text(encoding="utf-8").strip()
    own = Peer("sampan", sampan.api_port, sampan.process, ["-H", f"Authorization: Bearer {token}"])
    speeds: dict[str, dict[str, list[float]]] = {}
    for run in range(ROUNDS):
        for registry in (own, peer):
            base = f"https://localhost:{registry.port}/v2/bench-{run}"
            curl = ["curl", "-skSf", *registry.curl]
            begun = subprocess.check_output([*curl, "-X", "POST", "-D", "-", f"{base}/blobs/uploads/", "-d", ""], text=True)
            place = re.search(r"(?im)^location: (\S+)", begun).group(1)
            place = place if place.startswith("http") else f"https://localhost:{registry.port}{place}"
            joint = "&" if "?" in place else "?"
            seen = speeds.setdefault(registry.name, {"push": [], "pull": []})
            seen["push"].append(timed([*curl, "-T", str(blob), "-H", "Content-Type: application/octet-stream",
                                       "-H", "Expect:", f"{place}{joint}digest={digest}"]))
            seen["pull"].append(timed([*curl, "-o", "/dev/null", f"{base}/blobs/{digest}"]))
    for verb in ("push", "pull"):
        ours, theirs = (statistics.median(speeds[name][verb]) for name in ("sampan", peer.name))
        print(f"{verb} of {BLOB_BYTES >> 20} MiB over TLS: {ours:6.0f} MB/s, {peer.name} {theirs:6.0f} MB/s, "
              f"ratio {ours / theirs:.2f}")
    ours, theirs = (peak_mib(registry.process) for registry in (own, peer))
    print(f"peak memory of it: {ours:.0f} MiB (all of Sampan), {peer.name} {theirs:.0f} MiB", flush=True)


def timed(command: list[str]) -> float:
    """Megabytes per second."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return BLOB_BYTES / 1e6 / (time.perf_counter() - began)


def peak_mib(process: subprocess.Popen) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


@contextlib.contextmanager
def docker_registry(folder: Path, tls: bool = False):
    """Debian's docker-registry, with TLS if it is to be compared with what has it."""
    port = free_port()
    http = f"http:\n  addr: 127.0.0.1:{port}\n"
    if tls:
        request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                   "-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
        subprocess.run(request, check=True, stderr=subprocess.DEVNULL)
        http += f"  tls:\n    certificate: {folder / 'cert.pem'}\n    key: {folder / 'key.pem'}\n"
    config = folder / f"registry-{port}.yml"
    config.write_text(f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder / f'data-{port}'}\n{http}",
                      encoding="utf-8")
    process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield Peer("docker-registry", port, process, [])
    finally:
        stop(process)


def padded(component: Path, target: Path) -> Path:
    """The component with a custom section, which changes nothing but its size."""
    name = b"\x07padding"
    size = COMPONENT_BYTES - component.stat().st_size - 16
    body = name + os.urandom(size)
    target.write_bytes(component.read_bytes() + b"\x00" + leb128(len(body)) + body)
    return target


def leb128(number: int) -> bytes:
    encoded = bytearray()
    while True:
        encoded.append((number & 0x7F) | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(encoded)
