"""What the DMTF's Python client (PyPI `redfish`) makes of the simulated service. Argument: its base URL; user and password are the first two lines
of stdin. Prints one JSON object. Exit code 77: the client is not installed."""

import json
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

try:
    import redfish
    import requests
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

BASE = sys.argv[1]
USER, PASSWORD = sys.stdin.readline().rstrip("\n"), sys.stdin.readline().rstrip("\n")
SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"
took = queue.Queue()


class Listener(BaseHTTPRequestHandler):
    """Takes deliveries."""

    def do_POST(self):
        took.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def wrong_password():
    """How a login with a wrong password fails."""
    client = redfish.redfish_client(base_url=BASE, username=USER, password="wrong", max_retry=1)
    try:
        client.login(auth="session")
    except Exception as failure:  # The client has no class of its own for every status.
        return type(failure).__name__
    return None


def event_over_sse(client, uri):
    """The first record of the stream after a test event was asked for. The client itself has no streams."""
    head = {"X-Auth-Token": client.get_session_key(), "Accept": "text/event-stream"}
    with requests.get(BASE + uri, headers=head, stream=True, verify=False, timeout=10) as stream:
        submit(client, "over the stream")
        for line in stream.iter_lines():
            if line.startswith(b"data: "):
                return stream.headers["Content-Type"], json.loads(line[6:])["Events"][0]["Message"]


def submit(client, message):
    service = client.get("/redfish/v1/EventService").dict
    target = service["Actions"]["#EventService.SubmitTestEvent"]["target"]
    return client.post(target, body={"EventType": "Alert", "MessageId": "Test.1.0.Test", "Message": message}).status


def main():
    requests.packages.urllib3.disable_warnings()
    out = {"wrong_password": wrong_password()}
    client = redfish.redfish_client(base_url=BASE, username=USER, password=PASSWORD, max_retry=1)
    client.login(auth="session")

    system = client.get("/redfish/v1/Systems/1")
    out["serial"] = system.dict["SerialNumber"]
    plain = client.get("/redfish/v1/Systems/1/Memory").dict["Members"]
    expanded = client.get("/redfish/v1/Systems/1/Memory", args={"$expand": ".($levels=1)"}).dict["Members"]
    out["members"] = [len(plain), len(expanded)]
    out["serials"] = [sum("SerialNumber" in m for m in members) for members in (plain, expanded)]
    page = client.get("/redfish/v1/Systems/1/LogServices/Sel/Entries").dict
    out["pages"] = [len(page["Members"])]
    while "Members@odata.nextLink" in page and len(out["pages"]) < 9:
        page = client.get(page["Members@odata.nextLink"]).dict
        out["pages"].append(len(page["Members"]))

    firmware = client.get("/redfish/v1/UpdateService/FirmwareInventory/BIOS")
    tag = firmware.getheader("etag")
    out["etag"] = [firmware.status, client.get(firmware.request.path, headers={"If-None-Match": tag}).status]
    out["missing"] = client.get("/redfish/v1/Nothing").status

    out["sse"] = event_over_sse(client, client.get("/redfish/v1/EventService").dict["ServerSentEventUri"])
    listener = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    destination = f"http://127.0.0.1:{listener.server_port}/events"
    made = client.post(SUBSCRIPTIONS, body={"Destination": destination, "Protocol": "Redfish", "Context": "python"})
    out["subscribed"] = made.status
    submit(client, "delivered")
    event = took.get(timeout=10)
    out["delivered"] = [event["Context"], event["Events"][0]["Message"]]
    out["unsubscribed"] = client.delete(made.getheader("location")).status
    client.logout()
    print(json.dumps(out))


main()
