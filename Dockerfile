# Two images: `docker build --target cpu .` and `docker build --target gpu .` (docs/gpu.md).
# Written without a container engine at hand: neither built nor pulled yet, the base images' tags included.

ARG BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04

FROM python:3.12-slim AS cpu
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY idrn_trt idrn_trt
COPY models models
# Slim images lack the window system's libraries that opencv-python links to.
RUN pip install --no-cache-dir --constraint constraints.txt . \
 && pip uninstall --yes opencv-python \
 && pip install --no-cache-dir --constraint constraints.txt opencv-python-headless
RUN useradd --create-home user && mkdir /cache && chown user /cache
ENV XDG_CACHE_HOME=/cache
USER user
WORKDIR /work
ENTRYPOINT ["idrn-trt"]

# The fp16 and int8-trt files, which are not shipped; torch and onnx stay behind in this stage.
FROM cpu AS files
USER root
COPY calib /src/calib
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu '/src[train]' \
 && cp -r /src/models /models \
 && idrn-trt quantise /models/idrn-d8-w64-x4 --calib /src/calib/idrn-d8-w64-x4.json

FROM ${BASE} AS gpu
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /venv
ENV PATH=/venv/bin:/usr/local/cuda/bin:$PATH
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY idrn_trt idrn_trt
COPY models models
# pycuda is compiled here and linked to the toolkit's stub of the driver; the container toolkit brings the real
# one when the image runs.
RUN LIBRARY_PATH=/usr/local/cuda/lib64/stubs \
    pip install --no-cache-dir --constraint constraints.txt '.[tensorrt,onnxruntime]' \
 && pip uninstall --yes opencv-python \
 && pip install --no-cache-dir --constraint constraints.txt opencv-python-headless
COPY --from=files /models /models
ENV IDRN_MODELS=/models
RUN useradd --create-home user && mkdir /cache && chown user /cache
ENV XDG_CACHE_HOME=/cache
USER user
WORKDIR /work
ENTRYPOINT ["idrn-trt"]
