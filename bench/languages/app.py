from componentize_py_types import Ok
from wit_world.exports import IncomingHandler
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam


class IncomingHandler(IncomingHandler):
    def handle(self, request: IncomingRequest, answer: ResponseOutparam) -> None:
        response = OutgoingResponse(Fields.from_list([]))
        body = response.body()
        ResponseOutparam.set(answer, Ok(response))
        with body.write() as stream:
            stream.blocking_write_and_flush(b"Hello from Python!\n")
        OutgoingBody.finish(body, None)
