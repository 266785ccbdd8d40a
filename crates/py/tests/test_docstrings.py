"""Documentation: everything public has some, and its examples say the truth."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import statlas
from statlas import _statlas

WITH_EXAMPLE = [
    "",
    "Entity",
    "Files",
    "Records",
    "Store",
    "Store.batch",
    "Store.find",
    "Store.put_many",
    "Store.watch",
    "Token",
    "TokenFile",
    "TokenVec",
    "TokenVec.from_numpy",
    "TokenVec.save",
    "TokenVec.select",
    "address",
    "create_tokens_batch",
    "parallel_process",
]
"""What a newcomer looks up first."""

SHOWN = [
    "Store.open(",
    ".arrays(",
    ".backup(",
    ".check(",
    ".coordinates",
    ".count(",
    ".create(",
    ".decoded(",
    ".files.open(",
    ".files.put(",
    ".get(",
    ".get_many(",
    ".history(",
    ".near(",
    ".nearest(",
    ".put(",
    ".read_range(",
    ".records(",
    ".resolve(",
    ".within(",
    "TokenVec.open(",
]
"""What some example shows at work."""


def modules() -> list[types.ModuleType]:
    """The package, its modules in Python, and the extension."""
    names = [name for _, name, _ in pkgutil.iter_modules(statlas.__path__)]
    return [statlas, *(importlib.import_module(f"statlas.{name}") for name in sorted(names))]


def members(owner: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Everything public with documentation of its own, in a module or a class, with its name."""
    owners = [base for base in inspect.getmro(owner) if base.__module__.startswith("statlas")] if inspect.isclass(owner) else [owner]
    for name in sorted({name for one in owners for name in vars(one)}):
        if name.startswith("_"):
            continue
        member = getattr(owner, name)
        home = getattr(member, "__module__", None) or ""
        if inspect.isclass(member):
            if home.startswith("statlas"):
                yield prefix + name, member
                yield from members(member, f"{prefix}{name}.")
        elif isinstance(member, types.ModuleType):
            continue
        elif callable(member) or inspect.isdatadescriptor(member):
            if inspect.isclass(owner) or home.startswith("statlas") or inspect.isbuiltin(member):
                yield prefix + name, member


def everything() -> dict[str, Any]:
    """All that has documentation, by its name in the package."""
    found: dict[str, Any] = {"": statlas}
    for module in modules():
        prefix = "" if module in (statlas, _statlas) else f"{module.__name__.removeprefix('statlas.')}."
        found.update(members(module, prefix))
    public = vars(statlas)
    # Classes and functions are known by their public names alone.
    return {name: member for name, member in found.items() if prefixless(name) == name or prefixless(name).split(".")[0] not in public}


def prefixless(name: str) -> str:
    return name.split(".", 1)[1] if name.startswith("_") and "." in name else name


def documentation(member: Any) -> str:
    return inspect.getdoc(member) or ""


EVERYTHING = everything()


def test_all_is_everything_that_is_public() -> None:
    public = {name for name in vars(statlas) if not name.startswith("_") and not inspect.ismodule(getattr(statlas, name))}
    assert set(statlas.__all__) - {"__version__"} == public
    assert len(set(statlas.__all__)) == len(statlas.__all__)


def test_everything_public_is_documented() -> None:
    assert len(EVERYTHING) > 150
    missing = [name for name, member in EVERYTHING.items() if not documentation(member).strip()]
    assert missing == []


def test_documentation_is_made_of_sentences() -> None:
    def begins_and_ends_well(text: str) -> bool:
        first = text.strip().split("\n\n")[0].strip()
        return first[0].isupper() or first[0] in "`0123456789" if first.endswith((".", ":")) else False

    wrong = [name for name, member in EVERYTHING.items() if documentation(member) and not begins_and_ends_well(documentation(member))]
    assert wrong == []


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_what_is_looked_up_first_has_an_example(name: str) -> None:
    assert ">>> " in documentation(EVERYTHING[name])


@pytest.mark.parametrize("use", SHOWN)
def test_what_is_used_most_is_shown_at_work(use: str) -> None:
    parser = doctest.DocTestParser()
    examples = [example.source for member in EVERYTHING.values() for example in parser.get_examples(documentation(member))]
    assert any(use in example for example in examples)


@pytest.mark.parametrize("name", [name for name, member in EVERYTHING.items() if ">>> " in documentation(member)])
def test_examples_do_what_they_say(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    example = doctest.DocTestParser().get_doctest(
        documentation(EVERYTHING[name]), {"__name__": "__main__"}, f"statlas.{name}", None, 0
    )
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_the_version_is_that_of_the_package() -> None:
    metadata = importlib.import_module("importlib.metadata")
    assert statlas.__version__ == metadata.version("statlas")


def test_the_package_is_typed() -> None:
    folder = Path(statlas.__path__[0])
    assert (folder / "py.typed").exists()
    assert (folder / "_statlas.pyi").exists()
