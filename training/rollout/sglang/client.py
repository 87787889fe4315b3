"""HTTP to one SGLang server: batched generation, and the calls that steer the server.

Two things can go wrong, and callers treat them differently: the server may be lost (no answer, an answer cut
off, an internal error, nonsense), which a restart cures; or it refuses what it was asked, which it will
refuse again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from pydantic import ValidationError

from evaluation.errors import WarpsmithError
from training.rollout.engine import Completion
from training.rollout.sglang.protocol import (
    MalformedAnswer,
    Request,
    ServerInfo,
    generate_body,
    parse_completions,
)

_CONNECT_S = 10.0
_CONTROL_S = 300.0
_PROBE_S = 20.0  # /health waits for a token, at most SGLang's 20 s


class ServerLost(Exception):
    """The server gave no usable answer; what was asked may be asked again."""


class ServerRefused(WarpsmithError):
    """The server understood and said no."""


class Client:
    """One server. Thread-safe; connections are kept open between calls."""

    def __init__(self, url: str, *, timeout_s: float = 3600.0) -> None:
        """Talk to the server at `url`; a generation that takes longer than `timeout_s` counts as lost."""
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        # No limit: a rollout function may ask from hundreds of threads, and the server queues by itself.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self._http = httpx.Client(base_url=self.url, limits=limits, trust_env=False)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Sample a completion for each request, in one batched call.

        Raises:
            ServerLost: no usable answer came.
            ServerRefused: the server rejects the requests.
        """
        content = self._call("POST", "/generate", generate_body(requests), self._timeout_s)
        try:
            return parse_completions(content, requests)
        except MalformedAnswer as error:
            raise ServerLost(f"{self.url} answered nonsense: {error}") from None

    def info(self) -> ServerInfo:
        """What the server serves, and its limits."""
        content = self._call("GET", "/server_info", None, _PROBE_S)
        try:
            return ServerInfo.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ServerRefused(
                f"{self.url} is no SGLang server that we know (/server_info: `{where}` {first['msg']}); "
                "check rollout.engine_urls and the server's version"
            ) from None

    def is_healthy(self) -> bool:
        """Whether the server generates; takes about a second."""
        try:
            self._call("GET", "/health", None, _PROBE_S)
        except (ServerLost, ServerRefused):
            return False
        return True

    def weight_version(self) -> str:
        """The version of the weights that the server has."""
        answer = self._json("GET", "/model_info", None)
        return str(answer.get("weight_version"))

    def control(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """POST a control call; the answer's fields, none for an empty answer.

        Raises:
            ServerLost: no usable answer came.
            ServerRefused: the server says that it failed.
        """
        answer = self._json("POST", path, body or {})
        if answer.get("success") is False:
            raise ServerRefused(f"{self.url}{path} failed: {answer.get('message')}")
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        content = self._call(method, path, body, _CONTROL_S)
        try:
            answer = json.loads(content) if content.strip() else {}
        except ValueError:
            answer = {}  # plain text, as /flush_cache answers
        return answer if isinstance(answer, dict) else {}

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, timeout_s: float) -> bytes:
        """The content of a successful answer."""
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S, pool=None)
        try:
            response = self._http.request(method, path, json=body, timeout=timeout)
        except httpx.HTTPError as error:
            raise ServerLost(f"{self.url}{path}: {type(error).__name__} {error}") from None
        if response.is_success:
            return response.content
        message = f"{self.url}{path} answered {response.status_code}: {_message(response)}"
        if response.status_code >= 500:
            raise ServerLost(message)
        raise ServerRefused(message)


def _message(response: httpx.Response) -> str:
    """What an error answer says, on one line: {"error": {"message"}}, {"message"} or plain text."""
    try:
        answer = response.json()
    except ValueError:
        return " ".join(response.text.split())[:500]
    if isinstance(answer, dict):
        error = answer.get("error", answer)
        if isinstance(error, dict) and "message" in error:
            return " ".join(str(error["message"]).split())
    return str(answer)[:500]
