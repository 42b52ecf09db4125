"""What to do about an import that fails, in one line. Standard library only."""

from __future__ import annotations

# Import name -> what to give pip. The extras are those of pyproject.toml.
_PACKAGES = {
    "av": "av",
    "cv2": '"opencv-python>=4.8,<5"',
    "numpy": "numpy",
    "openvino": "openvino",
    "PIL": "pillow",
    "tqdm": "tqdm",
    "matplotlib": '"idrn-trt[bench]"',
    "onnxruntime": '"idrn-trt[onnxruntime]"',
    "lightning_fabric": '"idrn-trt[train]"',
    "onnx": '"idrn-trt[train]"',
    "onnxsim": '"idrn-trt[train]"',
    "safetensors": '"idrn-trt[train]"',
    "torch": '"idrn-trt[train]"',
    "pycuda": '"idrn-trt[tensorrt]"',
    "tensorrt": '"idrn-trt[tensorrt]"',
    "prometheus_client": '"idrn-trt[metrics]"',
    "pyvirtualcam": '"idrn-trt[virtualcam]"',
    "skimage": '"idrn-trt[demo]"',
}


def explain_import_error(error: ImportError) -> str | None:
    """One line that says what is missing and how to get it; None when the cause is not known here.

    Known are this package's own dependencies and extras, and opencv-python on a machine without the
    window system's libraries that it links to (the first one missing differs from system to system).
    """
    top = (error.name or "").partition(".")[0]
    if top not in _PACKAGES:
        return None
    if isinstance(error, ModuleNotFoundError):
        return f"module {top!r} is not installed: pip install {_PACKAGES[top]}"
    if top == "cv2" and "cannot open shared object file" in str(error):
        return (
            f"OpenCV cannot be loaded ({str(error).partition(':')[0]} is missing on this system): "
            "apt install libgl1 libglib2.0-0, or "
            'pip uninstall -y opencv-python && pip install "opencv-python-headless>=4.8,<5"'
        )
    return (
        f"module {top!r} cannot be loaded ({error}): pip install --force-reinstall {_PACKAGES[top]}"
    )
