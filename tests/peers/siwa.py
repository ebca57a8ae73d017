"""The node under test as a peer sees it: where it is, calls over HTTPS, and lines of JSON for the test."""

import json
import sys
import urllib.error
import urllib.request

with open(sys.argv[1], encoding="utf-8") as file:
    settings = json.load(file)


def next_settings():
    """What the test has to say after the script has printed a line."""
    settings.update(json.loads(sys.stdin.readline()))


def say(value):
    print(json.dumps(value), flush=True)


def call(path, body=None, **headers):
    """Status, media type and body; POST where there is a body."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(settings["url"] + path, data=body, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return response.status, response.headers["content-type"], response.read()


def post(path, value, **headers):
    status, _, body = call(path, json.dumps(value).encode(), content_type="application/json", **headers)
    return {"status": status, **json.loads(body or b"{}")}


def succeed(path, value, **headers):
    answer = post(path, value, **headers)
    assert answer["status"] < 300, (path, answer)
    return answer
