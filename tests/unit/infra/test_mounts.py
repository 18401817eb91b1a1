"""A service that needs a mounted root gets one only where there is none."""

from __future__ import annotations

from pathlib import Path

from infra.stack.mounts import mounted_root


def mounts(directory: Path, *points: str) -> Path:
    listed = directory / "mounts"
    listed.write_text("".join(f"dev {point} ext4 rw 0 0\n" for point in points))
    return listed


def test_an_ordinary_machine_needs_nothing(tmp_path: Path) -> None:
    assert mounted_root(tmp_path, mounts(tmp_path, "/proc", "/")) == []


def test_in_a_chroot_the_root_becomes_a_mount(tmp_path: Path) -> None:
    prefix = mounted_root(tmp_path / "root", mounts(tmp_path, "/proc", "/dev"))
    assert prefix[0] == "unshare"
    assert prefix[-1] == str(tmp_path / "root")


def test_a_machine_without_proc_is_left_alone(tmp_path: Path) -> None:
    assert mounted_root(tmp_path, tmp_path / "missing") == []
