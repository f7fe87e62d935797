"""Records the README's session, as it really goes, into docs/session.svg.

    python -m tests.recording docs/session.svg

A cluster is started in a terminal (tmux), the words below are typed, and what the terminal shows is
noted whenever it has changed.  The result moves by CSS alone; who wants no motion sees the end.
"""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

from rich.console import Console
from rich.style import Style
from rich.text import Text

from distrodb.clock import monotonic, sleep

COLUMNS, ROWS = 108, 28
LOOK_S, LONGEST_S, LAST_S = 0.25, 1.6, 4.0  # a picture that stays is shown no longer than that
WAIT_S = 60.0
WIDTH, HEIGHT, MARGIN = 7.85, 17, 14  # pixels of a character
INK, PAPER = "#d8dee9", "#1f2430"
# The terminal's first colours, readable on that paper; the bright ones are the same.
COLORS = ["#8a93a5", "#ff8080", "#8bd49c", "#e5c07b", "#82aaff", "#d6a0f0", "#7fd1d8", "#d8dee9"]
# What is typed, and what is waited for.
SESSION = [
    ("GET Permission", 'Just "is"'),
    ("SET unicorn white", "OK"),
    ("KILL node2", "Killed node2"),
    ("GET unicorn", 'Just "white"'),
    ("WATCH-RING", "healed:"),
    ("START node2", "Started node2"),
    ("QUIT", "Ended node1"),
]

Frame = tuple[float, str]  # seconds since the beginning, and the screen


class Screen:
    def __init__(self, command: str):
        self._socket = f"distrodb-recording-{id(self)}"
        size = ["-x", str(COLUMNS), "-y", str(ROWS)]
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, command)
        self._began, self.frames = monotonic(), list[Frame]()

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self._socket, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def look(self) -> str:
        shown = self._tmux("capture-pane", "-p", "-e").rstrip()
        if not self.frames or self.frames[-1][1] != shown:
            self.frames.append((monotonic() - self._began, shown))
        return shown

    def wait_for(self, text: str, count: int = 1) -> None:
        until = monotonic() + WAIT_S
        while Text.from_ansi(self.look()).plain.count(text) < count:
            if monotonic() > until:
                sys.exit(f"waited for {text!r}:\n{self.frames[-1][1]}")
            sleep(LOOK_S)

    def type(self, line: str, answer: str) -> None:
        there = Text.from_ansi(self.look()).plain.count(answer)
        for letter in line:
            self._tmux("send-keys", "-l", letter)
        self.look()
        sleep(LOOK_S)
        self._tmux("send-keys", "Enter")
        self.wait_for(answer, there + 1)

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True)


def record() -> list[Frame]:
    with tempfile.TemporaryDirectory() as directory:
        words = [sys.executable, "-m", "distrodb", "local", "--dir", directory]
        screen = Screen(
            f"{shlex.join([*words, '--base-port', '15551', '--populate', 'LICENSE'])}; sleep 60"
        )
        try:
            screen.wait_for("KILL <NodeId>, QUIT")
            for line, answer in SESSION:
                screen.type(line, answer)
            return screen.frames
        finally:
            screen.close()


def ink_of(style: Style | None) -> str:
    color = style.color if style else None
    if color is None or color.is_default:
        return INK
    if color.number is not None and color.number < 16:
        return COLORS[color.number % 8]
    return color.get_truecolor().hex


def drawn(screen: str) -> str:
    console = Console(color_system="truecolor", width=COLUMNS, force_terminal=True)
    lines = []
    for row, line in enumerate(Text.from_ansi(screen).split("\n")):
        at, spans = 0, []
        for segment in console.render(line, console.options):
            text, style = segment.text.rstrip("\n"), segment.style
            if word := text.strip():
                look = ' font-weight="bold"' if style and style.bold else ""
                x = MARGIN + (at + text.index(word)) * WIDTH
                length = f'x="{x:.1f}" textLength="{len(word) * WIDTH:.1f}"'
                word = escape(word).replace(" ", "\N{NO-BREAK SPACE}")
                spans.append(f'<tspan {length} fill="{ink_of(style)}"{look}>{word}</tspan>')
            at += len(text)
        if spans:
            lines.append(f'<text y="{MARGIN + HEIGHT * (row + 1)}">{"".join(spans)}</text>')
    return "".join(lines)


def animated(frames: list[Frame]) -> str:
    ends = [at for at, _ in frames[1:]]
    spans = [min(LONGEST_S, end - at) for (at, _), end in zip(frames, ends, strict=False)]
    spans.append(LAST_S)
    total, at, styles, groups = sum(spans), 0.0, [], []
    for number, ((_, screen), span) in enumerate(zip(frames, spans, strict=True)):
        first, last = 100 * at / total, 100 * (at + span) / total
        shown = f"{first:.2f}%{{visibility:visible}}{last:.2f}%{{visibility:hidden}}"
        styles.append(f"@keyframes k{number}{{0%{{visibility:hidden}}{shown}}}")
        styles.append(f".k{number}{{animation:k{number} {total:.1f}s step-end infinite}}")
        groups.append(f'<g class="f k{number}">{drawn(screen)}</g>')
        at += span
    last = ".f{animation:none}.f:last-child{visibility:visible}"
    still = f"@media (prefers-reduced-motion:reduce){{{last}}}"
    style = f".f{{visibility:hidden}}{''.join(styles)}{still}"
    width, height = COLUMNS * WIDTH + 2 * MARGIN, ROWS * HEIGHT + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img"'
        f' font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13"'
        f' xml:space="preserve"><title>A session: a slave is killed, nothing is missing, the ring'
        f" closes its gap</title><style>{style}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>{"".join(groups)}</svg>\n'
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(animated(record()))
