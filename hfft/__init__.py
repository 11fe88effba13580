"""hfft fine-tunes image and text models from a recipe, and says whether the result can be trusted.

>>> import hfft
>>> run = hfft.train("bert_textcls", "data.limit=2000")     # doctest: +SKIP
>>> run.evaluate()["test"]["f1_macro"]                       # doctest: +SKIP
{'value': 0.69, 'low': 0.63, 'high': 0.74, 'n': 300, 'method': 'BCa bootstrap, 2000 resamples'}
>>> run.predict(["great flight"])                            # doctest: +SKIP
[{'positive': 0.93, 'neutral': 0.05, 'negative': 0.02}]
>>> hfft.load("runs/mine", engine="onnx-int8").answers(["great flight"])[0].sure    # doctest: +SKIP
True

Importing hfft imports nothing heavy: torch comes with the first call that needs it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfft.errors import InputError

if TYPE_CHECKING:
    from hfft.answer_rows import Answer
    from hfft.inferring import Answerer

__all__ = ["InputError", "Run", "evaluate", "load", "reproduce", "train"]
__version__ = "0.1.0"


@dataclass(frozen=True)
class Run:
    """A finished run: a folder with the model, its scores and how they came about.

    engine: what answers: "torch", or an export of the run: "onnx", "onnx-int8", "openvino". sets: the kind of sets of
    classes: "lac", "aps" or "lac_per_class". The first answer loads the model, which is kept: after a change of the
    run's files call `hfft.load` again.
    """

    path: Path
    engine: str = "torch"
    sets: str = "lac"

    @property
    def scores(self) -> dict[str, dict[str, dict[str, Any]]]:
        """split → metric → {value, low, high, n, method}; "test" is there once the run has been evaluated."""
        from dataclasses import asdict

        from hfft.run_folder import RunFolder

        scored = RunFolder(self.path).read_scores()
        return {split: {name: asdict(score) for name, score in part.items()} for split, part in scored.items()}

    def evaluate(self) -> dict[str, Any]:
        """Open the test split, score the model on it, and write the opening into the ledger."""
        return evaluate(self.path)

    def probe(self, *names: str, budget: str | None = None, test: bool = False) -> dict[str, Any]:
        """Change validation rows a little and count how often the answer moves; facts as in probes.json.

        names: of probes, or "templates" (default: as the recipe says). test: change test rows, which is one more look
        and is written into the ledger.
        """
        from hfft import stressing

        return stressing.probe(str(self.path), names, budget, test=test)["probes"]  # type: ignore[no-any-return]

    def predict(self, inputs: list[Any], calibrated: bool = True) -> list[dict[str, float]]:
        """{class: probability} for each input, the answer first; they sum to 1 unless several classes may apply.

        The answer is the likeliest class, unless the recipe's `decide` says otherwise; the others follow by likelihood.

        inputs: texts or (text, text_pair) tuples for text models; paths, bytes or PIL pictures for image models. A text
        without a visible sign is an InputError, as it is a row without an answer for `hfft predict`.
        calibrated: at the temperature that was fitted on validation (model/calibration.json), where the run has one;
        False gives the model's own probabilities. The answer is the same.
        """
        return self._answerer.ranked(inputs, calibrated) if _listed(inputs) else []

    def answers(self, inputs: list[Any], calibrated: bool = True) -> list[Answer]:
        """An answer to each input, with what `hfft predict` writes: .prediction, .sure, .probabilities, .set.

        prediction: the class; "" where the run's `abstain` says not to answer; with several classes per row, a tuple.
        sure: False there, and wherever no threshold keeps the promise. set: the conformal set, None where the run has
        none. inputs, calibrated: as above.
        """
        return self._answerer.answers(inputs, calibrated) if _listed(inputs) else []

    def classes(self, inputs: list[Any]) -> list[list[str]]:
        """The classes of each input: the answer, or with `data.multi_label` all that apply, likeliest first.

        A class applies from its threshold on, tuned on validation and kept in model/thresholds.json: a threshold of the
        model's own probabilities. inputs: as above.
        """
        found = self.answers(inputs)
        if found and self._answerer.multi_label:
            return [list(answer.prediction) for answer in found]
        return [[next(iter(answer.probabilities))] for answer in found]

    def segment(self, inputs: list[Any]) -> list[Any]:
        """A class index for each pixel of each image, int16 arrays (height, width), of a segmentation run.

        inputs: paths, bytes or PIL pictures. What an index means is in model/config.json (id2label).
        """
        return list(self._answerer.segment(inputs)) if _listed(inputs) else []

    def explain(self, inputs: list[Any], chosen: str | None = None) -> list[dict[str, Any]]:
        """What spoke for the answer to each input: {"prediction", "probability", "class", "sanity", "file", …}.

        Texts have "pieces", words with their weight (integrated gradients); pictures a "map" (Grad-CAM). chosen: the
        class to explain instead of the likeliest. inputs: as above. For debugging only (docs/mistakes.md).
        """
        from hfft import explaining

        if not _listed(inputs):
            return []
        facts = explaining.explain(str(self.path), inputs, chosen=chosen, say=lambda _: None)
        return list(facts["explained"])

    @functools.cached_property
    def _answerer(self) -> Answerer:
        from hfft import inferring

        return inferring.load(str(self.path), self.engine, sets=self.sets, fast=True)


def _listed(inputs: list[Any]) -> list[Any]:
    if isinstance(inputs, (str, bytes)):
        raise InputError(f"expected a list of inputs, got one {type(inputs).__name__}; write predict([...])")
    return inputs


def train(
    recipe: str | Path,
    *overrides: str,
    output_dir: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
) -> Run:
    """Fine-tune as a recipe says: a shipped name, a YAML path, or a run folder.

    overrides: words such as "train.learning_rate=3e-5". output_dir: default runs/<recipe>; it must not hold a run
    unless `resume`. force: resume although the recipe, the data or the number of processes has changed, which the run
    says from then on. Ctrl-C saves a checkpoint, and then raises KeyboardInterrupt. Raises InputError with one sentence
    when the recipe or the data cannot be used.
    """
    from hfft import pushing

    result = pushing.run(str(recipe), overrides, str(output_dir) if output_dir else None, resume, force=force)
    return Run(Path(result["run"]))


def evaluate(run: str | Path) -> dict[str, Any]:
    """Score a finished run on its sealed test split; returns scores, baselines, notes and gates.

    Every call is one line in the run's ledger.jsonl. Raises InputError when the data is not what the run was made with.
    """
    from hfft import verbs

    return verbs.evaluate(str(run))


def reproduce(run: str | Path, output_dir: str | Path | None = None, within: float = 0.01) -> dict[str, Any]:
    """Train a finished run's recipe again in a folder beside it, and say how near the result comes.

    output_dir: of the new run, default RUN-reproduced. within: how far the leading metric may lie off, where bits
    differ. Returns the facts of reproduce.json: came_back, how ("bits", "answers", "metric", "not"), sentence, weights,
    answers, metrics, data, versions, hardware. Opens no test split. Raises InputError where it cannot be tried: the
    data is gone, or not what it was.
    """
    from hfft import reproducing

    return reproducing.reproduce(str(run), str(output_dir) if output_dir else None, within)


def load(run: str | Path, engine: str = "torch", sets: str = "lac") -> Run:
    """A finished run by its folder, or the models of all folds as one. Raises InputError when there is none.

    engine, sets: as `Run` has them.
    """
    from hfft import answer_rows, engines
    from hfft.run_folder import RunFolder

    return Run(RunFolder.existing(run, folds=True).root, engines.known(engine), answer_rows.known_sets(sets))
