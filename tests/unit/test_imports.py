"""What a process may load. Static contracts are in pyproject.toml; here is what only a running process shows."""

import subprocess
import sys

import pytest


def loaded_by(statement: str) -> set[str]:
    """Modules of ours and top-level names of all others that a fresh interpreter holds after `statement`."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[0] in ("orchestrator", "node", "tui") and "." in name}


def test_contract_brings_msgspec_and_nothing_else() -> None:
    before = loaded_by("import msgspec")
    after = loaded_by(
        "import pkgutil, importlib, orchestrator.contract as c\n"
        "for m in pkgutil.iter_modules(c.__path__): importlib.import_module(f'{c.__name__}.{m.name}')"
    )
    outside = {name.split(".")[0] for name in after - before} - set(sys.stdlib_module_names) - {"orchestrator"}
    assert outside <= {"msgspec"}
    assert {name for name in ours(after) if not name.startswith("orchestrator.contract")} == set()


CLIENT = (
    "orchestrator.client",
    "orchestrator.client_challenge",
    "orchestrator.client_fold",
    "orchestrator.client_reasons",
    "orchestrator.client_http",
    "orchestrator.client_stream",
    "orchestrator.contract",
)


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import orchestrator.client", CLIENT),
        ("import node.__main__", ("node", "orchestrator.contract")),
        (
            "import tui.cli.main",
            ("tui", *CLIENT),
        ),
    ],
)
def test_a_process_loads_only_its_own_parts(statement: str, allowed: tuple[str, ...]) -> None:
    strangers = {
        name
        for name in ours(loaded_by(statement))
        if not any(name == part or name.startswith(f"{part}.") for part in allowed)
    }
    assert strangers == set()


def test_headless_cli_loads_neither_textual_nor_a_server() -> None:
    loaded = {name.split(".")[0] for name in loaded_by("import tui.cli.main")}
    assert not loaded & {"textual", "litestar", "uvicorn", "aiodocker"}
