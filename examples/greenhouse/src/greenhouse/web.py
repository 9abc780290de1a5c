"""The web page: a path to a response. It opens no socket, so any server or test can call it."""

import json

from greenhouse import config
from greenhouse.template import render


def respond(path, monitor):
    """Return the status, content type, and body of the response to a GET of ``path``."""
    if path == "/":
        with open(config.PAGE) as file:
            page = file.read()
        return 200, "text/html; charset=utf-8", render(page, _values(monitor))
    if path == "/readings.json":
        return 200, "application/json", json.dumps(_values(monitor))
    return 404, "text/plain", "There is no {} here.\n".format(path)


def _values(monitor):
    return {"samples": monitor.samples, "readings": monitor.readings()}
