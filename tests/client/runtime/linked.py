"""Ways to an app without a process of its own, or with one that misbehaves."""

import socket
import threading

from flwr.app import RecordDict

from client.runtime.app_link import BoundedRequest, ask_over
from client.runtime.app_process import serve
from client.site_folder.places import Home


class AppInThread:
    """The site's app at the other end of a socket, in a thread of this process.

    Args:
        home: the site folder.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    def ask(self, request: BoundedRequest) -> RecordDict:
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=serve, args=(theirs, self._home))
        thread.start()
        with ours:
            content = ask_over(ours, request)
        thread.join()
        return content

    def close(self) -> None:
        pass
