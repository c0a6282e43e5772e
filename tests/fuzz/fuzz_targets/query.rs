//! Any query is refused, or reads back from what is printed upstream, where the tenant stands once and first; in OData and
//! Directus, beside whatever else is asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scrim::api::{Directus, Odata};
use scrim::dialect::{Condition, Language, rest};
use scrim_fuzz::{WORLD, bounded};

const TENANT: &str = "organization_id=acme&app_id=shop";

fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// Without mistakes in it, which only the fuzzer makes: a broken escape stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fuzz_target!(|text: &str| bounded(|| hold(text)));

/// A text as a filter, or as any options.
fn odata(text: &str) {
    let world = &*WORLD;
    let (mut service, table) = (Odata::new(50, 100), world.contacts());
    service.aggregates = true;
    for asked in
        [vec![("$filter".to_owned(), text.to_owned())], vec![("$apply".to_owned(), text.to_owned())], pairs(text)]
    {
        let Ok(query) = service.parse(table, &asked) else { continue };
        let printed = service.print(table, &query, &world.tenant, true);
        let again = service.parse(table, &pairs(&printed)).expect("what is printed can be read");
        let Condition::And(parts) = &again.filter else { panic!("no conjunction: {printed}") };
        let own: Vec<_> = parts
            .iter()
            .take(2)
            .map(|part| match part {
                Condition::Is(comparison) => comparison.value.as_str(),
                _ => panic!("no tenant: {printed}"),
            })
            .collect();
        assert_eq!(own, ["acme", "shop"], "{printed}");
        let said = |condition: &Condition| condition.comparisons().len();
        assert_eq!(said(&again.filter), said(&query.filter) + own.len(), "{printed}");
        assert_eq!((again.sort, again.fields, again.expand), (query.sort, query.fields, query.expand), "{printed}");
    }
}

/// A text as a filter, or as any parameters.
fn directus(text: &str) {
    let world = &*WORLD;
    let (mut server, table) = (Directus::new(50, 100), world.contacts());
    server.aggregates = true;
    for asked in [vec![("filter".to_owned(), text.to_owned())], pairs(text)] {
        let Ok(query) = server.parse(table, &asked) else { continue };
        let printed = server.print(table, &query, &world.tenant, true);
        let mut sent = pairs(&printed);
        // A client may not rename what it asks for, as the gateway does.
        sent.retain(|(name, _)| !matches!(name.as_str(), "fields" | "alias" | "deep"));
        let again = server.parse(table, &sent).expect("what is printed can be read");
        let own: Vec<_> = again.filter.comparisons().iter().take(2).map(|own| own.value.clone()).collect();
        assert_eq!(own, ["acme", "shop"], "{printed}");
        assert!(matches!(again.filter, Condition::And(_)), "{printed}");
        assert!(again.filter.comparisons().len() <= query.filter.comparisons().len() + own.len(), "{printed}");
        assert!(again.sort.starts_with(&query.sort), "{printed}");
    }
}

fn hold(text: &str) {
    let world = &*WORLD;
    let (dialect, table) = (world.dialect(), world.contacts());
    odata(text);
    directus(text);
    let Ok(query) = rest::parse(dialect, table, &pairs(text)) else { return };
    let printed = rest::print(dialect, table, &query, &world.tenant, true);
    let rest = printed.strip_prefix(TENANT).expect("the tenant's filter comes first");
    let sent = pairs(rest);
    for own in ["organization_id", "app_id"] {
        assert!(!sent.iter().any(|(name, _)| name.starts_with(own)), "{printed}");
    }
    assert!(sent.iter().any(|(name, _)| name == "limit"), "every list is bounded: {printed}");
    let mut again = rest::parse(dialect, table, &sent).expect("what is printed can be read");
    if query.limit.is_none() {
        again.limit = None;
    }
    assert_eq!(again, query, "{printed}");
}
