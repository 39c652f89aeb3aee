"""vecstore itself through the benchmark's interface, embedded and over gRPC, on small made-up files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import datasets
from bench.__main__ import main
from bench.configs import CONFIGS
from bench.run import Job, measure

NEEDED = {
    "recall",
    "recall_strict",
    "qps",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "build_s",
    "resident_mib",
    "disk_mib",
    "kernels",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("files")
    made = {}
    for distance in ("angular", "euclidean", "ip", "hamming"):
        made[distance] = str(folder / f"{distance}.hdf5")
        datasets.synthesize(made[distance], distance, rows=600, dim=32, queries=20)
    return made


@pytest.mark.parametrize("name", list(CONFIGS))
def test_each_configuration_is_measured_in_process(name: str, files: dict[str, str]) -> None:
    config = CONFIGS[name]
    data = files["hamming" if config.suits("hamming") else "angular"]
    single, several = measure(Job(data, "inproc", config, 10, 3, 1, None, 0.05, None))
    assert set(single) >= NEEDED
    assert (single["clients"], several["clients"]) == (1, 3)
    assert single["recall"] == 1.0
    if config.datatype in ("float32", "bits"):
        assert single["recall_strict"] == 1.0


@pytest.mark.parametrize("distance", ["euclidean", "ip"])
def test_each_distance_is_measured_in_process(distance: str, files: dict[str, str]) -> None:
    (single,) = measure(Job(files[distance], "inproc", CONFIGS["float32"], 10, 1, 1, None, 0.05, None))
    assert single["recall_strict"] == 1.0


@pytest.mark.parametrize(("distance", "name"), [("angular", "float32-filter-10"), ("hamming", "hamming")])
def test_it_is_measured_over_grpc(distance: str, name: str, files: dict[str, str]) -> None:
    single, several = measure(Job(files[distance], "grpc", CONFIGS[name], 10, 4, 1, None, 0.1, None))
    assert set(single) >= NEEDED
    assert single["recall_strict"] == 1.0
    assert several["qps"] > 0
    assert single["resident_mib"] > -50


def test_the_command_writes_lines_and_pictures(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run.jsonl"
    assert main(["run", files["euclidean"], "--queries", "10", "--seconds", "0.1", "--out", str(out)]) == 0
    (line,) = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert {"machine", "date", "versions", "command", "config", "dataset", "system"} <= set(line)
    assert main(["plot", str(out)]) == 0
    pictures = [Path(name) for name in capsys.readouterr().out.split() if name.endswith(".png")]
    assert len(pictures) == 2
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_a_configuration_for_other_data_is_refused(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", files["angular"], "--config", "hamming", "--out", str(tmp_path / "o")]) == 2
    assert "hamming: not for cosine data" in capsys.readouterr().err


def test_configurations_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in CONFIGS)
