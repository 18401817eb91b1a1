"""The demo's clock: by how much the times of the replayed data are moved so that it ends now.

The shift is chosen once for each `MILLRACE_HOME` and kept in `<home>/clock.json`. A second
replay so makes the same events, byte for byte, and the stream recognises them as duplicates.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.stack.errors import StackError

FILE = "clock.json"
_ADVICE = "Delete the file and start from empty topics, or choose another MILLRACE_HOME."


class ClockError(StackError):
    """`clock.json` exists and cannot be used."""


class Clock(BaseModel):
    """The shift (ms) that moves the data's last moment to the moment it was chosen."""

    model_config = ConfigDict(strict=True, frozen=True)
    data_ends_at: int
    shift_ms: int


def demo_clock(home: Path, data_ends_at: int, now: int) -> Clock:
    """The clock kept under `home`; when there is none, one that ends the data at `now` (ms)."""
    path = home / FILE
    if not path.exists():
        _keep(path, Clock(data_ends_at=data_ends_at, shift_ms=now - data_ends_at))
    clock = _read(path)
    if clock.data_ends_at != data_ends_at:
        raise ClockError(f"{path} was made for other data. {_ADVICE}")
    return clock


def _read(path: Path) -> Clock:
    try:
        return Clock.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ClockError(f"{path} cannot be read as a clock. {_ADVICE}") from error


def _keep(path: Path, clock: Clock) -> None:
    """Writes the file whole or not at all; of two that try at once, the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=FILE)
    with os.fdopen(handle, "w") as file:
        file.write(clock.model_dump_json())
    try:
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
