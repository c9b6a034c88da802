"""What a service is asked and what it answers."""

from dataclasses import dataclass, field


@dataclass
class Request:
    """An HTTP request."""

    method: str
    path: str
    query: str = ""
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    body: bytes = b""


@dataclass
class Response:
    """An HTTP response."""

    body: str | bytes = b""
    status: int = 200
    headers: list[tuple[str, bytes]] = field(default_factory=lambda: [("content-type", b"text/plain; charset=utf-8")])
