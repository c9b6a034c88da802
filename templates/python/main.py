"""Between WASI and the service: reads a request, asks `app`, and writes its answer. Nothing here needs an edit."""

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Other,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

from app import answer
from client import CHUNK_BYTES, read_body
from service import Request


class IncomingHandler(exports.IncomingHandler):
    """What the service exports."""

    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        response = answer(read(request))
        outgoing = OutgoingResponse(Fields.from_list(response.headers))
        outgoing.set_status_code(response.status)
        body = outgoing.body()
        ResponseOutparam.set(response_out, Ok(outgoing))
        left = response.body.encode() if isinstance(response.body, str) else response.body
        with body.write() as stream:
            while left:
                stream.blocking_write_and_flush(left[:CHUNK_BYTES])
                left = left[CHUNK_BYTES:]
        OutgoingBody.finish(body, None)


def read(request: IncomingRequest) -> Request:
    """The whole request."""
    method = request.method()
    # `Method_Get` is GET.
    word = method.value if isinstance(method, Method_Other) else type(method).__name__.partition("_")[2].upper()
    path, _, query = (request.path_with_query() or "/").partition("?")
    with request.headers() as fields:
        headers = fields.entries()
    return Request(word, path, query, headers, read_body(request))
