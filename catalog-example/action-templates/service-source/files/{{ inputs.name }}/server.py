"""Answers HTTP. Start here: `answer` says what, the rest says how."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME = [[ inputs.name | tojson ]]
SUMMARY = [[ inputs.summary | tojson ]]
PORT = int(os.environ.get("PORT", "[[ inputs.port ]]"))


def answer(path):
    """The status and the body for a GET of `path`."""
    if path == "/":
        return 200, {"name": NAME, "summary": SUMMARY}
    if path == "/healthz":
        return 200, {"status": "ok"}
    return 404, {"error": f"there is nothing at {path}"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = answer(self.path)
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format, *args):
        print(json.dumps({"service": NAME, "message": format % args}), flush=True)


def main():
    # Kubernetes asks a container to stop with SIGTERM and waits; leave at once instead.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer(("", PORT), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
