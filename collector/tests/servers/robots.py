"""An HTTP server that answers as the robots of DingTalk, WeCom and Feishu and an SMS provider do: always 200, with a code in the body.

robots.py TOKEN SECRET RECORD [CERT KEY]

Prints its port. /robot/send is DingTalk (signature over "MS\\nSECRET", no more than an hour old, 20 messages in any minute, 20000 bytes);
/cgi-bin/webhook/send is WeCom (key, 2048 bytes of text); /open-apis/bot/v2/hook/TOKEN is Feishu (signature of nothing under "S\\nSECRET");
/sms wants a bearer token and answers 500 where the form is not what it should be. Each request is one JSON line in RECORD.
"""
import base64, hashlib, hmac, json, ssl, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

token, secret, record = sys.argv[1:4]
lock, taken = threading.Lock(), []


def sign(key, text):
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def dingtalk(query, body):
    stamp = query.get("timestamp", ["0"])[0]
    if query.get("access_token") != [token]:
        return {"errcode": 300001, "errmsg": "token is not exist"}
    if abs(time.time() * 1000 - int(stamp)) > 3600e3 or query.get("sign") != [sign(secret, f"{stamp}\n{secret}")]:
        return {"errcode": 310000, "errmsg": "sign not match"}
    if body.get("msgtype") != "text" or not body["text"]["content"]:
        return {"errcode": 400101, "errmsg": "content is empty"}
    if len(json.dumps(body, ensure_ascii=False).encode()) > 20000:
        return {"errcode": 460101, "errmsg": "message too long"}
    now = time.monotonic()
    taken[:] = [at for at in taken if now - at < 60]
    if len(taken) >= 20:
        return {"errcode": 410100, "errmsg": "send too fast"}
    taken.append(now)
    return {"errcode": 0, "errmsg": "ok"}


def wecom(query, body):
    if query.get("key") != [token]:
        return {"errcode": 93000, "errmsg": "invalid webhook url"}
    if body.get("msgtype") != "text" or len(body["text"]["content"].encode()) > 2048:
        return {"errcode": 40058, "errmsg": "text.content exceed max length 2048"}
    return {"errcode": 0, "errmsg": "ok"}


def feishu(path, body):
    stamp = body.get("timestamp", "0")
    if path.rsplit("/", 1)[1] != token:
        return {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}
    good = abs(time.time() - int(stamp)) < 3600 and body.get("sign") == sign(f"{stamp}\n{secret}", "")
    if not good:
        return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
    if body.get("msg_type") != "text" or not body["content"]["text"]:
        return {"code": 9499, "msg": "Bad Request"}
    return {"code": 0, "msg": "success", "data": {}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        url = urlsplit(self.path)
        query, status = parse_qs(url.query), 200
        with lock:
            if url.path == "/sms":
                form = parse_qs(raw.decode())
                good = self.headers["Authorization"] == f"Bearer {secret}" and len(form.get("to", [""])[0]) > 5
                answer, status = ({"result": "queued" if good else "refused"}, 200)
                text = form.get("text", [""])[0]
            else:
                body = json.loads(raw)
                text = (body.get("text") or {}).get("content") or (body.get("content") or {}).get("text") or ""
                kinds = {"/robot/send": dingtalk, "/cgi-bin/webhook/send": wecom}
                answer = kinds[url.path](query, body) if url.path in kinds else feishu(url.path, body)
            with open(record, "a") as out:
                out.write(json.dumps({"path": url.path, "answer": answer, "text": text, "raw": raw.decode()}) + "\n")
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 5:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
