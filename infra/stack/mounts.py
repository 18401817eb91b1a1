"""In a chroot the root directory is no mount, and Java finds no file system for what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mounts")
ROOTED: Final = 'mkdir -p "$0" && mount --rbind / "$0" && exec chroot "$0" "$@"'


def mounted_root(place: Path, listed: Path = MOUNTS) -> list[str]:
    """What to put before a command so that its root directory is a mount, for it alone.

    `place` is where that mount is made. Empty on an ordinary machine, where the root is one.
    """
    if not listed.exists():
        return []
    points = {line.split()[1] for line in listed.read_text().splitlines()}
    if "/" in points:
        return []
    alone = ["unshare", "--mount", "--propagation", "unchanged"]
    return [*alone, "sh", "-c", ROOTED, str(place)]
