"""Does the service answer as its README says?"""

import json
import threading
import unittest
from http.server import ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import urlopen

from server import NAME, Handler


class Answers(unittest.TestCase):
    def setUp(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def get(self, path):
        with urlopen(f"http://127.0.0.1:{self.server.server_port}{path}", timeout=5) as reply:
            return json.load(reply)

    def test_says_what_it_is(self):
        self.assertEqual(self.get("/")["name"], NAME)

    def test_is_healthy(self):
        self.assertEqual(self.get("/healthz"), {"status": "ok"})

    def test_knows_nothing_else(self):
        with self.assertRaises(HTTPError) as refused:
            self.get("/orders")
        self.assertEqual(refused.exception.code, 404)
        refused.exception.close()


if __name__ == "__main__":
    unittest.main()
