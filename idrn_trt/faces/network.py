"""A detector's network in OpenVINO, ONNX Runtime or TensorRT: one uint8 picture in, float32 arrays out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from idrn_trt.engines._uint8_ends import INPUT, with_uint8_input
from idrn_trt.engines.base import last_line
from idrn_trt.errors import DeviceError, ModelError, OptionError
from idrn_trt.processor import usable_cores

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

DETECTOR_ENGINES = ("openvino", "onnxruntime", "tensorrt")

# Of sides: every network here halves its picture five times.
MULTIPLE_PX = 32


class Network(Protocol):
    """What a detector needs of an engine."""

    def run(self, picture: UInt8) -> list[Float32]:
        """The outputs, the caller's own, for one picture (H, W, 3), sides multiples of 32.

        Raises DeviceError, and EngineMismatch for a picture larger than the engine takes.
        """
        ...


def open_network(
    data: bytes,
    name: str,
    outputs: Sequence[str],
    *,
    engine: str,
    unit: float,
    threads: int | None = None,
) -> Network:
    """The network of an ONNX file with one input (1, 3, h, w) of any h and w.

    name: for messages. outputs: those that `run` gives, in this order. unit: what a pixel's level is
    multiplied by. threads: None takes every core; no meaning in "tensorrt".
    Raises OptionError for an engine there is not, ModelError for a file that is no such network;
    BackendUnavailable or DeviceError where TensorRT or a GPU for it is missing.
    """
    if engine not in DETECTOR_ENGINES:
        raise OptionError(
            f"no engine {engine!r} for a detector: expected one of {', '.join(DETECTOR_ENGINES)}"
        )
    try:
        network = with_uint8_input(data, outputs, unit)
    except ModelError as error:
        raise ModelError(f"detector {name!r}: {error}") from error
    if engine == "openvino":
        return OpenVinoNetwork(network, name, threads)
    if engine == "onnxruntime":
        return OnnxRuntimeNetwork(network, name, threads)
    from idrn_trt.engines._trt_build import check_version

    check_version()  # says what is missing; the import below would not
    from idrn_trt.engines._trt_network import TensorRtNetwork

    return TensorRtNetwork(network, name, outputs)


class OpenVinoNetwork:
    """One graph for pictures of any size.

    A graph of fixed size is up to a third faster, but takes as long to compile as some fifty pictures to
    look at, and tiles, regions and photographs come in many sizes.
    """

    def __init__(self, network: bytes, name: str, threads: int | None) -> None:
        import openvino as ov

        from idrn_trt.engines.openvino import FAILURES, compile_options, core

        self._tensor, self._failures = ov.Tensor, FAILURES
        try:
            options = compile_options("int8", threads)
            compiled = core().compile_model(core().read_model(network), "CPU", options)
            self._request = compiled.create_infer_request()
        except FAILURES as error:
            raise ModelError(
                f"OpenVINO cannot open detector {name!r}: {last_line(error)}"
            ) from error

    def run(self, picture: UInt8) -> list[Float32]:
        """See Network."""
        try:
            self._request.set_input_tensor(self._tensor(picture[None], shared_memory=True))
            self._request.infer()
        except self._failures as error:
            raise DeviceError(f"OpenVINO failed: {last_line(error)}") from error
        return [np.array(tensor.data) for tensor in self._request.output_tensors]


class OnnxRuntimeNetwork:
    """One session for pictures of any size, on the CPU."""

    def __init__(self, network: bytes, name: str, threads: int | None) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures arrive as exceptions
        providers = ["CPUExecutionProvider"]
        try:
            self._session = ort.InferenceSession(network, options, providers=providers)
        except Exception as error:  # its exceptions share no base but Exception
            raise ModelError(
                f"ONNX Runtime cannot open detector {name!r}: {last_line(error)}"
            ) from error

    def run(self, picture: UInt8) -> list[Float32]:
        """See Network."""
        try:
            return list(self._session.run(None, {INPUT: picture[None]}))
        except Exception as error:  # its exceptions share no base but Exception
            raise DeviceError(f"ONNX Runtime failed: {last_line(error)}") from error
