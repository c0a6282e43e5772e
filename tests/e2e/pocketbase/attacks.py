"""Requests that must be refused, as data: what PocketBase alone would answer is a leak or a change in every case.

The gateway asks as a superuser, so whatever passes it unjudged shows everything. `same_as` names a request about something
that doesn't exist; both answers must be the same bytes. Rows by number, all of acme.shop: contact 1 is ana's, 7 is zoe's
and outside ana's region, deal 7 and account 7 are bo's. Contact, deal and account 3 are of globex.shop.
"""

from urllib.parse import quote

from hostile import Attack


def records(collection):
    return f"/api/collections/{collection}/records"


CONTACTS, NOBODY = records("contacts"), f"{records('contacts')}/con000000099999"


def contact(number):
    return f"{CONTACTS}/con{number:012}"


def filters(*texts, who="ana", collection="contacts"):
    """Each refused as a filter on a field that doesn't exist is."""
    target = records(collection)
    return [
        Attack(f"filter {text} by {who}", f"{target}?filter={quote(text, safe='')}", 400, "query_not_allowed", who,
               same_as=f"{target}?filter=nothing%3D1")
        for text in texts
    ]


def queries(*texts, who="ana", target=CONTACTS, code="query_not_allowed"):
    return [Attack(f"{text} by {who}", f"{target}?{text}", 400, code, who) for text in texts]


def absent(*targets, who="ana", method="GET", same_as="/nothing", body=None):
    return [
        Attack(f"{method} {target} by {who}", target, 404, "not_found", who, method, body=body, same_as=same_as)
        for target in targets
    ]


def batches(status, code, *parts, who="ana"):
    """Each in a batch after a write that is permitted, and before one; `{contact}` is what the first one changes."""
    fine = {"method": "PATCH", "url": contact(1), "body": {"name": "half-written"}}
    return [
        Attack(f"a batch with {part} by {who}, {order}", "/api/batch", status, code, who, "POST", body={"requests": requests})
        for part in parts
        for order, requests in [("last", [fine, part]), ("first", [part, fine])]
    ]


def part(method, url, body=None, **more):
    return {"method": method, "url": url} | ({} if body is None else {"body": body}) | more


def forbidden(method, target, body, who="ana"):
    return Attack(f"{method} {target} {body} by {who}", target, 403, "forbidden", who, method, body=body)


NEW = {"name": "New", "email": "n@new.example", "region": "EMEA", "stage": "lead", "accountId": "acc000000000001"}

READS = [
    # U1: what ends the gateway's part of the filter, or hides it.
    *filters("id!='') //", "id!='' //", "id!='' || (1=1", "id!='' && 1=1 //x", "(id!=''", "id!='')", "1=1", "'a'='a'", "true=true",
             "id!='' && ", "name='\\\\' || organization_id!=\\'", "id!=''; id=''", "id!='' or 1=1"),
    # U7: hidden fields, by whatever reads them.
    *filters("national_id!=''", "national_id~'SECRET-ID-00%'", "national_id>'SECRET-ID-010'", "'SECRET-ID-000'=national_id",
             "national_id?='SECRET-ID-000'", "national_id:lower~'secret'", "national_id:length>3", "name=national_id",
             "national_id=null", "id!='' && (name!='' || national_id~'0')", "password_hash!=''"),
    *filters("accountId.internal_note~'SECRET'", "account.name!=''", "accountId.nothing!=''", "accountId.accountId.name!=''",
             "activities_via_dealId.body!=''", "contacts_via_accountId.national_id!=''", "expand.accountId.name!=''"),
    *filters("@collection.contacts.national_id?~'SECRET'", "@collection.accounts.internal_note!=''",
             "@collection.staff.password_hash?!=''", "@request.auth.id!=''", "@request.headers.authorization~'a'",
             "@request.auth.email~'a'", "@now>''", "@random>0", "geoDistance(0,0,0,0)<1", "strftime('%Y',id)!=''", "@rowid>5"),
    *filters("region='AMER'", "owner_id='ana-acme-shop'", "name~'a'", who="auditor"),
    *filters("national_id='on file'", "phone!=''", "birthday>'1950'", "email~'@'", "id!='' || email>'m'", "accountId.name!=''", who="support"),
    *filters("hidden!=''", "hidden~'SECRET'", collection="notes"),
    *filters("margin!=''", "margin>'SECRET-MARGIN-010'", collection="deals"),
    *queries("sort=national_id", "sort=-national_id", "sort=name,national_id", "sort=@random", "sort=@rowid", "sort=email",
             "sort=accountId.internal_note", "sort=accountId.name", "sort=--name", "sort=name,name", "sort=,", "sort=birthday"),
    Attack("an order by a hidden field", f"{CONTACTS}?sort=national_id", 400, "query_not_allowed", same_as=f"{CONTACTS}?sort=nothing"),
    Attack("a choice of a hidden field", f"{CONTACTS}?fields=national_id", 400, "query_not_allowed", same_as=f"{CONTACTS}?fields=nothing"),
    Attack("a choice of a hidden relation", f"{CONTACTS}?expand=accountId", 400, "query_not_allowed", "auditor",
           same_as=f"{CONTACTS}?expand=nothing"),
    # U4, U6: other names, deeper paths.
    *queries("fields=*,national_id", "fields=national_id:excerpt(5)", "fields=name:excerpt(200,true)", "fields=expand.accountId.internal_note",
             "fields=collectionId", "fields=**", "expand=owner_id", "expand=account", "expand=accountId.contacts_via_accountId",
             "expand=contacts_via_accountId", "expand=accountId,accountId", "fields=expand.accountId", "fields=*,name", "expand=*", "expand=accountId.accountId"),
    *queries("expand=contacts_via_accountId", "expand=accountId", target=records("accounts")),
    *queries("expand=accountId", "expand=dealId.owner_id", "expand=dealId.accountId.owner_id", "expand=dealId.accountId,dealId.nothing",
             "expand=dealId.account", "expand=deal.accountId", "expand=dealId.accountId,dealId.accountId", "expand=dealId..accountId", "expand=dealId.",
             "expand=dealId.accountId.contacts_via_accountId", "expand=dealId.*", "expand=dealId%252EaccountId",
             "expand=dealId&fields=id,expand.dealId.margin", "expand=dealId.accountId&fields=expand.dealId.expand.accountId.internal_note",
             "expand=dealId.accountId&fields=expand.dealId.*,expand.dealId.margin", "expand=dealId&fields=expand.dealId.margin:excerpt(9)",
             "expand=dealId&fields=expand.dealId.expand.accountId.name", "expand=dealId&fields=expand.*.margin", target=records("activities")),
    Attack("a hidden relation of a related record", f"{records('activities')}?expand=dealId.accountId", 400, "query_not_allowed", "auditor",
           same_as=f"{records('activities')}?expand=dealId.nothing"),
    # U2: what the server ignores or takes twice.
    *queries("nonsense=1", "Filter=id!=''", "perpage=500", "limit=5", "offset=5", "skiptotal=1", "search=SECRET", "q=SECRET", "token=x",
             "page=0", "page=-1", "page=1e3", "page=01", "perPage=0", "perPage=1001", "perPage=-1", "perPage=1.5", "skipTotal=yes",
             "filter%5B%5D=id!=''", "filter[a]=1", "download=1", "thumb=1"),
    *queries("filter=region%3D'EMEA'&filter=region%3D'AMER'", "page=1&page=2", "page=1&PAGE=2", "sort=name;filter=id!=''", "filter", "%=1",
             code="ambiguous_query"),
    # One record takes no filter.
    *queries("filter=id!=''", "sort=name", "page=1", "perPage=1", "expand=contacts_via_accountId", "fields=national_id", target=contact(1)),
    # U10: side doors.
    *absent("/api/collections", "/api/collections/contacts", "/api/collections/_superusers/records", "/api/collections/users/records",
            "/api/collections/_authOrigins/records", "/api/collections/meta/scaffolds", "/api/settings", "/api/logs", "/api/logs/stats",
            "/api/backups", "/api/crons", "/api/health", "/api/realtime", "/api/batch", "/api/files/contacts/con000000000001/x.png",
            "/api/files/token", "/_", "/_/index.html", "/", "/api", "/api/oauth2-redirect", "/api/sql",
            "/api/collections/users/auth-methods"),
    *absent("/api/realtime", "/api/collections", "/api/collections/import", "/api/settings/test/s3", "/api/files/token",
            "/api/backups", "/api/collections/users/auth-with-password", "/api/collections/_superusers/auth-with-password",
            "/api/collections/users/auth-refresh", "/api/collections/users/request-password-reset",
            "/api/collections/_superusers/impersonate/x", "/api/collections/staff/records", method="POST", body={"requests": []}),
    # Collections answer to their ids and to other spellings, too.
    *absent("/api/collections/pbc_1930317162/records", "/api/collections/CONTACTS/records", "/API/collections/contacts/records",
            "/api/collections/contacts/Records", "/api/collections/contacts/records/con000000000001/x", "/api/collections/contacts"),
    *absent(records("staff"), records("accounts"), records("notes") + "x", who="auditor"),
    *absent(records("staff"), records("deals"), records("activities"), who="support"),
    *absent(CONTACTS, contact(1), records("staff"), who="eve"),
    # Rows of others are rows that never were.
    *absent(contact(3), contact(2), contact(7), contact(5), same_as=NOBODY),
    *absent(contact(3), contact(2), who="marta", same_as=NOBODY),
    *absent(contact(1), contact(2), contact(4), who="vic", same_as=NOBODY),
    *absent(f"{records('deals')}/dea000000000001", f"{records('deals')}/dea000000000003", who="auditor",
            same_as=f"{records('deals')}/dea000000099999"),
    *absent(f"{records('staff')}/ana-globex-shop", f"{records('staff')}/ana-acme-desk", same_as=f"{records('staff')}/nobody"),
    # Paths with two meanings.
    *[
        Attack(f"path {target}", target, 400, "ambiguous_path")
        for target in [
            f"{CONTACTS}/", "/api/collections//contacts/records", "/api/./collections/contacts/records", "/api/collections/contacts/../staff/records",
            "/api/collections/contacts/%2e%2e/staff/records", "/api/collections/contacts%2frecords", "/api/collections/contacts;x/records",
            f"{contact(1)}%00", f"{CONTACTS}/%252e%252e", f"{CONTACTS}%5c",
        ]
    ],
    # U8, and other answers than the redacted JSON.
    Attack("as a table", CONTACTS, 403, "forbidden", headers={"Accept": "text/csv"}),
    Attack("as events", CONTACTS, 406, "not_acceptable", headers={"Accept": "text/event-stream"}),
    Attack("QUERY", CONTACTS, 501, "method_unknown", method="QUERY"),
    Attack("another URL in a header", CONTACTS, 400, "ambiguous_path", headers={"X-Original-URL": "/api/settings"}),
    # Who asks, and for whom.
    Attack("a tenant of others", CONTACTS, 403, "tenant_forbidden", headers={"X-Scrim-Tenant": "globex/shop"}),
    Attack("no choice between two tenants", CONTACTS, 403, "tenant_forbidden", "max"),
    Attack("an issuer for a tenant that is not its own", CONTACTS, 403, "tenant_forbidden", "initech"),
    *[
        Attack(f"{who} credentials", CONTACTS, 401, "unauthenticated", who, same_as="/api/settings")
        for who in ["no", "expired", "forged", "unsigned", "misdirected", "symmetric", "unknown"]
    ],
]

WRITES = [
    # U3: another tenant's row, or a row for another tenant, and what an answer to a write would tell.
    forbidden("POST", CONTACTS, NEW | {"organization_id": "globex"}),
    forbidden("PATCH", contact(1), {"organization_id": "globex"}),
    forbidden("PATCH", contact(1), {"accountId": "acc000000000003"}),
    forbidden("PATCH", contact(1), {"accountId": "acc000000099999"}),
    forbidden("POST", CONTACTS, NEW | {"accountId": "acc000000000007"}),
    *absent(contact(3), contact(7), method="PATCH", body={"name": "x"}, same_as=NOBODY),
    *absent(contact(3), contact(2), method="DELETE", who="marta", same_as=NOBODY),
    # What an answer may be asked for is what a read may be asked for, before anything is written.
    *[
        Attack(f"{query} on a write of {target}", f"{target}?{query}", 400, "query_not_allowed", method=method, body=body,
               same_as=f"{target}?fields=unknown")
        for method, target, body in [("PATCH", contact(1), {"name": "x"}), ("POST", CONTACTS, NEW), ("PATCH", NOBODY, {"name": "x"})]
        for query in ["fields=national_id", "fields=*,national_id", "fields=nothing", "expand=owner_id", "expand=accountId.contacts_via_accountId",
                      "expand=contacts_via_accountId", "fields=expand.accountId.internal_note&expand=accountId", "sort=name", "page=1", "skipTotal=1"]
    ],
    *[
        Attack(f"{query} on a change that is not granted", f"{records('deals')}/dea000000000001?{query}", status, code, "auditor", "PATCH",
               body={"title": "x"})
        for query, status, code in [("fields=id", 403, "forbidden"), ("expand=accountId", 400, "query_not_allowed")]
    ],
    Attack("a choice on a deletion", f"{contact(1)}?fields=id", 400, "query_not_allowed", "marta", "DELETE"),
    Attack("a filter on a create", f"{CONTACTS}?filter=id!=''", 400, "query_not_allowed", method="POST", body=NEW),
    # Fields that are not the caller's to write; hidden and unknown ones alike; the server's own words in a body.
    *[
        forbidden("PATCH", contact(1), body)
        for body in [
            {"national_id": "x"}, {"nothing": 1}, {"id": "con000000099999"}, {"owner_id": "bo-acme-shop"}, {"name+": "x"}, {"+name": "x"},
            {"name-": "x"}, {"stage:autogenerate": ""}, {"expand": {"accountId": {"name": "x"}}}, {"account": {"name": "x"}},
            {"collectionId": "x"}, {"collectionName": "staff"}, {"@jsonPayload": "{}"}, {"__proto__": {"a": 1}}, {"created": "2020-01-01"},
            {"name": "half", "email": "x@y.example"}, {"password": "x", "passwordConfirm": "x"},
        ]
    ],
    forbidden("POST", CONTACTS, NEW | {"id": "con000000099999"}),
    forbidden("POST", CONTACTS, NEW | {"owner_id": "bo-acme-shop"}),
    forbidden("POST", CONTACTS, NEW | {"stage": "qualified"}),
    forbidden("PATCH", contact(1), {"stage": "won"}),
    forbidden("PATCH", contact(1), {"stage": None}),
    forbidden("PATCH", f"{records('deals')}/dea000000000001", {"amount": 1}),
    forbidden("PATCH", f"{records('deals')}/dea000000000007", {"title": "x"}),
    forbidden("PATCH", contact(1), {"owner_id": "zoe-acme-shop"}, who="marta"),
    forbidden("DELETE", contact(1), None),
    forbidden("PATCH", contact(1), {"name": "x"}, who="support"),
    # Routes and methods that the server has and nobody declared.
    *absent(contact(1), method="PUT", body={"name": "x"}),
    *absent(records("staff"), records("activities"), records("notes"), method="POST", body=NEW),
    *absent(CONTACTS, f"{records('accounts')}/acc000000000001", method="DELETE"),
    Attack("a method in a header", CONTACTS, 400, "method_not_supported", method="POST", body=NEW,
           headers={"X-HTTP-Method-Override": "DELETE"}),
    # Batches: one refused part, and nothing of it is done.
    *batches(404, "not_found", part("PATCH", contact(3), {"name": "x"}), part("PATCH", contact(7), {"name": "x"}),
             part("PATCH", f"{CONTACTS}/con000000099999", {"name": "x"}), part("DELETE", f"{records('accounts')}/acc000000000001"),
             part("POST", records("staff"), NEW), part("POST", "/api/collections", {"name": "x"}), part("PATCH", "/api/settings", {"batch": {}}),
             part("POST", "/api/batch", {"requests": [part("DELETE", contact(3))]}),
             part("DELETE", "/api/collections/_superusers/records/x"), part("POST", "/api/collections/users/auth-refresh", {})),
    *batches(403, "forbidden", part("DELETE", contact(1)), part("DELETE", contact(4)), part("POST", CONTACTS, NEW | {"organization_id": "globex"}),
             part("POST", CONTACTS, NEW | {"national_id": "x"}), part("POST", CONTACTS, NEW | {"accountId": "acc000000000003"}),
             part("PUT", CONTACTS, NEW | {"id": "con000000000003"}), part("PUT", CONTACTS, NEW | {"id": "con000000000007"}),
             part("PUT", CONTACTS, NEW | {"id": "con000000099999"})),
    *batches(400, "body_malformed", part("GET", contact(1)), part("DELETE", contact(3), headers={"Authorization": "x"}),
             part("PATCH", contact(1), {"name": "again"}), part("PATCH", contact(5), {"name": "x"}, extra=1)),
    *batches(400, "ambiguous_path", part("DELETE", f"{CONTACTS}/../../staff/records/ana-acme-shop"), part("DELETE", f"{CONTACTS}/%2e%2e/x"),
             part("DELETE", f"{CONTACTS}//con000000000003"), part("DELETE", f"{contact(1)}%2f")),
    *batches(400, "malformed_request", part("DELETE", f"http://127.0.0.1{contact(3)}"), part("DELETE", contact(3)[1:])),
    *batches(400, "query_not_allowed", part("PATCH", f"{contact(4)}?fields=national_id", {"name": "x"}),
             part("PATCH", f"{contact(4)}?expand=owner_id", {"name": "x"}), part("PATCH", f"{contact(4)}?filter=id!=''", {"name": "x"}),
             part("DELETE", f"{contact(4)}?fields=id")),
    Attack("a batch of many", "/api/batch", 413, "body_too_large", method="POST", body={"requests": [part("POST", CONTACTS, NEW)] * 21}),
    *absent("/api/batch", method="POST", who="eve", body={"requests": [part("POST", CONTACTS, NEW)]}),
    # Bodies with two meanings, or of another kind.
    Attack("many at once", CONTACTS, 400, "body_malformed", method="POST", body=[NEW, NEW]),
    Attack("a name twice", contact(1), 400, "body_malformed", method="PATCH", body=b'{"name":"a","name":"b"}'),
    Attack("a wrong type", contact(1), 400, "body_malformed", method="PATCH", body={"name": {"a": 1}}),
    Attack("a form", contact(1), 415, "media_type_unsupported", method="PATCH", body=b"name=x",
           headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Attack("parts", contact(1), 415, "media_type_unsupported", method="PATCH", body=b"--a\r\n\r\n--a--",
           headers={"Content-Type": "multipart/form-data; boundary=a"}),
]
