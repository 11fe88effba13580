"""Python that answers with an exported model and without hfft, torch or transformers where that can be.

In: facts of export.json. Out: code, as text, for its README, and the packages it needs. No torch, no transformers.
"""

from __future__ import annotations

import re
from typing import Any

HEAD = """\
import json
from pathlib import Path

import numpy as np
"""
NAMES = """
names = json.loads(Path("export.json").read_text())["classes"]
"""
TEMPERATURE = 'temperature = json.loads(Path("calibration.json").read_text())["temperature"]["value"]\n'
ENGINES = {
    "model.onnx": (
        "onnxruntime",
        """\
model = onnxruntime.InferenceSession("model.onnx")
taken = [part.name for part in model.get_inputs()]


def logits(arrays):
    return model.run(None, {name: arrays[name] for name in taken})[0]
""",
    ),
    "openvino_model.xml": (
        "openvino",
        """\
# float32: its own choice is bfloat16 where the processor has it
model = openvino.Core().compile_model("openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
taken = [part.get_any_name() for part in model.inputs]


def logits(arrays):
    return model({name: arrays[name] for name in taken})[model.output(0)]
""",
    ),
    "model.tflite": (
        "ai_edge_litert",
        """\
model = Interpreter(model_path="model.tflite").get_signature_runner()


def logits(arrays):  # the file takes one row at a time, texts padded to its one length
    found = []
    for row in range(len(next(iter(arrays.values())))):
        given = {}
        for name, part in model.get_input_details().items():
            one = arrays[name][row : row + 1].astype(part["dtype"])
            missing = [(0, int(most) - size) for most, size in zip(part["shape"], one.shape)]
            given[name] = np.pad(one, missing)
        found.append(next(iter(model(**given).values())))
    return np.concatenate(found)
""",
    ),
}
TEXTS = """\
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation(max_length=%(max_length)d, direction="%(truncation_side)s")
tokenizer.enable_padding(pad_id=%(pad_id)d, pad_token=%(pad_token)r, direction="%(padding_side)s")


def arrays_of(texts):  # texts, or tuples of two
    found = tokenizer.encode_batch(texts)
    columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    return {name: np.array([getattr(one, own) for one in found], np.int64) for name, own in columns.items()}
"""
SLOW_TEXTS = """\
tokenizer = transformers.AutoTokenizer.from_pretrained(".")


def arrays_of(texts):
    return dict(tokenizer(texts, truncation=True, max_length=%(max_length)d, padding=True, return_tensors="np"))
"""
SLOW_PICTURES = """\
processor = transformers.AutoImageProcessor.from_pretrained(".")


def arrays_of(paths):
    images = [ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in paths]
    return {"pixel_values": np.asarray(processor(images, return_tensors="pt")["pixel_values"])}
"""
SOFTMAX = """\
p = np.exp(z - z.max(axis=1, keepdims=True))
p /= p.sum(axis=1, keepdims=True)
"""


def snippet(facts: dict[str, Any], temperature: bool, thresholds: bool, decided: bool) -> tuple[str, list[str]]:
    """(code, packages). Whether calibration.json, thresholds.json and decision.json are beside the model."""
    inputs = facts["inputs"]
    engine, session = ENGINES[facts["file"]]
    text = inputs["kind"] == "text"
    if not inputs["described"]:
        extra = ["transformers", "torch", *([] if text else ["pillow", "timm"])]
        made = SLOW_TEXTS % inputs if text else SLOW_PICTURES
        imports = "import transformers\n" + ("" if text else "from PIL import Image, ImageOps\n")
    elif text:
        extra, made, imports = ["tokenizers"], TEXTS % inputs, "from tokenizers import Tokenizer\n"
    else:
        extra, made, imports = ["pillow"], _pixels(inputs), "from PIL import Image, ImageOps\n"
    first = "from ai_edge_litert.interpreter import Interpreter" if engine == "ai_edge_litert" else f"import {engine}"
    parts = [
        HEAD,
        f"{first}\n{imports}",
        NAMES,
        TEMPERATURE if temperature else "",
        session,
        "\n\n",
        made,
        "\n\n",
    ]
    masks = facts["task"] == "semantic_segmentation"
    parts.append(_masks() if masks else _answers(facts, text, temperature, thresholds, decided))
    return re.sub("\n{4,}", "\n\n\n", "".join(parts)).rstrip("\n"), [engine.replace("_", "-"), *extra]


def _pixels(inputs: dict[str, Any]) -> str:
    lines = ["def pixels(path):", '    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")']
    resize, crop, resample = inputs["resize"], inputs["crop"], inputs["resample"]
    if isinstance(resize, list):
        lines.append(f"    image = image.resize(({resize[1]}, {resize[0]}), {resample})")
    elif resize:
        lines.append("    short = min(image.size)")
        lines.append(f"    image = image.resize([int({resize} * side / short) for side in image.size], {resample})")
    if crop and crop != resize:
        lines.append(f"    left, top = round((image.width - {crop[1]}) / 2), round((image.height - {crop[0]}) / 2)")
        lines.append(f"    image = image.crop((left, top, left + {crop[1]}, top + {crop[0]}))")
    lines.append(f"    values = np.asarray(image, np.float32) * np.float32({inputs['scale']!r})")
    lines.append(f"    values = (values - np.float32({inputs['mean']})) / np.float32({inputs['std']})")
    lines += ["    return values.transpose(2, 0, 1)", "", ""]
    lines += ["def arrays_of(paths):", '    return {"pixel_values": np.stack([pixels(path) for path in paths])}', ""]
    return "\n".join(lines)


def _answers(facts: dict[str, Any], text: bool, temperature: bool, thresholds: bool, decided: bool) -> str:
    what = 'texts = ["a text of the kind it was trained on"]' if text else 'pictures = ["picture.jpg"]'
    name = what.partition(" ")[0]
    lines = [what, f"raw = logits(arrays_of({name}))"]
    lines.append(f"z = raw{' / temperature' if temperature else ''}")
    if facts["multi_label"]:
        lines.append("p = 1 / (1 + np.exp(-z))  # each class on its own")
        cut = "0.5"
        if thresholds:
            lines.append('cuts = json.loads(Path("thresholds.json").read_text())["classes"]')
            cut = 'cuts[names[i]]["threshold"]'
        lines.append(f"for item, row, own in zip({name}, p, 1 / (1 + np.exp(-raw))):")
        lines.append(f"    print(item, {{names[i]: float(row[i]) for i in range(len(names)) if own[i] >= {cut}}})")
        return "\n".join(lines) + "\n"
    lines.append(SOFTMAX.rstrip("\n"))
    choice = "row.argmax()"
    if decided:
        lines.append('found = json.loads(Path("decision.json").read_text())["classes"]')
        lines.append('bias = np.array([found[name]["bias"] for name in names])')
        choice = "(own + bias).argmax()  # log-probabilities differ from logits by one number per row"
    lines.append(f"for item, row, own in zip({name}, p, raw):")
    lines.append(f"    best = {choice}")
    lines.append("    print(item, names[best], float(row[best]))")
    return "\n".join(lines) + "\n"


def _masks() -> str:
    return """\
path = "picture.jpg"
size = ImageOps.exif_transpose(Image.open(path)).size
maps = [Image.fromarray(part).resize(size, Image.BILINEAR) for part in logits(arrays_of([path]))[0]]
answer = np.stack([np.asarray(part) for part in maps]).argmax(axis=0)  # a class index for each pixel
for i in np.unique(answer):
    print(names[i], float((answer == i).mean()))
"""
