"""torch.compile: only where it pays, refused where it does not go with the recipe, and a model that it leaves alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hfft import compiling, recipe, trainer_arguments
from hfft.compiling import Choice
from hfft.errors import InputError
from hfft.records import write_json
from hfft.run_folder import RunFolder
from hfft.trial_steps import FP32
from tests.layouts import fit
from tests.test_precisions import Timed, never, step

CPU = torch.device("cpu")


def settle(
    words: tuple[str, ...], device: str = "cuda", steps: int = 10**6, made=never, place=(Path("none"), False), **given
) -> tuple:
    args = SimpleNamespace(
        torch_compile=False, torch_compile_backend=None, device=torch.device(device), process_index=0
    )
    vars(args).update(given)
    found = compiling.settle(recipe.load("tiny_textcls", words), args, made, FP32, steps, *place, lambda _: None)
    return found, args.torch_compile, args.torch_compile_backend


def test_what_is_given_is_taken():
    assert settle(("speed.compile=true",)) == (Choice(True, "speed.compile"), True, "inductor")
    assert settle(("speed.compile=false",)) == (Choice(False, "speed.compile"), False, None)
    given = settle((), torch_compile=True, torch_compile_backend="aot_eager")
    assert given == (Choice(True, "train.torch_compile"), True, "aot_eager")


def test_auto_measures_nothing_on_cpu_nor_where_there_is_nothing_to_compile():
    assert not settle((), "cpu")[1]
    assert not settle(("adapt.freeze=backbone",))[1]
    assert not settle((), made=None)[1]


@pytest.mark.parametrize("compiled", [True, False])
def test_a_run_goes_on_as_it_began_and_measures_nothing_again(compiled, tmp_path):
    write_json(tmp_path / compiling.KEPT, {"compiled": compiled, "why": "measured then"})
    given = {"per_device_train_batch_size": 4, "auto_find_batch_size": False}
    assert settle((), place=(tmp_path, True), **given)[:2] == (Choice(compiled, "measured then"), compiled)


class Compiles(Timed):
    """A step that costs `plain` seconds, the first compiled one `building` more, and compiled ones `fast`."""

    plain, fast, building = 1.0, 0.5, 30.0

    def __call__(self, precision: str) -> torch.Tensor:
        compiled = isinstance(self.model, torch._dynamo.OptimizedModule)
        self.costs = {FP32: self.fast + self.building if compiled else self.plain}
        self.building = 0.0 if compiled else self.building
        return super().__call__(precision)


@pytest.mark.parametrize(
    ("steps", "fast", "compiled", "said"),
    [
        (10_000, 0.5, True, "a step 2.00 x as fast, compiled in 30 s, for 10,000 steps"),
        (10_000, 0.95, False, "a step 1.05 x as fast"),
        (1_000, 0.5, False, "tried from 20 minutes of training on"),
    ],
)
def test_it_is_tried_where_training_is_long_and_taken_where_it_pays(steps, fast, compiled, said):
    plain = step({})
    made = Compiles(plain.model, plain.inputs, plain.loss, CPU)
    made.fast = fast
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    found = compiling.measured(made, FP32, steps, "eager", lambda: made.time)
    assert found.compiled is compiled and said in found.why
    assert made.model is plain.model and all(torch.equal(t, before[n]) for n, t in made.model.state_dict().items())


def test_a_long_compilation_for_few_steps_does_not_pay():
    plain = step({})
    made = Compiles(plain.model, plain.inputs, plain.loss, CPU)
    made.building = 400.0  # of 1,500 steps, 750 s would be saved
    assert not compiling.measured(made, FP32, 1_500, "eager", lambda: made.time).compiled


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["adapt.freeze=1", "adapt.unfreeze=true"], "adapt.unfreeze changes what is trained"),
        (["adapt.freeze=backbone"], "trains a head alone"),
        (["train.auto_find_batch_size=true"], "begins anew where memory is short"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(words, said, tmp_path):
    wanted = recipe.load("tiny_textcls", ["speed.compile=true", *words])
    with pytest.raises(InputError, match=r"speed\.compile: .*type speed\.compile=false") as caught:
        trainer_arguments.arguments(wanted, RunFolder(tmp_path))
    assert said in str(caught.value)


def test_without_a_compiler_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="needs a C\\+\\+ compiler"):
        trainer_arguments.arguments(recipe.load("tiny_textcls", ["speed.compile=true"]), RunFolder(tmp_path))


def test_a_compiled_training_takes_the_same_steps_and_saves_the_same_names(tmp_path):
    train = {"torch_compile_backend": "eager"}  # takes the graph as it is: what Python does around it is what is tested
    plain = fit("bert", tmp_path / "plain", {})
    compiled = fit("bert", tmp_path / "compiled", train)
    for one, other in zip(plain, compiled, strict=True):
        assert other == pytest.approx(one, rel=1e-3)
    from safetensors.torch import load_file

    names = [set(load_file(tmp_path / name / "model" / "model.safetensors")) for name in ("plain", "compiled")]
    assert names[0] == names[1]
