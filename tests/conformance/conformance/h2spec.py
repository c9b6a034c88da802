"""h2spec, strict: HTTP/2 by frames, against the gateway in both shapes and against the API server."""

import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from figures.servers import GUESTS, Sampan, free_port, wait_for_port

from .built import go_program
from .expected import Cases

PACKAGE = "github.com/summerwind/h2spec/cmd/h2spec"
# For one frame that is waited for; a debug build on a busy machine needs more than the suite's two.
TIMEOUT_S = 5
FLOW_CONTROL = "http2/6.9.2"
WHOLE_S = 600


def run() -> Iterator[tuple[str, Cases]]:
    program = go_program("h2spec", PACKAGE)
    with Sampan() as sampan:
        yield "h2spec, gateway", _against_gateway(program, sampan)
        yield "h2spec, API", _against(program, sampan.api_port, "/version", "--tls", "--insecure")
    with Sampan("server", "--workers", "1") as sampan:
        yield "h2spec, gateway and worker apart", _against_gateway(program, sampan)


def _against_gateway(program: Path, sampan: Sampan) -> Cases:
    """`/drain` reads a whole request before it answers, so that no case hangs on who is quicker; it answers a few
    bytes, and a section that needs more of them is run with another path."""
    port = _gateway_port(sampan)
    cases = _against(program, port, "/drain")
    return {**cases, **_against(program, port, "/headers", FLOW_CONTROL)}


def _gateway_port(sampan: Sampan) -> int:
    """A port of the test guest alone, since h2spec cannot be told a host name."""
    port = free_port()
    sampan.cli("build", str(GUESTS / "probe.wasm"), "-t", "probe:conformance")
    sampan.deploy("probe", "probe:conformance", key_value="probe")
    sampan.wait_until_served("probe")
    sampan.api("POST", "/api/v1/namespaces/default/services", {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "port"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "probe"}, "ports": [{"port": port}]},
    })
    wait_for_port(port)
    return port


def _against(program: Path, port: int, path: str, *options: str) -> Cases:
    with tempfile.TemporaryDirectory(prefix="h2spec-") as folder:
        report = Path(folder, "report.xml")
        done = subprocess.run(
            [str(program), "--strict", "--host", "127.0.0.1", "--port", str(port), "--path", path,
             "--timeout", str(TIMEOUT_S), "--junit-report", str(report), *options],
            capture_output=True, text=True, timeout=WHOLE_S, check=False,
        )
        if not report.exists():
            raise RuntimeError(f"h2spec wrote no report: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        return dict(_case(case) for case in ElementTree.parse(report).iter("testcase"))


def _case(case: ElementTree.Element) -> tuple[str, str | None]:
    name = f"{case.get('package')}: {case.get('classname')}"
    for ending in ("failure", "error", "skipped"):
        found = case.find(ending)
        if found is not None:
            return name, f"{ending}: {' '.join((found.text or '').split())}"
    return name, None
