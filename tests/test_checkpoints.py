"""Only whole checkpoints count: any file cut, changed or gone, and the one before it is taken."""

import pytest

from hfft import checkpoints, records
from hfft.checkpoints import HIDDEN, SEAL, hidden, newest, seal, settle, sweep, whole

FILES = {"model.safetensors": b"weights" * 50, "optimizer.pt": b"moments" * 50, "trainer_state.json": b"{}"}


def checkpoint(root, step: int):
    folder = root / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data + str(step).encode())
    seal(folder)
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:-2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def delete(path):
    path.unlink()


def test_the_newest_by_number_not_by_name(tmp_path):
    assert newest(tmp_path) == (None, {})
    folders = {step: checkpoint(tmp_path, step) for step in (9, 100, 20)}
    (tmp_path / "checkpoint-best").mkdir()
    assert newest(tmp_path) == (folders[100], {})


@pytest.mark.parametrize("harm", [cut, flip, delete])
@pytest.mark.parametrize("name", [*FILES, SEAL])
def test_a_damaged_checkpoint_is_passed_over_and_named(harm, name, tmp_path):
    older, newer = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    harm(newer / name)
    assert not whole(newer)
    point, passed = newest(tmp_path)
    assert point == older and list(passed) == [newer] and passed[newer].startswith(name)
    harm(older / name)
    point, passed = newest(tmp_path)
    assert point is None and list(passed) == [newer, older]


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '"text"', "[1]", "5", '{"model.safetensors": 3}'])
def test_a_seal_that_says_nothing_seals_nothing(content, tmp_path):
    folder = checkpoint(tmp_path, 1)
    (folder / SEAL).write_text(content)
    assert not whole(folder)


def test_a_checkpoint_still_being_written_has_no_seal(tmp_path):
    older = checkpoint(tmp_path, 1)
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / "checkpoint-2" / "model.safetensors").write_bytes(b"half")
    assert newest(tmp_path) == (older, {tmp_path / "checkpoint-2": f"{SEAL} is missing"})


def test_sealing_again_takes_the_files_as_they_are(tmp_path):
    folder = checkpoint(tmp_path, 1)
    flip(folder / "optimizer.pt")
    seal(folder)
    assert whole(folder)


def written(root, step: int):
    """As the Trainer writes it, also into folders below."""
    made = hidden(root, step) / f"checkpoint-{step}"
    (made / "shards").mkdir(parents=True)
    for name in ("model.safetensors", "shards/0.pt"):
        (made / name).write_bytes(b"x" * step)


def test_one_is_moved_into_its_place_and_takes_that_of_an_earlier_try_and_of_all_that_came_after(tmp_path):
    older, same, later = (checkpoint(tmp_path, step) for step in (1, 5, 7))
    flip(same / "optimizer.pt")
    written(tmp_path, 5)
    assert newest(tmp_path)[0] == later and list(tmp_path.glob(f"{HIDDEN}*"))
    assert settle(tmp_path, 5) == same and whole(same) and not (same / "optimizer.pt").exists()
    assert sorted(tmp_path.iterdir()) == [older, same]
    flip(same / "shards" / "0.pt")
    assert newest(tmp_path) == (older, {same: "shards/0.pt is not as it was written"})


def test_what_a_save_left_that_was_cut_short_goes(tmp_path):
    kept = checkpoint(tmp_path, 1)
    written(tmp_path, 2)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize("earlier", [True, False])
def test_a_save_that_only_had_to_be_moved_is_moved_and_not_lost_with_what_it_replaces(earlier, tmp_path):
    """As it is when the process ends while an earlier try's checkpoint of the same step is being removed."""
    older = checkpoint(tmp_path, 1)
    if earlier:
        delete(checkpoint(tmp_path, 5) / "optimizer.pt")
    written(tmp_path, 5)
    made = tmp_path / f"{HIDDEN}5" / "checkpoint-5"
    checkpoints.seal(made)
    files = {path.relative_to(made): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    sweep(tmp_path)
    final = tmp_path / "checkpoint-5"
    assert sorted(tmp_path.iterdir()) == [older, final] and whole(final)
    assert {path.relative_to(final): path.read_bytes() for path in final.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_where_it_ends_in_between_the_older_one_is_taken(place, tmp_path, monkeypatch):
    older = checkpoint(tmp_path, 1)
    written(tmp_path, 2)
    target = records.os if place == "fsync" else checkpoints.Path
    monkeypatch.setattr(target, place, lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        settle(tmp_path, 2)
    assert newest(tmp_path) == (older, {})
