"""Two machines, as two addresses of this one: they find each other, notice what differs, and outlive one another."""

import json
import os
from pathlib import Path

import pytest

from hfft import checkpoints, launches, lost_peers
from hfft.answers import Predictions
from hfft.run_folder import RunFolder
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
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
        (ConnectionError("Connection refused"), None),
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
