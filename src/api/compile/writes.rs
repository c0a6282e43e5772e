//! Writes of more than the fields of one record: arrays, whole records, those that may not be there, and batches.

use http::Method;

use super::tables::named;
use super::{Known, routes};
use crate::api::{ApiId, FieldId, Form, Route, RouteKind, Sent, TableId, raw};
use crate::model::Action;
use crate::yaml::{Reader, Text};

/// Of which of a table's routes a word speaks.
pub(super) fn meaning(api: &raw::Api, table: &raw::Table, route: &raw::Route, reader: &mut Reader) -> (Action, Form) {
    let word = &route.action;
    let (action, form) = match word.value.as_str() {
        "replace" => (Action::Update, Form::Whole),
        "upsert" => (Action::Update, Form::Upsert),
        "update_many" => (Action::Update, Form::Many(route.many.as_ref().map_or(1, |(_, most)| *most))),
        other => match (Action::parse(other), &route.many) {
            (Action::Create, Some((_, most))) => (Action::Create, Form::Many(*most)),
            (action, _) => (action, Form::Fields),
        },
    };
    let takes_many = matches!(form, Form::Many(_));
    match &route.many {
        Some((span, _)) if !takes_many => {
            reader.error("bad-route", span, format!("`{}` is about one record", word.value)).help =
                Some("`many` goes with `create` and `update_many`".to_owned());
        }
        Some((span, _)) if matches!(api.dialect, Some(raw::Dialect::Odata | raw::Dialect::Pocketbase)) => {
            let help = "several records are written in a batch; declare `batch: true`";
            reader.error("bad-route", span, "the dialect has no arrays of records").help = Some(help.to_owned());
        }
        None if takes_many => {
            let help = "update_many: { route: PATCH /contacts, many: 50 }";
            reader.error("missing-key", &word.span, "`update_many` needs `many`: how many records at most").help =
                Some(help.to_owned());
        }
        _ => {}
    }
    if takes_many && action == Action::Update && !table.race.0.is_accepted() {
        let message = "one If-Match can't guard several records";
        reader.error("bad-route", &word.span, message).help = Some("race: accept".to_owned());
    }
    let sent_as: &[&str] = match form {
        Form::Upsert if is_change(api, route) => &["create"],
        Form::Upsert => &["create", "update"],
        Form::Whole => &["update"],
        Form::Fields | Form::Many(_) => &[],
    };
    for needed in sent_as.iter().filter(|needed| !table.routes.iter().any(|route| route.action.value == **needed)) {
        let message = format!("`{}` is sent as `{}`, and there is no `{needed}`", word.value, sent_as.join("` or `"));
        reader.error("bad-route", &word.span, message);
    }
    (action, form)
}

/// Whether an upsert is sent as a change of single fields, and so is its own `update` (OData 4.01, part 1, section 11.4.4).
pub(super) fn is_change(api: &raw::Api, route: &raw::Route) -> bool {
    let is_preset = || api.dialect == Some(raw::Dialect::Odata);
    route.action.value == "upsert"
        && route.route.as_ref().map_or_else(is_preset, |text| text.value.starts_with("PATCH "))
}

/// The method and the number of variables of a change that is none of single fields.
pub(super) fn expected(form: Form, text: &Text) -> (Method, usize) {
    match form {
        Form::Many(_) => (Method::PATCH, 0),
        Form::Upsert if text.value.starts_with("PATCH ") => (Method::PATCH, 1),
        // The key may be in the body alone.
        Form::Upsert => {
            let variables = text.value.matches('{').count().saturating_sub(text.value.matches("{tenant.").count());
            (Method::PUT, variables.min(1))
        }
        Form::Whole | Form::Fields => (Method::PUT, 1),
    }
}

/// The route of batches, and where it is written. `None`: beside an error.
pub(super) fn batch(known: &Known<'_>, api: &raw::Api, raw: &raw::Batch, reader: &mut Reader) -> Option<(Route, Text)> {
    let preset = match api.dialect? {
        raw::Dialect::Pocketbase => "POST /api/batch".to_owned(),
        raw::Dialect::Odata => {
            let root = api.odata.as_ref()?.root.as_ref()?;
            format!("POST {}/$batch", root.value.trim_end_matches('/'))
        }
        raw::Dialect::Rest | raw::Dialect::Directus => {
            reader.error("bad-route", &raw.span, "the dialect has no batches");
            return None;
        }
    };
    let mut at = api.name.as_ref()?.meaning(preset);
    at.span = raw.span.clone();
    let text = raw.route.as_ref().unwrap_or(&at);
    let (method, path) = routes::method_and_path(text, reader)?;
    if method != Method::POST || path.variables().next().is_some() {
        let message = format!("`{}` can't be the route of batches", text.value);
        reader.error("bad-route", &text.span, message).help = Some(at.value.clone());
        return None;
    }
    let upstream_path = routes::upstream_path(known, &path, raw.upstream_path.as_ref(), text, reader)?;
    let kind = RouteKind::Batch { most: raw.most };
    Some((Route { method, path, upstream_path, kind, form: Form::Fields, sent: Sent::Alike }, text.clone()))
}

/// A table whose records are deleted with those of `owner`, and its column that says with which. `None`: beside an error.
pub(super) fn cascade(
    known: &Known<'_>,
    api: ApiId,
    described: &raw::Api,
    owner: &Text,
    word: &Text,
    reader: &mut Reader,
) -> Option<(TableId, FieldId)> {
    let (table, relation) = word.value.split_once('.').unwrap_or((&word.value, ""));
    let child = known.tables.get(table).filter(|child| child.api == api);
    let by = child.and_then(|child| match &named(child.raw, relation)?.1.shape {
        Some(raw::Shape::One { table, by }) if table.value == owner.value => named(child.raw, &by.value),
        _ => None,
    });
    let Some((child, (by, _))) = child.zip(by) else {
        let message = format!("`{}` is no relation to `{}`", word.value, owner.value);
        reader.error("bad-relation", &word.span, message).help =
            Some("a table and its to-one relation, for example notes.account".to_owned());
        return None;
    };
    if !child.raw.routes.iter().any(|route| route.action.value == "list") {
        let message = format!("`{table}` has no `list`, so that nobody can tell what goes with a record");
        reader.error("bad-relation", &word.span, message);
    }
    if described.rest.as_ref().is_some_and(|rest| !rest.parameters.finds_equal()) {
        reader.error("bad-relation", &word.span, "records that go with another are found by the filter `eq`").help =
            Some("declare rest.parameters.filter.eq".to_owned());
    }
    Some((child.id, by))
}
