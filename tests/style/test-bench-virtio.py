# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench virtio: from counters to figures, and what it refuses."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
sys.path.insert(0, str(TOP / 'scripts' / 'lib'))
import bench_virtio as bench  # noqa: E402
import tap  # noqa: E402
from vif_lab import LabError  # noqa: E402

TX1, TX2 = (bench.Case('tx64', 'tx', 64, queues) for queues in (1, 2))
RX = bench.Case('rx', 'rx', 64, 1)
DUPLEX = bench.Case('duplex', 'duplex', 64, 1)


def sample(**fields):
    return SimpleNamespace(**{**dict.fromkeys(
        ('out', 'back', 'cpu', 'client_cpu', 'ours', 'machine', 'time', 'took'), 0),
        'events': None, **fields})


def found(out=1.0, back=0.0, disturbed='', **more):
    return {'out': out, 'back': back, 'cpu': 500, 'busy': 100, 'sent': 0.0, 'received': 0.0,
            'disturbed': disturbed, **more}


def test_counters_become_figures():
    before = sample(out=1000, events=(5, 7))
    after = sample(out=2001000, cpu=1.0, time=2.0, events=(25, 7))
    figures = bench.figures(TX1, before, after)
    assert figures == {'out': 1.0, 'back': 0.0, 'cpu': 500, 'busy': 50, 'sent': 0.001,
                       'received': 0}, figures
    assert bench.figures(DUPLEX, before, sample(out=1001000, back=1000000, cpu=1.0, time=1,
                                                events=(5, 7)))['cpu'] == 500, 'both ways'


def test_who_disturbs_is_seen():
    after = {'time': 1.0, 'client_cpu': 1.0, 'machine': 2.0, 'ours': 1.99}
    assert bench.disturbed(sample(), sample(**after)) == ''
    for change, who in (({'ours': 1.5}, 'others had 50 %'), ({'client_cpu': 0.9}, 'the driver'),
                        ({'took': 0.1}, 'the counters')):
        assert bench.disturbed(sample(), sample(**{**after, **change})).startswith(who), who


def test_a_disturbed_measurement_is_repeated():
    args = SimpleNamespace(tries=3, seconds=1)
    calibration = mock.Mock(slow=mock.Mock(return_value=False))
    answers = [(found(1.0), 'somebody'), (found(2.0), ''), (found(3.0), '')]
    with mock.patch.object(bench, 'measure_once', side_effect=answers):
        kept = bench.measure(None, args, calibration, 'ringtap', TX1)
    assert (kept['out'], kept['disturbed']) == (2.0, '')
    calibration.slow.return_value = True
    with mock.patch.object(bench, 'measure_once', side_effect=answers) as once:
        kept = bench.measure(None, args, calibration, 'ringtap', TX1)
    assert once.call_count == 3 and kept['disturbed'] == 'the processor is slow now'


def test_disturbed_rounds_do_not_count():
    results = {('ringtap', TX1): [found(1.0), found(9.0, disturbed='x'), found(3.0)],
               ('dpdk', TX1): [found(1.0), found(1.0), found(2.0)]}
    assert bench.of_dpdk(TX1, results) == 1.25
    for measured in results['dpdk', TX1]:
        measured['disturbed'] = 'y'
    assert bench.of_dpdk(TX1, results) == 1.5, 'there are no others'


def test_last_lines_have_the_worst():
    results = {('ringtap', TX1): [found(2.0)], ('ringtap', TX2): [found(1.5)],
               ('ringtap', RX): [found(0.0, 0.5)], ('ringtap', DUPLEX): [found(0.6, 0.3)],
               ('dpdk', TX1): [found(1.0)], ('dpdk', TX2): [found(1.0)],
               ('dpdk', RX): [found(0.0, 0.1)], ('dpdk', DUPLEX): [found(0.2, 0.2)],
               ('plain', TX1): [found(2.0)], ('uring', TX1): [found(4.0)]}
    cases = [TX1, TX2, RX, DUPLEX]
    assert bench.ratio_line('ratio', bench.of_dpdk, results, cases) == \
        'ratio tx64=1.50 rx=5.00 duplex=1.50'
    assert bench.ratio_line('limit', bench.of_limit, results, cases) == 'limit tx64=0.50'
    missed = list(bench.missed(results, cases))
    assert len(missed) == 2, missed
    assert missed[0].startswith('duplex') and 'not 2.5' in missed[0]
    assert 'the way back' in missed[1]


def test_frames_to_be_segmented_are_compared_by_time():
    tso = bench.Case('tso', 'tso', 61440, 1)
    results = {('ringtap', tso): [found(cpu=6000)], ('plain', tso): [found(cpu=5000)]}
    assert bench.ratio_line('ratio', bench.of_dpdk, results, [tso]) == 'ratio tso=1.20'
    assert bench.ratio_line('limit', bench.of_limit, results, [tso]) == 'limit'
    assert list(bench.missed(results, [tso])) == ['tso 61440 B, 1 queue: 1.20 of writing it, and '
                                                  'not 1.15']


def test_events_and_idling_have_bars():
    idle = bench.Case('idle', 'idle', 64, 1)
    results = {('ringtap', TX1): [found(sent=0.7, received=0.4)],
               ('ringtap', idle): [found(busy=0.3)]}
    assert [line.split(':')[0] for line in bench.missed(results, [TX1, idle])] == \
        ['tx 64 B, 1 queue', 'idle']


def bench_main(*argv):
    return subprocess.run([sys.executable, TOP / 'scripts/lib/bench_virtio.py', *argv],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_wrong_options_are_told():
    for argv, said in ((['--kinds', 'ringtap,vpp'], '--kinds: vpp: no such one'),
                       (['--cases', 'tx65'], '--cases: tx65: no such one'),
                       (['--rounds', 'two'], '--rounds'), (['more'], 'unrecognized')):
        done = bench_main(*argv)
        assert done.returncode == 2 and said in done.stderr, done


def test_what_is_missing_is_told():
    try:
        with mock.patch('shutil.which', return_value=None):
            bench.needed()
        said = ''
    except LabError as error:
        said = str(error)
    assert 'scripts/deps dpdk' in said, said
    try:
        with mock.patch('shutil.which', return_value='testpmd'), \
                mock.patch('os.sched_getaffinity', return_value={0}):
            bench.needed()
        said = ''
    except LabError as error:
        said = str(error)
    assert said == 'two processors are needed'


def test_help_names_its_cases_and_kinds():
    said = ' '.join(bench_main('--help').stdout.split())
    for word in {case.name for case in bench.CASES} | set(bench.KINDS):
        assert re.search(rf'\b{word}\b', said), word


tap.run(globals())
