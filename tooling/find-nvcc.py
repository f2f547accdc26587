"""Prints where pip installed nvcc below a folder, as the variables CUDACXX and CUDA_PATH that builds look at."""

import pathlib
import sys

names = ("nvcc", "nvcc.exe")
found = [path for path in pathlib.Path(sys.argv[1]).resolve().rglob("nvcc*") if path.name in names and path.is_file()]
if not found:
    sys.exit(f"no nvcc below {sys.argv[1]}: pip install -r tooling/nvcc-requirements.txt")
print(f"CUDACXX={found[0].as_posix()}\nCUDA_PATH={found[0].parent.parent.as_posix()}")
