"""Runs what is named on the command line, or everything: `tests/conformance/run [h2spec|oci|...]...`"""

import sys
import time

from . import clients, h2spec, helm, kubectl, merge, oci, wstd
from .expected import Expected

SUITES = {
    "h2spec": h2spec.run,
    "oci": oci.run,
    "wstd": wstd.run,
    "kubectl": kubectl.run,
    "helm": helm.run,
    "python": clients.run_python,
    "go": clients.run_go,
    "merge": merge.run,
}


def main() -> None:
    names = sys.argv[1:] or list(SUITES)
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        sys.exit(f"conformance: error: unknown suite {unknown[0]!r}: choose from {', '.join(SUITES)}")
    expected, complaints = Expected.read(), []
    for name in names:
        started = time.monotonic()
        for suite, cases in SUITES[name]():
            complaints += expected.compare(suite, cases)
        print(f"  ({name} took {time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
    for complaint in complaints:
        print(f"conformance: error: {complaint}", file=sys.stderr)
    sys.exit(1 if complaints else 0)


main()
