"""Two machines, as two addresses of this one: they find each other, notice what differs, and outlive one another."""

import json
import os
from pathlib import Path

import pytest

from hfft import checkpoints, launches, lost_peers, pushing, recipe, working
from hfft.answers import Predictions
from hfft.run_folder import RunFolder
from tests.command import hfft
from tests.processes import machines, together

ALONE = {"LOCAL_WORLD_SIZE": "1"}  # of two processes: each on a machine of its own
WORDS = ("tiny_textcls", "data.limit=200", "train.num_train_epochs=2", "speed.dropout=0.0")
WORDS += ("train.per_device_train_batch_size=8",)
STEPS = 9  # of an epoch of 16 rows a step


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Two processes on one machine, each with the whole model."""
    root = tmp_path_factory.mktemp("plain")
    together("hfft", "run", *WORDS, "--output-dir", "plain", cwd=root)
    return RunFolder(root / "plain")


def alike(one: RunFolder, other: RunFolder) -> None:
    """The same losses on the way, and the same answers in the end, but for rounding."""
    histories = [json.loads((run.root / "history.json").read_text()) for run in (one, other)]
    found, expected = ([row["eval_loss"] for row in history if "eval_loss" in row] for history in histories)
    assert len(found) == 2 and found == pytest.approx(expected, abs=1e-5)
    first, second = (Predictions.read(run.predictions("validation")) for run in (one, other))
    assert list(first.ids) == list(second.ids) and abs(first.scores - second.scores).max() < 1e-5


def test_one_of_two_machines_dies_and_both_go_on(plain, tmp_path):
    run = RunFolder(tmp_path / "two")
    words = ("run", *WORDS, "--output-dir", "two")
    ends, told = machines(*words, cwd=tmp_path, fate=f"1 {STEPS + 3} killed")
    assert ends[1] == -9 and ends[0] == 1, told
    assert told[0].count("hfft: another process of this launch is gone") == 1 and "with --resume" in told[0]
    point, damaged = checkpoints.newest(run.checkpoints)
    assert point is not None and point.name == f"checkpoint-{STEPS}" and not damaged
    ends, told = machines(*words, "--resume", cwd=tmp_path)
    assert ends == [0, 0], told
    alike(run, plain)


def test_a_machine_that_answers_no_more_is_waited_for_as_long_as_was_said():
    first, second = together("tests.peers", "waits_in_vain", **ALONE).splitlines()
    assert first.startswith("another process of this launch is gone, or cannot be reached any more (")
    assert "process 1 of 2 stopped" in first and second == "slept"


def test_machines_that_do_not_share_the_disk_are_told(tmp_path):
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
    assert together("tests.peers", "look", str(tmp_path), **ALONE).split() == ["shared"] * 2
    first, second = together("tests.peers", "look", str(tmp_path / "OWN"), **ALONE).splitlines()
    assert first == second and "what machine 0 (" in first and "type --output-dir FOLDER" in first
    assert str(tmp_path / "1") in first
    assert together("tests.peers", "look", str(tmp_path / "OWN")).split() == ["shared"] * 2, "one machine is not asked"
    assert not list(tmp_path.rglob(".hfft-*"))


def test_machines_that_read_something_else_are_told():
    assert together("tests.peers", "compare", "a", "a").split() == ["same"] * 2
    first, second = together("tests.peers", "compare", "a", "b").splitlines()
    assert first == second and first.startswith("the recipe of machine 0 (") and "copy one file" in first


def test_machines_are_counted(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert launches.machines(16) == 2 and launches.machines(8) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("[/a/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.2]:1"),
            "peer [10.0.0.2]:1)",
        ),
        (type("DistBackendError", (RuntimeError,), {})("NCCL error in: x.cpp:1, remote process exited"), "NCCL error"),
        (
            type("DistNetworkError", (RuntimeError,), {})("address already in use (EADDRINUSE)"),
            "port 4242 of this machine",
        ),
        (RuntimeError("Gloo connectFullMesh failed with [/a/gloo/x.cc:1] Connection refused"), "Connection refused"),
        (RuntimeError("TCPStore: wait timeout after 1000ms, keys: /x"), "wait timeout"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
        (ConnectionError("Connection refused"), None),
        (RuntimeError("psycopg: Connection refused"), None),
        (RuntimeError("mlflow: [Errno 32] Broken pipe"), None),
        (RuntimeError("proxy: Timed out waiting for 10.0.0.2"), None),
    ],
)
def test_what_is_a_lost_process_and_what_is_not(error, told, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert lost_peers.told(error) == "", "there is nobody to lose"
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_PORT": "4242"}.items():
        monkeypatch.setenv(name, value)
    assert told in lost_peers.told(error) if told else lost_peers.told(error) == ""
    outer = ValueError("while saving")
    outer.__cause__ = error
    assert bool(lost_peers.told(outer)) == bool(told)


LOST = RuntimeError("[/a/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.2]:1")


def dies(root: Path, begins: bool) -> None:
    if begins:
        root.mkdir(exist_ok=True)
        (root / "recipe.yaml").touch()
    raise LOST


@pytest.fixture
def of_two(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("begins", "verb"), [(True, "run"), (False, "run"), (True, "eval")])
def test_resume_is_told_where_the_verb_has_it_and_something_is_begun(
    begins, verb, of_two, monkeypatch, tmp_path, capsys
):
    run = working.into(verb, lambda known: known["root"])(dies)
    monkeypatch.setattr(recipe, "load", lambda *_: run(tmp_path / "one", begins))
    monkeypatch.setattr(pushing, "run", lambda *_: run(tmp_path / "one", begins))
    monkeypatch.setattr("hfft.claiming.early", lambda *_: None)
    (tmp_path / "recipe.yaml").touch()
    monkeypatch.setattr(RunFolder, "existing", lambda *_, **__: RunFolder(tmp_path))
    assert hfft(verb, str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert said.count("hfft: another process of this launch is gone") == 1
    assert "start the same command again on every machine" in said
    assert ("with --resume" in said) == (begins and verb == "run")


def test_of_verbs_within_verbs_the_outermost_says_what_goes_on(of_two, tmp_path):
    inner = working.into("run", lambda known: known["root"])(dies)

    def folds(root: Path) -> None:
        inner(root / "fold-1", False)

    with pytest.raises(lost_peers.LostPeerError) as caught:
        working.into("cv", lambda known: known["root"])(folds)(tmp_path / "cv")
    assert not caught.value.begun and "--resume" not in lost_peers.told(caught.value, True)
    (tmp_path / "cv" / "fold-0").mkdir(parents=True)
    with pytest.raises(lost_peers.LostPeerError) as caught:
        working.into("cv", lambda known: known["root"])(folds)(tmp_path / "cv")
    assert caught.value.begun and "with --resume" in lost_peers.told(caught.value, True)
    assert "--resume" not in lost_peers.told(caught.value, False)


def test_a_slip_while_a_lost_process_is_handled_is_the_slip(of_two):
    error = KeyError("bug")
    error.__context__ = LOST
    assert lost_peers.told(LOST) and not lost_peers.told(error)


def test_a_machine_lost_while_the_disk_is_looked_at_leaves_nothing_there(monkeypatch, tmp_path):
    def gone(*_):
        raise LOST

    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    monkeypatch.setattr(launches, "gathered", gone)
    with pytest.raises(RuntimeError, match="Connection closed"):
        launches.shared(lambda: tmp_path, 2)
    assert not list(tmp_path.iterdir())


def test_every_launch_of_the_recipes_is_what_it_says(monkeypatch):
    """accelerate's own reading of recipes/accelerate, and what its libraries then read of the environment."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils import FullyShardedDataParallelPlugin, launch

    found = {}
    for path in (Path(__file__).parent.parent / "recipes" / "accelerate").glob("*.yaml"):
        words = ["--config_file", str(path), "hfft/run.py", "--recipe", "tiny_textcls"]
        args, _, _ = _validate_launch_command(launch_command_parser().parse_args(words))
        assert args.training_script_args == ["--recipe", "tiny_textcls"]
        found[path.stem] = (args.num_processes, args.num_machines, args)
    eight = dict.fromkeys(("gpus8", "fsdp2", "zero2", "zero3"), (8, 1))
    assert {name: each[:2] for name, each in found.items()} == eight | {
        "cpu": (1, 1), "cpu2": (2, 1), "machines2": (16, 2),
    }  # fmt: skip
    monkeypatch.setattr(launch, "is_port_in_use", lambda port: False)
    several = {name: launch.prepare_multi_gpu_env(args) for name, (count, _, args) in found.items() if count > 1}
    half = {name: each["ACCELERATE_MIXED_PRECISION"] for name, each in several.items()}
    assert half == dict.fromkeys(several, "bf16") | {"cpu2": "no"}
    assert found["machines2"][2].nproc_per_node == "8" and found["machines2"][2].nnodes == "2"
    with pytest.MonkeyPatch.context() as patch:
        for name in set(several["fsdp2"]) - set(os.environ):
            patch.setenv(name, several["fsdp2"][name])
        plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2 and plugin.reshard_after_forward is True and not plugin.cpu_ram_efficient_loading
    assert "FULL_STATE_DICT" in str(plugin.state_dict_type)
    for name, stage in (("zero2", "2"), ("zero3", "3")):
        args = found[name][2]
        args.deepspeed_fields_from_accelerate_config = ""
        _, given = launch.prepare_deepspeed_cmd_env(args)
        assert given["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == stage and given["ACCELERATE_USE_DEEPSPEED"] == "true"
        assert given["ACCELERATE_GRADIENT_ACCUMULATION_STEPS"] == given["ACCELERATE_GRADIENT_CLIPPING"] == "auto"
    assert given["ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL"] == "true"
