"""The conformance suite of the OCI distribution specification, 1.1, against the installation's registry."""

import os
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from figures.servers import Sampan

from .built import go_program, numbered
from .expected import Cases

PACKAGE = "github.com/opencontainers/distribution-spec/conformance"
WHOLE_S = 600


def run() -> Iterator[tuple[str, Cases]]:
    program = go_program("oci", PACKAGE)
    with Sampan() as sampan, tempfile.TemporaryDirectory(prefix="oci-conformance-") as results:
        secrets = Path(sampan.data_dir, "api")
        done = subprocess.run(
            [str(program)],
            cwd=results, capture_output=True, text=True, timeout=WHOLE_S, check=False,
            env={
                **os.environ,
                "SSL_CERT_FILE": str(secrets / "ca.crt"),
                "OCI_VERSION": "1.1",
                "OCI_REGISTRY": f"127.0.0.1:{sampan.api_port}",
                "OCI_TLS": "enabled",
                "OCI_USERNAME": "any",
                "OCI_PASSWORD": (secrets / "token").read_text(encoding="utf-8").strip(),
                "OCI_RESULTS_DIR": results,
                # What the specification leaves open, and this registry does.
                "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
                "OCI_API_BLOBS_DIGEST_HEADER": "true",
                "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
            },
        )
        report = Path(results, "junit.xml")
        if not report.exists():
            raise RuntimeError(f"the OCI suite wrote no report: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    names = numbered([case.get("name").removeprefix("OCI Conformance Test/") for case in cases])
    yield "OCI distribution", {name: _failure(case) for name, case in zip(names, cases)}


def _failure(case: ElementTree.Element) -> str | None:
    status = case.get("status")
    if status == "passed":
        return None
    return f"{status}: {' '.join((case.findtext('system-out') or '').split())}"
