"""The recipe's loss and sampler: names and sections, options that fit, and what a run says of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hfft import gathering, notation, recipe, remedies, trainer_arguments, training
from hfft.errors import InputError
from hfft.recipe import Loss, Sampler
from hfft.records import Predictions
from hfft.resampling import Resampled
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.layouts import BERT, LABELS, TAGS, fit, text_rows


def made(tree: dict | None = None, **changes):
    return recipe.build({**(tree or BERT), **changes})


def mistake(tree: dict | None = None, **changes) -> str:
    with pytest.raises(InputError) as caught:
        made(tree, **changes)
    return str(caught.value).removeprefix("recipe: ")


def test_a_name_alone_is_a_section():
    assert made(loss="focal").loss == made(loss={"name": "focal"}).loss == Loss("focal", gamma=2.0)
    assert made(loss={"name": "focal", "gamma": 1}).loss.gamma == 1.0
    assert made(loss={"weights": "effective_number"}).loss == Loss(weights="effective_number", beta=remedies.BETA)
    assert made(TAGS, loss={"weights": "balanced"}).loss == Loss("binary_cross_entropy", weights="balanced")
    assert made(sampler="over_sampling").sampler == Sampler("over_sampling")
    assert made(sampler=None).sampler == Sampler() and made(loss=None).loss == Loss()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": "focal", "sampler": "under_sampling"},
        {"loss": {"name": "logit_adjusted", "tau": 0.5}, "sampler": {"name": "repeat_factor", "threshold": 0.1}},
        {"loss": {"weights": {"ham": 2, "1": 3.5, "no": 1}}},
        {"loss": {"weights": "effective_number", "beta": 0.9}},
    ],
)
def test_a_dumped_recipe_reads_back_equal(changes, tmp_path):
    wanted = made(**changes)
    (tmp_path / "again.yaml").write_text(recipe.dump(wanted))
    assert recipe.load(str(tmp_path / "again.yaml")) == wanted


def test_a_plain_recipe_is_dumped_as_before():
    tree = notation.parse(recipe.dump(made()))
    assert tree["loss"] == "cross_entropy" and tree["sampler"] is None
    assert notation.parse(recipe.dump(made(TAGS)))["loss"] == "binary_cross_entropy"


@pytest.mark.parametrize(
    "words, expected",
    [
        (("loss=focal", "loss.gamma=1.5"), Loss("focal", gamma=1.5)),
        (("loss.gamma=1.5", "loss=focal"), Loss("focal", gamma=1.5)),
        (("loss.gamma=1.5",), Loss("focal", gamma=1.5, weights="sqrt")),
        (("loss.weights.ham=3", "loss=cross_entropy"), Loss(weights={"ham": 3.0})),
        (("loss=cross_entropy",), Loss()),
    ],
)
def test_words_on_the_command_line_in_either_order(words, expected, tmp_path):
    (tmp_path / "mine.yaml").write_text(json.dumps({**BERT, "loss": {"name": "focal", "weights": "sqrt"}}))
    assert recipe.load(str(tmp_path / "mine.yaml"), words).loss == expected


def test_a_sampler_on_the_command_line(tmp_path):
    (tmp_path / "mine.yaml").write_text(json.dumps({**BERT, "sampler": "over_sampling"}))
    words = ("sampler.threshold=0.2", "sampler=repeat_factor")
    assert recipe.load(str(tmp_path / "mine.yaml"), words).sampler == Sampler("repeat_factor", 0.2)
    assert recipe.load(str(tmp_path / "mine.yaml"), ("sampler=null",)).sampler == Sampler()


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"loss": "focl"}, "loss: no 'focl' (did you mean 'focal'?); known: binary_cross_entropy, "),
        ({"loss": {"name": "focl", "gamma": 1}}, "loss: no 'focl' (did you mean 'focal'?)"),
        ({"sampler": "oversampling"}, "sampler: no 'oversampling' (did you mean 'over_sampling'?)"),
        ({"loss": {"nam": "focal"}}, "loss.nam: unknown key (did you mean 'name'?); known here: name, weights"),
        ({"loss": ["focal"]}, "loss: "),
        ({"loss": {"gamma": 2}}, "loss.gamma: cross_entropy does not use it; loss=focal would"),
        ({"loss": {"name": "focal", "tau": 2}}, "loss.tau: focal does not use it; loss=logit_adjusted would"),
        ({"loss": {"beta": 0.9}}, "loss.beta: only loss.weights=effective_number uses it; leave it out"),
        ({"loss": {"name": "focal", "gamma": -1}}, "loss.gamma: input should be greater than or equal to 0, got -1"),
        ({"loss": {"name": "focal", "gamma": "much"}}, "loss.gamma: input should be a valid number, got 'much'"),
        ({"loss": {"weights": "effective_number", "beta": 1}}, "loss.beta: input should be less than 1, got 1"),
        ({"loss": {"weights": "balancd"}}, "loss.weights: no 'balancd' (did you mean 'balanced'?): expected balanced"),
        ({"loss": {"weights": 3}}, "loss.weights: expected balanced, sqrt, effective_number or {class: weight}, got 3"),
        ({"loss": {"weights": {"ham:2": None}}}, "loss.weights: ham:2 has no weight; write '{class: weight}', with a "),
        ({"loss": {"weights": {"spam": 0}}}, "loss.weights: the weight of spam must be a number above 0, not 0; rows "),
        ({"loss": {"weights": {"spam": -2.5}}}, "loss.weights: the weight of spam must be a number above 0, not -2.5"),
        ({"loss": {"weights": {"spam": float("inf")}}}, "loss.weights: the weight of spam must be a number above 0"),
        ({"loss": {"weights": {"spam": True}}}, "loss.weights: the weight of spam must be a number above 0, not True"),
        (
            {"sampler": {"threshold": 0.1}},
            "sampler.threshold: there is no sampler to use it; sampler=repeat_factor would",
        ),
        (
            {"sampler": {"name": "over_sampling", "threshold": 0.1}},
            "sampler.threshold: over_sampling does not use it; sampler=repeat_factor would",
        ),
        ({"sampler": {"name": "repeat_factor", "threshold": 2}}, "sampler.threshold: input should be less than or equ"),
    ],
)
def test_mistakes_are_one_sentence(changes, expected):
    found = mistake(**changes)
    assert found.startswith(expected) and "\n" not in found


def test_a_stream_cannot_be_sampled():
    streamed = {"data": {"path": "csv", "streaming": True, "split": {"by": "hash"}}}
    assert mistake(**streamed, sampler="over_sampling") == (
        "sampler: over_sampling needs all rows at once, and data.streaming reads them as they come; leave one out"
    )
    made(**streamed, loss={"weights": "balanced"})


def test_two_remedies_for_one_thing_are_noted():
    one = made(loss={"weights": "balanced"}), made(sampler="over_sampling"), made(loss="focal", sampler="over_sampling")
    assert [remedies.notes(wanted) for wanted in one] == [[], [], []]
    both = made(loss={"name": "logit_adjusted", "weights": "sqrt"}, sampler="class_balanced")
    assert remedies.notes(both) == [
        "loss.weights: sqrt, loss: logit_adjusted and sampler: class_balanced each correct for unequal classes: "
        "together they correct twice"
    ]


def test_what_does_not_fit_the_labels_is_told_before_anything_is_read(tmp_path):
    for tree, changes, expected in (
        (TAGS, {"loss": "focal"}, "loss: focal does not fit classes of which several"),
        (BERT, {"loss": "binary_focal"}, "loss: binary_focal does not fit classes of which one"),
        (TAGS, {"sampler": "over_sampling"}, "sampler: over_sampling is for one class per row"),
    ):
        with pytest.raises(InputError, match=expected):
            trainer_arguments.arguments(made(tree, **changes), RunFolder(tmp_path))


def test_workers_that_live_on_are_refused(tmp_path):
    train = {"dataloader_persistent_workers": True, "dataloader_num_workers": 1}
    with pytest.raises(InputError, match=r"dataloader_persistent_workers: .* would draw each epoch alike"):
        wanted = made(sampler="over_sampling", train=train)
        args = trainer_arguments.arguments(wanted, RunFolder(tmp_path))
        fake = type("Model", (), {"config": type("Config", (), {"id2label": dict(enumerate(LABELS))})})
        training.fit(wanted, args, type("B", (), {"model": fake}), None, text_rows(tmp_path), None, RunFolder(tmp_path))


@pytest.fixture()
def uneven(tiny_csv, tmp_path, monkeypatch):
    """A recipe over 90 texts: 60 ham, 24 spam, 6 tofu."""
    monkeypatch.chdir(tmp_path)
    labels = ["ham"] * 60 + ["spam"] * 24 + ["tofu"] * 6
    path = tiny_csv(*((f"the fox number {i} jumps {i * 7 % 11} times", label) for i, label in enumerate(labels)))
    train = {"num_train_epochs": 1, "per_device_train_batch_size": 8}
    (tmp_path / "mine.yaml").write_text(json.dumps({**BERT, "data": {"path": path}, "train": train}))
    return "mine.yaml"


def test_a_run_says_how_many_rows_an_epoch_has_and_takes_its_steps(uneven, tmp_path, capsys):
    words = ("sampler=over_sampling", "loss=focal", "loss.weights=sqrt", "probes.names=[]")
    assert hfft("run", uneven, *words) == 0
    out = capsys.readouterr().out
    sizes = json.loads((tmp_path / "runs" / "mine" / "split.json").read_text())["counts"]["train"]
    rows = 3 * max(sizes.values())
    assert f"note: sampler: over_sampling shows {rows} rows per epoch; train has {sum(sizes.values())}" in out
    assert "note: loss.weights: sqrt and sampler: over_sampling each correct" in out
    history = json.loads((tmp_path / "runs" / "mine" / "history.json").read_text())
    assert max(row["step"] for row in history) == -(-rows // 8)
    found = Predictions.read(tmp_path / "runs" / "mine" / "predictions" / "validation.parquet")
    right = found.scores[np.arange(found.n), found.labels]
    told = next(row["eval_loss"] for row in history if "eval_loss" in row)
    assert told == pytest.approx(-np.log(right).mean(), rel=1e-4), "validation is by plain cross-entropy"
    kept = recipe.load(str(tmp_path / "runs" / "mine"))
    assert kept.sampler == Sampler("over_sampling") and kept.loss == Loss("focal", "sqrt", gamma=2.0)


def test_a_rehearsal_quotes_the_sampled_epoch_and_tells_what_does_not_fit(uneven, capsys):
    assert hfft("check", uneven, "sampler=under_sampling", "loss.weights=balanced", "--json") == 0
    out = capsys.readouterr().out
    facts = json.loads(out)
    rows = 3 * min(facts["counts"]["train"].values())
    assert facts["rehearsal"]["quote"]["steps"] == -(-rows // 8)
    notes = " ".join(facts["rehearsal"]["notes"])
    assert f"under_sampling shows {rows} rows per epoch" in notes and "together they correct twice" in notes
    assert hfft("check", uneven, "loss.weights={tofuu: 3}") == 2
    assert "unequal classes: loss.weights: train has no class 'tofuu' (did you mean 'tofu'?)" in capsys.readouterr().out
    assert hfft("check", uneven, "loss.weights={tofuu: 3}", "--fast") == 2
    assert "loss.weights: train has no class 'tofuu'" in capsys.readouterr().err


def test_the_epoch_that_is_quoted_is_the_one_that_is_drawn(uneven):
    for name in ("class_balanced", "repeat_factor"):
        wanted = recipe.load(uneven, (f"sampler={name}",))
        found = gathering.read(wanted, lambda _: None)
        labels = np.array([LABELS.index(label) for label in found.splits.parts["train"]["label"][:]])
        size = gathering.balance(wanted, found, lambda _: None)
        assert size == len(Resampled(labels.tolist(), labels, wanted.sampler, wanted.seed))
        assert (size > len(labels)) == (name == "repeat_factor")


def test_frequencies_of_a_stream_are_those_of_the_table(uneven):
    tree = notation.parse((Path(uneven)).read_text())
    tree["data"] = {"path": "csv", "data_files": tree["data"]["path"], "split": {"by": "hash"}}
    fake = type("Model", (), {"config": type("Config", (), {"id2label": dict(enumerate(["spam", "gone", "ham"]))})})
    seen = []
    for streaming in (False, True):
        tree["data"]["streaming"] = streaming
        found = gathering.read(recipe.build(tree), lambda _: None)
        seen.append(gathering.frequencies(found, type("Backbone", (), {"model": fake})))
    assert seen[0].names == ("spam", "gone", "ham") and seen[0].rows == seen[1].rows > 50
    assert seen[0].counts.tolist() == seen[1].counts.tolist() and seen[0].counts[1] == 0 < seen[0].counts[0]


def test_several_classes_per_row_train_with_every_remedy_at_once(tmp_path):
    changes = {"loss": {"name": "binary_focal", "weights": "balanced"}, "sampler": "class_balanced"}
    once = {"max_steps": 1, "per_device_train_batch_size": 16}
    steps = [fit("tags", tmp_path / name, once, changes=given) for name, given in (("a", changes), ("b", {}))]
    assert 0 < steps[0][0]["loss"] < steps[1][0]["loss"], "an undecided answer counts a quarter: (1 - 0.5)^2"
