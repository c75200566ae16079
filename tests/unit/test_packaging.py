"""What pyproject.toml says of the package is what is there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_packages_are_those_that_are_there():
    """The explicit list holds every folder with modules in mrl_viz/ and pages/, and nothing else."""
    ours = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "mrl_viz").rglob("*.py")}
    pages = {"mrl_viz._app." + ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "pages").rglob("*.py")}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(ours | pages | {"mrl_viz._app"})


def test_data_that_the_package_needs_are_in_its_patterns():
    """Templates and markers inside the package lie where the package data say."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    for path in (ROOT / "mrl_viz").rglob("*"):
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts:
            packages = [name for name in patterns if path.is_relative_to(ROOT / name.replace(".", "/"))]
            found = [
                pattern
                for name in packages
                for pattern in patterns[name]
                if path in (ROOT / name.replace(".", "/")).glob(pattern)
            ]
            assert found, f"{path} is in no pattern of package-data"


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-test.txt"])
def test_requirements_have_both_bounds(file):
    """Every requirement has a lower bound and, save build tools, the next major version as its cap."""
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z0-9]+\])?>=[0-9.]+(,<[0-9.]+)?", line), line
            assert "<" in line or line.startswith("setuptools"), line


def test_constraints_lie_within_the_requirements():
    """The version that `make` installs is one that the range of the wheel, or of the tests, allows."""
    from packaging.requirements import Requirement

    ranges = {
        requirement.name: requirement.specifier
        for file in ("requirements.txt", "requirements-test.txt")
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
        for requirement in [Requirement(line)]
    }
    pins = [
        line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    assert pins
    for line in pins:
        name, version = line.split("==")
        assert version in ranges[name], line
