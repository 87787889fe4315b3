"""The flows. Importing this package keeps Prefect and the rest inside the checkout, and private.

It has to happen before Prefect is imported, which reads its settings then. What the user has set stays.
"""

from __future__ import annotations

import os
from pathlib import Path

_ENVIRONMENT = {
    "PREFECT_HOME": str(Path("artifacts", "prefect").resolve()),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
