"""Pushing to a stand-in of the Hub: what goes there, what never does, what comes back, and every way it can fail."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import hub_server
import processes
import pytest
import yaml

import hfft as package
from hfft import card_marks, checking, hub_repo, judging, publishing, pushing, rehearsing, reporting, rereading, verbs
from hfft.cli import main
from hfft.errors import InputError
from hfft.pushed_cards import Wanted
from hfft.records import read_json, write_json
from hfft.run_folder import RunFolder

# huggingface_hub's own way of handing files to its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
ROOT = Path(__file__).parent.parent
WORDS = (
    "data.limit=null",
    "data.options={}",
    "data.columns={text: text, label: mood}",
    "train.max_steps=3",
    "train.eval_strategy=no",
    "train.save_strategy=no",
)
WORDS += ("train.load_best_model_at_end=false", "probes.budget=1s", "probes.names=[casing]")
TEXTS = ["I love this", "it is late again", "what a terrible day", "see you tomorrow"]
MODEL = {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "calibration.json"}
CODE = """
import json, sys
from transformers import pipeline
classify = pipeline("text-classification", model="maria/moods", token=True)
print(json.dumps([one["label"] for one in classify(json.load(sys.stdin))]))
print(sorted(name for name in sys.modules if name.split(".")[0] == "hfft"))
"""


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A tiny text model on 150 made-up rows."""
    path, moods = tmp_path_factory.mktemp("data") / "rows.csv", ("bad", "good", "plain")
    draw = random.Random(1)
    rows = [f"{moods[k % 3]} {draw.getrandbits(160):x} {draw.getrandbits(160):x},{moods[k % 3]}" for k in range(150)]
    path.write_text("\n".join(["text,mood", *rows]))
    return (*WORDS, f"data.data_files={path}")


@pytest.fixture(scope="module")
def trained(words, tmp_path_factory):
    """A run before its test split was opened, and the same one after."""
    root = tmp_path_factory.mktemp("runs") / "moods"
    verbs.run("tiny_textcls", words, str(root), say=lambda _: None)
    before = shutil.copytree(root, root.parent / "before" / "moods")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HFFT_PARITY", "off")  # the parity gate has tests of its own
        verbs.evaluate(str(root), say=lambda _: None)
    return root, before


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy that a test may change; its page is not written again."""
    monkeypatch.setattr(reporting, "render", lambda run: run.report)
    return RunFolder(Path(shutil.copytree(trained[0], tmp_path / "moods", ignore=shutil.ignore_patterns("check*"))))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    import huggingface_hub
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda _: None)  # between the tries of one request, and of hfft's own
    assert hub_repo.time is time
    with hub_server.running() as hub:
        hub_server.connected(hub, monkeypatch, tmp_path / "cache")
        yield hub
        huggingface_hub.close_session()


@pytest.fixture
def unread(monkeypatch):
    """Without reading the data again, which one test does."""
    monkeypatch.setattr(rereading, "compared", lambda run, got: {"rows": 1, "largest_gap": 0.0, "different": 0})


def push(run: RunFolder, to: str = "maria/moods", **options) -> tuple[dict, list[str]]:
    said: list[str] = []
    return publishing.publish(str(run.root), Wanted(to, **options), said.append), said


def refused(run: RunFolder, **options) -> str:
    with pytest.raises(InputError) as caught:
        push(run, **options)
    said = str(caught.value)
    assert "\n" not in said and "hf_" not in said and "Traceback" not in said
    return said


def sent(hub: hub_server.Hub) -> bytes:
    """Every byte the Hub was sent, and what was packed into base64 as it was before."""
    whole = b"\n".join([*hub.received, *hub.large.values()])
    packed = re.findall(rb'"content": "([A-Za-z0-9+/=]+)"', whole)
    return whole + b"\n".join(base64.b64decode(part) for part in packed)


def test_one_commit_holds_what_is_allowed_and_no_byte_of_the_token(run, hub):
    (run.model / "training_args.bin").write_bytes(b"hf_write")
    (run.model / "events.out.tfevents").write_bytes(b"x")
    facts, said = push(run, private=True, language="en")
    repo = hub.repos["model", "maria/moods"]
    assert [message for _, message, _ in repo.commits] == ["initial commit", "moods, by hfft"]
    figures = {f"figures/{name}.png" for name in ("confusion_matrix", "f1_per_class", "reliability", "probes")}
    own = {"README.md", "metrics.json", "recipe.yaml", "hfft.json", ".gitattributes"}
    assert set(repo.files) == MODEL | figures | own
    assert repo.private and facts["commit"] == repo.head
    weights = read_json(run.environment)["model"]["weights_sha256"]
    assert repo.tags == {f"moods-{weights[:8]}": repo.head} and facts["tag"] in repo.tags
    whole = sent(hub)
    assert repo.files["model.safetensors"] in whole and b"# moods" in whole, "it would have been seen"
    assert b"hf_write" not in whole and set(hub.tokens) == {"hf_write"}
    assert str(run.root).encode() not in whole and str(Path.home()).encode() + b"/" not in whole
    for path, data in repo.files.items():
        here = run.model / path
        assert path in ("README.md",) or not here.is_file() or here.read_bytes() == data
    assert facts["checked"] == {"files": 13, "rows": 20, "largest_gap": 0.0, "different": 0}
    assert "fetched back: 13 files, the same bytes; the same answers to 20 validation rows" in said


def test_the_card_is_valid_and_gives_back_the_test_numbers(run, hub, unread, tmp_path):
    from huggingface_hub import ModelCard

    push(run, licence="MIT", language="en")
    card = ModelCard.load("maria/moods")
    card.validate()
    assert any("validate-yaml" in line for line in hub.asked)
    found = {
        (one.metric_type, (one.metric_args or {}).get("average")): one.metric_value for one in card.data.eval_results
    }
    scores = read_json(run.metrics)["test"]
    names = {(kind, average): f"{kind}_{average}" if average else kind for kind, average in found}
    assert len(found) == 7 and found == {key: scores[name]["value"] for key, name in names.items()}
    assert {one.dataset_split for one in card.data.eval_results} == {"test"}
    assert (card.data.license, card.data.language, card.data.pipeline_tag) == ("mit", "en", "text-classification")
    assert "base_model" not in card.data.to_dict(), "random weights have no base"
    assert "PATH_OR_HUB_ID" not in card.text and 'model="maria/moods"' in card.text
    held = hub.repos["model", "maria/moods"].files
    assert all(f"figures/{name}" in held for name in re.findall(r"\(figures/(\S+)\)", card.text))
    texts = [row["text"] for row in card.data.to_dict()["widget"]]
    assert texts == sorted(read_json(run.model / "config.json")["label2id"]), "class names, no rows"
    broken = ModelCard(str(card).replace("value: 0.", "value: x0."))
    with pytest.raises(ValueError, match="must be a number"):
        broken.validate()


def test_only_what_the_hub_knows_is_linked(run, hub, unread):
    recipe = yaml.safe_load((run.root / "recipe.yaml").read_text())
    recipe["model"] |= {"name": "acme/base", "pretrained": True}
    recipe["data"] |= {"path": "acme/set", "data_files": None}
    (run.root / "recipe.yaml").write_text(yaml.safe_dump(recipe))

    def front(to: str, **options) -> dict:
        push(run, to=to, **options)
        return yaml.safe_load(hub.repos["model", to].files["README.md"].decode().split("\n---\n")[0])

    bare = front("maria/a")
    assert not {"base_model", "datasets", "license"} & set(bare)
    hub.made("acme/base", README__md=b"---\nlicense: apache-2.0\n---\n")
    hub.made("acme/set", "dataset")
    linked = front("maria/b")
    assert (linked["base_model"], linked["datasets"], linked["license"]) == ("acme/base", ["acme/set"], "apache-2.0")
    assert linked["model-index"][0]["results"][0]["dataset"] == {
        "type": "acme/set",
        "name": "acme/set",
        "split": "test",
    }
    named = front("maria/c", licence="Our Own 2")
    assert (named["license"], named["license_name"]) == ("other", "our-own-2")
    assert front("maria/b", language="de") == linked | {"language": "de"}
    assert front("maria/b") == linked | {"language": "de"}, "what was told once stays"


def test_a_fresh_process_with_plain_transformers_gives_the_same_labels(run, hub, unread, tmp_path):
    push(run, private=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    kept |= hub_server.environment(hub, tmp_path / "home")
    done = subprocess.run(
        [sys.executable, "-c", CODE], input=json.dumps(TEXTS), env=kept, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    labels, modules = done.stdout.splitlines()[-2:]
    assert json.loads(labels) == [next(iter(found)) for found in package.load(run.root).predict(TEXTS)]
    assert modules == "[]", "hfft was not needed"


def test_pushing_again_changes_nothing_and_a_new_card_sends_no_weights(run, trained, hub, unread, tmp_path):
    first = RunFolder(Path(shutil.copytree(trained[1], tmp_path / "x" / "moods")))
    _, said = push(first)
    assert any("test split has not been opened" in line for line in said)
    repo = hub.repos["model", "maria/moods"]
    card = repo.files["README.md"].decode()
    assert "model-index" not in card and "The test split has not been opened" in card
    head, before = repo.head, len(hub.writes)
    facts, said = push(first)
    assert len(hub.writes) == before and repo.head == head and not facts["changed"]
    assert said[-1].startswith("maria/moods holds exactly this already, as moods-")
    facts, _ = push(run)
    assert b"model-index" in repo.files["README.md"] and facts["tag"] in repo.tags and len(repo.tags) == 1
    assert repo.tags[facts["tag"]] == repo.head != head
    weights = read_json(run.environment)["model"]["weights_sha256"]
    assert sum(weights in line and line.startswith("PUT") for line in hub.asked) == 1


def test_a_name_that_is_none_is_told_before_anything_else(run, hub):
    before = held(run)
    for to in ("moods", "a/b/c"):
        with pytest.raises(InputError, match=r"--to .*: expected OWNER/NAME"):
            publishing.publish(str(run.root), Wanted(to))
    assert held(run) == before and not hub.asked


def held(run) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.root.rglob("*") if path.is_file()}


def test_a_dry_run_sends_and_writes_nothing(run, hub, monkeypatch, tmp_path):
    card = run.model / "README.md"
    card.write_text("# By hand\n")
    before = held(run)
    facts, said = push(run, dry_run=True)
    assert not hub.writes and not hub.repos and facts["commit"] is None
    assert any(line.endswith("  model.safetensors") for line in said)
    weights = read_json(run.environment)["model"]["weights_sha256"]
    told = re.fullmatch(
        r"would send (\d+) files \((.*) MB\) of (\d+) \((.*) MB\) to maria/moods, which would be made, as (.*); "
        "nothing was sent",
        said[-1],
    )
    assert told.groups() == ("9", told[2], "9", told[2], f"moods-{weights[:8]}")
    total = next(line for line in said if " bytes in 8 files, and hfft.json" in line)
    assert facts["total_bytes"] > int(total.split()[0].replace(",", "")) > 10_000
    hub_server.connected(hub, monkeypatch, tmp_path, None)
    said = []
    with pytest.raises(InputError, match="there is no token for the Hub here"):
        publishing.publish(str(run.root), Wanted("maria/moods", dry_run=True), said.append)
    assert any(line.endswith("  README.md") for line in said), "what would go is told without a token"
    assert held(run) == before


REFUSED = {
    None: "there is no token for the Hub here; type `hf auth login`",
    "hf_read": "--to maria/moods: the token may only read",
    "hf_stranger": "--to maria/moods: the token is stranger's, who is not a member of 'maria'",
    "hf_busy": "too many requests; wait",
    "hf_revoked": "does not know the token it was given",
}


@pytest.mark.parametrize("token", REFUSED)
def test_without_permission_nothing_is_sent(token, run, hub, monkeypatch, tmp_path):
    hub_server.connected(hub, monkeypatch, tmp_path, token)
    assert REFUSED[token] in refused(run) and not hub.writes and not hub.repos


def test_failures_on_the_way_are_one_sentence_each(run, hub, unread):
    repo = hub.made("maria/moods")
    commit, head = "POST /api/models/maria/moods/commit", repo.head
    hub.trouble(commit, 403)
    assert "does not let this token write to maria/moods; type `hf auth login`" in refused(run)
    hub.trouble(commit, 400)
    assert refused(run).startswith("the Hub answers 400 when asked about maria/moods")
    hub.trouble(commit, lambda: repo.commit("faster", repo.files | {"notes.txt": b"theirs"}))
    assert "somebody else has written to maria/moods since this push began, so nothing was changed" in refused(run)
    assert repo.files.keys() == {".gitattributes", "notes.txt"} and repo.head != head
    assert "holds what hfft did not write" in refused(run), "and now it is not empty"
    repo.commit("gone again", {".gitattributes": b""})
    hub.trouble(commit, 429, times=hub_repo.TRIES)
    assert "too many requests; wait some minutes" in refused(run)
    hub.trouble(commit, lambda: hub.repos.pop(("model", "maria/moods")))
    assert "maria/moods is not there (any more)" in refused(run)
    hub.trouble("GET /api/models/maria/moods", 503)
    assert "the Hub answers 503" in refused(run)


def test_the_card_is_refused_before_anything_is_sent(run, hub, unread):
    hub.made("maria/moods")
    hub.trouble("validate-yaml", 400)
    assert "the Hub refuses the front matter of the card" in refused(run) and not hub.large


@pytest.mark.parametrize("what", ["PUT /lfs", "POST /api/models/maria/moods/commit", "objects/batch", "/verify"])
def test_a_connection_cut_half_way_is_taken_up_again(what, run, hub, unread):
    hub.made("maria/moods")
    hub.trouble(what, "cut")
    _, said = push(run)
    repo = hub.repos["model", "maria/moods"]
    assert len(repo.commits) == 2 and set(repo.files) >= MODEL
    puts = [line for line in hub.asked if line.startswith("PUT")]
    assert len(puts) - len(set(puts)) == what.startswith("PUT"), "nothing that had arrived was sent twice"
    assert any("the connection broke" in line for line in said) == ("commit" in what)


def test_an_upload_that_broke_off_goes_on_with_the_next_push(run, hub, unread):
    weights = read_json(run.environment)["model"]["weights_sha256"]
    hub.trouble("POST /api/models/maria/moods/commit", "cut", times=hub_repo.TRIES)
    assert "the connection to the Hub broke" in refused(run) and len(hub.repos["model", "maria/moods"].commits) == 1
    push(run)
    assert sum(f"PUT /lfs/{weights}" in line for line in hub.asked) == 1


def test_an_answer_that_gets_lost_makes_no_second_commit(run, hub, unread, monkeypatch):
    from huggingface_hub import HfApi

    create = HfApi.create_commit

    def lost(self, *args, **options):
        create(self, *args, **options)
        monkeypatch.setattr(HfApi, "create_commit", create)
        raise ConnectionResetError("peer")

    push(run)
    (run.figures / "probes.png").unlink()
    monkeypatch.setattr(HfApi, "create_commit", lost)
    facts, said = push(run)
    repo = hub.repos["model", "maria/moods"]
    assert len(repo.commits) == 3 and facts["commit"] == repo.head and any("connection broke" in one for one in said)
    assert facts["removed"] == ["figures/probes.png"] and "figures/probes.png" not in repo.files


def test_what_others_wrote_is_replaced_only_when_told(run, hub, unread):
    theirs = hub.made("maria/moods", README__md=b"# Mine\n", pytorch_model__bin=b"weights")
    before = dict(theirs.files)
    assert "maria/moods holds what hfft did not write; type another name, or --overwrite" in refused(run)
    assert theirs.files == before
    facts, _ = push(run, overwrite=True)
    assert facts["removed"] == ["pytorch_model.bin"] and theirs.files[".gitattributes"] == before[".gitattributes"]
    assert b"# Mine" not in theirs.files["README.md"]
    other = RunFolder(run.root.rename(run.root.with_name("tickets")))
    assert "holds another run, 'moods'" in refused(other)
    push(other, overwrite=True)
    assert len(theirs.tags) == 2
    hub.made("maria/open")
    assert "is there and public, and --private makes only new ones private" in refused(
        other, to="maria/open", private=True
    )


def test_words_and_keys_typed_on_the_hub_stay(run, hub, unread):
    push(run)
    repo = hub.repos["model", "maria/moods"]
    card = repo.files["README.md"].decode()
    mine = card_marks.with_own(card, "Trained for the front desk.\n").replace(
        "\n---\n\n#", "\nlicense: mit\n---\n\n#", 1
    )
    repo.commit("by hand", repo.files | {"README.md": mine.encode()})
    (run.root / "notes.json").write_text('["Another note."]')
    judging.report(str(run.root), lambda _: None)
    push(run)
    now = repo.files["README.md"].decode()
    assert "Trained for the front desk." in now and "license: mit" in now and "Another note." in now
    local = run.model / "README.md"
    local.write_text(card_marks.with_own(local.read_text(), "Ask Maria.\n"))
    push(run)
    assert "Ask Maria." in repo.files["README.md"].decode(), "nobody had edited the card there: the newer words go"
    repo.commit("by hand", repo.files | {"README.md": now.replace("## Scores", "## Great scores").encode()})
    assert "was edited on the Hub, outside the lines for your own words" in refused(run)
    push(run, overwrite=True)
    assert "## Great scores" not in repo.files["README.md"].decode()


def test_a_card_edited_here_is_kept_and_pushed_as_it_is(run, hub, unread):
    card = run.model / "README.md"
    card.write_text(card_marks.with_own(card.read_text(), "Mine.\n"))
    judging.report(str(run.root), lambda _: None)
    assert "Mine." in card.read_text() and not (run.root / "card_new.md").exists()
    edited = card.read_text().replace("# moods", "# Moods of tweets")
    card.write_text(edited)
    said: list[str] = []
    judging.report(str(run.root), said.append)
    assert card.read_text() == edited and "was edited outside the lines" in said[0]
    assert "# moods" in (run.root / "card_new.md").read_text()
    for _ in range(2):
        push(run)
    assert b"# Moods of tweets" in hub.repos["model", "maria/moods"].files["README.md"]


def test_an_older_card_is_set_aside(run):
    card = run.model / "README.md"
    card.write_text("# By an older hfft, or by hand\n")
    judging.report(str(run.root), lambda _: None)
    assert card_marks.untouched(card.read_text())
    assert (run.root / "card_before.md").read_text() == "# By an older hfft, or by hand\n"


def test_paths_and_secrets_of_this_machine_stay_here(run, hub, unread, tmp_path):
    recipe = yaml.safe_load((run.root / "recipe.yaml").read_text())
    recipe["data"] |= {"data_files": str(tmp_path / "rows.csv"), "labels": {"/a": "b"}}
    recipe["data"]["options"] = {"token": "verysecret", "sep": ","}
    (run.root / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    config = read_json(run.model / "config.json")
    write_json(run.model / "config.json", config | {"_name_or_path": str(tmp_path / "bert")})
    push(run)
    files = hub.repos["model", "maria/moods"].files
    told = yaml.safe_load(files["recipe.yaml"])
    assert told["data"]["data_files"] == "rows.csv" and told["data"]["options"] == {"sep": ","}
    assert told["data"]["labels"] == {"/a": "b"} and json.loads(files["config.json"])["_name_or_path"] == "bert"
    whole = sent(hub)
    assert b"verysecret" not in whole and str(tmp_path).encode() not in whole
    card = run.model / "README.md"
    for secret, told in {"hf_" + "a" * 34: "a token", f"{tmp_path}/moods/x": str(tmp_path)}.items():
        text = card.read_text()
        card.write_text(card_marks.with_own(text, f"see {secret}\n"))
        with pytest.raises(InputError, match=r"README\.md holds .* take it out") as caught:
            push(run)
        assert told in str(caught.value) and "aaaa" not in str(caught.value)
        card.write_text(text)


def test_exports_go_along_if_they_are_of_these_weights(run, hub, unread):
    digest = read_json(run.environment)["model"]["weights_sha256"]
    for name, weights in {"onnx": digest, "openvino": "0" * 64, "onnx-int8": digest}.items():
        folder = run.root / "exports" / name
        folder.mkdir(parents=True)
        for path, data in {"model.onnx": "m", "config.json": "{}", "rows.parquet": "private"}.items():
            (folder / path).write_text(data)
        write_json(folder / "export.json", {"weights_sha256": weights, "accepted": name != "onnx-int8"})
    write_json(
        run.root / "parity.json",
        {
            "passed": True,
            "n": 60,
            "largest_logit_gap": 1e-6,
            "label_flips": 0,
            "rows": ["ab"],
            "why": "fine",
            "way": "x",
            "weights_sha256": digest,
        },
    )
    push(run)
    held = {path for path in hub.repos["model", "maria/moods"].files if path.startswith("exports/")}
    assert held == {"exports/onnx/model.onnx", "exports/onnx/config.json", "exports/onnx/export.json"}
    card = hub.repos["model", "maria/moods"].files["README.md"].decode()
    assert set(json.loads(hub.repos["model", "maria/moods"].files["parity.json"])) == {
        "passed", "n", "largest_logit_gap", "label_flips", "why", "way", "weights_sha256",
    }, "no ids of rows"  # fmt: skip
    assert "[exports/onnx](exports/onnx/README.md)" in card and "Checked: fine" in card
    shutil.rmtree(run.root / "exports")
    facts, _ = push(run)
    assert set(facts["removed"]) == held
    write_json(run.root / "parity.json", {"passed": False, "n": 60, "why": "flips", "weights_sha256": digest})
    assert "such a model is not pushed" in refused(run)


def test_a_tag_of_ones_own_is_never_moved(run, hub, unread):
    push(run, tag="v1")
    repo = hub.repos["model", "maria/moods"]
    assert repo.tags == {"v1": repo.head}
    (run.root / "notes.json").write_text('["Another note."]')
    head = repo.head
    assert "--tag v1: maria/moods has a tag of this name for another commit" in refused(run, tag="v1")
    assert repo.tags == {"v1": head} and repo.head == head


def test_what_comes_back_otherwise_is_told(run, hub, monkeypatch):
    other = {"rows": 20, "largest_gap": 0.4, "different": 3}
    monkeypatch.setattr(rereading, "compared", lambda run, got: other)
    assert "the model that came back from maria/moods answers otherwise" in refused(run)
    assert rereading.sentence(other) == "3 of 20 validation rows are answered otherwise"
    pull = hub_repo.pull

    def changed(*words):
        got = pull(*words)
        (got / "config.json").write_text("{}")
        return got

    monkeypatch.setattr(hub_repo, "pull", changed)
    (run.root / "notes.json").write_text('["Another note."]')
    assert "did not come back as it was sent: config.json" in refused(run)


def test_training_that_ends_on_the_hub(words, hub, unread, monkeypatch, tmp_path):
    words = (*words, "train.push_to_hub=true", "train.hub_private_repo=true")
    with pytest.raises(InputError, match=r"train\.hub_model_id: is missing"):
        pushing.run("tiny_textcls", words, str(tmp_path / "moods"))
    words += ("train.hub_model_id=maria/moods",)
    hub_server.connected(hub, monkeypatch, tmp_path, "hf_read")
    lost = (*words, "data.data_files=nowhere.csv")
    with pytest.raises(InputError, match=r"train\.hub_model_id maria/moods: the token may only read"):
        pushing.run("tiny_textcls", lost, str(tmp_path / "moods"), say=lambda _: None)
    assert not (tmp_path / "moods").exists(), "asked before the data was read"
    hub_server.connected(hub, monkeypatch, tmp_path / "cache")
    facts = pushing.run("tiny_textcls", words, str(tmp_path / "moods"), say=lambda _: None)
    repo = hub.repos["model", "maria/moods"]
    assert facts["pushed"]["commit"] == repo.head and repo.private and set(repo.files) >= MODEL
    assert b"model-index" not in repo.files["README.md"] and len(repo.commits) == 2, "the Trainer pushed nothing"
    with pytest.raises(InputError, match=r"more than one model is trained here; type train\.push_to_hub=false"):
        verbs.run("tiny_textcls", words, str(tmp_path / "seed-1"))
    again = pushing.push(str(tmp_path / "moods"), Wanted(), lambda _: None)
    assert again["repo"] == "maria/moods" and not again["changed"], "where to is known from the recipe"


def test_training_is_kept_when_the_push_fails(run, hub, monkeypatch):
    monkeypatch.setattr(verbs, "run", lambda *_, pushed, force: {"run": str(run.root), "validation": {}})
    hub.made("maria/moods", README__md=b"# Mine\n")
    words = ("train.push_to_hub=true", "train.hub_model_id=maria/moods")
    with pytest.raises(
        InputError, match=r"the run is finished and kept in .*moods, but it was not pushed: .* hfft push"
    ):
        pushing.run("tiny_textcls", words, say=lambda _: None)


def test_the_command_line(run, trained, hub, unread, capsys, tmp_path):
    def typed(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["push", *words])
        out = capsys.readouterr()
        return int(ended.value.code or 0), out.out, out.err

    code, out, _ = typed(str(run.root), "--to", "maria/moods", "--json")
    assert code == 0 and json.loads(out)["commit"] == hub.repos["model", "maria/moods"].head
    code, out, err = typed(str(run.root))
    assert (code, out) == (2, "") and err.startswith("hfft: where to? type hfft push ") and err.count("\n") == 1
    folds = tmp_path / "cv"
    folds.mkdir()
    write_json(folds / "folds.json", {"members": ["fold-1", "fold-2"]})
    code, _, err = typed(str(folds), "--to", "maria/moods")
    assert code == 2 and f"type one of them, such as {folds / 'fold-1'}" in err


PROCESS = """
import os, sys, time
from pathlib import Path
import torch
from hfft import hub_access, publishing, pushing, verbs
from hfft.errors import InputError

pushed, fails = Path(sys.argv[1]), len(sys.argv) > 2

def trained(*_, pushed, force):
    torch.distributed.init_process_group("gloo")
    return {"run": "moods"}

def published(folder, wanted, say):
    time.sleep(0.5)
    with pushed.open("a") as file:
        file.write(f"{wanted.to} by {os.environ['RANK']}\\n")
    if fails:
        raise InputError("no room")
    return {"commit": "c"}

hub_access.check, verbs.run, publishing.publish = lambda *_: "may", trained, published
words = ("train.push_to_hub=true", "train.hub_model_id=maria/moods")
try:
    print(sorted(pushing.run("tiny_textcls", words, say=lambda _: None)), pushed.read_text().split())
except InputError as error:
    print(error)
torch.distributed.destroy_process_group()
"""


def test_of_two_processes_the_first_pushes_and_the_other_waits(tmp_path):
    (tmp_path / "two.py").write_text(PROCESS)
    told = processes.together("two.py", "pushed", cwd=tmp_path).splitlines()
    once = "['maria/moods', 'by', '0']"
    assert sorted(told) == sorted([f"['pushed', 'run'] {once}", f"['run'] {once}"]), "both saw what the first had done"
    told = processes.together("two.py", "again", "fails", cwd=tmp_path).splitlines()
    kept = "the run is finished and kept in moods, but it was not pushed: no room; then: hfft push moods"
    assert sorted(told) == sorted([kept, f"['run'] {once}"]), "nobody waits for ever"


def test_check_asks_the_hub_where_the_recipe_will_push(words, hub, monkeypatch, tmp_path):
    words = (*words, "train.push_to_hub=true", "train.hub_model_id=club/moods")
    monkeypatch.setattr(rehearsing, "_acts", lambda *_: None)  # the rest of a rehearsal takes seconds
    facts = checking.check("tiny_textcls", words, str(tmp_path / "moods"), say=lambda _: None)
    (told,) = facts["rehearsal"]["problems"]
    assert told["step"] == "Hub" and told["what"].startswith("train.hub_model_id club/moods: maria is in club")
    assert told["fix"] == "mend it before training, or leave train.push_to_hub out"


def test_the_page_to_try_it_goes_along(run, hub, unread):
    facts, _ = push(run, space=True, private=True)
    space = hub.repos["space", "maria/moods"]
    assert {"app.py", "requirements.txt", "README.md", "hfft.json"} <= set(space.files) and space.private
    assert space.sdk == "gradio" and "maria/moods" in space.files["app.py"].decode()
    assert facts["space"]["commit"] == space.head and facts["space"]["url"].endswith("/spaces/maria/moods")
    _, said = push(run, space=True)
    assert said[-1] == "Space maria/moods holds exactly this already: nothing to do"
    hub.repos["space", "maria/moods"] = hub_server.Repo()
    hub.made("maria/moods", "space", app__py=b"theirs")
    (run.root / "notes.json").write_text('["Another note."]')  # of which the model's card would tell
    head = hub.repos["model", "maria/moods"].head
    assert "the Space maria/moods holds what hfft did not write" in refused(run, space=True)
    assert hub.repos["model", "maria/moods"].head == head, "what is wrong with a Space is asked before the model goes"


def test_a_space_that_would_be_refused_is_told_before_the_model_is_sent(run, hub, unread):
    hub.trouble("validate-yaml", 400)
    assert "the Hub refuses the front matter of maria/moods's card (space)" in refused(run, space=True)
    assert not hub.repos and not hub.large
    hub.trouble("POST /api/spaces/maria/moods/commit", 403)
    assert refused(run, space=True).startswith(f"the model is at {hub.url}/maria/moods, but its page is not there: ")


def test_only_what_can_be_the_same_is_hashed_again(run, hub, unread, monkeypatch):
    push(run)
    hashed: list[str] = []
    git_name = hub_repo._git_name
    monkeypatch.setattr(hub_repo, "_git_name", lambda path: hashed.append(path.name) or git_name(path))
    (run.model / "tokenizer_config.json").write_text((run.model / "tokenizer_config.json").read_text() + " ")
    facts, _ = push(run)
    assert set(facts["sent"]) == {"tokenizer_config.json", "hfft.json"}
    assert "model.safetensors" not in hashed and "tokenizer_config.json" not in hashed, "one by sha256, one by size"
