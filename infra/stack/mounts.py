"""In a chroot the root directory is no mount, and Java finds no file system for what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mounts")
BIND: Final = 'mount --bind "$0" "$0" && exec "$@"'


def own_mount(directory: Path, listed: Path = MOUNTS) -> list[str]:
    """What to put before a command so that `directory` is on a mount, for that process alone.

    Empty on an ordinary machine, where some directory above is one.
    """
    if not listed.exists():
        return []
    points = {line.split()[1] for line in listed.read_text().splitlines()}
    if any(str(path) in points for path in (directory, *directory.parents)):
        return []
    alone = ["unshare", "--mount", "--propagation", "unchanged"]
    return [*alone, "sh", "-c", BIND, str(directory)]
