"""A detector's network in OpenVINO or ONNX Runtime: one uint8 picture in, float32 arrays out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from idrn_trt.engines.base import last_line
from idrn_trt.errors import DeviceError, ModelError, OptionError
from idrn_trt.processor import usable_cores

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

DETECTOR_ENGINES = ("openvino", "onnxruntime")

# Of sides: every network here halves its picture five times.
MULTIPLE_PX = 32


class Network(Protocol):
    """What a detector needs of an engine."""

    def run(self, picture: UInt8) -> list[Float32]:
        """The outputs, the caller's own, for one picture (H, W, 3), sides multiples of 32.

        Raises DeviceError.
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
    multiplied by. threads: None takes every core.
    Raises OptionError for an engine there is not, ModelError for a file that is no such network.
    """
    if engine == "openvino":
        return OpenVinoNetwork(data, name, outputs, unit, threads)
    if engine == "onnxruntime":
        return OnnxRuntimeNetwork(data, name, outputs, unit, threads)
    raise OptionError(
        f"no engine {engine!r} for a detector: expected one of {', '.join(DETECTOR_ENGINES)}"
    )


class OpenVinoNetwork:
    """One graph for pictures of any size, with the conversion from uint8 inside.

    A graph of fixed size is up to a third faster, but takes as long to compile as some fifty pictures to
    look at, and tiles, regions and photographs come in many sizes.
    """

    def __init__(
        self, data: bytes, name: str, outputs: Sequence[str], unit: float, threads: int | None
    ) -> None:
        import openvino as ov

        from idrn_trt.engines.openvino import FAILURES, compile_options, core

        self._tensor, self._failures, self._count = ov.Tensor, FAILURES, len(outputs)
        try:
            graph = _with_uint8_input(core().read_model(data), outputs, unit)
            compiled = core().compile_model(graph, "CPU", compile_options("int8", threads))
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
        return [np.array(self._request.get_output_tensor(k).data) for k in range(self._count)]


def _with_uint8_input(graph: Any, outputs: Sequence[str], unit: float) -> Any:
    """The float NCHW graph with an input uint8 (1, h, w, 3), h and w of any size."""
    import openvino as ov
    from openvino import opset13

    graph.reshape([1, 3, -1, -1])
    picture = opset13.parameter([1, -1, -1, 3], ov.Type.u8, name="picture")
    x = opset13.convert(picture, "f32")
    x = opset13.multiply(x, opset13.constant(np.float32(unit)))
    x = opset13.transpose(x, opset13.constant(np.array([0, 3, 1, 2], np.int64)))
    for port in graph.input(0).get_target_inputs():
        port.replace_source_output(x.output(0))
    return ov.Model([graph.output(name).node for name in outputs], [picture], "detector")


class OnnxRuntimeNetwork:
    """One session for pictures of any size, on the CPU."""

    def __init__(
        self, data: bytes, name: str, outputs: Sequence[str], unit: float, threads: int | None
    ) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime as ort

        self._unit = np.float32(unit)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # failures arrive as exceptions
        try:
            self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base but Exception
            raise ModelError(
                f"ONNX Runtime cannot open detector {name!r}: {last_line(error)}"
            ) from error
        if missing := set(outputs) - {output.name for output in self._session.get_outputs()}:
            raise ModelError(f"detector {name!r} has no output {min(missing)!r}")
        self._input = self._session.get_inputs()[0].name
        self._outputs = list(outputs)

    def run(self, picture: UInt8) -> list[Float32]:
        """See Network."""
        x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) * self._unit
        try:
            return list(self._session.run(self._outputs, {self._input: x}))
        except Exception as error:  # its exceptions share no base but Exception
            raise DeviceError(f"ONNX Runtime failed: {last_line(error)}") from error
