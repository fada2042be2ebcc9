"""What the package says of itself: version, requirements, the versions that are tested, and no path of a machine."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Folders that hold what is tracked; the rest is environments, caches and runs.
TRACKED = (".ci", "benchmarks", "docs", "odernn", "solvers", "tests")
TEXT = {
    "",
    ".c",
    ".cpp",
    ".css",
    ".csv",
    ".cu",
    ".h",
    ".json",
    ".md",
    ".py",
    ".svg",
    ".toml",
    ".txt",
    ".typed",
    ".yaml",
    ".yml",
}

# An absolute path below a folder of somebody's machine; what follows a host's name is an address, not such a path.
MACHINE_PATH = re.compile(r"(?<![\w.~)}/-])(/(?:home|mnt|root|tmp|Users|work)/\w|[A-Z]:\\Users\\)")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def pins(repository: Path) -> dict[str, str]:
    """Every version that constraints.txt names, by canonical name."""
    lines = (repository / "constraints.txt").read_text("utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    for requirement in requirements:
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), (
            f"{requirement}: an exact public version is wanted"
        )
    versions: dict[str, str] = {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in requirements
    }
    assert len(versions) == len(requirements), "constraints.txt names a package twice"
    return versions


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


def test_version_is_that_of_pyproject(project: dict) -> None:
    assert project["version"] == importlib.metadata.version("odernn"), "another version is installed: make setup"


def test_version_is_written_once(repository: Path) -> None:
    sources = [path for room in ("solvers", "odernn", "benchmarks") for path in (repository / room).rglob("*.py")]
    copies = [path for path in sources if re.search(r"^__version__\b.*=", path.read_text("utf-8"), re.MULTILINE)]
    assert copies == [], "pyproject.toml has the version: ask importlib.metadata.version('odernn')"


def test_requirements_of_the_wheel(project: dict) -> None:
    assert names(project["dependencies"]) == {
        "torch",
        "einops",
        "jaxtyping",
        "ninja",
        "safetensors",
        "torchdiffeq",
        "torchsde",
    }
    assert set(project["optional-dependencies"]) == {"benchmarks", "dev", "docs", "export", "peers", "triton"}


def test_wheel_ships_two_packages(repository: Path) -> None:
    hatch = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert hatch["wheel"] == {"packages": ["odernn", "solvers"]}
    for package in hatch["wheel"]["packages"]:
        assert (repository / package / "py.typed").is_file()


def test_licence(project: dict, repository: Path) -> None:
    assert project["license"] == "Apache-2.0"
    text = (repository / "LICENSE").read_text("utf-8")
    assert text.lstrip().startswith("Apache License\n                           Version 2.0, January 2004")
    assert "Copyright [yyyy] [name of copyright owner]" in text, "the licence is kept verbatim, its appendix included"


def test_every_direct_requirement_is_pinned(project: dict, pins: dict[str, str]) -> None:
    direct = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    for requirement in map(Requirement, direct):
        name = canonicalize_name(requirement.name)
        if name == "triton":
            assert name not in pins, "torch's CUDA builds want an exact version of their own"
        elif name != "odernn":
            assert requirement.specifier.contains(pins[name]), f"{requirement} does not admit the tested {pins[name]}"
            assert requirement.specifier, f"{requirement}: a lower bound is wanted"


def test_what_runs_is_what_is_pinned(project: dict, pins: dict[str, str]) -> None:
    for name in names(project["dependencies"] + project["optional-dependencies"]["benchmarks"]):
        # A build label, as in 2.13.0+cpu, is the machine's choice.
        assert importlib.metadata.version(name).partition("+")[0] == pins[name], (
            f"{name} is not the tested one: make clean setup"
        )


def test_hooks_use_the_pinned_ruff(repository: Path, pins: dict[str, str]) -> None:
    config = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}
    for hook in ("ruff-check", "ruff-format"):
        assert hooks[hook]["additional_dependencies"] == [f"ruff=={pins['ruff']}"]


def text_files(root: Path) -> Iterator[Path]:
    tops = [path for path in root.iterdir() if path.is_file() and path.name != ".git"]  # a file in a worktree
    rooms = [path for room in TRACKED for path in (root / room).rglob("*") if "__pycache__" not in path.parts]
    yield from (path for path in tops + rooms if path.is_file() and path.suffix in TEXT)


def test_no_file_mentions_a_machine_path(repository: Path) -> None:
    found = {
        f"{path.relative_to(repository)}:{number}: {line.strip()}"
        for path in text_files(repository)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    }
    assert found == set()


# The samples are put together here, or this file would be found too.
@pytest.mark.parametrize("folder", ["home", "root", "tmp", "Users"])
def test_machine_paths_are_recognised(folder: str) -> None:
    assert MACHINE_PATH.search(f'"data": "/{folder}/somebody/mnist"')
    assert not MACHINE_PATH.search(f"https://example.org/{folder}/somebody")
    assert not MACHINE_PATH.search(f"docs/{folder}/index.md")
