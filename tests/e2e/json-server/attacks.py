"""Requests that must be refused, as data: what json-server alone would answer is a leak or a change in every case.

`same_as` names a request about something that doesn't exist; both answers must be the same bytes. Rows by id, all of
acme.shop: contact 1 is ana's, 7 is zoe's and outside ana's region, deal 7 is bo's, account 7 is bo's. Contact, deal
and account 3 are of globex.shop.
"""

from hostile import Attack


def queries(*targets, code="query_not_allowed", who="ana"):
    return [Attack(f"{target} by {who}", target, 400, code, who) for target in targets]


def absent(*targets, who="ana", method="GET", same_as="/nothing", body=None):
    return [
        Attack(f"{method} {target} by {who}", target, 404, "not_found", who, method, body=body, same_as=same_as)
        for target in targets
    ]


def forbidden(method, target, body, who="ana"):
    return Attack(f"{method} {target} {body} by {who}", target, 403, "forbidden", who, method, body=body)


NEW = {"name": "New", "email": "n@new.example", "region": "EMEA", "stage": "lead", "accountId": 1}

READS = [
    # What json-server ignores, it answers in full.
    *queries("/contacts?nonsense=1", "/contacts?national_id=SECRET-ID-000", "/contacts?password_hash=x"),
    *queries("/contacts?q=SECRET", "/contacts?name_like=.*", "/contacts?national_id_like=SECRET"),
    *queries("/contacts?_embed=activities", "/accounts?_embed=contacts", "/contacts?_expand=user", "/deals?_expand=contact"),
    *queries("/contacts?_start=0&_end=500", "/contacts?_start=0&_limit=500", "/contacts?_limit=100000", "/contacts?_limit=0"),
    *queries("/contacts?_limit=-1", "/contacts?_page=0", "/contacts?_page=1e3", "/contacts?callback=steal"),
    *queries("/contacts?_sort=national_id", "/contacts?_sort=name&_order=sideways", "/contacts?_order=desc"),
    *queries("/contacts?_sort=email", "/contacts?email_gte=a&owner_id=zoe-acme-shop", "/contacts?email_gte=a&_sort=email"),
    *queries("/contacts?email_gte=a", "/contacts?birthday_lte=1960-01-01", who="support"),
    *queries("/contacts?phone=x", "/contacts?_sort=birthday", "/contacts?region=AMER", "/contacts?owner_id=ana-acme-shop", who="auditor"),
    *queries("/contacts?national_id=on%20file", "/contacts?email_ne=x", "/contacts?_expand=account", who="support"),
    # The gateway's own filters.
    *queries("/contacts?organization_id=globex", "/contacts?organization_id=acme", "/contacts?organization_id_ne=acme"),
    *queries("/contacts?app_id_like=.", "/contacts?app_id_gte=a", "/contacts?organization_id[]=globex", "/contacts?app_id[ne]=shop"),
    *queries("/contacts?region=EMEA&region=AMER", "/contacts?_page=1&_PAGE=2", "/contacts?organization_id=acme&organization_id=globex",
             "/contacts?region=EMEA;organization_id=globex", "/contacts?_limit", "/contacts?%=1", code="ambiguous_query"),
    *queries("/contacts?_method=DELETE", code="method_not_supported"),
    # One record takes no filter, and a hidden relation is not there.
    *queries("/contacts/1?name=x", "/contacts/1?_limit=1", "/contacts/1?_embed=deals"),
    Attack("a hidden relation", "/contacts?_expand=account", 400, "query_not_allowed", "auditor",
           same_as="/contacts?_expand=nothing"),
    Attack("a hidden field and one that is none", "/contacts?national_id=x", 400, "query_not_allowed",
           same_as="/contacts?nothing=x"),
    Attack("an order by a hidden field", "/contacts?_sort=national_id", 400, "query_not_allowed",
           same_as="/contacts?_sort=nothing"),
    # Side doors.
    *absent("/db", "/__rules", "/", "/index.html", "/CONTACTS", "/contacts.json", "/db/contacts"),
    *absent("/accounts/1/contacts", "/contacts/1/account", "/users/ana-acme-shop/contacts", "/contacts/1/contacts/3"),
    *absent("/users", "/users/ana-acme-shop", "/accounts", who="auditor"),
    *absent("/users", "/deals", "/activities", who="support"),
    *absent("/contacts", "/contacts/1", "/users", who="eve"),
    # Rows of others are rows that never were.
    *absent("/contacts/3", "/contacts/2", "/contacts/7", "/contacts/5", same_as="/contacts/99999"),
    *absent("/contacts/3", "/contacts/2", who="marta", same_as="/contacts/99999"),
    *absent("/contacts/1", "/contacts/2", "/contacts/4", who="vic", same_as="/contacts/99999"),
    *absent("/activities/1", "/activities/3", same_as="/activities/99999"),
    *absent("/deals/1", "/deals/3", who="auditor", same_as="/deals/99999"),
    *absent("/users/ana-globex-shop", "/users/ana-acme-desk", same_as="/users/nobody"),
    # Paths with two meanings.
    *[
        Attack(f"path {target}", target, 400, "ambiguous_path")
        for target in [
            "/contacts/", "//db", "/contacts//1", "/./db", "/contacts/../db", "/contacts/%2e%2e/db", "/contacts/..%2fdb",
            "/contacts;/1", "/contacts;x=1", "/contacts%3b/1", "/%2564b", "/contacts/%252e%252e%252fdb", "/contacts%5c..%5cdb",
            "/contacts/1%00", "/contacts/%c0%ae", "/contacts/1.",
        ]
    ],
    # Other answers than the redacted JSON.
    Attack("as a table", "/contacts", 403, "forbidden", headers={"Accept": "text/csv"}),
    Attack("as a page", "/contacts", 406, "not_acceptable", headers={"Accept": "text/html, application/json;q=0"}),
    Attack("HEAD", "/db", 404, "not_found", method="HEAD"),
    Attack("OPTIONS", "/contacts", 400, "method_not_supported", method="OPTIONS"),
    Attack("QUERY", "/contacts", 501, "method_unknown", method="QUERY"),
    Attack("another URL in a header", "/contacts", 400, "ambiguous_path", headers={"X-Original-URL": "/db"}),
    Attack("a rewritten URL in a header", "/contacts", 400, "ambiguous_path", headers={"X-Rewrite-URL": "/db"}),
    Attack("a body where none belongs", "/contacts", 400, "body_not_expected", body={"organization_id": "globex"}),
    # Who asks, and for whom.
    Attack("a tenant of others", "/contacts", 403, "tenant_forbidden", headers={"X-Scrim-Tenant": "globex/shop"}),
    Attack("half a tenant", "/contacts", 403, "tenant_forbidden", headers={"X-Scrim-Tenant": "acme"}),
    Attack("no choice between two tenants", "/contacts", 403, "tenant_forbidden", "max"),
    Attack("a third tenant", "/contacts", 403, "tenant_forbidden", "max", headers={"X-Scrim-Tenant": "globex/shop"}),
    Attack("an issuer for a tenant that is not its own", "/contacts", 403, "tenant_forbidden", "initech"),
    *[
        Attack(f"{who} credentials", "/contacts", 401, "unauthenticated", who, same_as="/db")
        for who in ["no", "expired", "immature", "forged", "unsigned", "misdirected", "symmetric", "unknown"]
    ],
    Attack("a token and a key", "/contacts", 401, "unauthenticated", headers={"X-Api-Key": "scrim_x_y"}),
]

WRITES = [
    # Another tenant's row, or a row for another tenant.
    forbidden("POST", "/contacts", NEW | {"organization_id": "globex"}),
    forbidden("POST", "/contacts", NEW | {"app_id": "desk"}),
    forbidden("PATCH", "/contacts/1", {"organization_id": "globex"}),
    forbidden("PATCH", "/contacts/1", {"name": "x", "app_id": "desk"}),
    forbidden("PATCH", "/contacts/1", {"accountId": 3}),
    forbidden("PATCH", "/contacts/1", {"accountId": 99999}),
    forbidden("POST", "/contacts", NEW | {"accountId": 7}),
    *absent("/contacts/3", "/contacts/7", method="PATCH", body={"name": "x"}, same_as="/contacts/99999"),
    *absent("/contacts/3", "/contacts/2", method="DELETE", who="marta", same_as="/contacts/99999"),
    *absent("/deals/3", method="PATCH", body={"title": "x"}, same_as="/deals/99999"),
    *absent("/accounts/3", "/accounts/7", method="PATCH", body={"name": "x"}, same_as="/accounts/99999"),
    # Fields that are not the caller's to write, hidden and unknown ones alike.
    forbidden("PATCH", "/contacts/1", {"national_id": "x"}),
    forbidden("PATCH", "/contacts/1", {"admin": True}),
    forbidden("PATCH", "/contacts/1", {"__proto__": {"admin": True}}),
    forbidden("PATCH", "/contacts/1", {"name": "half", "email": "x@y.example"}),
    forbidden("PATCH", "/contacts/1", {"owner_id": "bo-acme-shop"}),
    forbidden("PATCH", "/contacts/1", {"id": 99999}),
    forbidden("POST", "/contacts", NEW | {"id": 99999}),
    forbidden("POST", "/contacts", NEW | {"owner_id": "bo-acme-shop"}),
    forbidden("POST", "/contacts", NEW | {"account": {"name": "x"}}),
    # What the rules say about the record before and after.
    forbidden("PATCH", "/contacts/1", {"stage": "won"}),
    forbidden("POST", "/contacts", NEW | {"stage": "qualified"}),
    forbidden("PATCH", "/deals/1", {"amount": 1}),
    forbidden("PATCH", "/deals/7", {"title": "x"}),
    forbidden("PATCH", "/deals/13", {"title": "x"}, who="marta"),
    forbidden("PATCH", "/contacts/1", {"owner_id": "zoe-acme-shop"}, who="marta"),
    forbidden("DELETE", "/contacts/1", None),
    forbidden("DELETE", "/contacts/67", None, who="marta"),
    forbidden("PATCH", "/contacts/1", {"name": "x"}, who="support"),
    # Routes and methods that json-server has and nobody declared.
    *absent("/contacts/1", method="PUT", body={"name": "x"}),
    *absent("/db", "/contacts/1", "/users", "/activities", method="POST", body=NEW),
    *absent("/contacts", "/activities/1", "/accounts/1", method="DELETE"),
    *absent("/contacts", "/db", "/users/ana-acme-shop", method="PATCH", body={"name": "x"}),
    Attack("a method in a header", "/contacts", 400, "method_not_supported", method="POST", body=NEW,
           headers={"X-HTTP-Method-Override": "DELETE"}),
    Attack("a look-alike of it", "/contacts/1", 400, "method_not_supported", method="PATCH", body={"name": "x"},
           headers={"X_HTTP_Method_Override": "PUT"}),
    # Bodies with two meanings, or of another kind.
    Attack("many at once", "/contacts", 400, "body_malformed", method="POST", body=[NEW, NEW]),
    Attack("a name twice", "/contacts/1", 400, "body_malformed", method="PATCH", body=b'{"name":"a","name":"b"}'),
    Attack("a name twice, once escaped", "/contacts/1", 400, "body_malformed", method="PATCH",
           body=b'{"name":"a","n\\u0061me":"b"}'),
    Attack("a wrong type", "/contacts/1", 400, "body_malformed", method="PATCH", body={"name": {"$ne": ""}}),
    Attack("no JSON", "/contacts/1", 400, "body_malformed", method="PATCH", body=b'{"name":"a"} {}'),
    Attack("a form", "/contacts/1", 415, "media_type_unsupported", method="PATCH", body=b"name=x",
           headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Attack("a packed body", "/contacts/1", 415, "media_type_unsupported", method="PATCH", body=b"{}",
           headers={"Content-Encoding": "gzip"}),
    Attack("too much", "/contacts/1", 413, "body_too_large", method="PATCH", body={"name": "x" * 70_000}),
    Attack("a query on a create", "/contacts?_expand=account", 400, "query_not_allowed", method="POST", body=NEW),
    Attack("a query on a change", "/contacts/1?_embed=deals", 400, "query_not_allowed", method="PATCH", body={"name": "x"}),
]
