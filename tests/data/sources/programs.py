"""Programs and files that the tests of sources write."""

import json


def program(operator="relu", shape="[8192, 4096]", argument="x"):
    return (
        f"import torch\n\ndef get_inputs():\n    return [torch.randn({shape})]\n\n"
        f"def fused_operator({argument}):\n    return torch.{operator}({argument})\n"
    )


def write(path, rows):
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows))
    return path
