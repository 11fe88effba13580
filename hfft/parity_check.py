"""Run in a process of its own, as somebody would who has the model folder and not hfft: it imports nothing of hfft.

In: the path of a request (JSON; see `parity.py`). Out: answer.npz beside it, with logits in the order of the request's
class names, of plain `transformers.pipeline` and, for models of timm, of plain `timm.create_model`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(path: Path) -> None:
    """Answer the request at `path`."""
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    request = json.loads(path.read_text(encoding="utf-8"))
    torch.set_num_threads(request["threads"])
    if request["reader"]:
        importlib.import_module(request["reader"])  # what the card says one must import
    pipe = transformers.pipeline(request["pipeline"], model=request["model"], device="cpu", dtype=torch.float32)
    ways = {"text-classification": texts, "image-classification": pictures, "image-segmentation": scenes}
    found = ways[request["pipeline"]](pipe, request)
    if json.loads((Path(request["model"]) / "config.json").read_text())["model_type"] == "timm_wrapper":
        found["timm"] = timm_logits(request)
    np.savez_compressed(path.with_name("answer.npz"), **found)  # type: ignore[arg-type]


def texts(pipe: Any, request: dict[str, Any]) -> dict[str, np.ndarray]:
    pipe.tokenizer.truncation_side = request["truncation_side"]
    options = {"truncation": True, "max_length": request["max_length"], "batch_size": 16}
    found = pipe(request["texts"], top_k=None, function_to_apply="none", **options)
    return {"logits": ordered(found, request["names"])}


def pictures(pipe: Any, request: dict[str, Any]) -> dict[str, np.ndarray]:
    options = {"top_k": len(request["names"]), "function_to_apply": "none", "batch_size": 8}
    return {"logits": ordered(pipe(request["images"], **options), request["names"])}


def scenes(pipe: Any, request: dict[str, Any]) -> dict[str, np.ndarray]:
    """Logits of every so many pixels, and the pipeline's masks, as one index for each pixel."""
    import torch
    from PIL import Image

    step, place, found = request["step"], {name: i for i, name in enumerate(request["names"])}, {}
    for number, image in enumerate(request["images"]):
        with Image.open(image) as opened, torch.no_grad():
            out = pipe.forward(pipe.preprocess(opened.convert("RGB")))
        found[f"logits_{number}"] = out["logits"][0, :, ::step, ::step].float().numpy()
        parts = pipe.postprocess(out)
        answer = np.full(np.asarray(parts[0]["mask"]).shape, -1, dtype=np.int16)
        for part in parts:
            answer[np.asarray(part["mask"]) > 0] = place[part["label"]]
        found[f"answer_{number}"] = answer
    return found


def ordered(found: list[list[dict[str, Any]]], names: list[str]) -> np.ndarray:
    """float32 (n, classes). Raises KeyError for a class that the pipeline does not name."""
    scores = [{one["label"]: one["score"] for one in row} for row in found]
    return np.array([[row[name] for name in names] for row in scores], dtype=np.float32)


def timm_logits(request: dict[str, Any]) -> np.ndarray:
    """The same pictures through timm alone: the weights' names have the prefix timm_model."""
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import load_file

    folder = Path(request["model"])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    options = config.get("model_args") or {}
    model = timm.create_model(config["architecture"], num_classes=len(request["names"]), **options)
    weights = {name.removeprefix("timm_model."): each for name, each in load_file(folder / "model.safetensors").items()}
    model.load_state_dict(weights)
    data = timm.data.resolve_data_config(config["pretrained_cfg"], model=None, verbose=False)
    change, found = timm.data.create_transform(**data, is_training=False), []
    for image in request["images"]:
        with Image.open(image) as opened, torch.no_grad():
            found.append(model.eval()(change(opened.convert("RGB"))[None])[0].numpy())
    return np.stack(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
