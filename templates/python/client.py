"""Requests to other services. `sampan.dev/outbound` in the Deployment says which hosts may be asked."""

from urllib.parse import urlsplit

from service import Response

try:
    from componentize_py_types import Err
    from wit_world.imports import outgoing_handler
    from wit_world.imports.streams import StreamError_Closed
    from wit_world.imports.types import (
        Fields,
        Method_Other,
        OutgoingBody,
        OutgoingRequest,
        Scheme_Http,
        Scheme_Https,
    )
except ModuleNotFoundError:
    # Tests run without a host: they put something else in the place of `fetch`.
    pass

# So much is read or written at once, which is what a stream takes.
CHUNK_BYTES = 4096


def fetch(
    url: str, method: str = "GET", headers: list[tuple[str, bytes]] | None = None, body: str | bytes = b""
) -> Response:
    """Asks another service: `http://NAME/` for one of this cluster. Raises OSError if it does not answer."""
    parts = urlsplit(url)
    try:
        outgoing = OutgoingRequest(Fields.from_list(headers or []))
        outgoing.set_method(Method_Other(method))
        outgoing.set_scheme(Scheme_Https() if parts.scheme == "https" else Scheme_Http())
        outgoing.set_authority(parts.netloc)
        outgoing.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        sent = outgoing.body()
        coming = outgoing_handler.handle(outgoing, None)
        send(sent, body.encode() if isinstance(body, str) else body)
        with coming, coming.subscribe() as ready:
            ready.block()
            # The one value of the one time that it is asked for.
            answer = coming.get().value
        if isinstance(answer, Err):
            raise answer
        with answer.value as response:
            return receive(response)
    except Err as error:
        raise OSError(f"{method} {url}: {error.value or 'a header or the URL is none'}") from None


def send(sent, left: bytes) -> None:
    """Writes a body. Who answers without reading it to its end has closed it: that is no error."""
    try:
        with sent.write() as stream:
            while left:
                stream.blocking_write_and_flush(left[:CHUNK_BYTES])
                left = left[CHUNK_BYTES:]
        OutgoingBody.finish(sent, None)
    except Err as end:
        if not isinstance(end.value, StreamError_Closed):
            raise


def receive(response) -> Response:
    """The whole response."""
    with response.headers() as fields:
        headers = fields.entries()
    return Response(read_body(response), response.status(), headers)


def read_body(message) -> bytes:
    """The whole body of a request or a response."""
    body = bytearray()
    with message.consume() as incoming, incoming.stream() as stream:
        try:
            while True:
                body += stream.blocking_read(CHUNK_BYTES)
        except Err as end:
            if not isinstance(end.value, StreamError_Closed):
                raise
    return bytes(body)
