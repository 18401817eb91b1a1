"""Asks the stack's own HTTP interfaces (Flink's REST, health checks) without any client library."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from infra.stack.errors import StackError

# A proxy named in the environment must not come between two processes of one machine.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get_status(url: str, timeout_s: float) -> int | None:
    """The HTTP status of a GET, or None when nobody answers."""
    try:
        with _direct.open(url, timeout=timeout_s) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return None


def call_json(url: str, method: str = "GET", body: object = None, timeout_s: float = 5) -> Any:
    """The decoded JSON answer; raises `StackError` when there is none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - only addresses of this stack
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    try:
        with _direct.open(request, timeout=timeout_s) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as refusal:
        reason = refusal.read().decode(errors="replace")[:300]
        raise StackError(f"{method} {url} was refused ({refusal.code}): {reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as failure:
        raise StackError(f"{url} does not answer ({failure}): see `millrace status`.") from None
