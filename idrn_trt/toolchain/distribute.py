"""The processes that train one network together: who they are, their shares, how they stop.

Lightning Fabric starts them, or finds itself under torchrun, and adds up their gradients. Here is what
Fabric leaves to its user: that every rank stops at the same step, and that one of them says why.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import distributed, nn

from idrn_trt.errors import IdrnError, OptionError, TrainingError
from idrn_trt.options import TrainOptions


class Ranks:
    """The processes of a run as one of them sees it: `rank` of `size`.

    For several, Fabric runs this program's command line again for each further device of the node;
    under torchrun they are there already. Raises OptionError for a device that is not usable.
    """

    def __init__(self, options: TrainOptions) -> None:
        self._fabric = _launched(options)
        self.device = self._fabric.device
        self.size = self._fabric.world_size
        self.rank = self._fabric.global_rank
        self.first = self.rank == 0
        self._pressed: list[int] = []

    def close(self) -> None:
        """End the group, after the last use of what `wrap` gave.

        Its threads free the last exchanged tensors, which takes the interpreter's lock: one that still
        runs when the interpreter ends aborts the process.
        """
        if self.size > 1 and distributed.is_initialized():
            gc.collect()  # a wrapped network in a cycle would keep the threads
            distributed.destroy_process_group()

    @contextlib.contextmanager
    def one_voice(self) -> Iterator[None]:
        """Of an error that ends the block on every rank the first tells; the others end quietly."""
        try:
            yield
        except (IdrnError, KeyboardInterrupt) as error:
            if self.first:
                raise
            # Fabric kills a node's main process when one that it started ends with another code than 0.
            raise SystemExit(0 if self._fabric.local_rank else 1) from error

    def share(self, batch: range) -> range:
        """The samples of a batch that are this rank's; none where the batch is smaller than `size`."""
        return batch[self.rank :: self.size]

    def wrap(self, net: nn.Module) -> nn.Module:
        """The same network, on its device; its backward pass leaves the mean gradient of all ranks.

        Raises OptionError for batch normalisation over several: its statistics are a whole batch's.
        """
        if self.size > 1 and any(isinstance(part, nn.BatchNorm2d) for part in net.modules()):
            raise OptionError(
                f"a network with batch normalisation trains in one process, not in {self.size}: "
                "leave --devices and --nodes out"
            )
        wrapped: nn.Module = self._fabric.setup_module(net)
        return wrapped

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients of the sum of all ranks' losses."""
        self._fabric.backward(loss * self.size)

    def total(self, losses: dict[str, float]) -> tuple[dict[str, float], bool]:
        """(each loss summed over all ranks, whether Ctrl-C reached one): the same on every rank."""
        if self.size == 1:
            return losses, False
        # In float64, which holds a float32 loss exactly.
        values = torch.tensor(
            [*losses.values(), len(self._pressed)], dtype=torch.float64, device=self.device
        )
        distributed.all_reduce(values)
        *summed, pressed = values.tolist()
        return dict(zip(losses, summed, strict=True)), pressed > 0

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What one rank fails by in the block, every rank fails by at its end."""
        if self.size == 1:
            yield
            return
        failure: IdrnError | KeyboardInterrupt | None = None
        try:
            yield
        except (IdrnError, KeyboardInterrupt) as error:
            failure = error
        failures = self._gather(failure)
        if failure is not None:
            raise failure
        for rank, other in enumerate(failures):
            if isinstance(other, IdrnError):
                raise type(other)(f"process {rank}: {other}")
            if other is not None:
                raise other

    def on_first(self, work: Callable[[], None]) -> None:
        """Do the work on the first rank while the others wait for it."""
        with self.together():
            if self.first:
                work()

    def in_turn(self, work: Callable[[], None]) -> None:
        """Do the work on one rank of each node, then on the others, which find its caches filled."""
        leader = self._fabric.local_rank == 0
        for turn in (leader, not leader):
            with self.together():
                if turn:
                    work()

    def demand_equal(self, state: dict[str, Any]) -> None:
        """Raises TrainingError on every rank unless `state` is the same on all."""
        if self.size == 1:
            return
        for rank, other in enumerate(self._gather(state)):
            differing = sorted(name for name in state if other[name] != state[name])
            if differing:
                raise TrainingError(
                    f"process {rank} differs from process {self.rank} in {', '.join(differing)}: "
                    "every node needs the same pictures, --init and --out (a shared folder)"
                )

    @contextlib.contextmanager
    def interrupt_shared(self) -> Iterator[None]:
        """Among several ranks, Ctrl-C in the block waits for `total` to tell all of it."""
        if self.size == 1:
            yield
            return
        with interrupt_held_back() as self._pressed:
            yield

    def _gather(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values


@contextlib.contextmanager
def interrupt_held_back() -> Iterator[list[int]]:
    """Ctrl-C during the block arrives at its end; until then it is in the list.

    An error in the block takes its place. Outside the main thread none can arrive.
    """
    pressed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    previous = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, previous)
    if pressed:
        signal.raise_signal(signal.SIGINT)


def leave_interrupts(_worker: int) -> None:
    """In a loader's process: Ctrl-C is the trainer's, which still needs the pairs of this step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _launched(options: TrainOptions) -> Fabric:
    kind, _, index = options.device.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    devices, nodes = options.devices, options.nodes
    try:
        if distributed.is_torchelastic_launched():
            devices = int(os.environ["LOCAL_WORLD_SIZE"])
            nodes = int(os.environ["WORLD_SIZE"]) // devices
        if index and devices * nodes > 1:
            raise ValueError("one device by its number is not several")
        fabric = Fabric(
            accelerator=kind,
            devices=[int(index)] if index else devices,
            num_nodes=nodes,
            strategy="ddp" if devices * nodes > 1 else "auto",
        )
        fabric.launch()
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        raise OptionError(
            f"training device {options.device!r} (devices: {devices}, nodes: {nodes}) is not usable "
            f"here: {error}"
        ) from error
    return fabric
