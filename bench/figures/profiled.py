"""The load by which `make profile` tells what to compile for speed: requests in one process and across processes, and the API."""

import contextlib
import os
import subprocess
from pathlib import Path

from .load import wrk
from .servers import GUESTS, Sampan, free_port, stop

HELLO, PROBE = GUESTS / "hello.wasm", GUESTS / "probe.wasm"
SECONDS = 10
# What is done once is compiled for size, and what is done some hundred times for speed.
OBJECTS = 300
# What wrk sends with a body.
ECHO = 'wrk.method = "POST"; wrk.body = string.rep("cart", 512); wrk.headers["content-type"] = "text/plain"\n'


def main() -> None:
    with Sampan() as one:
        _serve(one)
        _administer(one)
    sessions = free_port()
    with Sampan("server", "--sessions", f"127.0.0.1:{sessions}") as several, _worker(several, sessions):
        _serve(several)


@contextlib.contextmanager
def _worker(server: Sampan, sessions: int):
    """A worker that has not given up writing files, since it writes its counts where it ends."""
    token = Path(server.data_dir, "token")
    token.write_text(server.cli("token", "create"), encoding="utf-8")
    process = subprocess.Popen(
        [server.program, "worker", "--join", f"127.0.0.1:{sessions}", "--token-file", str(token), "--name", "apart",
         "--listen", "127.0.0.1:0", "--data-dir", str(Path(server.data_dir, "apart")), "--no-sandbox"],
        stdout=server.log, stderr=server.log,
    )
    try:
        yield
    finally:
        stop(process)


def _serve(sampan: Sampan) -> None:
    for name, component in {"hello": HELLO, "probe": PROBE}.items():
        sampan.cli("build", str(component), "-t", f"{name}:bench")
    sampan.deploy("fresh", "hello:bench", concurrency="1000", isolation="request")
    sampan.deploy("reused", "hello:bench", concurrency="1000", isolation="replica")
    sampan.deploy("probe", "probe:bench", concurrency="1000", key_value="default")
    script = Path(sampan.data_dir, "echo.lua")
    script.write_text(ECHO, encoding="utf-8")
    sampan.wait_until_served("probe", "/env")
    for name in ("fresh", "reused"):
        sampan.wait_until_served(name)
        _load(sampan, name, "/")
        _load(sampan, name, "/", connections=1)
    _load(sampan, "probe", "/kv/default/kept")
    _load(sampan, "probe", "/echo", script=script)


def _load(sampan: Sampan, name: str, path: str, connections: int = 16, script: Path | None = None) -> None:
    load = wrk(sampan.http_port, sampan.host(name), path, SECONDS, connections, script=script)
    print(f"{name}{path}, {connections} connections: {load.requests_per_second:.0f} requests per second", flush=True)


def _administer(sampan: Sampan) -> None:
    maps = "/api/v1/namespaces/default/configmaps"
    for number in range(OBJECTS):
        name = f"map-{number}"
        sampan.api("POST", maps, {"metadata": {"name": name, "labels": {"app": "shop"}}, "data": {"greeting": "hello"}})
        sampan.api("PUT", f"{maps}/{name}", {"metadata": {"name": name}, "data": {"greeting": "good day"}})
        sampan.api("GET", f"{maps}/{name}")
    for _ in range(20):
        sampan.api("GET", maps)
        sampan.api("GET", "/api/v1/namespaces/default/pods")
    for number in range(OBJECTS):
        sampan.api("DELETE", f"{maps}/map-{number}")
    for number in range(OBJECTS // 10):
        sampan.deploy(f"some-{number}", "hello:bench", replicas=number % 4)
    manifest = Path(sampan.data_dir, "applied.yaml")
    for number in range(OBJECTS // 10):
        manifest.write_text(
            f"apiVersion: v1\nkind: Service\nmetadata: {{name: some-{number}, labels: {{app: shop}}}}\n"
            f"spec: {{selector: {{app: some-{number}}}, ports: [{{port: 80}}]}}\n", encoding="utf-8",
        )
        sampan.cli("apply", "-f", str(manifest))


if __name__ == "__main__":
    os.environ.setdefault("SAMPAN_LOG", "warn")
    main()
