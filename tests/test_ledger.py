"""The ledger: every look leaves a line, whatever happens to the process, and a line that was touched shows."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path

import pytest

from hfft import ledger, openings, verbs
from hfft.errors import InputError
from hfft.records import Score
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import CONTEXT


def looked(root: Path, looks: int = 3, rows: str = "ef" * 32, weights: str = "ab" * 32) -> RunFolder:
    run = RunFolder(root)
    root.mkdir(parents=True, exist_ok=True)
    for _ in range(looks):
        ledger.scored(run, ledger.opened(run, 100, rows, weights), {"f1_macro": 0.75, "größe\n\u2028": None})
    return run


def lines(run: RunFolder) -> list[bytes]:
    return run.ledger.read_bytes().splitlines(keepends=True)


def state(run: RunFolder) -> tuple[str, int]:
    found = ledger.read(run)
    assert bool(found.why) == (found.state in ("broken", "not chained"))
    return found.state, found.count


def test_two_lines_per_look_that_read_without_hfft(tmp_path):
    assert state(RunFolder(tmp_path)) == ("empty", 0)
    run = looked(tmp_path, 2)
    entries = [json.loads(line) for line in lines(run)]
    assert [(entry["event"], entry["look"]) for entry in entries] == [
        ("opened", 1), ("scored", 1), ("opened", 2), ("scored", 2)
    ]  # fmt: skip
    assert entries[0]["previous"] == "0" * 64 and entries[3]["previous"] == entries[2]["digest"]
    assert json.loads(run.ledger_head.read_text()) == {"lines": 4, "looks": 2, "digest": entries[3]["digest"]}
    assert state(run) == ("chained", 2)
    assert [look["scores"] for look in ledger.read(run).looks] == [{"f1_macro": 0.75, "größe\n\u2028": None}] * 2


def edits(text: list[bytes], draw: random.Random) -> tuple[str, list[bytes]]:
    """One random change of a ledger's lines."""
    at = draw.randrange(len(text))
    line, before, after = text[at], text[:at], text[at + 1 :]
    other = draw.choice([place for place in range(len(text)) if place != at])
    place = draw.randrange(len(line))
    bare = {key: value for key, value in json.loads(line).items() if key not in ("digest", "previous")}
    # A whole line of the right form, sealed on itself, in a place that is not its own.
    forged = {"event": "opened", "look": 9, "previous": draw.choice(["0" * 64, json.loads(text[0])["digest"]])}
    swapped = [text[other] if i == at else line if i == other else kept for i, kept in enumerate(text)]
    changed = {
        "letter": [*before, line[:place] + bytes([line[place] ^ 1 << draw.randrange(7)]) + line[place + 1 :], *after],
        "value": [*before, line.replace(b'"look": ', b'"look": 1'), *after],
        "remove": before + after,
        "last": text[: -draw.randint(1, len(text))],
        "repeat": [*before, line, line, *after],
        "swap": swapped,
        "forged": [*before, ledger._sealed(forged)[0] + b"\n", line, *after],
        "bare": [*before, json.dumps(bare).encode() + b"\n", *after],
        "cut": [*text[:-1], text[-1][: draw.randrange(1, len(text[-1]))]],
        "tail": [*text, draw.choice([b"\n", b"{}\n", b"x"])],
    }
    kind = draw.choice(list(changed))
    return kind, changed[kind]


def test_a_hundred_random_edits_and_a_hundred_found(tmp_path):
    draw, run, kinds = random.Random(0), looked(tmp_path), set()
    kept, head = lines(run), run.ledger_head.read_bytes()
    found = 0
    for _ in range(100):
        kind, text = edits(list(kept), draw)
        assert b"".join(text) != b"".join(kept), kind
        run.ledger.write_bytes(b"".join(text))
        assert state(run)[0] == "broken", (kind, text)
        kinds.add(kind)
        found += 1
    assert found == 100 and len(kinds) == 10
    run.ledger.write_bytes(b"".join(kept))
    assert state(run) == ("chained", 3) and run.ledger_head.read_bytes() == head


@pytest.mark.parametrize("gone", ["ledger", "ledger_head", "both"])
def test_files_that_are_gone_are_missed(gone, tmp_path):
    run = looked(tmp_path)
    run.predictions("test").parent.mkdir()
    run.predictions("test").touch()
    for path in (run.ledger, run.ledger_head):
        if gone in ("both", path.name.replace("ledger.jsonl", "ledger").replace(".", "_")):
            path.unlink()
    assert state(run) == ("broken", 0 if gone == "both" else 3)


@pytest.mark.parametrize(("predicted", "expected"), [(True, "broken"), (False, "chained")])
def test_a_ledger_cut_to_its_first_line_without_a_head(predicted, expected, tmp_path):
    """A process killed between line and head leaves the same, but before it predicted anything."""
    run = looked(tmp_path, 5)
    run.ledger.write_bytes(lines(run)[0])
    run.ledger_head.unlink()
    if predicted:
        run.predictions("test").parent.mkdir()
        run.predictions("test").touch()
    assert state(run) == (expected, 1)


def test_luck_in_a_loss_is_no_points(tmp_path):
    run = looked(tmp_path / "a", 1)
    looked(tmp_path / "b", 1, weights="cd" * 32)
    score = Score(0.50, 0.45, 0.55, 1000, "made up")
    said = " ".join(openings.told(run, "log_loss", score)["sentences"])
    assert " of log_loss too good by luck alone" in said and "points" not in said
    assert " points too good by luck alone" in " ".join(openings.told(run, "accuracy", score)["sentences"])


def test_a_head_of_nonsense_or_of_another_ledger(tmp_path):
    run, other = looked(tmp_path / "a"), looked(tmp_path / "b", weights="cd" * 32)
    for head in (b"", b"[]", b"{}", b"\xff", other.ledger_head.read_bytes()):
        run.ledger_head.write_bytes(head)
        assert state(run)[0] == "broken"
    run.ledger.unlink()
    assert state(run)[0] == "broken"


def test_a_broken_chain_stays_known_and_goes_on(tmp_path):
    run = looked(tmp_path)
    run.ledger.write_bytes(b"".join(lines(run)[:-2]))
    assert ledger.read(run).why == "its last 2 lines are gone" and state(run) == ("broken", 3)
    assert ledger.opened(run, 100, "ef" * 32, "ab" * 32) == 4, "the look that is gone keeps its number"
    assert state(run) == ("broken", 4) and ledger.read(run).why == "its last 2 lines are gone"
    ledger.scored(run, 4, {})
    marks = [json.loads(line).get("found_broken") for line in lines(run)]
    assert marks == [None] * 4 + ["its last 2 lines are gone", None]
    assert ledger.read(run).looks[-1]["scores"] == {}


def test_a_look_that_leaves_no_line_is_not_taken(tmp_path):
    run = RunFolder(tmp_path)
    run.ledger.mkdir()
    with pytest.raises(InputError, match=r"cannot be written .*stays closed"):
        ledger.opened(run, 1, "", "")


def test_a_line_cut_off_while_it_was_written(tmp_path):
    run = looked(tmp_path)
    run.ledger.write_bytes(run.ledger.read_bytes()[:-30])
    assert ledger.read(run).why == "line 6 is not what was written"
    assert ledger.opened(run, 1, "", "") == 4 and len(lines(run)) == 7 and state(run) == ("broken", 4)


def test_a_process_killed_between_line_and_head(tmp_path):
    run = looked(tmp_path, 1)
    head = run.ledger_head.read_bytes()
    ledger.opened(run, 100, "ef" * 32, "ab" * 32)
    run.ledger_head.write_bytes(head)
    assert state(run) == ("chained", 2)
    assert ledger.opened(run, 100, "ef" * 32, "ab" * 32) == 3 and state(run) == ("chained", 3)
    run.ledger_head.write_bytes(head)
    assert state(run)[0] == "broken", "two lines behind is no accident of one process"


def test_ledgers_of_an_older_hfft(tmp_path):
    run, old = RunFolder(tmp_path), {"time": "2026-01-01", "look": 1, "n": 5, "fingerprint": "f", "weights": "w"}
    text = json.dumps(old | {"scores": {"accuracy": 0.5}}) + "\n" + json.dumps(old | {"look": 2}) + "\n"
    run.ledger.write_text(text)
    assert state(run) == ("not chained", 2) and ledger.read(run).looks[0]["scores"] == {"accuracy": 0.5}
    assert ledger.opened(run, 5, "f", "w") == 3
    assert state(run) == ("not chained", 3)
    run.ledger.write_bytes(run.ledger.read_bytes().replace(b"0.5", b"0.9"))
    assert state(run)[0] == "broken", "the first new line seals the old ones"
    run.ledger.write_text(text)
    assert state(run)[0] == "broken", "and lines that lost their digests are not taken for old ones"


def _look(root: str) -> None:
    for _ in range(10):
        ledger.scored(RunFolder(Path(root)), ledger.opened(RunFolder(Path(root)), 1, "", ""), {})


def test_two_processes_at_once(tmp_path):
    both = [CONTEXT.Process(target=_look, args=(str(tmp_path),)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert state(RunFolder(tmp_path)) == ("chained", 20)
    assert [look["look"] for look in ledger.read(RunFolder(tmp_path)).looks] == list(range(1, 21))


def _killed(root: str) -> None:
    """A process that is killed when it says that it is scoring."""

    def say(told: str) -> None:
        if "scoring" in told:
            os.kill(os.getpid(), signal.SIGKILL)

    verbs.evaluate(root, say)


def test_a_killed_process_leaves_its_line(tmp_path):
    """A real `hfft eval`, killed at the moment it says that it is scoring."""
    assert hfft("run", "tiny_textcls", "--output-dir", str(tmp_path / "run")) == 0
    run = RunFolder(tmp_path / "run")
    process = CONTEXT.Process(target=_killed, args=(str(run.root),))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert state(run) == ("chained", 1) and not run.predictions("test").exists()
    assert ledger.read(run).looks[0]["scores"] is None and ledger.read(run).looks[0]["n"] > 50
    assert hfft("report", str(run.root)) == 0
    assert "ended before" in run.report.read_text()
    assert hfft("eval", str(run.root)) == 0 and state(run) == ("chained", 2)


def test_runs_beside_that_saw_the_same_rows(tmp_path):
    folder = tmp_path / "runs"
    run = looked(folder / "a", 2, weights="a")
    score = Score(0.75, 0.70, 0.80, 100, "BCa bootstrap, 2000 resamples")
    alone = openings.told(run, "f1_macro", score)
    assert alone["shared"] == {"looks": 2, "models": 1, "runs": 1, "folder": "runs"} and alone["luck"] is None
    assert alone["sentences"] == ["The test split of this run has been opened 2 times, always with the same weights."]
    looked(folder / "b", 1, weights="b")
    looked(folder / "many" / "seed-1", 1, weights="c")
    looked(folder / "many" / "seed-2", 3, weights="d")
    looked(folder / "other", 5, rows="other", weights="e")
    (folder / "many" / "seeds.json").write_text("{}")
    facts = openings.told(run, "f1_macro", score)
    assert facts["shared"] == {"looks": 7, "models": 4, "runs": 4, "folder": "runs"}
    assert facts["shared"] == openings.told(RunFolder(folder / "many" / "seed-1"), "f1_macro", score)["shared"]
    assert facts["sentences"][1] == "These test rows have been opened 7 times for 4 models in runs/."
    # 1.0294 is the expected largest of four standard normals; the half-width is 5 points.
    assert facts["luck"]["independent"] == pytest.approx(1.0294 * 0.05 / 1.959964, abs=1e-5)
    assert facts["sentences"][2].startswith("The best of 4 equally good models would look about 2.6 points too good")
    assert "[0.686, 0.814] of f1_macro (Bonferroni, 4 looks)" in facts["sentences"][3]
    assert json.loads(json.dumps(facts)) == facts


def test_a_broken_ledger_is_said_loudly(tmp_path, capsys):
    assert hfft("run", "tiny_textcls", "train.max_steps=2", "--output-dir", str(tmp_path / "run")) == 0
    run = RunFolder(tmp_path / "run")
    assert hfft("eval", str(run.root)) == 0
    assert "BROKEN" not in capsys.readouterr().out and "BROKEN" not in run.report.read_text()
    run.ledger.write_bytes(lines(run)[0])
    assert hfft("report", str(run.root)) == 0
    said = "THE LEDGER IS BROKEN: its last line is gone"
    assert said in capsys.readouterr().err and said in run.report.read_text()
    assert hfft("eval", str(run.root)) == 0
    assert said in capsys.readouterr().out and said in (run.model / "README.md").read_text()
    assert ledger.read(run).count == 2
