"""Only what a manifest names counts, and only one nightly writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch.files import read_json, write_json
from batch.lake import Batch, Lake, LakeBusy


def batch(directory: str, topic_id: str, until: int, rows: int = 5) -> Batch:
    return Batch(directory, topic_id, {"0": 0}, {"0": until}, rows, invalid=1)


def test_a_new_lake_has_landed_nothing(tmp_path: Path) -> None:
    landed = Lake(tmp_path).landed("clicks")
    assert (landed.rows, landed.offsets, landed.directories) == (0, {}, [])


def test_a_directory_without_a_manifest_does_not_count(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add("clicks", batch("one", "id", 5))
    (tmp_path / "log" / "clicks" / "leftover").mkdir()
    assert lake.landed("clicks").directories == [str(tmp_path / "log" / "clicks" / "one")]


def test_batches_add_up_and_the_last_offsets_stand(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add("clicks", batch("one", "id", 5))
    lake.add("clicks", batch("two", "id", 9))
    landed = lake.landed("clicks")
    assert (landed.rows, landed.invalid, landed.next("id")) == (10, 2, {"0": 9})


def test_a_recreated_topic_starts_at_zero_and_the_old_log_is_kept(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add("clicks", batch("one", "old", 5))
    assert lake.landed("clicks").next("new") == {}
    lake.add("clicks", batch("two", "new", 2))
    assert lake.landed("clicks").offsets == {"0": 2}
    assert lake.landed("clicks").rows == 10


def test_a_second_nightly_is_told_to_wait_until_the_first_is_done(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.locked(), pytest.raises(LakeBusy, match="wait for it"), lake.locked():
        pass
    with lake.locked():
        pass


def test_a_json_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "said.json"
    assert read_json(path) is None
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert [p.name for p in path.parent.iterdir()] == ["said.json"]
