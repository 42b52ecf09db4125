"""What is built and shipped: the wheel's content and size, its metadata, the public names."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import idrn_trt
from idrn_trt._imports import explain_import_error
from idrn_trt.zoo import DETECTOR_MODEL

ROOT = Path(idrn_trt.__file__).parents[1]
MODELS = ("idrn-d8-w64-x4", "idrn-d8-w64-x4-real")
LARGEST_WHEEL_BYTES = 12_000_000


def build(kind: str, source: Path, target: Path) -> Path:
    """The wheel or sdist of `source`, built into `target` without the network."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(target)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this source tree."""
    return zipfile.ZipFile(build("wheel", ROOT, tmp_path_factory.mktemp("wheel")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    """The wheel's METADATA."""
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_the_wheel_holds_the_package_and_three_models_only(wheel: zipfile.ZipFile) -> None:
    """Every source file, py.typed, and of the default model, the paper's and the detector what runs."""
    package = ROOT / "idrn_trt"
    sources = {f"idrn_trt/{p.relative_to(package).as_posix()}" for p in package.rglob("*.py")}
    carried = {n for n in wheel.namelist() if ".dist-info/" not in n}
    models = {n for n in carried if n.startswith("idrn_trt/_models/")}
    assert carried - models == sources | {"idrn_trt/py.typed"}

    files = {"README.md", "manifest.json", "model.onnx", "model.int8-cpu.onnx"}
    detector = files - {"model.onnx"} | {"model.fp16.onnx"}
    folders = {**dict.fromkeys(MODELS, files), DETECTOR_MODEL: detector}
    assert models == {
        f"idrn_trt/_models/{name}/{file}" for name in folders for file in folders[name]
    }


def test_the_wheel_is_small(wheel: zipfile.ZipFile) -> None:
    """At most 12 MB to download."""
    assert wheel.filename is not None
    assert Path(wheel.filename).stat().st_size <= LARGEST_WHEEL_BYTES


def test_the_wheel_carries_licence_and_command(wheel: zipfile.ZipFile) -> None:
    """The licence's text is inside, and `idrn-trt` starts the command line."""
    names = wheel.namelist()
    (licence,) = (n for n in names if n.endswith("/licenses/LICENSE"))
    (commands,) = (n for n in names if n.endswith("/entry_points.txt"))
    assert b"Apache License" in wheel.read(licence)
    assert "idrn-trt = idrn_trt.cli:main" in wheel.read(commands).decode()


def test_a_wheel_from_the_sdist_is_the_same(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """The sdist holds all that the wheel is built from."""
    with tarfile.open(build("sdist", ROOT, tmp_path / "sdist")) as sdist:
        # Required by Python 3.14, unknown to 3.11.3: the attribute is the documented way to suit both.
        sdist.extraction_filter = getattr(tarfile, "data_filter", None)
        sdist.extractall(tmp_path)  # noqa: S202 (our own archive)
    (unpacked,) = (p for p in tmp_path.iterdir() if p.name != "sdist")
    again = zipfile.ZipFile(build("wheel", unpacked, tmp_path / "again"))
    assert sorted(again.namelist()) == sorted(wheel.namelist())


def test_the_metadata_follows_the_source(metadata: email.message.Message) -> None:
    """The version is the package's own; Python starts at 3.10; the licence is named."""
    assert metadata["Version"] == idrn_trt.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"


def test_the_plain_install_is_light(metadata: email.message.Message) -> None:
    """Without an extra: the six runtime packages, OpenCV below 5 for its Haar cascades."""
    plain = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in plain}
    assert names == {"av", "numpy", "opencv-python", "openvino", "pillow", "tqdm"}
    assert [r for r in plain if r.startswith("opencv")] == ["opencv-python<5,>=4.8"]


def test_everything_a_plain_install_or_the_tests_need_is_pinned() -> None:
    """constraints.txt names an exact version of each direct dependency, except of the untried GPU ones."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        pytest.skip("tomllib came with Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    groups = project["dependency-groups"]
    wanted = [
        *project["project"]["dependencies"],
        *(r for extra, some in extras.items() if extra != "tensorrt" for r in some),
        *(r for some in groups.values() for r in some if isinstance(r, str)),
    ]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert {re.split(r"[^\w-]", r)[0] for r in wanted} - pinned == set()


@pytest.mark.parametrize("name", sorted(idrn_trt.__all__))
def test_a_public_name_loads_on_first_use(name: str) -> None:
    """Each name of `__all__` is there, and listed by dir()."""
    assert getattr(idrn_trt, name) is not None
    assert name in dir(idrn_trt)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt public name fails as it does for any module."""
    with pytest.raises(AttributeError, match="no attribute 'Upscalar'"):
        idrn_trt.Upscalar  # noqa: B018 (the access is the test)


def in_fresh_python(code: str) -> str:
    """Standard output of a new interpreter that runs `code` from this source tree."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_library_user_without_opencv_reads_what_to_install() -> None:
    """The first use of Upscaler raises BackendUnavailable, an ImportError, in one line."""
    said = in_fresh_python(
        "sys.modules['cv2'] = None\n"
        "try:\n    from idrn_trt import Upscaler\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    assert said == (
        "BackendUnavailable module 'cv2' is not installed: pip install \"opencv-python>=4.8,<5\"\n"
    )


def test_opencv_without_the_window_libraries_names_both_remedies(tmp_path: Path) -> None:
    """A cv2 that the loader refuses, as in a slim container, ends in one line with two ways out."""
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory',"
        " name='cv2')\n"
    )
    said = in_fresh_python(
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "try:\n    from idrn_trt import Upscaler\n"
        "except ImportError as error:\n    print(error)\n"
    )
    assert said.count("\n") == 1
    assert "libGL.so.1 is missing" in said
    assert "apt install libgl1 libglib2.0-0" in said
    assert "opencv-python-headless" in said


def test_a_fault_of_our_own_is_not_explained_away() -> None:
    """An import error of unknown cause keeps its traceback."""
    assert explain_import_error(ImportError("no name 'x'", name="idrn_trt.faces")) is None
    assert explain_import_error(ImportError("nameless")) is None
