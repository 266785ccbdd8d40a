"""How a token stands in memory, for NumPy."""

from __future__ import annotations

import numpy as np

TOKEN_DTYPE: np.dtype[np.void] = np.dtype(
    {
        "names": ["coordinates", "id", "flags", "weight", "field_radius", "field_strength", "timestamp"],
        "formats": [("<i2", (8, 3)), "<u4", "<u2", "<f4", "u1", "u1", "<u4"],
        "offsets": [0, 48, 52, 54, 58, 59, 60],
        "itemsize": 64,
    }
)
"""The 64 bytes of a token: raw coordinates, the raw id (local id, type and domain), raw flags (the type in bits 8 to 11),
weight, radius in hundredths, strength in 255ths, and seconds since 1970."""
