"""Only what a manifest names counts, every file is as it was written, and one nightly writes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch.compact import compact
from batch.decoding import SCHEMAS
from batch.files import read_json, write_json
from batch.lake import Lake, LakeBusy, LakeDamaged
from batch.land import described
from batch.manifest import Batch, Gap, LakeError
from feature_store.topics import PROFILES

TOPIC = PROFILES.name
SCHEMA = SCHEMAS[TOPIC]


def batch(name: str, topic_id: str, start: int, until: int, invalid: int = 0) -> Batch:
    return Batch(name, topic_id, {"0": start}, {"0": until}, until - start, invalid)


def land(lake: Lake, name: str, start: int, *users: str, day: str = "2026-03-10") -> None:
    """Adds a batch of one profile for each user, filed under a day."""
    rows = [
        {"partition": 0, "offset": start + n, "append_time": start + n, "user_id": user}
        for n, user in enumerate(users)
    ]
    write(lake, name, pa.Table.from_pylist(rows, schema=SCHEMA), day)
    one = batch(name, "id", start, start + len(users))
    lake.add(TOPIC, one, described(lake.landed(TOPIC).root, name, (name,)))


def write(lake: Lake, name: str, rows: pa.Table, day: str) -> Path:
    path = lake.landed(TOPIC).root / name / f"day={day}" / "part-0.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(rows, path)
    return path


def users(lake: Lake) -> list[str]:
    return lake.table(TOPIC, TOPIC)["user_id"].to_pylist()


def only_file(lake: Lake) -> Path:
    landed = lake.landed(TOPIC)
    return landed.path(landed.files[0])


def test_a_new_lake_has_landed_nothing(tmp_path: Path) -> None:
    landed = Lake(tmp_path).landed("clicks")
    assert (landed.rows, landed.offsets, landed.files, landed.gaps) == (0, {}, (), [])


def test_a_file_that_no_manifest_names_does_not_count_and_is_swept_away(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    land(lake, "one", 0, "ann")
    leftover = write(lake, "killed", pa.Table.from_pylist([{"user_id": "eve"}], SCHEMA), "x")
    assert users(lake) == ["ann"]
    lake.sweep(TOPIC)
    assert not leftover.parent.parent.exists()
    assert users(lake) == ["ann"]


def test_batches_add_up_and_the_last_offsets_stand(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add("clicks", batch("one", "id", 0, 5, invalid=1), [])
    lake.add("clicks", batch("two", "id", 5, 9, invalid=1), [])
    landed = lake.landed("clicks")
    assert (landed.rows, landed.invalid, landed.next("id"), landed.gaps) == (9, 2, {"0": 9}, [])


def test_a_recreated_topic_starts_at_zero_and_the_old_log_is_kept(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add("clicks", batch("one", "old", 0, 5), [])
    assert lake.landed("clicks").next("new") == {}
    lake.add("clicks", batch("two", "new", 0, 2), [])
    assert lake.landed("clicks").offsets == {"0": 2}
    assert (lake.landed("clicks").rows, lake.landed("clicks").gaps) == (7, [])


def test_what_kafka_deleted_before_it_was_landed_is_a_gap(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add("clicks", batch("one", "id", 3, 5), [])
    lake.add("clicks", batch("two", "id", 8, 9), [])
    assert lake.landed("clicks").gaps == [Gap("0", 0, 3), Gap("0", 5, 8)]


def test_a_reader_by_date_opens_only_the_days_asked_for(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    land(lake, "one", 0, "ann", day="2026-03-10")
    land(lake, "two", 1, "bob", day="2026-03-11")
    (file,) = lake.files(TOPIC, TOPIC, since="2026-03-11")
    assert pq.read_table(file)["user_id"].to_pylist() == ["bob"]


def test_compaction_keeps_every_row_and_the_readers_of_before(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for n in range(9):
        land(lake, f"batch-{n}", n, f"user-{n}")
    land(lake, "other", 9, "somebody", day="2026-03-11")
    before, opened = users(lake), lake.files(TOPIC, TOPIC)

    assert compact(lake, TOPIC) == 8

    assert sorted(users(lake)) == sorted(before)
    assert len(lake.landed(TOPIC).files) == 2
    lake.sweep(TOPIC)
    assert sum(pq.read_metadata(path).num_rows for path in opened) == len(before)
    assert lake.landed(TOPIC).files[-1].batches == tuple(f"batch-{n}" for n in range(9))
    assert compact(lake, TOPIC) == 0


def test_a_replaced_file_goes_with_the_change_after_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    for n in range(3):
        land(lake, f"batch-{n}", n, f"user-{n}")
    first = only_file(lake)
    compact(lake, TOPIC, files=2)
    assert first.exists()
    for n in range(3, 6):
        land(lake, f"batch-{n}", n, f"user-{n}")
    compact(lake, TOPIC, files=2)
    lake.sweep(TOPIC)
    assert not first.parent.parent.exists()
    assert sorted(users(lake)) == [f"user-{n}" for n in range(6)]


def test_a_compaction_killed_before_its_manifest_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    for n in range(9):
        land(lake, f"batch-{n}", n, f"user-{n}")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Lake, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            compact(lake, TOPIC)
    assert sorted(users(lake)) == [f"user-{n}" for n in range(9)]
    lake.sweep(TOPIC)
    assert compact(lake, TOPIC) == 8
    assert sorted(users(lake)) == [f"user-{n}" for n in range(9)]


def test_a_batch_of_an_older_contract_is_read_with_nulls(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    older = pa.Table.from_pylist([{"user_id": "ann", "offset": 0}], SCHEMA).drop_columns(
        ["segment"]
    )
    write(lake, "older", older, "2026-03-10")
    lake.add(TOPIC, batch("older", "id", 0, 1), described(lake.landed(TOPIC).root, "older", ("o",)))
    land(lake, "newer", 1, "bob")
    assert lake.table(TOPIC, TOPIC)["segment"].to_pylist() == [None, None]
    compact(lake, TOPIC, files=1)
    assert lake.table(TOPIC, TOPIC).schema.equals(SCHEMA)
    assert users(lake) == ["ann", "bob"]


def test_a_retyped_column_is_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    place = SCHEMA.get_field_index("consent")
    retyped = SCHEMA.set(place, pa.field("consent", pa.string()))
    write(lake, "odd", pa.Table.from_pylist([{"consent": "yes"}], retyped), "2026-03-10")
    lake.add(TOPIC, batch("odd", "id", 0, 1), described(lake.landed(TOPIC).root, "odd", ("odd",)))
    with pytest.raises(LakeDamaged, match="consent as string, the contract says bool"):
        lake.table(TOPIC, TOPIC)


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "bytes and was written with"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "no Parquet file any more"),
    ],
)
def test_a_damaged_file_is_named_and_so_is_the_remedy(
    tmp_path: Path, harm: object, complaint: str
) -> None:
    lake = Lake(tmp_path)
    land(lake, "one", 0, "ann")
    harm(only_file(lake))  # type: ignore[operator]
    with pytest.raises(LakeDamaged, match=f"part-0.parquet .*{complaint}.*millrace lake repair"):
        lake.table(TOPIC, TOPIC)


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    land(lake, "one", 0, "ann")
    assert lake.verify(TOPIC) == []
    path = only_file(lake)
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    assert [file.day for file in lake.verify(TOPIC)] == ["2026-03-10"]


def test_a_lake_of_another_format_says_what_to_do(tmp_path: Path) -> None:
    write_json(tmp_path / "log" / "clicks" / "manifest.json", {"topic": "clicks", "batches": []})
    with pytest.raises(LakeError, match="MILLRACE_LAKE"):
        Lake(tmp_path).landed("clicks")


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
