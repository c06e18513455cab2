"""A Scirocco client as the Python client of the original works: with the standard library, and as particular about the
names of headers as that one is. Runs one story against the server at argv[1], as node argv[2], and prints what it saw as
one line of JSON."""
import http.client
import json
import sys
import urllib.parse

FIELDS = ["node_destination", "node_source", "id", "topic", "status", "update_time", "created_time", "scheduled_time",
          "error_time", "processed_time", "processing_time", "tries", "payload_type"]


def header(field):
    return "-".join(["Scirocco"] + [part.title() for part in field.split("_")])


KNOWN = {header(field): field for field in FIELDS}


def content_type(data):
    if isinstance(data, dict):
        return "application/json"
    if isinstance(data, str):
        try:
            json.loads(data)
            return "application/json"
        except ValueError:
            return "text/plain"
    return "application/octet-stream"


def treat(data):
    try:
        return json.loads(data.decode())
    except ValueError:
        try:
            return data.decode()
        except UnicodeDecodeError:
            return repr(data)


class Client:
    def __init__(self, url, node, token):
        self.netloc = urllib.parse.urlsplit(url).netloc
        self.fixed = {header("node_source"): node, "Authorization": token}

    def request(self, method, path, data=None, headers=None):
        headers = {**(headers or {}), **self.fixed, "Content-Type": content_type(data)}
        # A str is sent by http.client as Latin-1.
        body = json.dumps(data) if isinstance(data, dict) else data
        connection = http.client.HTTPConnection(self.netloc, timeout=20)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        data = response.read()
        # Compared as they came: a name in another case is another name.
        metadata = {KNOWN[name]: value for name, value in response.getheaders() if name in KNOWN}
        connection.close()
        return response.status, {field: metadata.get(field) for field in FIELDS}, treat(data)

    def push(self, destination, payload, **more):
        headers = {header("node_destination"): destination, header("status"): more.pop("status", "pending")}
        headers.update({header(field): value for field, value in more.items()})
        status, metadata, payload = self.request("POST", "/messageQueue", payload, headers)
        assert status == 201, (status, payload)
        return metadata, payload

    def pull(self):
        status, metadata, payload = self.request("GET", "/messageQueue")
        assert status in (200, 204), status
        return None if status == 204 else (metadata, payload)

    def ack(self, msg_id):
        # A missing id ends the consumer of the original here, with a TypeError.
        status, metadata, _ = self.request("PATCH", "".join(["/messageQueue", "/", msg_id, "/ack"]))
        assert status == 200, status
        return metadata

    def on_receive(self, callback):
        while (message := self.pull()) is not None:
            callback(self, message)


url, node = sys.argv[1:3]
client = Client(url, node, sys.argv[3])
pushed, echoed = client.push(node, {"type": "message", "n": 12345678901234567890})
client.push(node, "plain words: caf\xe9")
client.push(node, "\"a JSON string: caf\xe9\"")
client.push(node, "0123456789")
client.push(node, bytes(range(256)), payload_type="image/x-odd")
client.push(node, "later", status="scheduled", scheduled_time="2999-01-01T00:00:00")
received = []


def on_message(client, message):
    metadata, payload = message
    acked = client.ack(metadata["id"])
    received.append({"metadata": metadata, "payload": payload, "acked": acked["status"]})


client.on_receive(on_message)
status, _, listed = client.request("GET", "/messages")
one = client.request("GET", "/messages/" + pushed["id"])
updated = client.request("PATCH", "/messages/" + listed[-1]["_id"], "now na\xefve")
deleted = client.request("DELETE", "/messages/" + listed[-1]["_id"])
print(json.dumps({"pushed": pushed, "echoed": echoed, "received": received, "listed": [m["payload"] for m in listed],
                  "one": one, "updated": updated, "deleted": deleted}))
