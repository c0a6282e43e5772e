//! Opaque routes: whose tenant their service is told, what of a request and of an answer passes, and what a status becomes.

use scrim::diagnostic::Severity;

use super::setup;
use crate::support::world::{API, Setup};

const HEADERS: &str = "tenant_headers: { X-Organization-Id: organization_id, X-App-Id: app_id }\n";

/// A description whose opaque routes are these.
fn with(routes: &str) -> Setup {
    let (before, after) = API.split_once("opaque:\n").expect("it has one");
    let (_, tables) = after.split_once("\n\n").expect("tables follow");
    Setup { api: format!("{before}opaque:\n{routes}\n{tables}"), ..setup("") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_whose_service_is_not_told_the_tenant_is_a_mistake_until_it_is_said_to_be_for_all() {
    let route = |path: &str, more: &str| {
        format!(
            "  files: {{ route: \"GET /files/{{name}}\", upstream_path: \"{path}/{{name}}\", roles: [rep], \
             media_types: [text/plain]{more} }}\n"
        )
    };
    let all = "/f/{tenant.organization_id}/{tenant.app_id}";
    let one = "/f/{tenant.organization_id}";
    let header = "tenant_headers: { X-App-Id: app_id }\n";
    let plain = "{ bearer: { secret: token } }";
    let own = r#"{ bearer: { secret: "crm/{organization_id}/{app_id}" } }"#;
    let own_app = r#"{ header: { name: X-Key, secret: "crm/{app_id}" } }"#;
    let or_else = r#"{ bearer: { secret: "crm/{organization_id}/{app_id}", default: token } }"#;
    for (headers, path, more, credential, untold) in [
        ("", "/f", "", plain, "`organization_id` and `app_id`"),
        (HEADERS, "/f", "", plain, ""),
        ("", all, "", plain, ""),
        ("", one, "", plain, "`app_id`"),
        (header, "/f", "", plain, "`organization_id`"),
        (header, one, "", plain, ""),
        ("", "/f", "", own, ""),
        ("", "/f", "", own_app, "`organization_id`"),
        ("", one, "", own_app, ""),
        // A tenant without one is shown as another one without.
        ("", "/f", "", or_else, "`organization_id` and `app_id`"),
        ("", "/f", ", tenant: shared", plain, ""),
    ] {
        let mut setup = with(&route(path, more));
        setup.api = setup.api.replace(HEADERS, headers);
        setup.credential = credential.to_owned();
        let found = match setup.try_start().await {
            Ok(_) => String::new(),
            Err(found) => {
                let errors = found.iter().filter(|found| found.severity == Severity::Error);
                errors.map(|error| error.message.as_str()).collect()
            }
        };
        let wanted = if untold.is_empty() {
            String::new()
        } else {
            format!("the upstream of `files` isn't told the tenant's {untold}")
        };
        assert_eq!(found, wanted, "{headers} {path} {more} {credential}");
    }
}

/// As a credential, so a certificate of each tenant's own; one for all says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_tenants_own_tell_whose_a_request_is() {
    let route = "  files: { route: \"GET /files/{name}\", roles: [rep], media_types: [text/plain] }\n";
    for (name, told) in [("{organization_id}", false), ("tls/{organization_id}/{app_id}", true), ("all", false)] {
        let mut setup = with(route);
        setup.api = setup.api.replace(HEADERS, "");
        setup.upstream_url = Some("https://127.0.0.1:9".to_owned());
        setup.upstream_keys = format!(", client_certificate: {{ cert: \"{name}.pem\", key: \"{name}.key\" }}");
        let codes: Vec<&str> = match setup.try_start().await {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| error.code).collect(),
        };
        assert!(!codes.contains(&"bad-upstream"), "{name} {codes:?}");
        assert_eq!(!codes.contains(&"tenant-not-told"), told, "{name} {codes:?}");
    }
}
