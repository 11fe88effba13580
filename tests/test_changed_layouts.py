"""Rows that are changed or cut while training are the same on one process and on two."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.changed_layouts import fits
from tests.processes import together


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """What both trainings did on one process, and on two."""
    two = tmp_path_factory.mktemp("two")
    together("tests.changed_layouts", str(two))
    one = fits(tmp_path_factory.mktemp("one"), {"per_device_train_batch_size": 16})
    return one, json.loads((two / "history.json").read_text())


@pytest.mark.parametrize("kind", ["pictures", "texts"])
def test_two_processes_take_the_steps_of_one_and_score_the_same(kind, layouts):
    truth, found = (done[kind] for done in layouts)
    assert len(truth["steps"]) == 4 and len(truth["scores"]) == 2 and np.shape(truth["outputs"]) == (64, 3)
    assert np.allclose(found["steps"], truth["steps"], rtol=2e-3)
    assert np.allclose(found["scores"], truth["scores"], rtol=1e-3)
    assert np.allclose(found["outputs"], truth["outputs"], atol=2e-3)
