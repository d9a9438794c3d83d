"""Usage: PYTHONPATH=scripts python -m tensorrt_api FOLDER. Makes stubs/tensorrt/__init__.pyi of what is recorded in FOLDER."""

import sys
from pathlib import Path

from tensorrt_api.stubs import read, stub

STUB = Path(__file__).parents[2] / "stubs" / "tensorrt" / "__init__.pyi"

if __name__ == "__main__":
    STUB.parent.mkdir(parents=True, exist_ok=True)
    STUB.write_text(stub(read(Path(sys.argv[1]))), encoding="utf-8")
    print(f"{STUB.relative_to(STUB.parents[2])}: {len(STUB.read_text(encoding='utf-8').splitlines())} lines")
