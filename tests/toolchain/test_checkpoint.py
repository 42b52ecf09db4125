"""Checkpoints: what is written comes back, and nothing else is taken for one."""

from __future__ import annotations

import contextlib
import json
import pickle
import resource
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import Trap

from idrn_trt.errors import ModelError, SinkError
from idrn_trt.toolchain.checkpoint import (
    FORMAT,
    Checkpoint,
    load_checkpoint,
    optimiser_state,
    restore_optimiser,
    save_checkpoint,
)
from idrn_trt.toolchain.net import IDRN, NetConfig


@pytest.fixture
def checkpoint() -> Checkpoint:
    """A small network after two real optimiser steps."""
    torch.manual_seed(0)
    net = IDRN(NetConfig.parse("d2-w4-x2")).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(2):
        optimiser.zero_grad()
        net(torch.rand(2, 3, 8, 8)).square().mean().backward()
        optimiser.step()
    return Checkpoint(
        config=net.config,
        weights=dict(net.state_dict()),
        optimiser=optimiser_state(net, optimiser),
        recipe={"peak_learning_rate": 8e-4, "note": "d\u00e9j\u00e0 vu", "val_data": None},
        progress={"step": 2, "seconds": 1.5},
    )


@pytest.fixture
def saved(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """The checkpoint in a file."""
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(checkpoint, path)
    return path


def test_everything_comes_back(checkpoint: Checkpoint, saved: Path) -> None:
    """Configuration, recipe, progress and every tensor survive a round trip to the bit."""
    loaded = load_checkpoint(saved)
    assert loaded.config == checkpoint.config
    assert (loaded.recipe, loaded.progress) == (checkpoint.recipe, checkpoint.progress)
    assert loaded.weights.keys() == checkpoint.weights.keys()
    for name, tensor in checkpoint.weights.items():
        assert torch.equal(loaded.weights[name], tensor)
    assert loaded.optimiser.keys() == checkpoint.optimiser.keys()
    for name, state in checkpoint.optimiser.items():
        assert loaded.optimiser[name].keys() == state.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(loaded.optimiser[name][key], state[key]) for key in state)


def test_the_network_computes_the_same(checkpoint: Checkpoint, saved: Path) -> None:
    """`network` gives a float32 network in evaluation mode with these weights."""
    net = load_checkpoint(saved).network()
    lr = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(net(lr), checkpoint.network()(lr))
    assert not net.training


def test_batch_normalisation_comes_back(tmp_path: Path) -> None:
    """The traditional network's running statistics and counters are kept too."""
    torch.manual_seed(0)
    net = IDRN(NetConfig.parse("d1-w4-x2", unit="traditional"))
    net(torch.rand(2, 3, 8, 8))
    weights = dict(net.state_dict())
    save_checkpoint(Checkpoint(net.config, weights, {}, {}, {}), tmp_path / "bn.safetensors")
    loaded = load_checkpoint(tmp_path / "bn.safetensors").network()
    assert loaded.get_buffer("units.0.norm1.num_batches_tracked") == 1
    running = net.get_buffer("units.0.norm1.running_mean")
    assert torch.equal(loaded.get_buffer("units.0.norm1.running_mean"), running)


def test_a_running_average_comes_back(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """An average survives beside the weights; the network is the average's."""
    checkpoint.average = {name: tensor * 0.5 for name, tensor in checkpoint.weights.items()}
    save_checkpoint(checkpoint, tmp_path / "average.safetensors")
    loaded = load_checkpoint(tmp_path / "average.safetensors")
    for name, tensor in checkpoint.weights.items():
        assert torch.equal(loaded.weights[name], tensor)
        assert torch.equal(loaded.average[name], tensor * 0.5)
    net = loaded.network()
    assert torch.equal(net.head.weight, checkpoint.weights["head.weight"] * 0.5)


def test_a_restored_optimiser_goes_on_identically(checkpoint: Checkpoint, saved: Path) -> None:
    """One more step with a restored optimiser gives the weights the first one would have given."""

    def one_more(source: Checkpoint) -> dict[str, torch.Tensor]:
        net = source.network().to(memory_format=torch.channels_last)
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
        restore_optimiser(net, optimiser, source.optimiser)
        torch.manual_seed(1)
        net(torch.rand(2, 3, 8, 8)).square().mean().backward()
        optimiser.step()
        for parameter in net.parameters():
            state = optimiser.state[parameter]
            assert state["step"] == 3
            assert state["exp_avg"].stride() == parameter.stride()
        return dict(net.state_dict())

    expected, got = one_more(checkpoint), one_more(load_checkpoint(saved))
    assert all(torch.equal(got[name], expected[name]) for name in expected)


def test_final_weights_do_not_resume_an_optimiser(checkpoint: Checkpoint) -> None:
    """A file without optimiser state is refused, instead of quietly starting from zero moments."""
    net = checkpoint.network()
    with pytest.raises(ModelError, match="no optimiser state"):
        restore_optimiser(net, torch.optim.Adam(net.parameters()), {})


def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    """A missing file, or a folder in its place, is a ModelError that shows the path."""
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ModelError, match="no checkpoint at") as caught:
            load_checkpoint(path)
        assert repr(str(path)) in str(caught.value)


def test_truncation_anywhere_is_a_model_error(saved: Path) -> None:
    """A checkpoint cut off at any of 60 places, or emptied, is a ModelError."""
    whole = saved.read_bytes()
    for length in [0, 1, 7, 8, 9, *range(10, len(whole) - 1, len(whole) // 55), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(ModelError, match="not a checkpoint"):
            load_checkpoint(saved)


def test_a_corrupt_header_is_a_model_error(saved: Path) -> None:
    """Overwriting any part of the header gives a ModelError or a checkpoint, nothing else."""
    whole = saved.read_bytes()
    (header_size,) = struct.unpack("<Q", whole[:8])
    refused = 0
    for place in range(0, 8 + header_size, 37):
        damaged = bytearray(whole)
        damaged[place : place + 3] = b"\xff}{"
        saved.write_bytes(damaged)
        try:
            load_checkpoint(saved)
        except ModelError:
            refused += 1
    assert refused > (8 + header_size) // 37 * 0.9


def with_meta(path: Path, change: dict[str, Any] | str) -> None:
    """Rewrite a checkpoint's metadata, leaving its tensors alone."""
    whole = path.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + size])
    meta = json.loads(header["__metadata__"]["idrn_trt"])
    text = change if isinstance(change, str) else json.dumps({**meta, **change})
    header["__metadata__"]["idrn_trt"] = text
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + whole[8 + size :])


def test_another_format_is_named(saved: Path) -> None:
    """A checkpoint of another format version is a ModelError that names both versions."""
    with_meta(saved, {"format": FORMAT + 1})
    with pytest.raises(ModelError, match=f"format {FORMAT + 1}, expected {FORMAT}"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "change",
    [
        "not json",
        "null",
        "[]",
        "{}",
        {"config": None},
        {"config": {"depth": 2}},
        {"config": {"depth": "2", "width": 4, "scale": 2}},
        {"config": {"depth": 2, "width": 4, "scale": 7}},
        {"config": {"depth": 2, "width": 4, "scale": 2, "colour": "red"}},
    ],
    ids=str,
)
def test_foreign_metadata_is_a_model_error(saved: Path, change: dict[str, Any] | str) -> None:
    """Metadata that is no checkpoint's is a ModelError, whatever its type."""
    with_meta(saved, change)
    with pytest.raises(ModelError, match="not a checkpoint"):
        load_checkpoint(saved)


def test_a_damaged_header_is_told_in_one_line(tmp_path: Path) -> None:
    """What the library quotes of the file may hold a line's end."""
    header = json.dumps({"w": {"dtype": "F\x85", "shape": [1], "data_offsets": [0, 4]}}).encode()
    file = tmp_path / "damaged.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ModelError, match="not a checkpoint") as caught:
        load_checkpoint(file)
    assert len(str(caught.value).splitlines()) == 1


def test_weights_of_another_network_are_a_model_error(saved: Path) -> None:
    """Weights that do not fit the configuration beside them are a ModelError."""
    with_meta(saved, {"config": NetConfig.parse("d3-w4-x2").to_dict()})
    with pytest.raises(ModelError, match="do not fit"):
        load_checkpoint(saved).network()


@pytest.mark.parametrize("name", ["model.pt", "checkpoint.safetensors"])
def test_pickles_are_never_opened(tmp_path: Path, name: str) -> None:
    """A pickle, plain or as torch.save writes it, is refused and none of it runs."""
    sprung = tmp_path / "sprung"
    path = tmp_path / name
    pickle.loads(pickle.dumps(Trap(sprung)))  # noqa: S301 (the trap is ours)
    assert sprung.exists(), "the trap works where it is unpickled"
    sprung.unlink()
    for write in (lambda: path.write_bytes(pickle.dumps(Trap(sprung))),
                  lambda: torch.save({"weights": Trap(sprung)}, path)):  # fmt: skip
        write()
        with pytest.raises(ModelError, match="not a checkpoint"):
            load_checkpoint(path)
        assert not sprung.exists()


def test_a_folder_that_cannot_be_made_is_a_sink_error(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """A file where the folder should be is a SinkError, and the file stays."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SinkError, match="cannot write checkpoint"):
        save_checkpoint(checkpoint, tmp_path / "file" / "checkpoint.safetensors")
    assert (tmp_path / "file").read_text() == "mine"


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Writing more than 1000 bytes to a file fails in here, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_older_file(checkpoint: Checkpoint, saved: Path) -> None:
    """When the new file cannot be written whole, the old one is intact and nothing else is left."""
    before = saved.read_bytes()
    assert len(before) > 1000
    checkpoint.progress["step"] = 3
    with full_disk(), pytest.raises(SinkError, match="cannot write checkpoint"):
        save_checkpoint(checkpoint, saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_the_older_file_is_replaced_not_overwritten(checkpoint: Checkpoint, saved: Path) -> None:
    """A reader that holds the older file goes on reading it whole while a new one takes its place."""
    before = saved.read_bytes()
    checkpoint.progress["step"] = 3
    with saved.open("rb") as held:
        save_checkpoint(checkpoint, saved)
        assert held.read() == before
    assert load_checkpoint(saved).progress["step"] == 3


def test_missing_folders_are_made(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Saving makes the folders on the way, and leaves no temporary file."""
    path = tmp_path / "a" / "b" / "c.safetensors"
    save_checkpoint(checkpoint, path)
    assert [p.name for p in path.parent.iterdir()] == ["c.safetensors"]
