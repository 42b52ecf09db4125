"""From pictures to model files: the only place in the package that imports torch and onnx."""
