"""Batches as older clients of OData write them, and their answers: the same as in JSON, to whoever writes and reads these."""

import email.parser
import email.policy
import json

BOUNDARY = "batch_of_this_client"
CHANGES = "changes_of_this_client"
HEADERS = {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}", "Accept": "multipart/mixed"}


def written(requests):
    """The body for a list of requests that are done together."""
    parts = [f"--{BOUNDARY}", f"Content-Type: multipart/mixed; boundary={CHANGES}", ""]
    for request in requests:
        body = json.dumps(request["body"]) if "body" in request else ""
        parts += [f"--{CHANGES}", "Content-Type: application/http", "Content-Transfer-Encoding: binary",
                  f"Content-ID: {request['id']}", "", f"{request['method']} {request['url']} HTTP/1.1",
                  *(["Content-Type: application/json", f"Content-Length: {len(body.encode())}"] if body else []), "", body]
    return "\r\n".join([*parts, f"--{CHANGES}--", f"--{BOUNDARY}--", ""]).encode()


def reads(urls):
    """The body for a list of reads."""
    parts = [[f"--{BOUNDARY}", "Content-Type: application/http", "", f"GET {url} HTTP/1.1", "Accept: application/json", "", ""] for url in urls]
    return "\r\n".join([line for part in parts for line in part] + [f"--{BOUNDARY}--", ""]).encode()


def answers(answer):
    """What is told of each request, as an answer in JSON tells it."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.content)
    found = []
    for part in parsed.walk():
        if part.get_content_type() != "application/http":
            continue
        line, _, rest = part.get_payload(decode=True).decode().partition("\r\n")
        body = rest.split("\r\n\r\n", 1)[1]
        told = {"id": part["content-id"], "atomicityGroup": "g", "status": int(line.split(" ")[1])}
        found.append(told | ({"body": json.loads(body)} if body else {}))
    return found
