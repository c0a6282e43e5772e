"""Requests that must be refused, as data: what Directus alone would answer is a leak or a change in every case.

The gateway asks as an administrator, so whatever passes it unjudged shows everything. `same_as` names a request about
something that doesn't exist; both answers must be the same bytes. Rows by number, all of acme.shop: contact 1 is ana's, 7
is zoe's and outside ana's region, deal 7 and account 7 are bo's. Contact, deal and account 3 are of globex.shop.
"""

import json
from urllib.parse import quote

from hostile import Attack

CONTACTS, NOBODY = "/items/contacts", "/items/contacts/99999"


def filters(*trees, who="ana", table="contacts"):
    """Each refused as a filter on a field that doesn't exist is."""
    target = f"/items/{table}"
    texts = [tree if isinstance(tree, str) else json.dumps(tree) for tree in trees]
    nothing = quote('{"nothing":{"_eq":1}}', safe="")
    return [
        Attack(f"filter {text} by {who}", f"{target}?filter={quote(text, safe='')}", 400, "query_not_allowed", who,
               same_as=f"{target}?filter={nothing}")
        for text in texts
    ]


def queries(*texts, who="ana", target=CONTACTS, code="query_not_allowed"):
    # What no URL may hold is escaped, all else leaves as it is written.
    return [Attack(f"{text} by {who}", f"{target}?{quote(text, safe='=&[]%$;*.,:+-?()')}", 400, code, who) for text in texts]


def absent(*targets, who="ana", method="GET", same_as="/nothing", body=None):
    return [
        Attack(f"{method} {target} by {who}", target, 404, "not_found", who, method, body=body, same_as=same_as)
        for target in targets
    ]


def forbidden(method, target, body, who="ana"):
    return Attack(f"{method} {target} {body} by {who}", target, 403, "forbidden", who, method, body=body)


def arrays(method, status, code, *bodies):
    return [Attack(f"{method} {str(body)[:80]} on many", CONTACTS, status, code, method=method, body=body) for body in bodies]


NEW = {"name": "New", "email": "n@new.example", "region": "EMEA", "stage": "lead", "accountId": 1}

READS = [
    # U1, U7: hidden fields, by whatever reads them, and what would end the gateway's part of the filter.
    *filters(
        {"national_id": {"_nempty": True}}, {"national_id": {"_starts_with": "SECRET-ID-00"}}, {"national_id": {"_in": ["SECRET-ID-001"]}},
        {"national_id": {"_null": False}}, {"national_id": "SECRET-ID-001"}, {"_or": [{"id": {"_gt": 0}}, {"national_id": {"_contains": "0"}}]},
        {"_and": [{"_or": [{"national_id": {"_icontains": "s"}}]}]}, {"id": {"_gt": 0}, "national_id": {"_eq": "x"}},
        '{"id":{"_gt":0}},"x":{"_eq":1}', '{"id":{"_gt":0}}]}', '{"id":{"_gt":0},"id":{"_lt":9}}', "[]", '{"_and":', "null", "true",
    ),
    # U7: through relations, back and forth, and by functions.
    *filters(
        {"accountId": {"internal_note": {"_starts_with": "SECRET"}}},
        {"accountId": {"contacts": {"national_id": {"_contains": "0"}}}}, {"account": {"internal_note": {"_nempty": True}}},
        {"accountId": {"_some": {"name": {"_eq": "x"}}}},
        {"year(birthday)": {"_gt": 1950}}, {"month(birthday)": {"_eq": 1}}, {"count(national_id)": {"_gt": 0}},
        {"accountId:accounts": {"internal_note": {"_nempty": True}}}, {"item__accounts": {"internal_note": {"_nempty": True}}},
        {"contacts.national_id": {"_nempty": True}}, {"accountId.internal_note": {"_nempty": True}},
    ),
    *filters({"contacts": {"national_id": {"_contains": "0"}}}, {"contacts": {"_some": {"national_id": {"_nempty": True}}}},
             {"contacts": {"_none": {}}}, {"count(contacts)": {"_gt": 1}}, {"internal_note": {"_nempty": True}}, table="accounts"),
    *filters({"hidden": {"_nempty": True}}, {"hidden": {"_gte": "SECRET"}}, table="notes"),
    *filters({"margin": {"_nempty": True}}, {"margin": {"_contains": "SECRET-MARGIN-01"}}, table="deals"),
    *filters({"region": {"_eq": "AMER"}}, {"owner_id": {"_eq": "ana-acme-shop"}}, {"name": {"_contains": "a"}}, who="auditor"),
    *filters({"national_id": {"_eq": "on file"}}, {"phone": {"_nnull": True}}, {"birthday": {"_gt": "1950-01-01"}}, {"email": {"_contains": "@"}},
             {"accountId": {"name": {"_nempty": True}}}, who="support"),
    # What the server would read as somebody, as now, or as null.
    *filters({"name": {"_eq": "$CURRENT_USER"}}, {"name": {"_eq": "$CURRENT_USER.email"}}, {"name": {"_in": ["$CURRENT_ROLES"]}},
             {"name": {"_neq": "$CURRENT_POLICIES"}}, {"name": {"_eq": "$NOW"}}, {"name": {"_eq": "null"}}, {"name": {"_neq": "true"}},
             {"name": {"_in": [["$CURRENT_USER"]]}}, {"id": {"_eq": "$CURRENT_ROLE"}}),
    *queries("filter[national_id][_nempty]=true", "filter[accountId][internal_note][_nempty]=true", "filter[_or][0][national_id][_null]=false",
             "filter[id][_gt]=0&filter={}", "filter={}&filter[id][_gt]=0", "filter[id]=1&filter[id][_gt]=0", "filter[id][_gt=0", "filter][id]=0",
             "filter[][id]=1", "filter%5Bnational_id%5D%5B_eq%5D=x", "filter[_and][national_id][_eq]=x", "filter[name][_regex]=%5EC"),
    # Orders and pages.
    *queries("sort=national_id", "sort=-national_id", "sort=name,national_id", "sort[]=national_id", "sort[0]=name&sort[1]=national_id",
             "sort=accountId.internal_note", "sort=accountId.name", "sort=account", "sort=email", "sort=year(birthday)", "sort=--name",
             "sort=name,name", "sort=,", "sort=?", "sort=birthday", "sort=nothing", "limit=-1", "limit=0", "limit=201", "limit=1e2", "offset=-1",
             "page=0", "page=1&offset=1", "meta=total_count", "meta=x", "meta[]=total_count"),
    Attack("an order by a hidden field", f"{CONTACTS}?sort=national_id", 400, "query_not_allowed", same_as=f"{CONTACTS}?sort=nothing"),
    Attack("a choice of a hidden field", f"{CONTACTS}?fields=national_id", 400, "query_not_allowed", same_as=f"{CONTACTS}?fields=nothing"),
    Attack("a choice of a hidden field of another table", f"{CONTACTS}?fields=accountId.internal_note", 400, "query_not_allowed",
           same_as=f"{CONTACTS}?fields=accountId.nothing"),
    Attack("a choice of a hidden relation", f"{CONTACTS}?fields=accountId.name", 400, "query_not_allowed", "auditor",
           same_as=f"{CONTACTS}?fields=nothing.name"),
    # U4, U6: other names, deeper paths, functions and versions.
    *queries("fields=*,national_id", "fields=*.*.*.*.*.*", "fields=*.national_id", "fields=*.name", "fields=accountId.*.internal_note", "fields=*.*,national_id",
             "fields=accountId.contacts.nothing", "fields=accountId.contacts.accountId.internal_note", "fields=accountId.contacts",
             "fields=accountId.contacts.accountId.contacts.accountId.name", "fields=accountId.contacts.*,accountId.contacts.national_id",
             "fields=accountId.name,accountId.name", "fields=accountId.deals.margin", "fields=accountId.contacts.account.name",
             "fields=*.*,accountId.internal_note", "fields=accountId%252Ename", "deep[accountId][contacts][_limit]=1&fields=accountId.contacts.id",
             "deep[accountId][_alias][x]=internal_note&fields=accountId.x", "alias[owner_id]=national_id&fields=accountId.owner_id",
             "fields=accountId.contacts.national_id", "fields=account.name", "fields=account", "fields=national_id,name", "fields[]=national_id",
             "fields[0]=name&fields[1]=national_id", "fields=name&fields[]=national_id", "fields=accountId.owner_id.password_hash",
             "fields=count(accountId)", "fields=year(birthday)", "fields=accountId:accounts.internal_note", "fields=user_created.email",
             "alias[boss]=national_id", "alias[boss]=national_id&fields=boss", "alias={\"boss\":\"national_id\"}",
             "alias[name]=national_id&fields=name", "deep[accountId][_filter][internal_note][_nempty]=true", "deep={}",
             "aggregate[max]=email", "groupBy=email&aggregate[count]=*", "aggregate[countDistinct]=phone", "aggregate[sum]=name",
             "aggregate[count]=*&filter[national_id][_gte]=S", "groupBy=accountId.internal_note", "groupBy=year(birthday)", "groupBy=account",
             "groupBy=stage&aggregate[count]=*", "aggregate[max]=accountId.internal_note", "aggregate[count]=*&limit=1",
             "aggregate[count]=*&fields=id", "groupBy=id", "groupBy=region&sort=national_id", "groupBy=region&alias[region]=national_id",
             "aggregate[count]=*&meta=total_count", "groupBy=region&limit=-1", "groupBy=region,region", "aggregate[count]=*,id",
             "aggregate[min]=national_id", "aggregate={\"max\":\"national_id\"}", "groupBy=national_id",
             "groupBy[]=national_id&aggregate[count]=*", "search=SECRET", "search=globex", "export=csv", "export=json",
             "version=main", "versionRaw=true", "access_token=x", "backlink=false", "concurrentIndexCreation=1"),
    *queries("fields=contacts", "fields=contacts.national_id", "fields=contacts.accountId.internal_note", "fields=*,contacts.*.national_id",
             "deep[contacts][_sort]=national_id", "sort=contacts.national_id", "sort=count(contacts)", target="/items/accounts"),
    *queries("fields=dealId.margin", "fields=dealId.accountId.internal_note", "fields=dealId.activities.nothing", "fields=dealId.*.margin", target="/items/activities"),
    *queries("aggregate[sum]=amount", "aggregate[max]=amount", "groupBy=amount", "groupBy=owner_id", "groupBy=margin", "search=Deal",
             "aggregate[count]=*&filter[amount][_gt]=100", target="/items/deals", who="auditor"),
    *queries("search[]=Deal", "search[x]=Deal", "search=$CURRENT_USER", "aggregate[max]=margin", "groupBy=margin&aggregate[count]=*",
             "groupBy=accountId.name", target="/items/deals"),
    # U2: what the server ignores or merges.
    *queries("nonsense=1", "Filter={}", "_filter={}", "filters={}", "Limit=5", "q=SECRET", "skip=1", "top=1", "$filter=id eq 1"),
    *queries("limit=1&limit=2", "sort=name&sort=id", "fields=name&Fields=id", "sort=name;filter={}", "filter", "%=1", code="ambiguous_query"),
    # One record takes no filter.
    *queries("filter={}x", "filter[id][_gt]=0", "sort=name", "page=1", "limit=1", "meta=*", "fields=national_id", "fields=*.x", "version=x",
             target=f"{CONTACTS}/1"),
    # U10: side doors.
    *absent("/graphql", "/graphql/system", "/utils/export/contacts", "/utils/random/string", "/utils/hash/generate", "/revisions",
            "/revisions/1", "/activity", "/activity/1", "/users", "/users/me", "/roles", "/policies", "/permissions", "/permissions/me",
            "/access", "/fields", "/fields/contacts", "/fields/contacts/national_id", "/relations", "/relations/contacts", "/collections",
            "/collections/contacts", "/schema/snapshot", "/schema/diff", "/server/specs/oas", "/server/specs/graphql", "/server/info",
            "/server/health", "/server/ping", "/settings", "/shares", "/shares/info/1", "/assets/1", "/files", "/folders", "/flows",
            "/operations", "/flows/trigger/1", "/webhooks", "/presets", "/dashboards", "/panels", "/notifications", "/comments", "/versions",
            "/translations", "/extensions", "/auth", "/auth/login", "/auth/refresh", "/admin", "/", "/items", "/websocket"),
    *absent("/items/directus_users", "/items/directus_revisions", "/items/directus_activity", "/items/samples", "/items/CONTACTS",
            "/Items/contacts", "/items/contacts/1/name", "/items/contacts/1/accountId", "/items/contacts/singleton"),
    *absent("/items/users", "/items/accounts", "/items/notesx", who="auditor"),
    *absent("/items/users", "/items/deals", "/items/activities", who="support"),
    *absent(CONTACTS, f"{CONTACTS}/1", "/items/users", who="eve"),
    # Rows of others are rows that never were; keys have one spelling.
    *absent(f"{CONTACTS}/3", f"{CONTACTS}/2", f"{CONTACTS}/7", f"{CONTACTS}/5", same_as=NOBODY),
    *absent(f"{CONTACTS}/3", f"{CONTACTS}/2", who="marta", same_as=NOBODY),
    *absent(f"{CONTACTS}/1", f"{CONTACTS}/2", f"{CONTACTS}/4", who="vic", same_as=NOBODY),
    *absent(f"{CONTACTS}/0x1", f"{CONTACTS}/1.0", f"{CONTACTS}/1e0", f"{CONTACTS}/01", f"{CONTACTS}/+1", same_as=NOBODY),
    *absent("/items/users/ana-globex-shop", "/items/users/ana-acme-desk", same_as="/items/users/nobody"),
    # Paths with two meanings.
    *[
        Attack(f"path {target}", target, 400, "ambiguous_path")
        for target in [f"{CONTACTS}/", "/items//contacts", "/items/./contacts", "/items/contacts/../users", "/items/contacts/%2e%2e/users",
                       "/items/contacts%2f1", "/items/contacts;x", f"{CONTACTS}/1%00", f"{CONTACTS}/%252e%252e", f"{CONTACTS}%5c1"]
    ],
    # U8, and other answers than the redacted JSON.
    Attack("as a table", CONTACTS, 403, "forbidden", headers={"Accept": "text/csv"}),
    Attack("as events", CONTACTS, 406, "not_acceptable", headers={"Accept": "text/event-stream"}),
    Attack("SEARCH", CONTACTS, 501, "method_unknown", method="SEARCH", body={"query": {"filter": {}}}),
    Attack("QUERY", CONTACTS, 501, "method_unknown", method="QUERY"),
    # Who asks, and for whom.
    Attack("a tenant of others", CONTACTS, 403, "tenant_forbidden", headers={"X-Scrim-Tenant": "globex/shop"}),
    Attack("no choice between two tenants", CONTACTS, 403, "tenant_forbidden", "max"),
    Attack("an issuer for a tenant that is not its own", CONTACTS, 403, "tenant_forbidden", "initech"),
    *[
        Attack(f"{who} credentials", CONTACTS, 401, "unauthenticated", who, same_as="/users/me")
        for who in ["no", "expired", "forged", "unsigned", "misdirected", "symmetric", "unknown"]
    ],
]

WRITES = [
    # U3: another tenant's row, or a row for another tenant, and what an answer to a write would tell.
    forbidden("POST", CONTACTS, NEW | {"organization_id": "globex"}),
    forbidden("PATCH", f"{CONTACTS}/1", {"organization_id": "globex"}),
    forbidden("PATCH", f"{CONTACTS}/1", {"accountId": 3}),
    forbidden("PATCH", f"{CONTACTS}/1", {"accountId": 99999}),
    forbidden("POST", CONTACTS, NEW | {"accountId": 7}),
    *absent(f"{CONTACTS}/3", f"{CONTACTS}/7", method="PATCH", body={"name": "x"}, same_as=NOBODY),
    *absent(f"{CONTACTS}/3", f"{CONTACTS}/2", method="DELETE", who="marta", same_as=NOBODY),
    # What an answer may be asked for is what a read may be asked for, before anything is written.
    *[
        Attack(f"{query} on a write of {target}", f"{target}?{query}", 400, "query_not_allowed", method=method, body=body,
               same_as=f"{target}?fields=unknown")
        for method, target, body in [("PATCH", f"{CONTACTS}/1", {"name": "x"}), ("POST", CONTACTS, NEW), ("PATCH", f"{CONTACTS}/99999", {"name": "x"})]
        for query in ["fields=national_id", "fields=*,national_id", "fields=nothing", "fields=accountId.internal_note", "fields=accountId.contacts.national_id",
                      "fields[]=national_id", "sort=name", "meta=*", "alias[x]=national_id&fields=x", "deep[accountId][_limit]=1&fields=accountId.*"]
    ],
    Attack("a choice on a deletion", f"{CONTACTS}/1?fields=id", 400, "query_not_allowed", "marta", "DELETE"),
    Attack("a filter on a create", f"{CONTACTS}?filter={{}}", 400, "query_not_allowed", method="POST", body=NEW),
    # Fields that are not the caller's to write; hidden and unknown ones alike.
    *[
        forbidden("PATCH", f"{CONTACTS}/1", body)
        for body in [{"national_id": "x"}, {"nothing": 1}, {"id": 99998}, {"owner_id": "bo-acme-shop"}, {"account": {"name": "x"}},
                     {"name": "half", "email": "x@y.example"}, {"contacts": []}, {"__proto__": {"a": 1}}, {"user_created": "x"},
                     {"stage": "won"}, {"stage": None}]
    ],
    forbidden("POST", CONTACTS, NEW | {"id": 99998}),
    forbidden("POST", CONTACTS, NEW | {"owner_id": "bo-acme-shop"}),
    forbidden("POST", CONTACTS, NEW | {"stage": "qualified"}),
    forbidden("PATCH", "/items/accounts/1", {"contacts": {"create": [{"name": "x"}], "update": [], "delete": [3]}}),
    forbidden("PATCH", "/items/deals/1", {"amount": 1}),
    forbidden("PATCH", "/items/deals/7", {"title": "x"}),
    forbidden("PATCH", f"{CONTACTS}/1", {"owner_id": "zoe-acme-shop"}, who="marta"),
    forbidden("DELETE", f"{CONTACTS}/1", None),
    forbidden("PATCH", f"{CONTACTS}/1", {"name": "x"}, who="support"),
    # Related records written through their column: Directus would change them.
    Attack("a record in the place of its key", f"{CONTACTS}/1", 400, "body_malformed", method="PATCH", body={"accountId": {"id": 3, "name": "x"}}),
    Attack("a new record in the place of its key", CONTACTS, 400, "body_malformed", method="POST", body=NEW | {"accountId": {"name": "x"}}),
    Attack("a list in the place of a key", f"{CONTACTS}/1", 400, "body_malformed", method="PATCH", body={"accountId": [3]}),
    # Routes and methods that the server has and nobody declared.
    *absent(f"{CONTACTS}/1", method="PUT", body={"name": "x"}),
    *absent("/items/users", "/items/activities", "/items/notes", method="POST", body=NEW),
    *absent(CONTACTS, "/items/accounts/1", method="DELETE"),
    # Many at once: by their keys, by a query, or in an array that one of them spoils.
    *arrays("PATCH", 400, "body_malformed", {"keys": [3], "data": {"name": "x"}}, {"query": {"filter": {}}, "data": {"name": "x"}},
            {"keys": [1], "data": {"name": "x"}}, {"query": {"filter": {"id": {"_eq": 1}}}, "data": {"name": "x"}}, {"id": 1, "name": "x"},
            [], [[{"id": 1, "name": "x"}]], ["x"], [{"name": "x"}], [{"id": 1, "name": "x"}, {"id": 1, "name": "y"}],
            [{"id": [1, 3], "name": "x"}], [{"id": {"_neq": 0}, "name": "x"}], [{"id": "1", "name": "x"}],
            [{"id": 1, "name": "x"}, {"keys": [3], "data": {"name": "x"}}], b'[{"id":1,"id":3,"name":"x"}]', b'[{"id":1,"name":"x"}'),
    *arrays("PATCH", 404, "not_found", [{"id": 1, "name": "x"}, {"id": 3, "name": "x"}], [{"id": 99999, "name": "x"}], [{"id": 7, "name": "x"}]),
    *arrays("PATCH", 403, "forbidden", [{"id": 1, "name": "x"}, {"id": 49, "national_id": "x"}], [{"id": 1, "organization_id": "globex"}],
            [{"id": 1, "owner_id": "bo-acme-shop"}], [{"id": 1, "accountId": 3}]),
    *arrays("PATCH", 413, "body_too_large", [{"id": key, "name": "x"} for key in range(1, 22)]),
    *arrays("POST", 400, "body_malformed", [], [[NEW]], [NEW, "x"], [NEW, None], b'[{"name":"a","name":"b","stage":"lead"}]'),
    *arrays("POST", 403, "forbidden", [NEW, NEW | {"stage": "won"}], [NEW, NEW | {"organization_id": "globex"}], [NEW, NEW | {"id": 3}],
            {"data": [NEW]}, [NEW | {"owner_id": "bo-acme-shop"}, NEW], [NEW, NEW | {"accountId": 7}], [NEW, {"keys": [3]}]),
    *arrays("POST", 413, "body_too_large", [NEW] * 21),
    Attack("a query on an array", f"{CONTACTS}?filter={{}}", 400, "query_not_allowed", method="PATCH", body=[{"id": 1, "name": "x"}]),
    *absent("/items/accounts", "/items/deals", method="PATCH", body=[{"id": 1, "name": "x"}]),
    Attack("many to delete", CONTACTS, 400, "body_not_expected", method="DELETE", body=[1, 3]),
    *absent("/graphql", "/graphql/system", method="POST", body={"query": "{ contacts { national_id } }"}),
    *absent("/utils/export/contacts", method="POST", body={"query": {}, "format": "csv", "file": {}}),
    *absent("/utils/import/contacts", "/utils/cache/clear", "/utils/revert/1", "/utils/sort/contacts", "/users", "/users/invite", "/auth/login",
            "/auth/refresh", "/shares", "/shares/auth", "/collections", "/fields/contacts", "/relations", "/flows/trigger/1", "/files",
            "/files/import", "/schema/apply", "/comments", method="POST", body={}),
    Attack("a method in a header", CONTACTS, 400, "method_not_supported", method="POST", body=NEW,
           headers={"X-HTTP-Method-Override": "SEARCH"}),
    # Bodies with two meanings, or of another kind.
    Attack("a name twice", f"{CONTACTS}/1", 400, "body_malformed", method="PATCH", body=b'{"name":"a","name":"b"}'),
    Attack("a wrong type", f"{CONTACTS}/1", 400, "body_malformed", method="PATCH", body={"name": {"a": 1}}),
    Attack("a form", f"{CONTACTS}/1", 415, "media_type_unsupported", method="PATCH", body=b"name=x",
           headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Attack("parts", f"{CONTACTS}/1", 415, "media_type_unsupported", method="PATCH", body=b"--a\r\n\r\n--a--",
           headers={"Content-Type": "multipart/form-data; boundary=a"}),
]
