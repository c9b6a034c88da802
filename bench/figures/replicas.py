"""Ten thousand replicas, placed and reported over the sessions of worker processes."""

import os
import time

from .servers import GUESTS, Sampan

DEPLOYMENTS, EACH = 10, 1000
WORKERS = 4


def measure() -> None:
    os.environ["SAMPAN_MAX_REPLICAS"] = str(DEPLOYMENTS * EACH)
    with Sampan("server", "--workers", str(WORKERS)) as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        for number in range(DEPLOYMENTS):
            sampan.deploy(f"d{number}", "hello:bench")
        for number in range(DEPLOYMENTS):
            sampan.wait_until_served(f"d{number}")
        before, began = sampan.resident_kib(), time.monotonic()
        for number in range(DEPLOYMENTS):
            path = f"/apis/apps/v1/namespaces/default/deployments/d{number}/scale"
            scale = sampan.api("GET", path)
            sampan.api("PUT", path, {**scale, "spec": {"replicas": EACH}})
        ready = 0
        while ready < DEPLOYMENTS * EACH:
            time.sleep(0.1)
            items = sampan.api("GET", "/apis/apps/v1/namespaces/default/deployments")["items"]
            ready = sum(item["status"].get("readyReplicas", 0) for item in items)
            if time.monotonic() - began > 600:
                raise RuntimeError(f"only {ready} are ready")
        took = time.monotonic() - began
        after = sampan.resident_kib()
        print(f"{ready} replicas on {WORKERS} worker processes ready after {took:.2f} s, "
              f"{ready / took:.0f} per second; the control plane, with its gateway, has grown from {before / 1024:.0f} to "
              f"{after / 1024:.0f} MiB: {(after - before) / ready:.1f} kB each")
