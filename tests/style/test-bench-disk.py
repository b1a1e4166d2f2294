# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench disk: from rates to its last lines, and the lab that it has."""

import contextlib
import io
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
sys.path.insert(0, str(TOP / 'scripts' / 'lib'))
import bench_disk as bench  # noqa: E402
import tap  # noqa: E402
from disk_lab import MIB, DiskLab  # noqa: E402
from vif_lab import LabError  # noqa: E402


def results(granted=1.0, persistent=1.0, case='read1M'):
    """Three rounds in which each way has this of fio's rate, for one case; all of it for others."""
    found = {}
    for c in bench.CASES:
        found['fio', c] = [100.0, 200.0, 400.0]
        for kind, ratio in (('granted', granted), ('persistent', persistent)):
            found[kind, c] = [rate * (ratio if c.name == case else 1.0)
                              for rate in found['fio', c]]
    return found


def report(found):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        bench.report(found, bench.CASES)
    return out.getvalue().splitlines()


def test_last_lines():
    *_, granted, persistent = report(results(granted=0.9, persistent=1.25))
    assert granted == ('ratio read4k-1=1.00 write4k-1=1.00 read4k=1.00 write4k=1.00 '
                       'read64k=1.00 write64k=1.00 read1m=0.90 write1m=1.00'), granted
    assert persistent.startswith('persistent ') and ' read1m=1.25' in persistent, persistent


def test_a_ratio_is_of_the_rounds():
    """One round in which somebody else had the machine does not count."""
    found = results()
    case = bench.CASES[0]
    found['fio', case] = [100.0, 10.0, 400.0]
    assert bench.median_ratio(found, case, 'granted') == 1.0


def test_what_is_below_its_bar_is_named():
    assert not [l for l in report(results()) if 'below' in l]
    lines = [l for l in report(results(granted=0.79, persistent=0.8)) if 'below' in l]
    assert lines == ['below its bar: granted read1M 0.79 < 0.8'], lines
    lines = [l for l in report(results(0.61, 0.59, 'write4k')) if 'below' in l]
    assert lines == ['below its bar: persistent write4k 0.59 < 0.6'], lines
    assert not [l for l in report(results(0.1, 0.1, 'read4k-1')) if 'below' in l] # has none


def test_lab_leaves_nothing_behind():
    with tempfile.TemporaryDirectory() as directory:
        with DiskLab('test', directory, 2 * MIB) as lab:
            assert lab.image.stat().st_size == 2 * MIB and lab.rundir.is_dir()
            rundir = lab.rundir
        assert not list(Path(directory).iterdir()) and not rundir.exists()
        try:
            with DiskLab('test', f'{directory}/none', MIB):
                said = 'nothing'
        except LabError as error:
            said = str(error)
        assert said.endswith('.img: No such file or directory'), said


tap.run(globals())
