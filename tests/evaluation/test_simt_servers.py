"""The compile and run servers of the `simt` backend, and the files that it leaves."""

from __future__ import annotations

import pytest

from evaluation.backends.simt import SimtBackend
from evaluation.backends.simt_source import translation_unit
from evaluation.settings import EvaluationSettings
from tests.evaluation.simt_runs import HEAD, SETTINGS, outputs_of, plain_run


@pytest.fixture(scope="module")
def backend():
    with SimtBackend(SETTINGS) as simt:
        yield simt


def test_both_ways_of_compiling_agree(backend):
    """The compile server and a compiler started for one source give the same object file."""
    compiler = backend._compiler
    if compiler._server is None:
        pytest.skip("this compiler is not GCC, so there is no compile server")
    unit = translation_unit(HEAD + "if (i < n) o[i] = a[i]; }", ["k"])
    served = compiler.compile(unit, "served").read_bytes()
    server, compiler._server = compiler._server, None
    alone = compiler.compile(unit, "alone").read_bytes()
    compiler._server = server
    assert served == alone


def test_dead_servers_are_replaced_and_change_no_verdict(backend):
    source = HEAD + "if (i < n) o[i] = a[i]; }"
    for server in (backend._compiler._server, backend._runner._server):
        if server is not None:
            server._process.kill()
            server._process.wait()
    assert (outputs_of(backend, source, plain_run(8, block=8))["o"] == 1).all()
    assert (outputs_of(backend, source, plain_run(8, block=8))["o"] == 1).all()


def test_object_files_and_abandoned_folders_are_removed(tmp_path):
    with SimtBackend(EvaluationSettings(), tmp_path) as first:
        built = first.build(HEAD + "o[i] = a[i]; }", ["k"])
        path = built.path
        assert path.exists()
        del built
        assert not path.exists()
        abandoned = tmp_path / "warpsmith-simt-killed"
        abandoned.mkdir()
        (abandoned / "lock").touch()
        with SimtBackend(EvaluationSettings(), tmp_path):
            assert first.scratch.exists()
            assert not abandoned.exists()
    assert list(tmp_path.iterdir()) == []
