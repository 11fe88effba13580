"""Exported models: the same logits at any size of batch, 8 bits only where they are no worse, refusals, the README."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
import scene_models
import torch
import transformers
from command import hfft
from PIL import Image

import hfft as api
from hfft import (
    backbones,
    calibrating,
    eight_bit,
    engines,
    export_answers,
    export_inputs,
    export_page,
    export_snippets,
    export_verdicts,
    forwarding,
    gathering,
    inferring,
    ledger,
    lite_graphs,
    onnx_graphs,
    openings,
    parity,
    pictures,
    recipe,
    segmenting,
    serving,
    sessions,
)
from hfft.errors import InputError
from hfft.modalities import image_classification, semantic_segmentation, text_classification
from hfft.recipe import Model
from hfft.records import Predictions, read_json, write_json
from hfft.run_folder import RunFolder

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

ROWS = 200
WORDS = ["the", "flight", "was", "late", "nobody", "told", "us", "why", "but", "crew", "were", "kind", "bags", "lost"]
CLASSES = tuple("abc")
IMAGES = {"timm": image_classification, "fcn": semantic_segmentation, "segformer": semantic_segmentation}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny text run that has not been evaluated, with its export to ONNX."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    words = ("data.limit=400", "train.max_steps=4", "train.eval_strategy=no", "train.save_strategy=no")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hfft.judging.publish", lambda _: [])
        assert (
            hfft("run", "tiny_textcls", *words, "train.load_best_model_at_end=false", "--output-dir", str(folder)) == 0
        )
    assert hfft("export", str(folder)) == 0
    return folder


@pytest.fixture
def again(run, tmp_path, monkeypatch):
    """A copy of the run without exports; tracing it again gives the file that is known already."""
    folder = tmp_path / "copy"
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("exports"))
    known = run / "exports" / "onnx" / sessions.ONNX
    monkeypatch.setattr(onnx_graphs, "write", lambda model, arrays, path: shutil.copyfile(known, path))
    return folder


def texts(n: int) -> list[str]:
    draws = np.random.default_rng(0)
    return [" ".join(draws.choice(WORDS, draws.integers(0, 24))) for _ in range(n)]


def images(n: int, side: int) -> datasets.Dataset:
    draws = np.random.default_rng(0)
    shapes = [(int(h), int(w)) for h, w in draws.integers(side // 2, 2 * side, (n, 2))]
    made = [Image.fromarray(draws.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]
    rows = {"image": [{"path": None, "bytes": pictures.png(image)} for image in made]}
    return datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image(decode=False))


def backbone(name: str, room: Path) -> backbones.Backbone:
    transformers.set_seed(0)
    if name == "segformer":
        spec = Model(name=str(scene_models.segformer(room / name, CLASSES)), image_size=[64, 64])
    else:
        spec = Model(name="timm/test_resnet", pretrained=False, image_size=32 if name == "timm" else [40, 48])
    found = backbones.load(spec, IMAGES[name], CLASSES)
    with torch.no_grad():  # new heads begin near 0, where everything is equal to anything
        for parameter in found.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return found


def traced(found: backbones.Backbone, batches: list[dict[str, torch.Tensor]], folder: Path) -> sessions.Session:
    folder.mkdir(exist_ok=True)
    onnx_graphs.write(found.model.eval(), batches[0], folder / sessions.ONNX)
    return sessions.load(folder, threads=1)


def test_an_export_names_no_folder_of_this_machine(run):
    held = (run / "exports" / "onnx" / "model.onnx").read_bytes()
    assert str(Path(api.__file__).parent.parent).encode() not in held
    assert b"stack_trace" not in held and b"site-packages" not in held


def test_a_text_model_gives_the_same_logits_for_200_rows_one_alone_and_sixteen_padded(run):
    found = backbones.reload(run / "model", text_classification)
    session = sessions.load(run / "exports" / "onnx", threads=1)
    assert session.inputs == ("input_ids", "attention_mask", "token_type_ids")
    rows, spec = text_classification.as_rows(texts(ROWS)), Model(name="", max_length=32)
    for size in serving.SIZES:
        facts = serving.held_against(found, session, serving.batches(found, text_classification, rows, spec, size))
        assert facts["rows"] == ROWS and facts["largest_logit_gap"] <= 1e-4 and facts["label_flips"] == 0
        speed = facts["speed"]
        assert speed["low"] <= speed["ratio"] <= speed["high"] and speed["batches"] == -(-ROWS // size)
    with torch.no_grad():  # an oracle that shares no code: transformers' own tokenizer call, one row at a time
        own = [
            found.model(**found.processor(text, return_tensors="pt", truncation=True, max_length=32)).logits[0]
            for text in texts(20)
        ]
    engine = engines.exported(run / "exports" / "onnx", text_classification)
    encode = text_classification.encoder(engine.processor, spec)
    got = forwarding.of_texts(engine, encode, {"text": texts(20)})
    np.testing.assert_allclose(got, torch.stack(own).numpy(), atol=1e-5)


@pytest.mark.parametrize("name", IMAGES)
def test_a_model_of_images_gives_the_same_logits_for_200_rows_at_two_sizes_of_batches(name, tmp_path):
    found, modality = backbone(name, tmp_path), IMAGES[name]
    rows, spec = images(ROWS, 24), Model(name="")
    parts = {size: list(serving.batches(found, modality, rows, spec, size)) for size in (4, 10)}
    session = traced(found, parts[4], tmp_path / "onnx")
    for part in parts.values():
        facts = serving.held_against(found, session, part)
        assert facts["rows"] == ROWS and facts["largest_logit_gap"] <= 1e-4 and facts["label_flips"] == 0
    the_readme_answers_alike(found, modality, tmp_path / "onnx")
    if name != "timm":
        return
    whole = tmp_path / "onnx" / sessions.ONNX
    assert eight_bit.fitting(whole) == eight_bit.STATIC
    (tmp_path / "int8").mkdir()
    seen = map(serving.arrays, parts[10][:2])
    made = eight_bit.quantise(whole, tmp_path / "int8" / sessions.ONNX, seen)
    assert made["how"] == "static" and (tmp_path / "int8" / sessions.ONNX).stat().st_size < 0.5 * whole.stat().st_size
    small = sessions.load(tmp_path / "int8", threads=1)
    gap = serving.held_against(found, small, parts[10])["largest_logit_gap"]
    assert 1e-4 < gap < 10, "8 bits are another model, and no wild one"


def snippet(folder: Path) -> str:
    return re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]


def printed(code: str, folder: Path) -> list[str]:
    """What the README's code prints in a fresh process, in which torch and transformers cannot be imported."""
    barred = "import sys\nfor name in ('torch', 'transformers', 'hfft', 'timm'): sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", barred + code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def the_readme_answers_alike(found: backbones.Backbone, modality, folder: Path) -> None:
    """The lines of a picture export, as they are printed, beside hfft's own answer to the same picture."""
    draws = np.random.default_rng(0)
    coarse = Image.fromarray(draws.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    coarse.resize((90, 60), Image.BICUBIC).save(folder / "picture.jpg")
    with Image.open(folder / "picture.jpg") as opened:
        image = opened.convert("RGB")
    write_json(folder / "export.json", {"classes": list(backbones.class_order(found.model))})
    inputs = export_inputs.described(found, modality, Model(name=""))
    facts = {"inputs": inputs, "file": sessions.ONNX, "task": modality.__name__.rpartition(".")[2]}
    code, packages = export_snippets.snippet(facts | {"multi_label": False}, False, False, False)
    assert packages == ["onnxruntime", "pillow"]
    lines, names = printed(code, folder), backbones.class_order(found.model)
    if not modality.MASKS:
        with torch.no_grad():
            logits = found.model(**found.processor([image], return_tensors="pt")).logits[0]
        best = int(logits.argmax())
        path, name, chance = lines[0].split()
        assert (len(lines), path, name) == (1, "picture.jpg", names[best])
        assert float(chance) == pytest.approx(float(logits.softmax(0)[best]), abs=1e-4)
        return
    rows = datasets.Dataset.from_dict({"image": [{"path": str(folder / "picture.jpg"), "bytes": None}]})
    rows = rows.cast_column("image", datasets.Image(decode=False))
    answer = next(iter(segmenting.answers([found], rows, Model(name=""), parity.ON_CPU))).answer
    told = {name: float(share) for name, share in (line.split() for line in lines)}
    assert sum(told.values()) == pytest.approx(1.0)
    # Pillow's bilinear is not quite torch's.
    assert told == pytest.approx({name: (answer == i).mean() for i, name in enumerate(names) if name in told}, abs=0.02)


def test_the_export_holds_what_answers_need_and_its_readme_runs_with_onnxruntime_and_tokenizers_alone(run):
    folder = run / "exports" / "onnx"
    facts = read_json(folder / "export.json")
    assert facts["split"] == "validation" and facts["look"] is None, "a run that was never evaluated is not opened"
    assert not (run / "ledger.jsonl").exists()
    assert facts["accepted"] and facts["exit_code"] == 0 and facts["parity"]["largest_logit_gap"] <= 1e-4
    assert {part["batch"]: part["rows"] for part in facts["parity"]["batches"]} == {1: 60, 16: 60}
    assert facts["weights_sha256"] == read_json(run / "environment.json")["model"]["weights_sha256"]
    assert {path.name for path in folder.iterdir()} >= {
        "config.json",
        "tokenizer.json",
        "calibration.json",
        "README.md",
    }
    assert not (folder / "model.safetensors").exists() and str(run.parent) not in (folder / "README.md").read_text()
    given = [*filter(None, texts(6)), "a text that is much longer than its thirty two tokens " * 8]
    code = snippet(folder).replace('texts = ["a text of the kind it was trained on"]', f"texts = {given!r}")
    assert code.count(repr(given)) == 1
    expected = api.load(run).predict(given)
    for line, text, answer in zip(printed(code, folder), given, expected, strict=True):
        name, chance = line.removeprefix(text).split()
        assert name == next(iter(answer)) and float(chance) == pytest.approx(answer[name], abs=1e-5)


def test_eight_bits_are_kept_only_where_they_are_no_worse(again, capsys):
    assert hfft("export", str(again), "--format", "onnx-int8", "--margin", "0.3", "--rows", "8", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["int8"]["how"] == "dynamic" and facts["comparison"]["n"] == 60 and facts["accepted"]
    assert facts["comparison"]["low"] > -0.3 and facts["parity"]["largest_logit_gap"] > 1e-6
    folder = again / "exports" / "onnx-int8"
    assert "no worse than 0.3 of f1_macro" in (folder / "README.md").read_text()
    # What the gate judged and what was fitted are the answers that `hfft predict --engine onnx-int8` gives.
    shipped, wanted = RunFolder(again).answering("onnx-int8"), recipe.load(str(again))
    assert shipped.model == folder and RunFolder(again).answering("onnx").model == again / "model"
    rows = gathering.held_back(wanted, RunFolder(again), "validation")
    own = backbones.reload(again / "model", text_classification)
    seen = export_answers.predicted(folder, RunFolder(again), wanted, text_classification, own, rows)
    served = inferring.load(str(again), "onnx-int8")
    assert np.array_equal(served.raw(rows["text"][:]), seen.scores)
    stored = calibrating.fitted(seen, wanted.abstain)
    assert read_json(folder / "calibration.json") == stored != read_json(again / "model" / "calibration.json")
    assert served.rule.temperature == stored["temperature"]["value"] == facts["fitted"]["temperature"]
    assert facts["fitted"]["n"] == 60 and inferring.load(str(again)).rule.temperature == facts["fitted"]["before"]
    session = sessions.load(folder)
    arrays = {name: np.ones((3, 7), np.int32) for name in session.inputs}
    assert session.run(arrays | {"more": np.ones(1)}).shape == (3, 3), "arrays of other types and others are taken"
    assert hfft("export", str(again), "--format", "onnx-int8") == 2, "an export is not overwritten unasked"
    assert "--overwrite" in capsys.readouterr().err
    assert hfft("export", str(again), "--format", "onnx-int8", "--overwrite", "--margin", "0.001", "--rows", "8") == 3
    told = capsys.readouterr().out
    assert "REFUSED" in told and "So it is refused" in told and "Nothing was kept" in told
    assert read_json(folder / "export.json")["comparison"]["margin"] == 0.3, "what was there stays"
    assert not [path for path in (again / "exports").iterdir() if path.name.startswith(".")]


def test_answers_that_are_worse_are_refused():
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, 2000)
    ids = np.arange(2000).astype(str).astype(object)
    scores = np.full((2000, 2), 0.5, np.float32)
    base = Predictions(ids, labels, labels, scores, ("a", "b"))
    flipped = np.where(np.arange(2000) < 100, 1 - labels, labels)
    outcomes = {}
    for margin in (0.01, 0.1):
        other = Predictions(ids, labels, flipped, scores, ("a", "b"))
        verdict, metric, apart = export_verdicts.no_worse(base, other, ["accuracy"], margin)
        outcomes[margin] = verdict.verdict
        assert metric == "accuracy" and apart.value == pytest.approx(-0.05) and apart.low < -0.05 < apart.high
    assert outcomes == {0.01: "fail", 0.1: "pass"}


def test_of_an_evaluated_run_test_rows_are_used_and_the_look_is_in_the_ledger(again, monkeypatch, capsys):
    weights = read_json(again / "environment.json")["model"]["weights_sha256"]
    ledger.scored(RunFolder(again), ledger.opened(RunFolder(again), 60, "rows", weights), {"f1_macro": 0.5})
    (again / "predictions" / "test.parquet").write_bytes((again / "predictions" / "validation.parquet").read_bytes())
    monkeypatch.setattr(export_verdicts, "TOLERANCE", 0.0)  # no rounding is allowed for
    assert hfft("export", str(again), "--rows", "20", "--json") == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["split"] == "test" and facts["parity"]["n"] == 20 and facts["look"] == 2
    assert not facts["accepted"] and facts["folder"] is None and not (again / "exports" / "onnx").exists()
    found = ledger.read(RunFolder(again))
    assert found.state == ledger.CHAINED and (found.total, found.count, found.unlabelled) == (2, 1, 1)
    assert found.looks[1]["for"] == "export onnx" and found.looks[1]["scores"] == {}
    told = openings.told(RunFolder(again), None, None)
    assert told["sentences"][:2] == [
        "The test split of this run has been opened once.",
        "It was opened once more for an export of the same weights, which read no label and so could tune nothing.",
    ]
    assert hfft("export", str(again), "--rows", "20", "--keep") == 1
    page = (again / "exports" / "onnx" / "README.md").read_text(encoding="utf-8")
    assert "**NOT ACCEPTED**" in page and "does not count it as a look" in page
    assert "and no label was read: that is no look" in " ".join(capsys.readouterr().out.split())
    words = ("--format", "onnx-int8", "--rows", "4")
    assert hfft("export", str(again), *words) == 2, "the file of test answers is a copy, of other rows"
    assert ledger.read(RunFolder(again)).count == 2, "labels decide whether 8 bits are accepted: that is a look"


def test_a_model_folder_that_answers_otherwise_without_hfft_fails_the_run_loudly(again, capsys):
    """What the parity gate found (tests/test_parity.py), on the page, the card, in the gates' files and exit code."""
    (again / "predictions" / "test.parquet").write_bytes((again / "predictions" / "validation.parquet").read_bytes())
    weights = read_json(again / "environment.json")["model"]["weights_sha256"]
    facts = {"n": 60, "largest_logit_gap": 2.5, "label_flips": 9, "weights_sha256": weights, "way": "pipe(text)"}
    for passed, why in ((True, "the two agree here"), (False, "THE SAVED MODEL ANSWERS OTHERWISE, and so on")):
        write_json(again / "parity.json", facts | {"passed": passed, "why": why})
        assert hfft("judge", str(again)) == (0 if passed else 1)
        assert why in " ".join(capsys.readouterr().out.split())
        for name in ("report.html", "model/README.md"):
            assert why in (again / name).read_text(encoding="utf-8"), name
        assert (again / "gates.xml").exists() is not passed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--format", "onxx"), "did you mean 'onnx'?"),
        (("--margin", "2"), "such as 0.01"),
        (("--rows", "0"), "--rows"),
        (("--output-dir", "{run}/model"), "is no export and is not overwritten"),
        (("--output-dir", "{run}/recipe.yaml/x"), "cannot be written (Not a directory); make it writable"),
    ],
)
def test_words_that_make_no_sense_are_refused_in_a_sentence(run, capsys, words, told):
    assert hfft("export", str(run), *(word.format(run=run) for word in words)) == 2
    assert told in capsys.readouterr().err


def test_a_missing_library_names_the_extra(run, monkeypatch, capsys):
    for name, extra in {"onnxscript": "export", "openvino": "openvino"}.items():
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            assert hfft("export", str(run), "--format", "openvino", "--output-dir", str(run / "x")) == 2
        assert f"pip install 'hfft[{extra}]'" in capsys.readouterr().err


def test_a_folder_without_a_model_or_with_a_damaged_one_is_told(tmp_path):
    with pytest.raises(InputError, match=r"hfft export .* --format onnx"):
        sessions.load(tmp_path / "exports" / "onnx")
    (tmp_path / sessions.ONNX).write_bytes(b"no model")
    with pytest.raises(InputError, match="cannot be read"):
        sessions.load(tmp_path)


def test_openvino_gives_the_same_logits(run, tmp_path):
    pytest.importorskip("openvino")
    onnx_graphs.to_openvino(run / "exports" / "onnx" / sessions.ONNX, tmp_path / sessions.OPENVINO)
    session = sessions.load(tmp_path, threads=1)
    found = backbones.reload(run / "model", text_classification)
    rows, spec = text_classification.as_rows(texts(ROWS)), Model(name="", max_length=32)
    for size in serving.SIZES:
        batches = serving.batches(found, text_classification, rows, spec, size)
        facts = serving.held_against(found, session, batches)
        assert facts["largest_logit_gap"] <= 1e-4 and facts["label_flips"] == 0


def test_litert_gives_the_same_logits_row_by_row(run, tmp_path, capsys):
    """Where the extra is installed, which brings jax: not in CI."""
    pytest.importorskip("litert_torch")
    folder = tmp_path / "litert"
    assert hfft("export", str(run), "--format", "litert", "--output-dir", str(folder)) == 0
    (line,) = printed(snippet(folder), folder)
    assert line.startswith("a text of the kind it was trained on ")
    session, found = sessions.load(folder, threads=1), backbones.reload(run / "model", text_classification)
    rows, spec = text_classification.as_rows(texts(ROWS)), Model(name="", max_length=32)
    for size in serving.SIZES:
        facts = serving.held_against(found, session, serving.batches(found, text_classification, rows, spec, size))
        assert facts["largest_logit_gap"] <= 1e-4 and facts["label_flips"] == 0
    with pytest.raises(InputError, match="at most 32 tokens"):
        session.run({name: np.ones((1, 33), int) for name in session.inputs})
    pictures_of, modality = backbone("timm", tmp_path), IMAGES["timm"]
    batch = next(serving.batches(pictures_of, modality, images(4, 24), Model(name=""), 4))
    lite_graphs.write(pictures_of.model.eval(), batch, tmp_path / sessions.LITERT, None)
    facts = serving.held_against(pictures_of, sessions.load(tmp_path), [batch])
    assert facts["rows"] == 4 and facts["largest_logit_gap"] <= 1e-4


@pytest.mark.parametrize("name", ["timm", "segformer"])
def test_the_readme_of_pictures_makes_the_same_pixels(name, tmp_path):
    found = backbone(name, tmp_path)
    inputs = export_inputs.described(found, IMAGES[name], Model(name=""))
    assert inputs["described"]
    facts = {"inputs": inputs, "file": sessions.ONNX, "task": IMAGES[name].__name__.rpartition(".")[2]}
    code = export_page.export_snippets.snippet(facts | {"multi_label": False}, False, False, False)[0]
    code = code[code.index("def pixels") : code.index("def arrays_of")]
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8))
    image.save(tmp_path / "picture.png")
    room = {"np": np, "Image": Image, "ImageOps": __import__("PIL.ImageOps").ImageOps}
    exec(code, room)
    expected = found.processor([image], return_tensors="pt")["pixel_values"][0].numpy()
    got = room["pixels"](tmp_path / "picture.png")
    assert got.shape == expected.shape and got.dtype == np.float32
    # transformers resizes tensors and not pictures: a value may round to the next of 256.
    assert np.abs(got - expected).max() <= (1e-5 if name == "timm" else 1.01 / 255 / min(inputs["std"]))


def test_the_interval_of_a_median_holds_it_as_often_as_it_says():
    draws = np.random.default_rng(0)
    for n in (12, 50):
        ends = np.array([serving.median_interval(draws.exponential(size=n)) for _ in range(600)])
        held = ((ends[:, 0] <= np.log(2)) & (np.log(2) <= ends[:, 1])).mean()
        assert held >= 0.93, n
    assert serving.median_interval(np.arange(5.0)) == (None, None)
