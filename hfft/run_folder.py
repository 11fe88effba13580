"""Where each file of a run lives. In: the folder's path. Out: paths, scores, and whether the run is finished."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hfft.errors import InputError, listed
from hfft.records import FOLDS, SEEDS, Score, read_json, write_json

EXPORTS, EXPORT_FACTS = "exports", "export.json"


@dataclass(frozen=True)
class RunFolder:
    """Where each file of a run lives."""

    root: Path

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def thresholds(self) -> Path:
        return self.model / "thresholds.json"

    @property
    def decision(self) -> Path:  # how probabilities become an answer, where it is not the likeliest class
        return self.model / "decision.json"

    @property
    def finished(self) -> bool:  # saved, validation predicted, and the surroundings noted, which comes last
        return self.model.is_dir() and self.predictions("validation").is_file() and self.environment.is_file()

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.json"

    @property
    def baselines(self) -> Path:
        return self.root / "baselines.json"

    @property
    def fitted(self) -> Path:  # sentences on how the baselines were made
        return self.root / "predictions" / "fitted.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def figures(self) -> Path:
        return self.root / "figures"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.jsonl"

    @property
    def ledger_head(self) -> Path:
        return self.root / "ledger.head"

    @property
    def split(self) -> Path:
        return self.root / "split.json"

    @property
    def environment(self) -> Path:
        return self.root / "environment.json"

    def predictions(self, split: str) -> Path:
        return self.root / "predictions" / f"{split}.parquet"

    def mistakes(self, split: str) -> Path:
        return self.root / "predictions" / f"{split}_mistakes.parquet"

    def probed(self, split: str) -> Path:  # answers to perturbed rows
        return self.root / "predictions" / f"{split}_probes.parquet"

    def how_probed(self, split: str) -> Path:
        return self.root / "predictions" / f"{split}_probes.json"

    def probe_examples(self, split: str) -> Path:
        return self.root / "predictions" / f"{split}_probe_examples.parquet"

    def attributes(self, split: str) -> Path:  # what slices are made by: length, brightness, region …
        return self.root / "predictions" / f"{split}_attributes.parquet"

    def neighbours(self, split: str) -> Path:  # of the mistakes, among the training rows
        return self.root / "predictions" / f"{split}_neighbours.parquet"

    @property
    def explained(self) -> Path:  # pages and pictures of `hfft explain`
        return self.root / "explained"

    def export(self, kind: str) -> Path:  # the model in another format, see sessions.py
        return self.root / EXPORTS / kind

    def answering(self, kind: str) -> RunFolder:
        """The same, with the files by which probabilities become answers: an export's own, where it was fitted any."""
        path = self.export(kind) / EXPORT_FACTS
        return Shipped(self.root, path.parent) if path.is_file() and read_json(path).get("fitted") else self

    @property
    def parity(self) -> Path:  # what a fresh process with plain transformers makes of the model
        return self.root / "parity.json"

    @property
    def probes(self) -> Path:
        return self.root / "probes.json"

    @property
    def slices(self) -> Path:
        return self.root / "slices.json"

    def copies(self) -> set[str]:
        """Ids of the held-back rows whose copy or look-alike in an earlier split took part in this run."""
        path = self.root / "split.parquet"
        known = path.is_file() and "leak" in pq.read_schema(path).names
        saved = pq.read_table(path, columns=["id", "leak"]).to_pylist() if known else []
        return {row["id"] for row in saved if row["leak"]}

    @property
    def members(self) -> list[RunFolder]:
        """The finished folds of a cross-validation; none where this is a run of its own."""
        path = self.root / FOLDS
        return [RunFolder(self.root / name) for name in read_json(path)["members"]] if path.is_file() else []

    @classmethod
    def existing(cls, name: str | Path, folds: bool = False) -> RunFolder:
        """The run folder `name`, finished: its model/ is there. Raises InputError otherwise.

        folds: a finished cross-validation will do, too: its models answer together.
        """
        run = cls(Path(name))
        if (run.root / FOLDS).is_file():
            return run._united(folds)
        if (run.root / SEEDS).is_file():
            held = sorted(path.parent.name for path in run.root.glob("*/recipe.yaml"))
            raise InputError(
                f"{name} holds runs of several seeds; name one of them: {listed([run.root / n for n in held])}"
            )
        if not (run.root / "recipe.yaml").is_file():
            raise InputError(f"{name} is not a run folder (no recipe.yaml): expected the folder `hfft run` wrote")
        if not (run.model / "config.json").is_file():
            raise InputError(f"{name} holds an unfinished run: finish it with `hfft run {name} --resume`")
        return run

    def _united(self, folds: bool) -> RunFolder:
        """The same, where the folds below may be asked as one model."""
        if not folds:
            one = self.root / read_json(self.root / FOLDS)["members"][0]
            raise InputError(
                f"{self.root} holds the folds of a cross-validation, and this takes a single model; type one of them, "
                f"such as {one}"
            )
        if read_json(self.root / FOLDS).get("stopped"):
            raise InputError(f"{self.root} lacks folds: type the same `hfft cv` with --resume to train them")
        if not (self.root / "recipe.yaml").is_file():
            raise InputError(
                f"{self.root} is of an older hfft, which made no model of its folds; type the same `hfft cv` with "
                "--resume: it trains nothing again"
            )
        return self

    def read_parity(self) -> dict[str, Any] | None:
        """What a fresh process with plain transformers made of these weights; None where it was not asked since."""
        found: dict[str, Any] | None = read_json(self.parity) if self.parity.is_file() else None
        made = read_json(self.environment).get("model", {}) if self.environment.is_file() else {}
        known = made.get("weights_sha256")
        return None if found and known and not self.members and known != found["weights_sha256"] else found

    def write_scores(self, split: str, scores: dict[str, Score]) -> None:
        """Put one split's scores into metrics.json, leaving the other splits as they are."""
        tree = read_json(self.metrics) if self.metrics.is_file() else {}
        tree[split] = {name: dataclasses.asdict(score) for name, score in scores.items()}
        write_json(self.metrics, {name: tree[name] for name in sorted(tree)})

    def read_scores(self) -> dict[str, dict[str, Score]]:
        """split → metric → Score; empty when nothing has been scored."""
        if not self.metrics.is_file():
            return {}
        return {split: {k: Score(**v) for k, v in part.items()} for split, part in read_json(self.metrics).items()}


@dataclass(frozen=True)
class Shipped(RunFolder):
    """A run whose answers go by the files in `place`, beside its exported model, and not by those beside its model."""

    place: Path

    @property
    def model(self) -> Path:
        return self.place
