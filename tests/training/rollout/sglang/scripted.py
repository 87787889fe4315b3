"""A tiny real HTTP server that answers as a test scripts it, for what a healthy SGLang never does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INFO = {
    "version": "0.5.20",
    "device": "cpu",
    "dtype": "float32",
    "tp_size": 1,
    "page_size": 1,
    "max_total_num_tokens": 1000,
    "max_req_input_len": 58,
}


def answer(tokens: list[int], reason: str = "stop", version: str = "1") -> dict:
    """One completion as SGLang gives it; every token has log-probability -1."""
    return {
        "output_ids": tokens,
        "meta_info": {
            "finish_reason": {"type": reason},
            "weight_version": version,
            "output_token_logprobs": [[-1.0, token, None] for token in tokens],
        },
    }


class Hangup(Exception):
    """Raised by a handler: the connection is closed without an answer."""


class Scripted:
    """A server whose /generate is `generate(body)`; it notes every call in `calls`."""

    def __init__(self, generate: Callable[[dict], object]) -> None:
        self.generate = generate
        self.calls: list[tuple[str, dict]] = []
        self.others: dict[str, object] = {"/server_info": INFO, "/model_info": {"weight_version": "1"}}
        self.url = ""
        self.closed = False

    def paths(self) -> list[str]:
        return [path for path, _ in self.calls]


@contextmanager
def serving(generate: Callable[[dict], object]) -> Iterator[Scripted]:
    """The server, while the block runs."""
    script = Scripted(generate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else {}
            if script.closed:  # connections outlive the server's socket
                self.close_connection = True
                return
            script.calls.append((self.path, body))
            try:
                content = (
                    script.generate(body) if self.path == "/generate" else script.others.get(self.path, {})
                )
            except Hangup:
                self.close_connection = True
                return
            status, content = content if isinstance(content, tuple) else (200, content)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        script.closed = True
        server.shutdown()
        server.server_close()
