"""A service that needs a mount gets one of its own only where there is none."""

from __future__ import annotations

from pathlib import Path

from infra.stack.mounts import own_mount


def mounts(directory: Path, *points: str) -> Path:
    listed = directory / "mounts"
    listed.write_text("".join(f"dev {point} ext4 rw 0 0\n" for point in points))
    return listed


def test_an_ordinary_machine_needs_nothing(tmp_path: Path) -> None:
    assert own_mount(Path("/home/ann/data"), mounts(tmp_path, "/proc", "/")) == []
    assert own_mount(Path("/home/ann/data"), mounts(tmp_path, "/proc", "/home")) == []


def test_in_a_chroot_the_directory_becomes_a_mount(tmp_path: Path) -> None:
    prefix = own_mount(Path("/root/data"), mounts(tmp_path, "/proc", "/dev"))
    assert prefix[0] == "unshare"
    assert prefix[-1] == "/root/data"


def test_a_machine_without_proc_is_left_alone(tmp_path: Path) -> None:
    assert own_mount(Path("/data"), tmp_path / "missing") == []
