"""Requests that must be refused, as data: what CAP alone would answer is a leak or a change in every case.

`same_as` names a request about something that doesn't exist; both answers must be the same bytes. Rows by id, all of
acme.shop: contact 1 is ana's, 7 is zoe's and outside ana's region, deal 7 is bo's, account 7 is bo's. Contact, deal and
account 3 are of globex.shop.
"""

from urllib.parse import quote

from hostile import Attack

ROOT = "/odata/v4/crm"


def at(target):
    return target if target.startswith("!") else f"{ROOT}{target}"


def queries(*targets, code="query_not_allowed", who="ana", same_as=None):
    return [Attack(f"{target} by {who}", at(target), 400, code, who, same_as=same_as) for target in targets]


def filters(*texts, who="ana", table="contacts"):
    """Each of them is answered as a filter on a field that is none."""
    nothing = f"{ROOT}/{table}?$filter=nothing%20eq%201"
    return [
        Attack(f"{text} by {who}", f"{ROOT}/{table}?$filter={quote(text, safe='')}", 400, "query_not_allowed", who, same_as=nothing)
        for text in texts
    ]


def absent(*targets, who="ana", method="GET", same_as="/nothing", body=None):
    return [
        Attack(f"{method} {target} by {who}", at(target), 404, "not_found", who, method, body=body, same_as=at(same_as))
        for target in targets
    ]


def forbidden(method, target, body, who="ana"):
    return Attack(f"{method} {target} {body} by {who}", at(target), 403, "forbidden", who, method, body=body)


NEW = {"name": "New", "email": "n@new.example", "region": "EMEA", "stage": "lead", "accountId": 1}

# Hidden, masked, on some rows only, through relations, and by names with a meaning of their own.
FIGURES = [
    *[("ana", "deals", text) for text in [
        "aggregate(margin with max as m)", "aggregate(margin with countdistinct as m)", "groupby((margin))",
        "groupby((margin),aggregate($count as n))", "groupby((stage,margin))", "groupby((account/internal_note),aggregate($count as n))",
        "groupby((account/name))", "groupby((account))", "aggregate(account/internal_note with max as m)", "aggregate(title with sum as s)",
        "aggregate(owner_id with max as m)", "filter(margin eq 'x')/aggregate($count as n)",
        "filter(margin ge 'S' or id gt 0)/aggregate($count as n)", "filter(account/internal_note ne null)/aggregate($count as n)",
        "filter(true)/aggregate($count as n)", "aggregate($count as n)/filter(n gt 1)", "concat(aggregate($count as n),groupby((margin)))",
        "compute(margin as x)/aggregate(x with max as m)", "topcount(1,amount)", "search(SECRET)/aggregate($count as n)", "identity",
        "orderby(margin)/groupby((stage))", "top(1)/aggregate(margin with max as m)", "aggregate($count as n,amount with sum as n)",
        "groupby((stage),aggregate($count as stage))", "aggregate(amount)", "aggregate(amount with sum as x,margin)", "groupby((id))", "groupby((stage,id),aggregate($count as n))",
        "groupby((rollup(stage,owner_id)),aggregate($count as n))", "groupby((stage),topcount(1,amount))",
        "filter(stage eq ')/aggregate($count as n)", "filter(stage eq 'won') or (true)/aggregate($count as n)",
    ]],
    *[("ana", "contacts", text) for text in ["aggregate($count as n)", "groupby((region))", "aggregate(email with countdistinct as n)"]],
    *[("auditor", "deals", text) for text in [
        "aggregate(amount with sum as s)", "aggregate(amount with max as s)", "groupby((amount),aggregate($count as n))",
        "filter(amount gt 100)/aggregate($count as n)", "groupby((owner_id))"]],
    *[("support", "contacts", text) for text in [
        "groupby((national_id),aggregate($count as n))", "aggregate(birthday with min as m)", "groupby((email))",
        "aggregate(phone with countdistinct as n)", "filter(email ge 'm')/aggregate($count as n)"]],
]

READS = [
    # U1: out of the tenant by the filter's own syntax.
    *filters("true", "1 eq 1", "id eq 1 or 1 eq 1", "name eq 'x') or (organization_id eq 'globex'", "name eq '' or ''=''",
             "name eq 'x' or true", "(name eq 'x'", "name eq 'x')", "name eq 'x' //", "name eq 'x'--", "name eq 'x' or"),
    # U7: what is hidden, masked, or of other tables, by comparing with it.
    *filters("national_id eq 'SECRET-ID-000'", "startswith(national_id,'S')", "national_id ne null", "national_id lt 'T'",
             "not (national_id eq 'x')", "id eq 1 and national_id gt 'S'", "email gt name", "national_id in ('x')"),
    *filters("email eq 'x'", "contains(email,'acme')", "phone eq null", "birthday lt 1960-01-01", "not (email ge 'm')",
             "id gt 0 or email ge 'm'", "owner_id eq 'zoe-acme-shop'", "account/name eq 'x'", who="support"),
    *filters("length(name) gt 3", "tolower(name) eq 'x'", "substring(national_id,0,1) eq 'S'", "indexof(national_id,'S') eq 0",
             "concat(name,national_id) eq 'x'", "year(birthday) eq 1960", "account/internal_note ne null", "account/nothing eq 'x'",
             "account/contacts/name eq 'x'", "nothing/name eq 'x'", "accountId/name eq 'x'", "account//name eq 'x'", "account/ eq 'x'",
             "account/contacts/any(c:c/national_id ne null)", "account/contacts/any()", "account/contacts/$count gt 1",
             "$it/national_id ne null", "account/contacts/all(c:startswith(c/national_id,'S'))"),
    *filters("internal_note ne null", "contacts/any(c:c/national_id eq 'x')", "contacts/$count gt 3", table="accounts"),
    *filters("margin ne null", "stage eq 'lead' and margin gt 'S'", table="deals"),
    *filters("amount gt 100", "owner_id eq 'x'", "title eq 'x'", who="auditor", table="deals"),
    *queries("/contacts?$orderby=national_id", "/contacts?$orderby=email", "/contacts?$orderby=account/internal_note",
             "/contacts?$orderby=length(national_id)", "/contacts?$orderby=account/name%20desc", "/contacts?$orderby=name,national_id",
             "/contacts?$orderby=phone", same_as=f"{ROOT}/contacts?$orderby=nothing"),
    *queries("/contacts?$search=SECRET", "/contacts?$search=%22SECRET%22", "/contacts?search=SECRET", "/contacts?$search=Contact",
             "/activities?$search=SECRET", "/deals?$search=SECRET%20OR%20Deal", "/deals?$search=NOT%20Deal", "/deals?$search=%22Deal",
             "/deals?$search=Deal%20AND%20won", "/deals?$search=(Deal)", "/deals(1)?$search=Deal", "/contacts/$count?$search=Contact"),
    *queries("/contacts?$search=x", "/contacts?$search=acme", "/accounts?$search=x", who="support"),
    *queries("/deals?$search=Deal", "/deals?$search=x", "/deals?$search=SECRET", who="auditor"),
    # How many of what may not be seen.
    *queries("/contacts/$count", "/contacts/$count?$filter=national_id%20ge%20'S'", "/contacts/$count?$filter=id%20eq%203",
             "/deals/$count?$filter=margin%20ne%20null", "/deals/$count?$filter=account/internal_note%20ne%20null", "/deals/$count?$top=1",
             "/deals/$count?$orderby=margin", "/deals/$count?$count=true", "/deals/$count?$apply=aggregate($count%20as%20n)",
             "/deals/$count?$skiptoken=1", same_as=f"{ROOT}/contacts/$count?$filter=nothing%20eq%201"),
    # What they come to.
    *[Attack(f"{text} by {who}", f"{ROOT}/{table}?$apply={quote(text, safe='')}", 400, "query_not_allowed", who,
             same_as=f"{ROOT}/{table}?$apply={quote('aggregate(nothing with sum as n)', safe='')}") for who, table, text in FIGURES],
    *queries(*[f"/deals?$apply=aggregate($count%20as%20n)&{more}" for more in
               ["$filter=stage%20eq%20'won'", "$select=n", "$orderby=margin", "$orderby=n", "$top=1", "$skip=1", "$search=Deal",
                "$expand=account", "$compute=margin%20as%20x"]]),
    # U4: other names for what is hidden.
    *queries("/contacts?$select=national_id", "/contacts?$select=account/internal_note", "/contacts?$select=id,national_id",
             "/contacts?$select=id,nothing", same_as=f"{ROOT}/contacts?$select=nothing"),
    *queries("/contacts?$compute=national_id%20as%20x", "/contacts?$compute=national_id%20as%20x&$select=x",
             "/contacts?$apply=aggregate(id%20with%20sum%20as%20x)", "/contacts?$apply=groupby((national_id))",
             "/contacts?$apply=groupby((region),aggregate($count%20as%20n))", "/contacts?$apply=filter(national_id%20ne%20null)",
             "/deals?$apply=aggregate(margin%20with%20max%20as%20m)"),
    # U6: through relations, and back.
    *queries("/contacts?$expand=*", "/contacts?$expand=account($select=internal_note)", "/contacts?$expand=account($expand=nothing)",
             "/contacts?$expand=account($select=name%3B$expand=contacts($select=national_id))", "/contacts?$expand=account($expand=*)",
             "/contacts?$expand=account($expand=contacts($expand=account($select=id,internal_note)))",
             "/contacts?$expand=account($expand=contacts($filter=national_id%20ne%20null))", "/contacts?$expand=account($orderby=internal_note)",
             "/contacts?$expand=account($select=name%3B$select=internal_note)", "/contacts?$expand=account,account($select=internal_note)",
             "/contacts?$expand=account($expand=contacts($expand=account($expand=contacts($expand=account))))",
             "/contacts?$expand=account($expand=contacts/$count)", "/contacts?$expand=account($expand=contacts($top=1))",
             "/contacts?$expand=account($select=name)%3B$expand=contacts", "/contacts?$expand=account(%2524select=internal_note)",
             "/contacts?$expand=account($select=name))", "/contacts?$expand=account($expand=contacts", "/contacts?$expand=account()",
             "/contacts?$expand=account/contacts", "/contacts?$expand=account($filter=internal_note%20ne%20null)",
             "/contacts?$expand=account/$ref", "/contacts?$expand=account($levels=max)",
             "/activities?$expand=deal", same_as=f"{ROOT}/contacts?$expand=nothing"),
    *queries("/contacts?$expand=account", who="auditor", same_as=f"{ROOT}/contacts?$expand=nothing"),
    *queries("/accounts?$expand=contacts", "/accounts?$expand=contacts($select=name)", who="support", same_as=f"{ROOT}/contacts?$expand=nothing"),
    # U2: names that CAP ignores or takes for others, numbers that it takes as it likes.
    *queries("/contacts?top=5", "/contacts?filter=id%20eq%201", "/contacts?$TOP=5", "/contacts?$Filter=id%20eq%201", "/contacts?nonsense=1",
             "/contacts?$top=101", "/contacts?$top=-1", "/contacts?$top=1e3", "/contacts?$skip=-1", "/contacts?$skip=x",
             "/contacts?$count=yes", "/contacts?$format=xml",
             "/contacts?$filter=id%20eq%20@p&@p=1", "/contacts?sap-language=en", "/contacts?$deltatoken=1", "/contacts?$id=3"),
    *queries("/contacts?$top=1&$top=100", "/contacts?$filter=id%20eq%201&$filter=id%20gt%200", "/contacts?%24top=1&$top=2",
             "/contacts?$filter=id%20eq%201&%24Filter=id%20gt%200", "/contacts?$top", "/contacts?$format=application/json;odata.metadata=full",
             "/contacts?$expand=account;$select=national_id", "/contacts?$expand=account($select=name);$expand=contacts",
             "/contacts?$expand=account($select=name;$filter=national_id%20ne%20null", "/contacts?$filter=(id%20eq%201;national_id%20ne%20null)",
             code="ambiguous_query"),
    # U8: cursors of the upstream are none of the gateway's.
    *queries("/contacts?$skiptoken=1", "/contacts?$skiptoken=national_id:SECRET-ID-000", "/contacts?$skiptoken=9999",
             code="cursor_expired", same_as=f"{ROOT}/contacts?$skiptoken=x"),
    # One record takes no list's options.
    *queries("/contacts(1)?$filter=id%20eq%201", "/contacts(1)?$top=1", "/contacts(1)?$select=national_id", "/contacts(1)?$expand=*"),
    # U5: properties, values, relations and casts as paths.
    *absent("/contacts(1)/national_id", "/contacts(1)/national_id/$value", "/contacts(1)/nation%61l_id", "/contacts(1)/name/$value/x",
            "/contacts(1)/name/name", "/contacts(1)/NAME", "/contacts(1)/name,national_id", "/contacts(1)/*", "/contacts(1)/account/$value",
            "/contacts(1)/account/internal_note", "/contacts(1)/account/contacts", "/contacts(1)/account/name", "/contacts(1)/$value",
            "/contacts(1)/$ref", "/contacts(1)/account/$ref", "/accounts(1)/contacts", "/accounts(1)/contacts/$count", "/contacts(1)/$count",
            "/contacts/1", "/contacts/1/national_id", "/contacts(1)/CrmService.contacts", "/contacts/CrmService.contacts",
            "/contacts/$each", "/contacts/$query", "/contacts/$filter(@f)"),
    # The same of records of others and of nobody, through relations to others, and of what shows on other rows.
    *absent("/contacts(3)/name", "/contacts(3)/name/$value", "/contacts(3)/account", "/contacts(7)/name", "/contacts(7)/phone/$value",
            "/contacts(1,id=3)/name", "/contacts('1')/name", "/activities(1)/body", "/activities(3)/deal", "/deals(1)/margin",
            same_as="/contacts(99999)/name"),
    *absent("/contacts(1)/stage/x", "/contacts(1)/account", "/accounts(1)/internal_note", "/accounts(1)/owner_id", "/users('ana-acme-shop')/name",
            who="support"),
    *absent("/contacts(1)/name", "/contacts(1)/email/$value", "/accounts(1)/name", "/deals(1)/amount", who="auditor"),
    *absent("/contacts(1)/name", "/accounts(1)/name", who="eve"),
    *queries(*[f"/contacts(1)/{part}?{query}" for part in ["name", "name/$value", "account"]
               for query in ["$select=national_id", "$select=name", "$expand=account", "$filter=true", "$compute=national_id%20as%20name", "$format=json"]],
             same_as=f"{ROOT}/contacts(1)?$select=nothing"),
    *[Attack(f"{accept} of {target}", f"{ROOT}{target}", 406, "not_acceptable", headers={"Accept": accept}) for target, accept in
      [("/contacts(1)/name", "text/csv"), ("/contacts(1)/national_id", "text/csv"), ("/contacts(1)/name/$value", "application/json")]],
    # U10: side doors.
    *absent("/$metadata", "/$batch", "/$entity", "/$all", "/$crossjoin(contacts,accounts)", "/CONTACTS", "/Contacts(1)",
            "/contacts.csv"),
    *[Attack(f"GET !{target}", target, 404, "not_found", same_as=f"{ROOT}/nothing") for target in
      ["/", "/odata", "/odata/v4", ROOT, "/rest/crm/contacts", "/$api-docs", "/odata/v4/crm2/contacts", "/favicon.ico"]],
    *absent("/contacts/$query", method="POST", body={"requests": [{"id": "1", "method": "GET", "url": "contacts(3)"}]}),
    *[Attack(f"a batch that reads {url}", f"{ROOT}/$batch", 404, "not_found", method="POST",
             body={"requests": [{"id": "1", "method": "GET", "url": url}]})
      for url in ["contacts(3)", "contacts(7)", "contacts(99999)", "$batch", "$metadata", "contacts(1)/national_id", "accounts(1)/contacts"]],
    *absent("/$batch", method="POST", who="eve", body={"requests": [{"id": "1", "method": "GET", "url": "contacts(1)"}]}),
    *absent("/users", "/users('ana-acme-shop')", "/accounts", "/accounts(1)", who="auditor"),
    *absent("/users", "/deals", "/activities", who="support"),
    *absent("/contacts", "/contacts(1)", "/users", who="eve"),
    # Keys with two meanings, and rows of others, which never were.
    *absent("/contacts('1')", "/contacts(01)", "/contacts(1.0)", "/contacts(1,id=3)", "/contacts(id=1,organization_id='globex')",
            "/contacts()", "/contacts(null)", "/contacts(ID=1)", "/contacts(id='1')", "/contacts(1)(3)", "/contacts(@k)", "/contacts(1)x",
            "/users(ana-acme-shop)", "/users('')", "/users('ana-acme-shop'')", "/contacts(-1)", "/contacts(1e0)"),
    *absent("/contacts(3)", "/contacts(2)", "/contacts(7)", "/contacts(id=5)", same_as="/contacts(99999)"),
    *absent("/contacts(3)", "/contacts(2)", who="marta", same_as="/contacts(99999)"),
    *absent("/contacts(1)", "/contacts(2)", "/contacts(4)", who="vic", same_as="/contacts(99999)"),
    *absent("/activities(1)", "/activities(3)", same_as="/activities(99999)"),
    *absent("/deals(1)", "/deals(3)", who="auditor", same_as="/deals(99999)"),
    *absent("/users('ana-globex-shop')", "/users('ana-acme-desk')", same_as="/users('nobody')"),
    *[
        Attack(f"path {target}", at(target), 400, "ambiguous_path")
        for target in ["/contacts/", "//contacts", "/x/../contacts", "/x/%2e%2e/contacts", "/contacts(1)%2fnational_id",
                       "/contacts(1);x=1", "/contacts%28%31%29%2fname", "/contacts(%20%31)", "/contacts(1)%00", "/contacts(1).",
                       "/contacts(1)/../contacts(3)/name", "/contacts(1)/name%2f$value", "/contacts(1)/name/", "/contacts(1)//name"]
    ],
    # Other answers than the redacted JSON.
    Attack("as a table", f"{ROOT}/contacts", 403, "forbidden", headers={"Accept": "text/csv"}),
    Attack("as XML", f"{ROOT}/contacts", 406, "not_acceptable", headers={"Accept": "application/atom+xml, application/json;q=0"}),
    Attack("SEARCH", f"{ROOT}/contacts", 501, "method_unknown", method="SEARCH"),
    Attack("a tenant of others", f"{ROOT}/contacts", 403, "tenant_forbidden", headers={"X-Scrim-Tenant": "globex/shop"}),
    *[Attack(f"{who} credentials", f"{ROOT}/contacts", 401, "unauthenticated", who, same_as=f"{ROOT}/nothing")
      for who in ["no", "expired", "forged", "unsigned"]],
]

WRITES = [
    # Another tenant's row, or a row for another tenant.
    forbidden("POST", "/contacts", NEW | {"organization_id": "globex"}),
    forbidden("PATCH", "/contacts(1)", {"organization_id": "globex"}),
    forbidden("PATCH", "/contacts(1)", {"name": "x", "app_id": "desk"}),
    forbidden("PATCH", "/contacts(1)", {"accountId": 3}),
    forbidden("PATCH", "/contacts(1)", {"accountId": 99999}),
    *absent("/contacts(3)", "/contacts(7)", method="PATCH", body={"name": "x"}, same_as="/contacts(99999)"),
    *absent("/contacts(3)", "/contacts(2)", method="DELETE", who="marta", same_as="/contacts(99999)"),
    *absent("/deals(3)", method="PATCH", body={"title": "x"}, same_as="/deals(99999)"),
    # Fields that are not the caller's to write, and words of OData's own.
    forbidden("PATCH", "/contacts(1)", {"national_id": "x"}),
    forbidden("PATCH", "/contacts(1)", {"nothing": "x"}),
    forbidden("PATCH", "/contacts(1)", {"@odata.id": "contacts(3)"}),
    forbidden("PATCH", "/contacts(1)", {"account@odata.bind": "accounts(3)"}),
    forbidden("PATCH", "/contacts(1)", {"account": {"id": 3}}),
    forbidden("PATCH", "/contacts(1)", {"owner_id": "bo-acme-shop"}),
    forbidden("PATCH", "/contacts(1)", {"id": 99999}),
    forbidden("POST", "/contacts", NEW | {"id": 3}),
    forbidden("POST", "/contacts", NEW | {"account": {"name": "x"}}),
    forbidden("POST", "/contacts", NEW | {"owner_id": "bo-acme-shop"}),
    # What the rules say of the record before and after.
    forbidden("PATCH", "/contacts(1)", {"stage": "won"}),
    forbidden("POST", "/contacts", NEW | {"stage": "qualified"}),
    forbidden("PATCH", "/deals(1)", {"amount": 1}),
    forbidden("PATCH", "/deals(7)", {"title": "x"}),
    forbidden("DELETE", "/contacts(1)", None),
    forbidden("DELETE", "/contacts(67)", None, who="marta"),
    forbidden("PATCH", "/contacts(1)", {"name": "x"}, who="support"),
    # Routes that CAP has and nobody declared.
    *absent("/contacts(1)", method="PUT", body={"name": "x"}),
    *absent("/contacts(1)/name", "/contacts(1)/account", method="PUT", body={"value": "x"}),
    *absent("/contacts(1)/name", "/contacts(1)/account/$ref", "/accounts(1)", method="DELETE"),
    *absent("/accounts", "/users", "/accounts(1)/contacts", "/contacts(1)", method="POST", body=NEW),
    *absent("/contacts", method="PATCH", body={"name": "x"}),
    *absent("/contacts", method="DELETE"),
    Attack("many at once", f"{ROOT}/contacts", 400, "body_malformed", method="POST", body=[NEW, NEW]),
    Attack("a name twice", f"{ROOT}/contacts(1)", 400, "body_malformed", method="PATCH", body=b'{"name":"a","name":"b"}'),
    # What an answer may be asked for is what a read may be asked for, before anything is written.
    *[
        Attack(f"{query} on a write of {target}", f"{ROOT}/{target}?{query}", 400, "query_not_allowed", method=method, body=body,
               same_as=f"{ROOT}/{target}?$select=unknown")
        for method, target, body in [("PATCH", "contacts(1)", {"name": "x"}), ("POST", "contacts", NEW), ("PATCH", "contacts(99999)", {"name": "x"})]
        for query in ["$select=national_id", "$expand=account", "$select=*,national_id", "$select=nothing", "$expand=contacts", "$expand=account($expand=contacts)",
                      "$expand=*", "$select=account/internal_note", "$compute=national_id%20as%20x&$select=x", "$orderby=name", "$top=1",
                      "$filter=id%20eq%201", "$count=false"]
    ],
    Attack("a choice on a deletion", f"{ROOT}/contacts(1)?$select=id", 400, "query_not_allowed", "marta", "DELETE"),
    Attack("a method in a header", f"{ROOT}/contacts", 400, "method_not_supported", method="POST", body=NEW,
           headers={"X-HTTP-Method-Override": "DELETE"}),
]
