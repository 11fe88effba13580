"""Only whole checkpoints count: any file cut, changed or gone, and the one before it is taken."""

import pytest

from hfft.checkpoints import SEAL, newest, seal, whole

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
    assert newest(tmp_path) == (None, [])
    folders = {step: checkpoint(tmp_path, step) for step in (9, 100, 20)}
    (tmp_path / "checkpoint-best").mkdir()
    assert newest(tmp_path) == (folders[100], [])


@pytest.mark.parametrize("harm", [cut, flip, delete])
@pytest.mark.parametrize("name", [*FILES, SEAL])
def test_a_damaged_checkpoint_is_passed_over_and_named(harm, name, tmp_path):
    older, newer = checkpoint(tmp_path, 9), checkpoint(tmp_path, 10)
    harm(newer / name)
    assert not whole(newer)
    assert newest(tmp_path) == (older, [newer])
    harm(older / name)
    assert newest(tmp_path) == (None, [newer, older])


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '"text"', "[1]", "5", '{"model.safetensors": 3}'])
def test_a_seal_that_says_nothing_seals_nothing(content, tmp_path):
    folder = checkpoint(tmp_path, 1)
    (folder / SEAL).write_text(content)
    assert not whole(folder)


def test_a_checkpoint_still_being_written_has_no_seal(tmp_path):
    older = checkpoint(tmp_path, 1)
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / "checkpoint-2" / "model.safetensors").write_bytes(b"half")
    assert newest(tmp_path) == (older, [tmp_path / "checkpoint-2"])


def test_sealing_again_takes_the_files_as_they_are(tmp_path):
    folder = checkpoint(tmp_path, 1)
    flip(folder / "optimizer.pt")
    seal(folder)
    assert whole(folder)
