"""Galaxy's web server with the worker of its tasks in it; a program for the Python of Galaxy.

Where tasks run without Celery, every upload and the end of every job start a process that imports
Galaxy for itself: fourteen seconds of a core for a file. A worker imports it once. As a thread of
the server it needs no broker, and ends with the server however that ends.

Galaxy is imported in functions, for its processes read this file as well.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import threading
from multiprocessing import util
from pathlib import Path
from typing import Any, NoReturn

# Both queues that Galaxy routes its tasks to.
_QUEUES = "galaxy.internal,galaxy.external"


def factory() -> Any:
    """The application."""
    from galaxy.celery import celery_app
    from galaxy.webapps.galaxy.fast_factory import factory as galaxy_factory

    celery_app.conf.update(
        # Seconds between looks into the queues, which are in memory: `amqp_internal_connection`.
        broker_transport_options={"polling_interval": 0.05},
        result_backend="cache+memory://",
    )
    application = galaxy_factory()
    _start_worker(celery_app)
    return application


def _start_worker(celery_app: Any) -> None:
    from celery.concurrency.thread import TaskPool

    class Threads(TaskPool):
        """Threads that leave others of this process alone: those of jobs wait for tasks."""

        task_join_will_block = False

    worker = celery_app.WorkController(
        app=celery_app, concurrency=2, pool_cls=Threads, queues=_QUEUES,
        without_heartbeat=True, without_mingle=True, without_gossip=True,
    )  # fmt: skip
    threading.Thread(target=worker.start, daemon=True).start()


def _folder_of_sockets() -> str:
    """Let `multiprocessing` keep its sockets in a folder of its own in `/tmp`.

    It takes the first folder that it is asked for. The path of a socket has a hundred bytes, and
    Galaxy's folder for temporary files, deep in those of the tests, can have as many.
    """
    usual, tempfile.tempdir = tempfile.tempdir, "/tmp"
    try:
        return util.get_temp_dir()
    finally:
        tempfile.tempdir = usual


def _end(sockets: str) -> NoReturn:
    """End jobs and process; Python by itself takes ten seconds to give every object back."""
    import galaxy.app

    if galaxy.app.app:
        galaxy.app.app.shutdown()
    shutil.rmtree(sockets, ignore_errors=True)
    os._exit(0)


def main() -> None:
    """Serve at the address that planemo wrote into the configuration, until told to end."""
    import uvicorn

    sockets = _folder_of_sockets()
    # uvicorn passes the signal on after the last answer.
    signal.signal(signal.SIGTERM, lambda *_: _end(sockets))
    configuration = json.loads(Path(os.environ["GALAXY_CONFIG_FILE"]).read_text(encoding="utf-8"))
    host, _, port = configuration["gravity"]["gunicorn"]["bind"].rpartition(":")
    uvicorn.run(factory, factory=True, log_level="warning", host=host, port=int(port))


if __name__ == "__main__":
    main()
