"""An HTTP server that takes signed notices and fails half of the time.

webhook.py SECRET SEED RECORD

Prints its port. Of the requests, about a quarter get 503 (some with Retry-After), an eighth 429, an eighth are taken and recorded but the
connection is cut before the answer; the others are taken. What is taken is one JSON line in RECORD: key, sha256 of the body, whether it
was answered. A wrong signature or a stale timestamp is a line with "bad".
"""
import hashlib, hmac, json, os, random, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

secret, seed, record = sys.argv[1].encode(), int(sys.argv[2]), sys.argv[3]
rng, lock = random.Random(seed), threading.Lock()


def note(line):
    with open(record, "a") as out:
        out.write(json.dumps(line) + "\n")
        out.flush()
        os.fsync(out.fileno())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        at, key = self.headers["Outband-Timestamp"], self.headers["Idempotency-Key"]
        mine = "v1=" + hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        good = hmac.compare_digest(mine, self.headers["Outband-Signature"]) and abs(time.time() - int(at)) < 300
        with lock:
            draw = rng.random()
            if not good or json.loads(body)["key"] != key:
                note({"bad": key})
                return self.answer(401)
            if draw < 0.25:
                note({"refused": key})
                return self.answer(503, {"Retry-After": "0"} if draw < 0.12 else {})
            if draw < 0.375:
                note({"refused": key})
                return self.answer(429, {"Retry-After": "1"} if draw < 0.27 else {})
            cut = draw < 0.5
            note({"key": key, "body": hashlib.sha256(body).hexdigest(), "answered": not cut})
        if cut:
            self.close_connection = True
            self.connection.close()
            return None
        return self.answer(204)

    def answer(self, status, headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
