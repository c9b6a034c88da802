"""A guest in Python with a path for each thing that a test wants it to do."""

import os
import sys
import time

from componentize_py_types import Ok
from wit_world.exports import IncomingHandler
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam


class IncomingHandler(IncomingHandler):
    def handle(self, request: IncomingRequest, answer: ResponseOutparam) -> None:
        path = request.path_with_query()
        if path == "/throw":
            raise RuntimeError("thrown without an answer")
        if path == "/slow":
            time.sleep(0.2)
        if path == "/lines":
            for piece in (b"one ", b"two ", "ä".encode()[:1], "ä".encode()[1:], "⛵".encode()[:2], "⛵".encode()[2:], b"\n"):
                os.write(1, piece)
            print("through", end=" ", flush=True)
            sys.stdout.write("print")
            sys.stdout.flush()
            os.write(2, b"the last without an end")
        response = OutgoingResponse(Fields.from_list([]))
        body = response.body()
        ResponseOutparam.set(answer, Ok(response))
        with body.write() as stream:
            stream.blocking_write_and_flush(b"Hello from Python!\n")
        OutgoingBody.finish(body, None)
        if path == "/after":
            time.sleep(0.3)
            print("worked after the answer", flush=True)
