"""Installs Galaxy and planemo from PyPI, and lets planemo start that Galaxy.

Galaxy is published on PyPI as packages; planemo expects a clone of its repository. Of such a clone
it uses two files alone, ``lib/galaxy/version.py`` and ``run.sh``: these are written here, and
``run.sh`` starts the web server of the packages, by ``web_server.py``.

As a program, ``python server.py ROOT [COMMAND ...]`` installs, and runs a command of planemo.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GALAXY = "26.1.2"
PLANEMO = "0.75.47"
# Of the administrator, in servers that planemo starts.
KEY = "test_key"
# A call of planemo, a test in it, and the start of a server that last longer will never end.
CALL_SECONDS = 1800
_TEST_SECONDS = 600
_START_SECONDS = 600

_WEB_SERVER = Path(__file__).resolve().with_name("web_server.py")

# planemo calls it with options of Galaxy's own script, which mean nothing here. Settings that are
# given here are stronger than those of planemo: metadata are a task of Celery like uploads,
# messages stay in the process, and nothing is downloaded.
_RUN = """#!/bin/sh
export PATH="$LLMBIN_COMMANDS:{venv}/bin:$PATH" VIRTUAL_ENV="{venv}"
export GALAXY_CONFIG_OVERRIDE_METADATA_STRATEGY=directory_celery
export GALAXY_CONFIG_OVERRIDE_AMQP_INTERNAL_CONNECTION=memory://
export GALAXY_CONFIG_OVERRIDE_WATCH_TOOLS=false GALAXY_CONFIG_OVERRIDE_INVOLUCRO_AUTO_INIT=false
cd "$(dirname "$0")"
exec "{venv}/bin/python" {program}
"""


class NotInstalled(Exception):
    """Galaxy cannot be installed here; the text says why."""


@dataclass(frozen=True)
class Server:
    """planemo and Galaxy in one folder."""

    root: Path

    @property
    def planemo(self) -> Path:
        """The command."""
        return self.root / "planemo" / "bin" / "planemo"

    @property
    def python(self) -> Path:
        """A Python with planemo's libraries, of which BioBlend is one."""
        return self.root / "planemo" / "bin" / "python"

    @property
    def _clone(self) -> Path:
        return self.root / "galaxy"

    @property
    def _stamp(self) -> Path:
        return self.root / f"installed-{GALAXY}-{PLANEMO}"

    def install(self) -> None:
        """Install what is not there yet.

        Raises
        ------
        NotInstalled
            Where there is no pip, or it reaches no index.
        RuntimeError
            Where it reaches one: what was asked for is wrong.
        """
        if not self._stamp.exists():
            self._install_packages()
            self._stamp.touch()
        self._write_clone()

    def _install_packages(self) -> None:
        tools, galaxy = self.root / "planemo", self._clone / ".venv"
        uv = str(tools / "bin" / "uv")
        made = _run(sys.executable, "-m", "venv", "--clear", str(tools))
        if made.returncode:
            # Some systems have Python without its pip.
            there = _run(sys.executable, "-m", "ensurepip", "--version").returncode == 0
            raise (RuntimeError if there else NotInstalled)(_last(made))
        pip = (str(tools / "bin" / "pip"), "install", "--quiet")
        _install(pip, ("--ignore-installed",), "uv", f"planemo=={PLANEMO}")
        made = _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(galaxy))
        if made.returncode:
            raise RuntimeError(_last(made))
        # Every server imports Galaxy's modules: uncompiled that takes longer, each time anew where
        # no bytecode is written.
        uv_pip = (uv, "pip", "install", "--quiet", "--compile-bytecode",
                  "--python", str(galaxy / "bin" / "python"))  # fmt: skip
        _install(uv_pip, ("--reinstall", "--refresh"),
                 f"galaxy-app=={GALAXY}", f"galaxy-web-apps=={GALAXY}")  # fmt: skip

    def _write_clone(self) -> None:
        """Write what planemo looks for, also where an earlier version of this file installed."""
        clone = self._clone
        (clone / "lib" / "galaxy").mkdir(parents=True, exist_ok=True)
        (clone / "lib" / "galaxy" / "version.py").write_text(f'VERSION = "{GALAXY}"\n')
        shutil.copyfile(_WEB_SERVER, clone / _WEB_SERVER.name)
        (clone / "run.sh").write_text(_RUN.format(venv=clone / ".venv", program=_WEB_SERVER.name))
        (clone / "run.sh").chmod(0o755)

    def call(self, work: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of planemo; its two outputs come as one text, which `planemo.log` holds."""
        log = work / "planemo.log"
        with open(log, "w", encoding="utf-8") as handle:
            try:
                # A server that planemo started ends where planemo does.
                done = subprocess.run(
                    (self.planemo, *command),
                    cwd=work, env=self.environment(work), check=False,
                    stdout=handle, stderr=subprocess.STDOUT, timeout=CALL_SECONDS,
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise AssertionError(f"{error}:\n{_end(log)}") from error
        text = log.read_text(encoding="utf-8", errors="replace")
        return subprocess.CompletedProcess(done.args, done.returncode, text)

    def test(self, work: Path, *arguments: str | Path) -> list[dict[str, Any]]:
        """Start Galaxy, run the tests of tools or workflows, stop it; the result of every test."""
        output = work / "results.json"
        done = self.call(
            work, "test", *self.options(), "--test_timeout", str(_TEST_SECONDS),
            "--test_output", work / "results.html", "--test_output_json", output, *arguments,
        )  # fmt: skip
        if not output.exists():
            raise AssertionError(f"no test was run:\n{done.stdout[-4000:]}")
        results: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8"))["tests"]
        failed = [one for one in results if one["data"]["status"] != "success"]
        assert done.returncode == 0 or failed, done.stdout[-4000:]
        return results

    @contextmanager
    def serve(self, work: Path, *arguments: str | Path) -> Iterator[str]:
        """A running Galaxy with these tools; gives its address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        with open(work / "serve.log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                (self.planemo, "serve", *self.options(), "--port", str(port), *arguments),
                cwd=work, env=self.environment(work), stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            try:
                if not _answers(address, process):
                    end = _end(work / "serve.log")
                    raise AssertionError(f"the server did not start:\n{end}")
                yield address
            finally:
                # planemo, the script it runs and the web server.
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()

    def options(self) -> tuple[str | Path, ...]:
        """What planemo has to be told to start this Galaxy."""
        return (
            "--galaxy_root", self._clone, "--skip_venv",
            "--no_dependency_resolution", "--no_conda_auto_init", "--job_workers", "4",
        )  # fmt: skip

    def environment(self, work: Path) -> dict[str, str]:
        """The environment of planemo; jobs find the executables that `commands` put there."""
        temporary = work / "tmp"
        temporary.mkdir(exist_ok=True)
        folders = os.environ["PATH"].split(os.pathsep)
        return {
            **os.environ,
            "PATH": os.pathsep.join(one for one in folders if not Path(one, "llmbin").exists()),
            "LLMBIN_COMMANDS": str(work / "commands"),
            "TMPDIR": str(temporary),
            "PLANEMO_GLOBAL_WORKSPACE": str(work / "planemo"),
            "GALAXY_CONFIG_OVERRIDE_GALAXY_DATA_MANAGER_DATA_PATH": str(work / "models"),
        }


def commands(work: Path) -> None:
    """Let the jobs of servers in this folder use the executables of this environment, no others."""
    (work / "commands").mkdir(exist_ok=True)
    for tool in Path(sys.executable).parent.glob("llmbin*"):
        link = work / "commands" / tool.name
        link.unlink(missing_ok=True)
        link.symlink_to(tool)


def complaints(results: Sequence[dict[str, Any]]) -> list[str]:
    """What is wrong with tests that did not succeed, with the standard error of their jobs."""
    return [_complaint(one) for one in results if one["data"]["status"] != "success"]


def _complaint(result: dict[str, Any]) -> str:
    data = result["data"]
    lines = [f"{result['id']}: {data['status']}"]
    lines += [str(text) for text in data.get("output_problems", ())]
    lines += [str(data[key]) for key in ("execution_problem",) if data.get(key)]
    job = data.get("job") or {}
    lines += [str(job[key]) for key in ("command_line", "stdout", "stderr") if job.get(key)]
    return "\n".join(lines)


def _answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api/version", timeout=10).close()
        except (urllib.error.URLError, TimeoutError):
            time.sleep(2)
        else:
            return True
    return False


def _end(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-4000:]


def _install(installer: Sequence[str], anew: Sequence[str], *packages: str) -> None:
    """Install packages; `anew` lets the installer ask the index for one that is there."""
    done = _run(*installer, *packages)
    if done.returncode == 0:
        return
    # An index that has nothing else has pip.
    asked = _run(*installer, *anew, "--dry-run", "--no-deps", "pip")
    raise (NotInstalled if asked.returncode else RuntimeError)(_last(done))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _last(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stderr or done.stdout).splitlines()[-5:])


def main() -> int:
    """Install into the folder given, then run planemo with the arguments after it, if any."""
    server = Server(Path(sys.argv[1]).resolve())
    server.install()
    if len(sys.argv) == 2:
        return 0
    command = [str(server.planemo), *sys.argv[2:]]
    if sys.argv[2] in ("test", "serve"):
        command[2:2] = map(str, server.options())
    work = server.root / "work"
    work.mkdir(exist_ok=True)
    commands(work)
    return subprocess.run(command, env=server.environment(work), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
