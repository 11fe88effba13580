"""One process and two give the same answers: benchmarks/equality.py in short, and what threads would change."""

import numpy as np
import pytest
import torch

from benchmarks import equality
from hfft import environment, forwarding, passes, recipe


def test_random_configurations_are_answered_alike_by_one_process_and_two(tmp_path):
    # Of texts alone: pictures and masks on two processes are in test_changed_layouts.py and test_scene_runs.py.
    found = equality.measured(equality.configurations(1, seed=5), tmp_path)
    assert [row["task"] for row in found] == ["tiny_textcls"]
    assert [row["name"] for row in found if not row["equal"]] == []
    assert all(row["once"] and row["labels"] for row in found)
    assert all(row["n"] > 1 and row["apart"] < 1e-5 for row in found)
    assert all(row.get("workers", True) for row in found)
    told = equality.table(found)
    assert "| all | " in told and told.count("1/1") >= 6


def test_configurations_differ_and_are_recipes():
    jobs = equality.configurations(30)
    wanted = [recipe.load(job["recipe"], job["words"]) for job in jobs]
    sizes = {one.train["per_device_eval_batch_size"] for one in wanted}
    assert len(sizes) > 3 and {job["processes"] for job in jobs} == {1, 2}
    assert {one.sampler.name for one in wanted} > {None} and any(one.augment.mixes for one in wanted)
    assert jobs == equality.configurations(30) != equality.configurations(30, seed=1)


class Reports(torch.nn.Module):
    """Two layers, and on how many threads each batch went through them."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.threads = torch.nn.Linear(256, 1024), torch.nn.Linear(1024, 3), []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.threads.append(torch.get_num_threads())
        return self.head(self.body(x).relu())


@pytest.mark.parametrize("rows", [1, 7, 33])
@pytest.mark.parametrize("cores", [1, 3])
def test_a_batch_has_one_thread_whatever_the_cores_and_the_number_of_batches(rows, cores, monkeypatch):
    """With 3 threads a product of 7 rows may be summed in another order than with 1."""
    monkeypatch.setattr(environment, "own_cores", lambda: cores)
    torch.manual_seed(0)
    model, given = Reports(), [{"x": row} for row in torch.randn(rows, 256)]

    class Args:
        device, per_device_eval_batch_size = torch.device("cpu"), 16
        bf16 = fp16 = bf16_full_eval = fp16_full_eval = False
        world_size, process_index = 1, 0

    with forwarding.on_threads(cores):
        found = passes.outputs(model, given, lambda some: {"x": torch.stack([row["x"] for row in some])}, None, Args)
    assert set(model.threads) == {1} and found.shape == (rows, 3)
    with forwarding.on_threads(1), torch.no_grad():
        batches = [torch.stack([row["x"] for row in given[i : i + 16]]) for i in range(0, rows, 16)]
        assert np.array_equal(found, np.concatenate([model(batch).numpy() for batch in batches]))
