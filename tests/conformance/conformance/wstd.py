"""The examples of wstd that are HTTP servers, out of its package on crates.io, run as guests."""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from figures.servers import Sampan

from .built import BUILT
from .expected import Cases

SAMPLES = "samples/Cargo.toml"
SERVER, PROXY = "http_server", "http_server_proxy"
# The others are programs that run and end; what Sampan says of them is what is wanted.
COMMANDS = ("http_client", "complex_http_client", "tcp_echo_server", "tcp_stream_client")
PATIENCE_S = 60


def run() -> Iterator[tuple[str, Cases]]:
    built = _build()
    with Sampan() as sampan:
        cases: Cases = {}
        for name in COMMANDS:
            cases[f"{name} is refused with the reason"] = _refused(sampan, built / f"{name}.wasm")
        for name in (SERVER, PROXY):
            sampan.cli("build", str(built / f"{name}.wasm"), "-t", f"{name.replace('_', '-')}:conformance")
        sampan.deploy("server", "http-server:conformance")
        sampan.wait_until_served("server")
        for name, case in SERVED.items():
            cases[f"{SERVER}: {name}"] = _try(case, sampan, "server", "")
        _deploy_proxy(sampan)
        for name in PROXIED:
            cases[f"{PROXY}: {name}"] = _try(SERVED[name], sampan, "proxy", "/proxy")
        yield "wstd's examples", cases


def _build() -> Path:
    """The package as crates.io has it, at the version of our samples, copied and built below target/."""
    listed = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--locked", "--manifest-path", SAMPLES],
        capture_output=True, text=True, check=True,
    )
    manifest = next(each["manifest_path"] for each in json.loads(listed.stdout)["packages"] if each["name"] == "wstd")
    package, target = BUILT / "wstd", BUILT / "wstd-target"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(Path(manifest).parent, package, ignore=shutil.ignore_patterns("rust-toolchain.toml"))
    with open(package / "Cargo.toml", "a", encoding="utf-8") as written:
        written.write("\n[workspace]\n")
    done = subprocess.run(
        [Path("scripts/guest-cargo").absolute(), "--examples", "--locked"], cwd=package, capture_output=True, text=True, check=False,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
    )
    if done.returncode:
        sys.exit(f"conformance: error: wstd's examples cannot be built:\n{done.stderr[-4000:]}")
    return target / "wasm32-wasip2" / "debug" / "examples"


def _refused(sampan: Sampan, component: Path) -> str | None:
    try:
        sampan.cli("build", str(component), "-t", "command:conformance")
    except RuntimeError as refusal:
        return None if "wasi:http/incoming-handler" in str(refusal) else f"no reason: {refusal}"
    return "was taken"


def _deploy_proxy(sampan: Sampan) -> None:
    labels = {"app": "proxy"}
    sampan.api("POST", "/apis/apps/v1/namespaces/default/deployments", {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "proxy"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels, "annotations": {"sampan.dev/outbound": "server"}},
            "spec": {"containers": [{
                "name": "proxy", "image": "http-server-proxy:conformance",
                "env": [{"name": "TARGET_URL", "value": "http://server/"}],
            }]},
        }},
    })
    sampan.api("POST", "/api/v1/namespaces/default/services", {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "proxy"},
        "spec": {"selector": labels, "ports": [{"port": 80}]},
    })
    sampan.wait_until_served("proxy", "/proxy/")


Answer = tuple[int, http.client.HTTPMessage, bytes]
Ask = Callable[..., Answer]


def _try(case: Callable[[Ask], None], sampan: Sampan, service: str, prefix: str) -> str | None:
    def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", sampan.http_port, timeout=PATIENCE_S)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, prefix + path, body, {"Host": sampan.host(service), **named})
        answer = connection.getresponse()
        try:
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    try:
        case(ask)
    except Exception as failure:  # whatever a case meets is what it failed in
        return f"{type(failure).__name__}: {failure}"
    return None


def _must(holds: bool, what: object) -> None:
    if not holds:
        raise AssertionError(f"not as expected: {what}")


def _home(ask: Ask) -> None:
    answer = ask("GET", "/")
    _must(answer[0] == 200 and answer[2] == b"Hello, wasi:http/proxy world!\n", answer)


def _waits(path: str) -> Callable[[Ask], None]:
    def case(ask: Ask) -> None:
        answer = ask("GET", path)
        slept = re.fullmatch(rb"slept for (\d+) millis\n", answer[2])
        _must(answer[0] == 200 and slept is not None and int(slept[1]) >= 1000, answer)

    return case


def _streams(ask: Ask) -> None:
    answer = ask("GET", "/stream-body")
    _must(answer[0] == 200 and len(re.findall(rb"stream started \d+ millis ago\n", answer[2])) == 5, answer)


def _echoes(ask: Ask) -> None:
    # The proxy sends all of a body before it takes any of the answer, so more than fits between guests never ends.
    body = bytes(range(256)) * 128
    answer = ask("POST", "/echo", body)
    _must(answer[0] == 200 and answer[2] == body, (answer[0], len(answer[2])))


def _echoes_headers(ask: Ask) -> None:
    answer = ask("GET", "/echo-headers", x_red="rouge", x_blue="bleu")
    _must(answer[0] == 200 and answer[1]["x-red"] == "rouge" and answer[1]["x-blue"] == "bleu", answer)


def _has_status(status: int) -> Callable[[Ask], None]:
    def case(ask: Ask) -> None:
        answer = ask("GET", "/response-status", x_response_status=str(status))
        _must(answer[0] == status, answer)

    return case


def _fails(ask: Ask) -> None:
    answer = ask("GET", "/response-fail")
    _must(answer[0] >= 500, answer)


def _body_fails(ask: Ask) -> None:
    try:
        answer = ask("GET", "/response-body-fail")
    except (http.client.HTTPException, OSError):
        return
    _must(answer[0] >= 500, answer)


def _not_found(ask: Ask) -> None:
    answer = ask("GET", "/nowhere")
    _must(answer[0] == 404, answer)


SERVED: dict[str, Callable[[Ask], None]] = {
    "answers": _home,
    "waits before the answer": _waits("/wait-response"),
    "waits before the body": _waits("/wait-body"),
    "streams": _streams,
    "echoes a body": _echoes,
    "echoes headers": _echoes_headers,
    "answers with the status 200": _has_status(200),
    "answers with the status 302": _has_status(302),
    "answers with the status 404": _has_status(404),
    "answers with the status 500": _has_status(500),
    "answers with an error": _fails,
    "ends a body with an error": _body_fails,
    "does not find": _not_found,
}

# The proxy hands on headers and body, and by its own text no status.
PROXIED = ("answers", "waits before the answer", "waits before the body", "streams", "echoes a body", "echoes headers")
