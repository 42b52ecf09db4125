"""Build the real pycuda without a GPU or driver and install it here: what the tests in this folder run on.

    python tests/standin/install_pycuda.py [--cuda /usr/local/cuda]

Needs the CUDA toolkit's headers (13.x), gcc and g++, and the package index; takes a minute or two. pycuda
links to libcuda.so.1, which comes with a driver, so it is linked to a library of empty functions of that
name; on a machine with a driver what is built here works as any other pycuda (not tried by this project).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "2026.1"


def run(*command: str, cwd: Path, **environment: str) -> str:
    """A command's standard output; its errors go where ours go."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout


def empty_driver(folder: Path, cuda: Path) -> None:
    """libcuda.so with every function that the headers declare; none does anything."""
    declared = ""
    for header in ("cuda.h", "cudaProfiler.h"):
        path = str(cuda / "include" / header)
        declared += run("gcc", "-E", "-P", f"-I{cuda / 'include'}", "-x", "c", path, cwd=folder)
    names = sorted(set(re.findall(r"\b(cu[A-Z]\w*) *\(", declared)))
    source = folder / "empty.c"
    source.write_text("".join(f"int {name}(void) {{ return 100; }}\n" for name in names))
    options = ["-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1"]
    run("gcc", *options, str(source), "-o", str(folder / "libcuda.so"), cwd=folder)


def main() -> None:
    """Build and install."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cuda", type=Path, default=Path("/usr/local/cuda"))
    cuda = parser.parse_args().cuda.resolve()
    if not (cuda / "include" / "cuda.h").is_file():
        parser.error(f"no CUDA headers in {str(cuda)!r}: pass --cuda")
    pip = (sys.executable, "-m", "pip")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        empty_driver(folder, cuda)
        run(*pip, "install", "--quiet", "numpy", "setuptools", "wheel", cwd=folder)
        run(*pip, "download", "--quiet", "--no-deps", "--no-build-isolation", "--no-binary", "pycuda",
            f"pycuda=={VERSION}", cwd=folder)  # fmt: skip
        with tarfile.open(next(folder.glob("pycuda-*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        source = folder / f"pycuda-{VERSION}"
        path = f"{cuda / 'bin'}{os.pathsep}{os.environ['PATH']}"
        run(sys.executable, "configure.py", "--no-cuda-enable-curand", "--ldflags=-s",
            f"--cudadrv-lib-dir={folder}", f"--cuda-root={cuda}", cwd=source, PATH=path)  # fmt: skip
        run(*pip, "install", "--no-build-isolation", ".", cwd=source, PATH=path)


if __name__ == "__main__":
    main()
