"""Starts and stops the servers that are measured."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .cpu import descendants

GUESTS = Path(os.environ.get("SAMPAN_GUESTS", "target/guests"))
PATIENCE_S = 60


def example(name: str) -> Path:
    """A program for figures, built beside the one that is measured."""
    return Path(os.environ["SAMPAN"]).parent / "examples" / name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path} is not there")
        time.sleep(0.02)


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class Peer:
    """A server beside which Sampan is measured."""

    port: int
    pid: int


@contextlib.contextmanager
def wasmtime_serve(component: Path, *options: str):
    """`wasmtime serve` of one component; yields it as a `Peer`."""
    port = free_port()
    process = subprocess.Popen(
        ["wasmtime", "serve", "-S", "cli", "--addr", f"127.0.0.1:{port}", *options, str(component)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield Peer(port, process.pid)
    finally:
        stop(process)


class Sampan:
    """A `sampan up`, or another command that serves, with a data directory of its own."""

    def __init__(self, *command: str, log: str = "warn", gateway: bool = True) -> None:
        self.program = os.environ["SAMPAN"]
        self.data_dir = tempfile.mkdtemp(prefix="sampan-bench-")
        self.http_port, self.api_port = free_port(), free_port()
        self.log = open(Path(self.data_dir, "log"), "w", encoding="utf-8")
        self._arguments = [*(command or ("up",)), "--data-dir", self.data_dir, "--api", f"127.0.0.1:{self.api_port}"]
        if gateway:
            self._arguments += ["--http", f"127.0.0.1:{self.http_port}"]
        self._ports = [self.api_port, self.http_port] if gateway else [self.api_port]
        self._environment = {**os.environ, "SAMPAN_LOG": log}
        self.start()
        self._tls = ssl._create_unverified_context()  # the certificate is this run's own
        self._tls.check_hostname = False

    def start(self) -> None:
        """Also again, after it was killed."""
        self.process = subprocess.Popen(
            [self.program, *self._arguments], stdout=self.log, stderr=self.log, env=self._environment
        )
        for port in self._ports:
            wait_for_port(port)
        # The API's address is taken before its files are written.
        wait_for_file(Path(self.data_dir, "kubeconfig"))

    def __enter__(self) -> "Sampan":
        return self

    def __exit__(self, *_) -> None:
        stop(self.process)
        self.log.close()
        shutil.rmtree(self.data_dir)

    def cli(self, *args: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            [self.program, *args, "--data-dir", self.data_dir],
            input=stdin, capture_output=True, text=True, check=False,
        )
        if done.returncode:
            raise RuntimeError(f"sampan {' '.join(args)}: {done.stderr}")
        return done.stdout

    def api(self, method: str, path: str, body: dict | None = None) -> dict:
        """One request to the Kubernetes API."""
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.api_port}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, context=self._tls) as response:
            return json.load(response)

    def token(self) -> str:
        for line in Path(self.data_dir, "kubeconfig").read_text(encoding="utf-8").splitlines():
            key, _, value = line.strip().removeprefix("- ").partition(":")
            if key.strip().strip('"') == "token":
                return value.strip().strip('",')
        raise RuntimeError("the kubeconfig holds no token")

    def deploy(
        self, name: str, image: str, replicas: int = 1, scale: str | None = None, idle: str | None = None,
        policy: str | None = None, namespace: str = "default", **annotations: str,
    ) -> None:
        """Creates a Deployment and its Service; annotation keys of its pods without the `sampan.dev/`, `_` for `-`."""
        labels = {"app": name}
        own = {"scale": scale, "scale-to-zero-after": idle, "autoscaler": policy}
        own = {f"sampan.dev/{key}": value for key, value in own.items() if value}
        self.api("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "annotations": own},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {
                        "labels": labels,
                        "annotations": {f"sampan.dev/{key.replace('_', '-')}": value for key, value in annotations.items()},
                    },
                    "spec": {"containers": [{"name": name, "image": image}]},
                },
            },
        })
        self.api("POST", f"/api/v1/namespaces/{namespace}/services", {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": 80}]},
        })

    def ready_pods(self) -> list[dict]:
        pods = self.api("GET", "/api/v1/namespaces/default/pods")["items"]
        states = [(pod, pod["status"].get("containerStatuses", [])) for pod in pods]
        return [pod for pod, containers in states if containers and all(each["ready"] for each in containers)]

    def ready_nodes(self) -> int:
        nodes = self.api("GET", "/api/v1/nodes")["items"]
        return sum(node["status"]["conditions"][0]["status"] == "True" for node in nodes)

    def host(self, name: str) -> str:
        """Of a Service, named `NAME` or `NAME.NAMESPACE`."""
        return f"{name}.localhost" if "." in name else f"{name}.default.localhost"

    def request(self, name: str, path: str = "/") -> int:
        """One request on a connection of its own; answers the status."""
        with socket.create_connection(("127.0.0.1", self.http_port), PATIENCE_S) as connection:
            head = f"GET {path} HTTP/1.1\r\nHost: {self.host(name)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            answer = connection.recv(65536)
            return int(answer.split(b" ", 2)[1])

    def wait_until_served(self, name: str, path: str = "/") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.request(name, path) != 200:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} is not served")
            time.sleep(0.01)

    def processes(self) -> list[int]:
        """Its own process, and those that it started."""
        return [self.process.pid, *descendants(self.process.pid)]

    def resident_kib(self, pid: int | None = None) -> int:
        for line in Path(f"/proc/{pid or self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError("no VmRSS")
