"""Galaxy's web server with the worker of its tasks in it; runs in the Python of Galaxy.

Where tasks run without Celery, every upload and the end of every job start a process that imports
Galaxy for itself: fourteen seconds of a core for a file. A worker imports it once. As a thread of
the server it needs no broker, and ends with the server however that ends.
"""

from __future__ import annotations

import threading
from typing import Any

from celery.concurrency.thread import TaskPool
from galaxy.celery import celery_app
from galaxy.webapps.galaxy.fast_factory import factory as galaxy_factory

# Both queues that Galaxy routes its tasks to.
_QUEUES = "galaxy.internal,galaxy.external"


class _Threads(TaskPool):
    """Threads that leave others of this process alone: those of jobs wait for tasks."""

    task_join_will_block = False


def factory() -> Any:
    """The application, for uvicorn."""
    celery_app.conf.update(
        # Seconds between looks into the queues, which are in memory: `amqp_internal_connection`.
        broker_transport_options={"polling_interval": 0.05},
        result_backend="cache+memory://",
    )
    application = galaxy_factory()
    worker = celery_app.WorkController(
        app=celery_app, concurrency=2, pool_cls=_Threads, queues=_QUEUES,
        without_heartbeat=True, without_mingle=True, without_gossip=True,
    )  # fmt: skip
    threading.Thread(target=worker.start, daemon=True).start()
    return application
