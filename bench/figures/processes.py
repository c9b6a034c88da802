"""A gateway and two worker processes, against one process, and against nginx in front of two `wasmtime serve`."""

import contextlib
import statistics
import subprocess
import tempfile
from pathlib import Path

from .load import Load, median_line, wrk
from .servers import GUESTS, Peer, Sampan, free_port, stop, wait_for_port, wasmtime_serve

ROUNDS = 3
HELLO = GUESTS / "hello.wasm"
KEEP_RESIDENT = (
    "-O", "pooling-allocator=y",
    "-O", "pooling-memory-keep-resident=2097152",
    "-O", "pooling-table-keep-resident=65536",
)


def measure() -> None:
    with Sampan() as one, Sampan("server", "--workers", "2") as several:
        for sampan in (one, several):
            sampan.cli("build", str(HELLO), "-t", "hello:bench")
            sampan.deploy("hello", "hello:bench", replicas=2, concurrency="1000")
            sampan.wait_until_served("hello")
        rounds = [_round(one, several) for _ in range(ROUNDS)]
    for name in rounds[0]:
        print(median_line(name, [loads[name] for loads in rounds]))
    several, one, nginx = "gateway and two workers", "one process", "nginx and two wasmtime serve"
    for peer in (one, nginx):
        ratios = [loads[several].requests_per_second / loads[peer].requests_per_second for loads in rounds]
        print(f"{several} / {peer}: {statistics.median(ratios):.2f} (rounds {[round(ratio, 2) for ratio in ratios]})")
    hops = [(loads[f"{several}, one client"].p50_ms - loads[f"{one}, one client"].p50_ms) * 1000 for loads in rounds]
    print(f"cost of the extra hop, p50 of one client: {statistics.median(hops):.0f} us")


def _round(one: Sampan, several: Sampan) -> dict[str, Load]:
    loads = {}
    for name, sampan in {"one process": one, "gateway and two workers": several}.items():
        host, servers = sampan.host("hello"), (sampan.process.pid,)
        loads[name] = wrk(sampan.http_port, host, servers=servers)
        loads[f"{name}, one client"] = wrk(sampan.http_port, host, connections=1, seconds=3, servers=servers)
    with wasmtime_serve(HELLO, *KEEP_RESIDENT) as first, wasmtime_serve(HELLO, *KEEP_RESIDENT) as second:
        with _nginx(first.port, second.port) as peer:
            loads["nginx and two wasmtime serve"] = wrk(peer.port, servers=(peer.pid, first.pid, second.pid))
    return loads


@contextlib.contextmanager
def _nginx(*upstreams: int):
    """nginx with kept-alive connections to these ports; yields it as a `Peer`."""
    with tempfile.TemporaryDirectory(prefix="nginx-bench-") as folder:
        port = free_port()
        servers = " ".join(f"server 127.0.0.1:{upstream};" for upstream in upstreams)
        Path(folder, "nginx.conf").write_text(
            f"daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/error;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
            f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
            f"upstream guests {{ {servers} keepalive 64; }}\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://guests; proxy_http_version 1.1;\n"
            'proxy_set_header Connection ""; } } }\n',
            encoding="utf-8",
        )
        process = subprocess.Popen(
            ["nginx", "-c", f"{folder}/nginx.conf", "-p", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for_port(port)
            yield Peer(port, process.pid)
        finally:
            stop(process)
