"""Addresses of the dashboard, and the server that answers them until it is stopped."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from common.addresses import host_port
from common.errors import InputError, MachineError, OptionError
from common.extras import MissingExtra, require_extra
from server.dashboard.access import Guard, names_of_machine, token_hash
from server.dashboard.frame import EVENTS, page_policy, strict_policy
from server.dashboard.logs_page import logs_page
from server.dashboard.overview_page import overview
from server.dashboard.run_page import REPORTS, run_page
from server.dashboard.watch import FolderWatch
from server.home.places import CoordinatorHome
from server.records.submission import named_folder

PORT = 9480


LOOK_EVERY_S = 1.0
"""Seconds between two looks for changes, on behalf of a browser."""


ALIVE_EVERY_S = 15.0
"""Seconds without a change after which a stream says that it is alive."""


class Pages:
    """Answers to the addresses of the dashboard.

    Args:
        watch: on the coordinator's folder.
        stopping: whether the server is about to end.
    """

    def __init__(self, watch: FolderWatch, stopping: Callable[[], bool] = lambda: False) -> None:
        self._watch, self._home, self._stopping = watch, watch.home, stopping

    def routes(self) -> list[Route]:
        """Addresses with their answers."""
        return [
            Route("/", self.overview),
            Route("/logs", self.logs),
            Route("/status.json", self.status),
            Route("/metrics", self.metrics),
            Route("/runs/{run}", self.run),
            Route("/runs/{run}/exchanges/{index:int}", self.run),
            Route("/runs/{run}/{report}", self.report),
            Route(EVENTS, self.events),
        ]

    def overview(self, request: Request) -> Response:
        """Answer with the overview."""
        mark = self._watch.mark(None)
        status, trouble = self._watch.status()
        runs = self._watch.runs()
        latest = self._watch.run(self._home.runs / runs[0].id) if runs else None
        return _page(overview(status, trouble, runs, latest, mark))

    def logs(self, request: Request) -> Response:
        """Answer with the logs."""
        return _page(logs_page(self._home, self._watch.mark(None)))

    def status(self, request: Request) -> Response:
        """Answer as `consilium coordinator status --json`."""
        status, trouble = self._watch.status()
        if status is None:
            return JSONResponse({"error": trouble}, 503)
        return Response(status.model_dump_json(indent=2), media_type="application/json")

    def metrics(self, request: Request) -> Response:
        """Answer Prometheus."""
        try:
            require_extra("prometheus", "/metrics")
        except MissingExtra as error:
            return PlainTextResponse(f"{error}\n", 501)
        from server.dashboard.metrics import CONTENT_TYPE, metrics

        (status, _), runs = self._watch.status(), self._watch.runs()
        latest = self._watch.run(self._home.runs / runs[0].id) if runs else None
        tracking = self._home.settings().tracking
        text = metrics(status, runs, latest, tracking is not None and tracking.hospitals)
        return Response(text, media_type=CONTENT_TYPE)

    def run(self, request: Request) -> Response:
        """Answer with a run and the receipts of one of its exchanges."""
        out = self._folder(request)
        if out is None:
            return _missing("There is no such run.")
        view, mark = self._watch.run(out), self._watch.mark(out)
        try:
            return _page(run_page(self._home, view, request.path_params.get("index"), mark))
        except InputError as error:
            return _missing(str(error))

    def report(self, request: Request) -> Response:
        """Answer with a page that a command left in the folder of a run."""
        out, name = self._folder(request), request.path_params["report"]
        if out is None or name not in REPORTS or not (out / name).is_file():
            return _missing("There is no such report.")
        return HTMLResponse((out / name).read_bytes(), headers={"Content-Security-Policy": _FOR_REPORTS})

    async def events(self, request: Request) -> Response:
        """Stream a line whenever something changes that the pages show."""
        run = request.query_params.get("run")
        out = None if run is None else await run_in_threadpool(self._named, run)
        if run is not None and out is None:
            return _missing("There is no such run.")
        return StreamingResponse(self._changes(out), media_type="text/event-stream")

    async def _changes(self, out: Path | None) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        last, quiet = "", 0.0
        while not self._stopping():
            mark = await run_in_threadpool(self._watch.mark, out)
            if mark != last:
                last, quiet = mark, 0.0
                yield f"event: changed\nid: {mark}\ndata: {mark}\n\n"
            elif quiet >= ALIVE_EVERY_S:
                quiet = 0.0
                yield ": alive\n\n"
            await asyncio.sleep(LOOK_EVERY_S)
            quiet += LOOK_EVERY_S

    def _folder(self, request: Request) -> Path | None:
        return self._named(request.path_params["run"])

    def _named(self, run: str) -> Path | None:
        try:
            return named_folder(self._home.runs, run)
        except OptionError:
            return None


def application(home: CoordinatorHome, host: str, stopping: Callable[[], bool] = lambda: False) -> Guard:
    """Make the dashboard of a coordinator, behind its guard."""
    pages = Starlette(routes=Pages(FolderWatch(home), stopping).routes())
    names = names_of_machine(host, home.settings().host)
    return Guard(pages, names, token_hash(home), strict_policy())


def serve(home: CoordinatorHome, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Answer browsers until SIGINT or SIGTERM.

    Addresses that others can reach are served with TLS.

    Args:
        home: the coordinator's folder.
        host: name or address to listen on.
        port: to listen on; 0 for any.
        ready: is given the address once browsers can come.

    Raises:
        InputError: if the port is taken, or an address that others can reach has no token.
    """
    listener = _listener(host, port)
    with listener:
        is_local = listener.getsockname()[0] in ("127.0.0.1", "::1")
        if not is_local and token_hash(home) is None:
            what = "can be reached by others, and the dashboard has no token"
            remedy = f"make one by `consilium coordinator dashboard {home.folder} --new-token`"
            raise OptionError(f"--host {host}", what, remedy)
        server: uvicorn.Server
        config = uvicorn.Config(
            application(home, host, lambda: server.should_exit),
            lifespan="off",
            http="h11",
            ws="none",
            loop="asyncio",
            log_config=None,
            access_log=False,  # of which the token could be read
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
            ssl_certfile=None if is_local else str(home.certificate),
        )
        server = _Server(config, lambda: ready(f"{'http' if is_local else 'https'}://{_shown(listener)}"))
        with suppress(KeyboardInterrupt):  # raised again by the server, once it has ended in order
            server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Server that says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._ready()


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except socket.gaierror:
        raise OptionError(f"--host {host}", "is no name or address", "name one of this machine") from None
    except OSError as error:
        what = f"cannot be listened on ({error.strerror})"
        raise MachineError(host_port(host, port), what, "choose another by --port or --host") from None
    return listener


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return host_port(host, port)


_FOR_REPORTS = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Policy of reports, beside the stricter one that each has within."""


def _page(text: str) -> HTMLResponse:
    return HTMLResponse(text, headers={"Content-Security-Policy": page_policy()})


def _missing(text: str) -> PlainTextResponse:
    return PlainTextResponse(text + "\n", 404)
