"""Figures, their targets and what came of them, and what a reader has to know to repeat a run."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
import statlas

ROOT = Path(__file__).resolve().parents[3]
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Target:
    """What a figure has to reach."""

    bound: float
    at: Literal["most", "least"] = "most"

    def is_met(self, value: float) -> bool:
        return value <= self.bound if self.at == "most" else value >= self.bound

    def __str__(self) -> str:
        return f"at {self.at} {figure(self.bound)}"


@dataclass(frozen=True)
class Row:
    """A figure that was measured several times; without values it could not be."""

    section: str
    name: str
    unit: str
    values: list[float]
    target: Target | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass
class Report:
    """Everything that a run found. Small sizes support no verdict."""

    supports_verdicts: bool
    environment: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    _printed: int = 0

    def row(self, section: str, name: str, unit: str, values: Sequence[float], target: Target | None = None) -> None:
        """Adds a figure with its repetitions; one that was not measured only if it has a target."""
        if not values and target is None:
            return
        self.rows.append(Row(section, name, unit, [float(value) for value in values], target))

    def note(self, section: str, text: str) -> None:
        """Adds a sentence that a reader needs, and prints it."""
        self.notes.append((section, text))
        print(f"  {text}")

    def print_environment(self) -> None:
        for name, value in self.environment.items():
            print(f"{name:13}{value}")

    def print_new(self) -> None:
        """Prints the figures that were added since the last time."""
        print(f"  {'figure':64} {'median':>12} {'min .. max':>25}  {'target':<18} verdict")
        for row in self.rows[self._printed :]:
            name = f"{row.name}, {row.unit}"
            if row.values:
                median, spread = figure(row.median), f"{figure(min(row.values))} .. {figure(max(row.values))}"
            else:
                median, spread = "-", "-"
            target = str(row.target or "")
            print(f"  {name:64} {median:>12} {spread:>25}  {target:<18} {self.verdict(row)}".rstrip())
        self._printed = len(self.rows)

    def verdict(self, row: Row) -> str:
        if row.target is None:
            return ""
        if not row.values:
            return "not measured"
        if not self.supports_verdicts:
            return "none"
        return "met" if row.target.is_met(row.median) else "MISSED"

    def summary(self) -> str:
        """How many targets were met."""
        if not self.supports_verdicts:
            return "targets: no verdict, a smoke run measures nothing"
        verdicts = [(self.verdict(row), row.name) for row in self.rows if row.target]
        parts = [f"{sum(verdict == 'met' for verdict, _ in verdicts)} met"]
        for verdict in ("MISSED", "not measured"):
            names = [name for found, name in verdicts if found == verdict]
            if names:
                parts.append(f"{len(names)} {verdict}: {'; '.join(names)}")
        return f"targets: {', '.join(parts)}"

    def write_json(self, path: Path) -> None:
        """Everything, with each repetition."""
        rows: list[dict[str, Any]] = [
            {
                "section": row.section,
                "name": row.name,
                "unit": row.unit,
                "values": row.values,
                "median": row.median if row.values else None,
                "target": str(row.target or ""),
                "verdict": self.verdict(row),
            }
            for row in self.rows
        ]
        notes = [{"section": section, "text": text} for section, text in self.notes]
        path.write_text(json.dumps({"environment": self.environment, "notes": notes, "rows": rows}, indent=1) + "\n")
        print(f"raw data: {path}")


def figure(value: float) -> str:
    """A number with three digits that matter, and thousands apart from the rest."""
    size = abs(value)
    if size == 0:
        return "0"
    if size < 100:
        return f"{value:.{3 if size < 1 else 2 if size < 10 else 1}f}"
    return f"{value:_.0f}"


def environment(command: str, sizes: str, seed: int, folder: Path) -> dict[str, str]:
    """What a reader has to know to repeat a run."""
    return {
        "command": command,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": _commit(),
        "versions": f"statlas {statlas.__version__}, Python {platform.python_version()}, NumPy {np.__version__}",
        "rustc": _output("rustc", "-V"),
        "processor": _line("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": f"{_line('/proc/meminfo', 'MemTotal')}, {_line('/proc/meminfo', 'MemAvailable')} of it available",
        "kernel": _output("uname", "-srm"),
        "load before": load_average(),
        "file system": _output("stat", "--file-system", "--format=%T", str(folder)),
        "seed": str(seed),
        "sizes": sizes,
        "durability": "synced: put_many is done when the device has all of it",
        "page cache": "warm: files have just been written",
    }


def load_average() -> str:
    """How busy the machine is, over 1, 5 and 15 minutes."""
    try:
        return " ".join(f"{average:.2f}" for average in os.getloadavg())
    except OSError:
        return UNKNOWN


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return done.stdout.strip()


def _commit() -> str:
    commit = _output("git", "rev-parse", "HEAD")
    return f"{commit}, with changes that are not committed" if _output("git", "status", "--porcelain") else commit


def _line(path: str, name: str) -> str:
    """The value of the first line of a file of `name : value` lines."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return UNKNOWN
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, UNKNOWN)


def program() -> str:
    """The command as one would type it."""
    return " ".join(["cargo xtask bench-python", *sys.argv[1:]])
