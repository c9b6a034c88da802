"""Memory of the idle process with more and more services deployed."""

import time

from .servers import GUESTS, Sampan

STEPS = (1, 100, 1000)
SETTLE_S = 3


def measure() -> None:
    with Sampan() as sampan:
        sampan.cli("build", str(GUESTS / "hello.wasm"), "-t", "hello:bench")
        time.sleep(SETTLE_S)
        print(f"{0:5} services: {sampan.resident_kib() / 1024:7.1f} MiB resident")
        deployed = 0
        for step in STEPS:
            for index in range(deployed, step):
                sampan.deploy(f"service-{index}", "hello:bench")
            deployed = step
            for index in range(deployed):
                sampan.wait_until_served(f"service-{index}")
            time.sleep(SETTLE_S)
            print(f"{deployed:5} services: {sampan.resident_kib() / 1024:7.1f} MiB resident", flush=True)
