"""The definitions of container images: pinned, small, and the same for Docker and Apptainer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = sorted(ROOT.glob("infra/docker/*.Dockerfile"))
APPTAINER = sorted(ROOT.glob("infra/apptainer/*.def"))
#: A tag names a release of the software and one of the distribution.
_TAG = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+-[a-z0-9.-]+")


def joined(path: Path) -> str:
    """The text with continued lines in one, and without comments."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def commands(path: Path) -> list[str]:
    """The shell commands that make an image, in their order."""
    if path.suffix == ".def":
        post = joined(path).split("%post\n")[1].split("%environment")[0]
        lines = [line.strip() for line in post.splitlines()]
        kept = [line for line in lines if line and not line.startswith(("set ", "export "))]
    else:
        runs = [line[4:] for line in joined(path).splitlines() if line.startswith("RUN ")]
        kept = [command for run in runs for command in run.split("&&")]
    return [" ".join(command.split()) for command in kept]


def base(path: Path) -> str:
    return re.search(r"^F(?:ROM|rom:) (\S+)$", joined(path), re.MULTILINE)[1]


@pytest.mark.parametrize("path", DOCKER + APPTAINER, ids=lambda path: path.name)
def test_what_goes_into_an_image_is_pinned(path):
    assert _TAG.fullmatch(base(path)), f"{base(path)} names no release"
    for command in commands(path):
        assert "latest" not in command and not re.search(r"\b(curl|wget|sudo)\b", command)
        if " install " in f" {command} " and "/pip " in command:
            packages = [word for word in command.split(" install ")[1].split() if not word.startswith("-")]
            bound = "-c /opt/warpsmith/constraints.txt" in command or "-r /opt" in command
            assert bound or all(re.search(r"==\d", word) for word in packages), command
            assert "--no-cache-dir" in command


@pytest.mark.parametrize("path", DOCKER + APPTAINER, ids=lambda path: path.name)
def test_lists_of_packages_do_not_stay_in_a_layer(path):
    lines = [line for line in joined(path).splitlines() if "apt-get update" in line]
    text = " ".join(commands(path))
    assert "apt-get install -y --no-install-recommends" in text and "apt-get upgrade" not in text
    assert (
        text.index("apt-get update") < text.index("apt-get install") < text.index("rm -rf /var/lib/apt/lists")
    )
    if path in DOCKER:  # in the same layer
        (line,) = lines
        assert "rm -rf /var/lib/apt/lists/*" in line


@pytest.mark.parametrize("path", DOCKER, ids=lambda path: path.name)
def test_a_dockerfile_copies_files_and_fails_early(path):
    lines = joined(path).splitlines()
    assert not any(line.startswith(("ADD ", "MAINTAINER ", "ENTRYPOINT ")) for line in lines)
    assert 'SHELL ["/bin/bash", "-euo", "pipefail", "-c"]' in lines
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert copied and all((ROOT / name).is_file() for name in copied)


@pytest.mark.parametrize("path", APPTAINER, ids=lambda path: path.name)
def test_an_apptainer_image_is_the_docker_image(path):
    twin = ROOT / "infra" / "docker" / f"{path.stem}.Dockerfile"
    assert base(path) == base(twin)
    assert commands(path) == commands(twin)
    assert "set -eu" in joined(path)
    files = joined(path).split("%files\n")[1].split("\n\n")[0].split("\n")
    assert all((ROOT / line.split()[0]).is_file() for line in files)


def test_the_servers_version_is_that_of_the_cpu_and_of_the_guide():
    pins = {
        name: re.findall(rf"{name}==([\d.]+)", (ROOT / file).read_text())
        for name in ("sglang", "sglang-router")
        for file in ("infra/docker/gpu.Dockerfile",)
    }
    for file in ("infra/sglang-cpu/requirements.txt", "infra/gpu/README.md", "infra/apptainer/gpu.def"):
        for name, versions in pins.items():
            assert set(re.findall(rf"\b{name}==([\d.]+)", (ROOT / file).read_text())) == set(versions)
