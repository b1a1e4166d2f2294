# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/bench xen and plot: from what bench-net prints to JSON and to a picture."""

import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests' / 'lib'))
sys.path.insert(0, str(TOP / 'scripts' / 'lib'))
import bench_plot  # noqa: E402
import bench_xen  # noqa: E402
import tap  # noqa: E402

COMMAND = 'tests/xen/run bench-net --icount -- queues=4 rounds=1'
OUTPUT = '''\
[ 18 s] Linux 6.1.0-49-amd64, Xen 4.17.6
ringtap  tcp       tx     3000 Mbit/s   cpu s: dom0 1.06, guest 0.70
[ 26 s] ok: ringtap ends well

result ringtap  tcp       tx     3000 Mbit/s; dom0 2.5 guest 1.5 ns/byte
result netback  tcp       tx     2000 Mbit/s; dom0 2.75 guest 1.5 ns/byte
result qemu     tcp       tx      200 Mbit/s; dom0 40 guest 20 ns/byte
result ringtap  crr-20    rx     29.5 rounds/s; dom0 1.2e+05 guest 1e+05 ns/round
qemu tx=15.00 rx=1.00
ratio tx=1.50 rx=1.00
'''


def records():
    return bench_xen.parse(OUTPUT, COMMAND, True)


def test_results_become_records():
    first, second, third, fourth = records()
    assert first == {
        'command': COMMAND, 'kernel': '6.1.0-49-amd64', 'xen': '4.17.6', 'backend': 'ringtap',
        'case': 'tcp', 'direction': 'tx', 'value': 3000.0, 'unit': 'Mbit/s', 'dom0': 2.5,
        'guest': 1.5, 'cost': 'instructions a byte', 'ratio': 1.0}, first
    assert (second['backend'], second['ratio']) == ('netback', 1.5)
    assert (third['backend'], third['ratio']) == ('qemu', 15.0)
    assert (fourth['case'], fourth['direction'], fourth['value']) == ('crr-20', 'rx', 29.5)
    assert fourth['dom0'] == 120000 and fourth['cost'] == 'instructions a round'


def test_without_icount_a_cost_is_time():
    assert bench_xen.parse(OUTPUT, COMMAND, False)[0]['cost'] == 'ns of processor time a byte'


def test_a_failed_run_has_no_records():
    assert not bench_xen.parse('[ 3 s] FAILED: it boots\n', COMMAND, True)


def test_bench_net_prints_what_is_read():
    """The scenario's own formats, filled in."""
    text = (TOP / 'tests/xen/scenarios/bench-net/results.sh').read_text()
    line = re.search(r"printf '(result [^']*)\\n'", text)[1]
    line = line.replace('%-8s', '%s').replace('%-9s', '%s').replace('%8s', '%s')
    filled = line % ('netback', 'udp-64', 'rx', '14453', 'packets/s', '69000', '70000', 'packet')
    assert bench_xen.RESULT.match(filled), filled
    say = re.search(r'say "(Linux [^\n]*)"\n',
                    (TOP / 'tests/xen/scenarios/bench-net/dom0.sh').read_text())[1]
    say = say.replace('$(uname -r)', '6.1.0').replace('$xen', '4.17.6')
    assert bench_xen.MACHINE.search('[  1 s] ' + say), say


def bars(svg):
    """(width, color) of each bar, in their order."""
    root = ElementTree.fromstring(svg)
    return [(float(e.get('width')), e.get('fill')) for e in root
            if e.tag.endswith('}rect') and not e.get('class')]


def test_bars_are_as_long_as_their_values():
    svg = bench_plot.draw(records())
    ours, netback, qemu, alone = bars(svg)
    assert abs(netback[0] / ours[0] - 2 / 3) < 0.01 and abs(qemu[0] / ours[0] - 1 / 15) < 0.01
    assert alone[0] == ours[0], 'each unit has a scale of its own'
    colors = [bench_plot.COLORS[b] for b in ('ringtap', 'netback', 'qemu', 'ringtap')]
    assert [c for _, c in (ours, netback, qemu, alone)] == colors
    for words in ('tcp queues=4 tx', 'crr-20 queues=4 rx', '3,000', 'TCP, Mbit/s',
                  'Linux 6.1.0-49-amd64, Xen 4.17.6'):
        assert f'>{words}' in svg, words


def test_names_are_escaped():
    odd = dict(records()[0], case='<&>')
    assert '&lt;&amp;&gt; queues=4 tx' in bench_plot.draw([odd])
    assert bars(bench_plot.draw([odd]))


def plot(*files):
    return subprocess.run([TOP / 'scripts/bench', 'plot', *files], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def test_plot_writes_beside_the_file():
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / 'a.json'
        file.write_text(''.join(json.dumps(r) + '\n' for r in records()))
        done = plot(file)
        assert done.returncode == 0, done.stderr
        assert len(bars(file.with_suffix('.svg').read_text())) == 4


def test_plot_says_what_is_wrong():
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / 'a.json'
        for content, said in (('', 'no results in it'), ('{"unit": "x"}', "no field 'backend'"),
                              ('nonsense', 'Expecting value')):
            file.write_text(content)
            done = plot(file)
            assert done.returncode == 1 and f'bench: {file}: {said}' in done.stderr, done.stderr
        done = plot(Path(name) / 'none.json')
        assert done.returncode == 1 and 'No such file' in done.stderr


def test_pictures_of_the_manual_are_of_its_figures():
    files = list((TOP / 'docs/performance').glob('*.json'))
    assert files
    for file in files:
        assert file.with_suffix('.svg').read_text() == bench_plot.draw(bench_plot.load(file)), file


def bench_xen_main(output, status, text):
    """Its main(), with a boot that prints @text."""
    old = bench_xen.run, sys.argv
    bench_xen.run = lambda options, arguments: (status, text, COMMAND)
    sys.argv = ['bench', '--output', str(output), '--', 'rounds=1']
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out, \
                contextlib.redirect_stderr(io.StringIO()):
            return bench_xen.main(), out.getvalue()
    except SystemExit as end:
        return end.code, ''
    finally:
        bench_xen.run, sys.argv = old


def test_xen_keeps_results_until_there_are_others():
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / 'a.json'
        file.write_text('before\n')
        assert bench_xen_main(file, 2, 'no such argument\n') == (1, '')
        assert bench_xen_main(file, 77, '') == (77, '')
        assert file.read_text() == 'before\n'
        status, said = bench_xen_main(file, 0, OUTPUT)
        assert status == 0 and 'scripts/bench plot' in said
        assert len(bench_plot.load(file)) == 4
        file = Path(name) / 'none' / 'a.json'
        assert bench_xen_main(file, 0, OUTPUT) == (f'bench: {file}: No such file or directory', '')


def test_flood_and_quiet_take_numbers():
    for what in ('flood', 'quiet'):
        done = subprocess.run([TOP / 'scripts/bench', what, '--bad'], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 2 and "not '--bad'" in done.stderr, done


def test_help_names_each_bench():
    said = subprocess.run([TOP / 'scripts/bench', '--help'], capture_output=True, text=True,
                          check=True).stdout
    for word in ('xen', 'plot', 'net', 'flood', 'instructions'):
        assert f'scripts/bench {word}' in said, word
    assert said.rstrip().endswith('as FILE.svg.'), said


tap.run(globals())
