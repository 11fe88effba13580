"""Made-up slices, probes, neighbours and calibration for run folders that the tests of pages build."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hfft import calibrating
from hfft.records import Predictions, write_json
from hfft.run_folder import RunFolder
from hfft.schema import Abstain

TEXT_PROBES = (
    ("typos", "Typos", "letters of a word change places, are dropped or doubled", 0.05),
    ("casing", "Casing", "letters become capitals or small", 0.01),
    ("lookalikes", "Look-alikes", "letters are replaced by signs of other scripts that look the same", 0.11),
    ("white_space", "White space", "spaces are doubled, and put before punctuation", 0.004),
    ("numbers", "Numbers", "each number becomes another one of the same length", 0.02),
)
IMAGE_PROBES = (
    ("gaussian_noise", "Gaussian noise", "every pixel gets a random amount of noise", 0.09),
    ("blur", "Blur", "the picture is blurred", 0.06),
    ("brightness", "Brightness", "all pixels become brighter or darker", 0.02),
    ("jpeg", "JPEG", "the picture is stored again with a lower quality", 0.012),
    ("occlusion", "Occlusion", "a grey square covers a part", 0.15),
)
SLICES = (
    ("words", "Words", ("1 to 4 words", "5 to 8 words", "9 to 15 words", "16 words and more")),
    ("has_question", "Question", ("yes", "no")),
    ("has_digit", "Digits", ("yes", "no")),
    ("capitals", "Capitals", ("none", "some", "all")),
    ("channel", "channel", ("app", "web <b>form</b>", "phone")),
)


def score(value: float, n: int, method: str = "Wilson") -> dict[str, Any]:
    half = 1.96 * (max(value * (1 - value), 0.002) / n) ** 0.5
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n, "method": method}


def add(run: RunFolder, kind: str = "text") -> None:
    """All of it, for the test split."""
    rows = Predictions.read(run.predictions("test"))
    write_slices(run, rows)
    write_probes(run, rows, kind)
    write_neighbours(run, kind)
    stored = calibrating.fitted(Predictions.read(run.predictions("validation")), Abstain(max_error=0.1))
    write_json(run.root / calibrating.FILE, calibrating.judged(rows, stored))


def write_slices(run: RunFolder, rows: Predictions) -> None:
    random, made = np.random.default_rng(5), []
    overall = float((rows.labels == rows.predicted).mean())
    for attribute, title, values in SLICES:
        for value in values:
            n = int(random.integers(30, max(60, rows.n // 3)))
            value_ = float(np.clip(overall + random.normal(0, 0.04), 0.05, 0.99))
            gap = score(0.5, n)["high"] - 0.5
            apart = {"value": value_ - overall, "low": value_ - overall - gap, "high": value_ - overall + gap}
            made.append(
                {"attribute": attribute, "title": title, "value": value, "n": n, "score": score(value_, n)}
                | {"rest": score(overall, rows.n - n), "gap": apart, "state": "not told", "p": None}
            )
    made.sort(key=lambda row: row["gap"]["value"])
    made[0] |= {"state": "confirmed", "p": 0.0031}
    made[1] |= {"state": "suspected", "p": 0.087}
    said = f"Worst of {len(made)} slices: {made[0]['title']} {made[0]['value']}, confirmed on rows it was not found on."
    facts = {"n": rows.n, "measure": "accuracy", "overall": score(overall, rows.n), "halves": [rows.n // 2] * 2}
    write_json(run.slices, {"test": facts | {"tried": len(made), "rows": made, "sentences": [said]}})


def write_probes(run: RunFolder, rows: Predictions, kind: str) -> None:
    made, shown = [], []
    accuracy = float((rows.labels == rows.predicted).mean())
    for name, title, says, base in TEXT_PROBES if kind == "text" else IMAGE_PROBES:
        levels = []
        n = min(500, rows.n)
        for severity in range(1, 6):
            rate = min(0.95, base * severity**0.8)
            drop = {"value": rate / 2, "low": rate / 2 - 0.02, "high": rate / 2 + 0.02}
            levels.append({"severity": severity, "rate": score(rate, n), "drop": drop, "score": accuracy - rate / 2})
            levels[-1] |= {"clean": accuracy}
        whole = score(sum(level["rate"]["value"] for level in levels) / 5, 5 * n)
        made.append(
            {"name": name, "title": title, "kind": "invariance", "safe": True, "says": says, "measure": "flip_rate"}
            | {"n": n, "of": n, "severities": levels, "rate": whole, "drop": levels[2]["drop"]}
            | {"sentence": f"{title}: {100 * whole['value']:.1f} % of the answers change."}
        )
        shown += [_example(rows, k, name, severity, kind) for k, severity in enumerate((5, 4, 2))]
    made.sort(key=lambda probe: -probe["rate"]["value"])
    facts = {"n": rows.n, "sampled": min(500, rows.n), "seconds": 12.3, "budget": 60.0, "metric": "f1_macro"}
    facts |= {"sentences": [made[0]["sentence"] + " It is the probe that hurts most."], "probes": made}
    write_json(run.probes, {"test": facts | {"left_out": ["name_swap: found no name in these rows"]}})
    pq.write_table(pa.Table.from_pylist(shown, schema=EXAMPLES), run.probe_examples("test"))


EXAMPLES = pa.schema(
    [("id", pa.string()), ("probe", pa.string()), ("severity", pa.int64()), ("label", pa.string())]
    + [(f"prediction_{when}", pa.string()) for when in ("before", "after")]
    + [(f"confidence_{when}", pa.float64()) for when in ("before", "after")]
    + [(f"text_{when}", pa.string()) for when in ("before", "after")]
    + [(f"image_{when}", pa.binary()) for when in ("before", "after")]
)
CHANGED = (
    ("I am still waiting for my new card, where is it?", "I am still waitign for my new crad, where is it?"),
    ("The crew was lovely & kind <3", "THE CREW WAS LOVELY & KIND <3"),
    ("Why was I charged 12 pounds?", "Why w\u0430s I charged\u200b 12  pounds ?"),
)


def _example(rows: Predictions, k: int, probe: str, severity: int, kind: str) -> dict[str, Any]:
    before, after = CHANGED[k % 3] if kind == "text" else (None, None)
    names = rows.names
    return {
        "id": rows.ids[k], "probe": probe, "severity": severity, "label": names[k % len(names)],
        "prediction_before": names[k % len(names)], "prediction_after": names[(k + 1) % len(names)],
        "confidence_before": 0.91 - 0.1 * k, "confidence_after": 0.55 + 0.1 * k,
        "text_before": before, "text_after": after,
        "image_before": None if kind == "text" else picture(k),
        "image_after": None if kind == "text" else picture(k, 60),
    }  # fmt: skip


def picture(seed: int, noise: int = 0, side: int = 96) -> bytes:
    from PIL import Image

    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(40, 220, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    pixels = np.clip(pixels + random.integers(-noise, noise + 1, pixels.shape), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), "JPEG", quality=85)
    return file.getvalue()


def write_neighbours(run: RunFolder, kind: str) -> None:
    wrong = pq.read_table(run.mistakes("test"), columns=["id", "label", "prediction"]).to_pylist()
    findings = (
        "label may be wrong",
        "near copy in train",
        "nothing similar in train",
        "neighbours agree with the label",
    )
    made = []
    for k, row in enumerate(wrong):
        finding = findings[k % 4]
        for rank in range(1, 4):
            made.append(
                {"id": row["id"], "rank": rank, "similarity": 0.97 - 0.05 * rank, "train_id": f"t{k}{rank}"}
                | {"label": row["prediction" if k % 4 == 0 else "label"], "text_pair": None}
                | {"text": f"A training row like row {k}, number {rank}" if kind == "text" else None}
                | {"image": picture(k + rank, side=48) if kind == "image" else None}
                | {"finding": finding, "sentence": f"Its 3 nearest training rows: {finding}."}
            )
    schema = pa.schema(
        [("id", pa.string()), ("rank", pa.int64()), ("similarity", pa.float64()), ("train_id", pa.string())]
        + [(name, pa.string()) for name in ("label", "text_pair", "text")]
        + [("image", pa.binary()), ("finding", pa.string()), ("sentence", pa.string())]
    )
    pq.write_table(pa.Table.from_pylist(made, schema=schema), run.neighbours("test"))
