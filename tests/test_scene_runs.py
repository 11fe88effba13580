"""A run of masks by two processes of one launch is the run of one process."""

import pyarrow.parquet as pq
from command import hfft
from processes import together

from hfft import ledger
from hfft.mask_records import MaskPredictions
from hfft.run_folder import RunFolder


def test_two_processes_count_the_same_pixels_as_one(tmp_path):
    """The same confusion matrix of each image, in the same order, also where images cannot be dealt out evenly."""
    words = ["train.num_train_epochs=1", "train.per_device_eval_batch_size=3", "data.limit=61", "--output-dir", "two"]
    two = RunFolder(tmp_path / "two")
    assert hfft("run", "tiny_semseg", *words[:-1], str(two.root)) == 0
    assert together("hfft", "eval", "two", cwd=tmp_path).count("2 processes on CPU") == 1
    assert ledger.read(two).count == 1
    parallel = MaskPredictions.read(two.predictions("test"))
    table = pq.read_table(two.predictions("test"))
    assert hfft("eval", str(two.root)) == 0
    assert ledger.read(two).count == 2
    single = MaskPredictions.read(two.predictions("test"))
    assert single.n % 2 and list(parallel.ids) == list(single.ids)
    assert (parallel.cells != single.cells).nnz == 0 and (parallel.edges == single.edges).all()
    assert pq.read_table(two.predictions("test")).equals(table), "every column of the file"
