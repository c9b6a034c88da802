"""A service that greets. Each request is answered by a fresh instance of it."""

from service import Request, Response


def answer(request: Request) -> Response:
    """Answers a request."""
    # What is printed is in `sampan logs`.
    print(f"{request.method} {request.path}")
    return Response(f"Hello from Python! You asked for {request.path}\n")
