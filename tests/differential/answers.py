"""Answers of both servers, and when two of them count as alike."""

from __future__ import annotations

import gzip
import http.client
import json
import zlib
from dataclasses import dataclass
from typing import Any

from corpus.exchange import Exchange
from harness.serve import Serve
from harness.triton import Triton

ANSWER_SECONDS = 30

MASKED = {
    # Both servers run the same model, each with a backend of its own.
    "backend": "a backend",
    "platform": "a backend",
    "default_model_filename": "a file",
    # What no two runs have in common.
    "ns": "a time",
    "last_inference": "a time",
}
"""Members of JSON by what stands for their value; that they are there is compared."""

OF_THE_SERVER = ("name", "version")
"""Members of the server's metadata that are its own; told by ``extensions`` beside them."""

NO_JSON = "failed to parse the request JSON buffer"
"""Each parser has its own words for what follows."""


@dataclass(frozen=True)
class Answer:
    """What counts of an answer.

    Attributes:
        status: 0 where the connection was closed without one.
        content: JSON, or ``None`` for no body; events are a list.
        tensors: what follows the JSON.
    """

    status: int
    content: Any
    tensors: bytes = b""

    @property
    def error(self) -> str | None:
        """The text of an error, also of one that is sent as an event."""
        content = self.content
        if isinstance(content, list) and len(content) == 1:
            (content,) = content
        if isinstance(content, dict) and set(content) == {"error"}:
            text = content["error"]
            assert isinstance(text, str)
            return text
        return None


def alike(ours: Answer, theirs: Answer) -> bool:
    """Whether the difference, if any, is one of those that hold for every request."""
    return ours == theirs or (
        (ours.status == theirs.status or is_fault_of_the_client(ours, theirs))
        and says_as_much(ours.error, theirs.error)
    )


def is_fault_of_the_client(ours: Answer, theirs: Answer) -> bool:
    """Malformed JSON and members of a wrong type: 400, which Triton answers with 500."""
    return ours.status == 400 and theirs.status == 500


def says_as_much(ours: str | None, theirs: str | None) -> bool:
    """The text of an error begins with Triton's, and may go on."""
    if ours is None or theirs is None:
        return False
    return ours.startswith(theirs.rstrip(". \n")) or (
        ours.startswith(NO_JSON) and theirs.startswith(NO_JSON)
    )


def ask(server: Serve | Triton, exchange: Exchange) -> Answer:
    """Sends a request on a connection of its own, and reads the answer."""
    port = server.metrics_port if exchange.of_metrics else server.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        length = {"Content-Length": str(len(exchange.body))}
        chunked = "Transfer-Encoding" in exchange.headers
        fields = {**({} if chunked else length), **exchange.headers}
        connection.putrequest(exchange.method, exchange.path, skip_accept_encoding=True)
        for name, value in fields.items():
            connection.putheader(name, value)
        connection.endheaders(exchange.body)
        response = connection.getresponse()
        return read(response.status, dict(response.headers.items()), response.read())
    except (http.client.HTTPException, OSError) as error:
        return Answer(0, f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def read(status: int, headers: dict[str, str], body: bytes) -> Answer:
    """Takes a body apart."""
    fields = {name.lower(): value for name, value in headers.items()}
    coding = fields.get("content-encoding")
    if coding == "gzip":
        body = gzip.decompress(body)
    elif coding == "deflate":
        body = zlib.decompress(body)
    size = int(fields.get("inference-header-content-length", len(body)))
    text, tensors = body[:size].decode(errors="replace"), body[size:]
    if fields.get("content-type", "").startswith("text/event-stream"):
        events = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
        return Answer(status, [normalised(json.loads(each)) for each in events])
    if not text:
        return Answer(status, None, tensors)
    try:
        return Answer(status, normalised(json.loads(text)), tensors)
    except ValueError:
        return Answer(status, text, tensors)


def normalised(value: Any) -> Any:
    """JSON without what is each server's own, and with lists of named things in order."""
    if isinstance(value, dict):
        own = OF_THE_SERVER if "extensions" in value else ()
        return {
            key: "its own" if key in own else masked(key, normalised(each))
            for key, each in value.items()
        }
    if isinstance(value, list):
        items = [normalised(each) for each in value]
        named = all(isinstance(each, dict) and "name" in each for each in items)
        return sorted(items, key=lambda each: each["name"]) if named else items
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value


def masked(name: str, value: Any) -> Any:
    """What stands for the value of a member."""
    if name == "reason" and value != "unloaded":
        return "why it cannot be loaded"
    return MASKED.get(name, value)
