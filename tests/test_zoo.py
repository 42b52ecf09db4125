"""Finding models by name or path, and refusing what is missing, altered or hostile."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from idrn_trt import zoo
from idrn_trt.errors import IdrnError, ModelError
from idrn_trt.manifest import Manifest, parse_manifest, read_manifest
from idrn_trt.zoo import BrokenModel, Model, find_model, list_models

SHA = "0123456789abcdef" * 4


def manifest(**changes: Any) -> dict[str, Any]:
    """A valid manifest as JSON values, but for these changes; None removes a key."""
    values: dict[str, Any] = {
        "format_version": 1,
        "name": "idrn-d1-w8-x4",
        "scale": 4,
        "network": {"depth": 1, "width": 8, "scale": 4, "unit": "dense"},
        "files": {
            "fp32": {"path": "model.onnx", "sha256": SHA, "bytes": 5},
            "int8-cpu": {"path": "sub/q.onnx", "sha256": SHA, "bytes": 9, "parents": ["fp32"]},
        },
        "data": [{"name": "faces", "licence": "CC0", "sha256": SHA}],
        "recipe": {"steps": 10, "rate": 8e-4},
        "quality": {"fp32": {"psnr_y_db": 30.1}},
        **changes,
    }
    return {key: value for key, value in values.items() if value is not None}


def packed(values: Any) -> bytes:
    """The values as a manifest's bytes."""
    return json.dumps(values).encode()


def with_file(**changes: Any) -> dict[str, Any]:
    """A manifest whose only file's entry has these changes."""
    entry = {"path": "model.onnx", "sha256": SHA, "bytes": 5, **changes}
    return manifest(files={"fp32": {k: v for k, v in entry.items() if v is not None}})


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models, the only one that is searched."""
    root = tmp_path / "models"
    root.mkdir()
    monkeypatch.setattr(zoo, "search_path", lambda: [root])
    return root


def make(folder: Path, content: bytes = b"hello", **changes: Any) -> Path:
    """A model folder with one file of this content."""
    import hashlib

    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(content)
    entry = {"path": "model.onnx", "sha256": hashlib.sha256(content).hexdigest(), "bytes": 5}
    values = manifest(name=folder.name, files={"fp32": entry})
    (folder / "manifest.json").write_bytes(packed({**values, **changes}))
    return folder


def test_a_valid_manifest() -> None:
    """Every field arrives; keys that are not known are for others."""
    read = parse_manifest(packed(manifest(parameters=123)))
    assert (read.name, read.scale) == ("idrn-d1-w8-x4", 4)
    assert read.files["int8-cpu"].path == "sub/q.onnx"
    assert read.files["int8-cpu"].parents == ("fp32",)
    assert read.files["fp32"].size_bytes == 5
    assert read.quality == {"fp32": {"psnr_y_db": 30.1}}
    assert read.data[0]["licence"] == "CC0"


def test_a_detectors_manifest() -> None:
    """A model that finds faces has no scale; without a task a model enlarges."""
    found = parse_manifest(packed(manifest(task="face-detection", scale=None, network={})))
    assert (found.task, found.scale) == ("face-detection", None)
    assert parse_manifest(packed(manifest())).task == "super-resolution"


BAD: dict[str, tuple[Any, str]] = {
    "a list": ([], "must be an object"),
    "no version": (manifest(format_version=None), "no 'format_version'"),
    "another version": (manifest(format_version=2), "format version 2, this release reads 1"),
    "a version as text": (manifest(format_version="1"), "'format_version'.*'1'"),
    "a version as bool": (manifest(format_version=True), "'format_version'.*True"),
    "no name": (manifest(name=None), "no 'name'"),
    "a name with a path": (manifest(name="../x"), "'name'.*'../x'"),
    "a name in capitals": (manifest(name="IDRN"), "'name'.*'IDRN'"),
    "a long name": (manifest(name="a" * 65), "'name'"),
    "an unknown task": (manifest(task="cooking"), "'task'.*'cooking'"),
    "no scale": (manifest(task="super-resolution", scale=None), "no 'scale'"),
    "scale 5": (manifest(scale=5), "'scale'.*5"),
    "scale 4.0": (manifest(scale=4.0), "'scale'.*4.0"),
    "scale True": (manifest(scale=True), "'scale'.*True"),
    "another network scale": (manifest(network={"scale": 2}), "network scale 2.*4"),
    "network list": (manifest(network=[]), "'network'"),
    "no files": (manifest(files={}), "1 to 32 files, got 0"),
    "too many files": (
        manifest(files={f"k{k}": {"path": "m", "sha256": SHA, "bytes": 1} for k in range(33)}),
        "got 33",
    ),
    "files list": (manifest(files=["model.onnx"]), "'files'"),
    "a file as text": (manifest(files={"fp32": "model.onnx"}), "file 'fp32' must be an object"),
    "an odd kind": (manifest(files={"FP 32": {}}), "'FP 32' is no kind"),
    "absolute path": (with_file(path="/etc/passwd"), "'path'.*'/etc/passwd'"),
    "parent path": (with_file(path="../model.onnx"), "'path'.*inside the folder"),
    "hidden parent path": (with_file(path="a/../../b"), "'path'"),
    "dot path": (with_file(path="./model.onnx"), "'path'"),
    "windows path": (with_file(path="..\\model.onnx"), "'path'"),
    "drive path": (with_file(path="C:model.onnx"), "'path'"),
    "null in path": (with_file(path="model\0.onnx"), "'path'"),
    "newline in path": (with_file(path="a\nb"), "'path'"),
    "surrogate in path": (with_file(path="a\udc80b"), "'path'"),
    "empty path": (with_file(path=""), "'path'"),
    "long path": (with_file(path="a" * 256), "'path'"),
    "no path": (with_file(path=None), "no 'path'"),
    "path number": (with_file(path=3), "'path'.*3"),
    "short sha256": (with_file(sha256="abc"), "'sha256'.*64"),
    "capital sha256": (with_file(sha256=SHA.upper()), "'sha256'"),
    "sha256 and newline": (with_file(sha256=SHA + "\n"), "'sha256'"),
    "no bytes": (with_file(bytes=0), "'bytes'.*0"),
    "negative bytes": (with_file(bytes=-1), "'bytes'.*-1"),
    "huge bytes": (with_file(bytes=1 << 40), "'bytes'"),
    "parents text": (with_file(parents="fp32"), "'parents'"),
    "own parent": (with_file(parents=["fp32"]), "parent 'fp32'"),
    "unknown parent": (with_file(parents=["fp64"]), "parent 'fp64'"),
    "parent object": (with_file(parents=[{}]), "parent {}"),
    "data object": (manifest(data={}), "'data'"),
    "data of text": (manifest(data=["faces"]), "'data'"),
    "recipe list": (manifest(recipe=[]), "'recipe'"),
    "quality null": ({**manifest(), "quality": None}, "'quality'.*None"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_manifests(case: str) -> None:
    """Each wrong value is a ModelError of one line that names it."""
    values, message = BAD[case]
    with pytest.raises(ModelError, match=message) as caught:
        parse_manifest(packed(values))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


NOT_JSON: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not JSON"),
    "cut": (packed(manifest())[:-20], "not JSON"),
    "latin-1": (b'{"name": "\xe9"}', "not JSON"),
    "two values": (b"{}{}", "not JSON"),
    "byte order mark": (b"\xef\xbb\xbf{}", "not JSON"),
    "twice": (b'{"scale": 2, "scale": 4}', "'scale' given twice"),
    "twice inside": (b'{"recipe": {"a": 1, "a": 2}}', "'a' given twice"),
    "twice among many": (
        b"{" + b",".join(b'"%d":0' % k for k in range(90_000)) + b',"7":1}',
        "'7' given twice",
    ),
    "NaN": (b'{"quality": NaN}', "NaN"),
    "infinity": (b'{"quality": -Infinity}', "-Infinity"),
    "overflow": (b'{"quality": 1e999}', "too large"),
    "a long number": (b'{"scale": ' + b"9" * 900_000 + b"}", "too large"),
    "deep lists": (b"[" * 500_000, "deep"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deep"),
    "deep but whole": (packed(manifest(recipe=json.loads("[" * 40 + "]" * 40))), "deep"),
    "too large": (b" " * (1 << 20) + b"{}", "1 MiB"),
}


@pytest.mark.parametrize("case", NOT_JSON)
def test_bytes_that_are_no_manifest(case: str) -> None:
    """Whatever the bytes, the answer is a ModelError of one line, and it comes at once."""
    data, message = NOT_JSON[case]
    with pytest.raises(ModelError, match=message) as caught:
        parse_manifest(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 4, 1 << 31, 1 << 63, 1.5, -0.0, 1e308, "", "a", "..", "/", "\0",
    "\udc80", "fp32", "a" * 300, [], {}, [[]], {"a": {}}, ["fp32"], [None], {"": ""}, SHA,
]  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in nested JSON values."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], (dict, list)):
            found += _places(value[key])
    return found


def _changed(rng: random.Random) -> bytes:
    """A valid manifest with one to four values, keys or stretches of bytes changed."""
    values = manifest()
    for _ in range(rng.randint(0, 3)):
        container, key = rng.choice(_places(values))
        if rng.random() < 0.2:
            del container[key]
        elif rng.random() < 0.3 and isinstance(container, dict):
            container[rng.choice(["", "fp32", "scale", "a\udc80", "FP", "x" * 99])] = container[key]
        else:
            container[key] = rng.choice(ODD_VALUES)
        if not values:
            break
    data = bytearray(packed(values))
    for _ in range(rng.choice([0, 0, 0, 1, 3])):
        at = rng.randrange(len(data) + 1)
        junk = [b"", b"{", b"]", b'"', b"\\u", b"\\", b"\xff", b"\0", b"1e9", b"-", b"[" * 2000]
        data[at : at + rng.choice([0, 1, 9])] = rng.choice(junk)
    return bytes(data)


def test_fuzz() -> None:
    """Of 4000 damaged manifests each is either refused in one line or wholly valid."""
    rng = random.Random(0)  # noqa: S311 (a fixed sequence is wanted)
    read, refused = 0, 0
    for _ in range(4000):
        data = _changed(rng)
        try:
            result = parse_manifest(data)
        except ModelError as error:
            refused += "\n" not in str(error)
            continue
        _assert_whole(result)
        read += 1
    assert read > 100
    assert refused == 4000 - read


def _assert_whole(result: Manifest) -> None:
    assert result.scale in {2, 3, 4}
    assert zoo.is_model_name(result.name)
    folder = Path("/somewhere/model")
    for kind, file in result.files.items():
        joined = os.path.normpath(folder / file.path)
        assert joined.startswith(f"{folder}/")
        assert len(file.sha256) == 64
        assert type(file.size_bytes) is int
        assert file.size_bytes > 0
        assert set(file.parents) <= set(result.files) - {kind}
    json.dumps([result.network, result.recipe, result.quality, result.data])


def test_a_manifest_that_is_no_file(tmp_path: Path) -> None:
    """A missing manifest, a folder or a pipe in its place are refused without waiting."""
    with pytest.raises(ModelError, match="no such file"):
        read_manifest(tmp_path)
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(ModelError, match="not a regular file"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ModelError, match="not a regular file"):
        read_manifest(tmp_path)


def test_found_by_name_and_by_path(models: Path) -> None:
    """A name of the zoo, a folder as text or Path, and a bare file lead to their models."""
    folder = make(models / "one")
    for way in ("one", str(folder), folder):
        model = find_model(way)
        assert (model.name, model.folder, model.scale) == ("one", folder, 4)
        assert model.file("fp32") == folder / "model.onnx"
        assert model.read("fp32") == b"hello"
    bare = find_model(folder / "model.onnx")
    assert (bare.name, bare.scale, bare.manifest) == ("model", None, None)
    assert bare.read("bare") == b"hello"


def test_a_copied_folder_may_have_another_name(models: Path, tmp_path: Path) -> None:
    """By path the folder's name does not matter; in the zoo it must be the model's."""
    folder = make(tmp_path / "mine")
    copy = folder.rename(tmp_path / "copy of mine")
    assert find_model(copy).name == "mine"
    copy.rename(models / "other")
    with pytest.raises(ModelError, match=r"other.*named 'mine'"):
        find_model("other")


def test_an_unknown_name(models: Path) -> None:
    """The nearest name is suggested and those known are listed."""
    make(models / "idrn-d8-w64-x4")
    make(models / "idrn-d8-w64-x2")
    with pytest.raises(
        ModelError, match=r"'idrn-d8w64-x4'.*mean 'idrn-d8-w64-x4'.*idrn-d8-w64-x2, idrn-d8-w64-x4"
    ):
        find_model("idrn-d8w64-x4")
    with pytest.raises(ModelError, match=r"no model named 'a\.onnx'"):
        find_model("a.onnx")


@pytest.mark.parametrize("name", ["", "\0", "x" * 5000, "a\nb", "\udc80", "../..", "~"])
def test_odd_names(models: Path, name: str) -> None:  # noqa: ARG001
    """Any text is either found or refused with a ModelError."""
    with pytest.raises(ModelError):
        find_model(name)


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    """A file of another kind is refused by its name's ending."""
    (tmp_path / "face.png").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"face\.png.*neither"):
        find_model(tmp_path / "face.png")


def _cut(file: Path) -> None:
    file.write_bytes(b"hell")


def _altered(file: Path) -> None:
    file.write_bytes(b"jello")


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _ring(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "is missing"),
        (_folder, "is missing"),
        (_cut, "4 bytes, its manifest says 5"),
        (_altered, "altered: sha256 [0-9a-f]{64}, expected 2cf24dba"),
        (_ring, "missing|cannot be resolved"),
    ],
)
def test_a_damaged_file(models: Path, damage: Callable[[Path], None], message: str) -> None:
    """A file that is missing, cut or altered is refused, got and expected named."""
    folder = make(models / "one")
    damage(folder / "model.onnx")
    model = find_model("one")
    for use in (model.file, model.read):
        with pytest.raises(ModelError, match=message):
            use("fp32")


def test_a_kind_that_is_not_there(models: Path) -> None:
    """Asking for a kind the manifest does not name lists those it does."""
    model = find_model(make(models / "one"))
    assert model.has("fp32")
    assert not model.has("int8-cpu")
    with pytest.raises(ModelError, match="no 'int8-cpu' file, only fp32"):
        model.file("int8-cpu")


def test_a_link_out_of_the_folder_is_refused(models: Path, tmp_path: Path) -> None:
    """A link, of the file or of a folder on the way, may not leave the model's folder."""
    folder = make(models / "one")
    (folder / "model.onnx").rename(tmp_path / "secret")
    (folder / "model.onnx").symlink_to(tmp_path / "secret")
    model = find_model("one")
    with pytest.raises(ModelError, match="link out of its folder"):
        model.read("fp32")
    (folder / "model.onnx").unlink()
    (folder / "inner").write_bytes(b"hello")
    (folder / "model.onnx").symlink_to("inner")
    assert model.read("fp32") == b"hello"


def test_a_linked_model_folder_works(models: Path, tmp_path: Path) -> None:
    """The folder itself may be a link: whoever made it chose so."""
    make(tmp_path / "one")
    (models / "one").symlink_to(tmp_path / "one")
    assert find_model("one").read("fp32") == b"hello"


def test_list_models_names_the_broken(models: Path) -> None:
    """Whole models and broken ones are listed by name, the broken with their reason."""
    make(models / "b-whole")
    make(models / "a-altered")
    (models / "a-altered" / "model.onnx").write_bytes(b"jello")
    make(models / "c-newer", format_version=2)
    (models / "d-empty").mkdir()
    (models / ".hidden").mkdir()
    (models / "README.md").write_text("")
    whole = {m.name: m for m in list_models() if isinstance(m, Model)}
    broken = {m.name: m.reason for m in list_models() if isinstance(m, BrokenModel)}
    assert [m.name for m in list_models()] == ["a-altered", "b-whole", "c-newer", "d-empty"]
    assert list(whole) == ["b-whole"]
    assert "altered" in broken["a-altered"]
    assert "format version 2" in broken["c-newer"]
    assert "no such file" in broken["d-empty"]


def test_a_file_not_shipped_breaks_no_model(models: Path) -> None:
    """A manifest may name files that are made on demand; the model is listed without them."""
    folder = make(models / "one")
    values = json.loads((folder / "manifest.json").read_text())
    values["files"]["fp16"] = {"path": "model.fp16.onnx", "sha256": SHA, "bytes": 7}
    (folder / "manifest.json").write_bytes(packed(values))
    (model,) = list_models()
    assert isinstance(model, Model)
    assert [kind for kind in model.files if model.has(kind)] == ["fp32"]


def test_search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IDRN_MODELS comes first, then the packed models, then the source tree's; its names win."""
    package, override = tmp_path / "idrn_trt", tmp_path / "override"
    for root in (override, package / "_models", tmp_path / "models"):
        make(root / "one")
    monkeypatch.setattr(zoo, "_PACKAGE", package)
    assert zoo.search_path() == [package / "_models"]  # beside it lies nobody knows what
    (tmp_path / "pyproject.toml").write_text("")
    assert zoo.search_path() == [package / "_models", tmp_path / "models"]
    monkeypatch.setenv("IDRN_MODELS", str(override))
    assert zoo.search_path()[0] == override
    assert find_model("one").folder == override / "one"
    assert [model.folder for model in list_models()] == [override / "one"]
    monkeypatch.setenv("IDRN_MODELS", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"IDRN_MODELS.*nowhere"):
        find_model("one")


def test_errors_are_ours() -> None:
    """A caller who catches the package's root error, or ValueError, catches these."""
    assert issubclass(ModelError, IdrnError)
    with pytest.raises(ValueError, match="no model named"):
        find_model("no-such-model-anywhere")
