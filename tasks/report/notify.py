"""Tells people about a night by Apprise: mail, chat, a web hook, whatever their address names.

The address is a secret. It comes from WARPSMITH_NOTIFY_URL (several are parted by blanks), else from a secret
block of Prefect with the name `warpsmith-notify`, and no message, log or error repeats it. A receiver that is
dead costs a warning and a few seconds, never the night.
"""

from __future__ import annotations

import logging
import os
import threading
from enum import StrEnum
from pathlib import Path

from tasks.disk.layout import Layout, Stage

VARIABLE, _SECRET = "WARPSMITH_NOTIFY_URL", "warpsmith-notify"
#: How long a night waits for its receivers.
_PATIENCE_S = 15.0
#: Lines of a log's end, and characters of a message, that a phone can show.
_LINES, _MOST = 20, 3000


class Event(StrEnum):
    """What a message is about."""

    STARTED = "started"
    FAILED = "failed"
    PROMOTED = "promoted"
    NOT_PROMOTED = "not promoted"
    AWAITS_APPROVAL = "waits for approval"
    DRIFTING = "drifting"


#: Apprise's names of how urgent a message is.
_URGENCY = {
    Event.STARTED: "info",
    Event.FAILED: "failure",
    Event.PROMOTED: "success",
    Event.NOT_PROMOTED: "info",
    Event.AWAITS_APPROVAL: "warning",
    Event.DRIFTING: "warning",
}


def notify(event: Event, night: str, profile: str, text: str) -> str | None:
    """Send a message, if somebody wants it; returns a warning if it could not be delivered."""
    addresses = _addresses()
    if not addresses:
        return None
    title = f"Warpsmith {profile}: night {night} {event.value}"
    delivered: list[bool] = []
    sender = threading.Thread(
        target=lambda: delivered.append(_send(addresses, title, text[-_MOST:], _URGENCY[event])), daemon=True
    )
    sender.start()
    sender.join(_PATIENCE_S)
    if delivered == [True]:
        return None
    return f"the message that the night is {event.value} could not be delivered; see {VARIABLE}"


def cause(layout: Layout, error: BaseException) -> str:
    """Why a night failed, with the end of the log of the stage that did."""
    said = str(error) or type(error).__name__
    log = _failed_log(layout)
    if log is None:
        return said
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES:]
    return "\n".join((said, "", f"The end of {log}:", *lines))


def _failed_log(layout: Layout) -> Path | None:
    """What the training stage that failed wrote last to its standard error."""
    for stage in (Stage.GRPO, Stage.SFT):
        logs = sorted(layout.home.glob(f"training/*/{stage}/stderr.log"), key=lambda log: log.stat().st_mtime)
        if layout.failure(stage).exists() and logs:
            return logs[-1]
    return None


def _addresses() -> list[str]:
    given = os.environ.get(VARIABLE)
    if given is not None:
        return given.split()
    try:
        from prefect.blocks.system import Secret

        return str(Secret.load(_SECRET).get()).split()  # type: ignore[union-attr]
    except Exception:  # no such block, no server, no Prefect
        return []


def _send(addresses: list[str], title: str, text: str, urgency: str) -> bool:
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses
    try:
        receivers = apprise.Apprise()
        known = [receivers.add(address) for address in addresses]
        return all(known) and bool(receivers.notify(title=title, body=text, notify_type=urgency))
    except Exception:  # a receiver's plug-in may raise anything, the address in its text
        return False
