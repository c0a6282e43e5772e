"""Bodies that say more than one record does: several at once, records within records, and links. None is passed on."""

NEW = {"name": "New", "email": "n@new.example", "region": "EMEA", "stage": "lead", "accountId": 1}
ACCOUNT = {"id": 9001, "name": "Deep", "organization_id": "globex", "app_id": "shop", "owner_id": "zoe-globex-shop"}

# (method, target, body, status, code) by ana, whose contact 1 and account 1 are.
REFUSED = [
    # Several, where one is told of.
    *[("POST", "contacts", body, 400, "body_malformed") for body in [[], [NEW], [NEW, NEW], [[NEW]], "x", 1, None, True]],
    *[("PATCH", "contacts(1)", body, 400, "body_malformed") for body in [[], [{"name": "x"}], [{"id": 1, "name": "x"}, {"id": 4, "name": "y"}]]],
    *[("PUT", "memos(1)", body, 400, "body_malformed") for body in [[], [{"written": "x"}]]],
    ("PATCH", "contacts", [{"id": 1, "name": "x"}], 404, "not_found"),
    ("PUT", "contacts", [NEW], 404, "not_found"),
    ("POST", "contacts", {"value": [NEW]}, 403, "forbidden"),
    ("POST", "contacts", {"d": NEW}, 403, "forbidden"),
    ("PATCH", "contacts", {"@context": "#$delta", "value": [{"id": 1, "name": "x"}]}, 404, "not_found"),
    # Records within a record, of relations that are declared and that are not.
    *[("POST", "contacts", NEW | {"account": deep}, 403, "forbidden") for deep in
      [ACCOUNT, {"id": 1}, {}, [ACCOUNT], None, "accounts(3)", {"@odata.id": "accounts(3)"}, {"contacts": [NEW]}]],
    *[("PATCH", "contacts(1)", {"account": deep}, 403, "forbidden") for deep in [{"id": 1, "internal_note": "x"}, {"name": "x"}, None, [], [ACCOUNT]]],
    *[("PATCH", "accounts(1)", {name: deep}, 403, "forbidden") for name, deep in
      [("contacts", [NEW]), ("contacts", []), ("contacts", [{"id": 3, "accountId": 1}]), ("contacts@delta", [{"id": 3, "accountId": 1}]),
       ("contacts@odata.delta", [{"@removed": {"reason": "deleted"}, "id": 1}]), ("contacts@odata.bind", ["contacts(3)"]),
       ("contacts@bind", ["contacts(3)"])]],
    # Links, under the names of either version.
    *[("POST", "contacts", NEW | {name: value}, 403, "forbidden") for name, value in
      [("account@odata.bind", "accounts(3)"), ("account@odata.bind", "$1"), ("account@bind", "accounts(3)"), ("account@odata.bind", ["accounts(3)"]),
       ("accountId@odata.bind", "accounts(3)"), ("@odata.bind", "accounts(3)"), ("@odata.type", "#CrmService.accounts"), ("@odata.id", "contacts(3)"),
       ("@odata.etag", "x"), ("name@odata.type", "String"), ("account_id", 3), ("ACCOUNT", {"id": 3}), ("account/name", "x"), ("account.name", "x")]],
    # Containers where a value belongs.
    *[("POST", "contacts", NEW | {name: value}, 400, "body_malformed") for name, value in
      [("name", ["x"]), ("name", {"value": "x"}), ("accountId", [1]), ("accountId", {"id": 1}), ("stage", ["lead"])]],
]


def batched(number, method, target, body):
    """The same as a part, behind one that is fine."""
    fine = {"id": "fine", "atomicityGroup": "g", "method": "PATCH", "url": "contacts(1)", "body": {"phone": f"+1{number}"}}
    part = {"id": "part", "atomicityGroup": "g", "method": method, "url": target, "body": body}
    return {"requests": [fine, part]}
