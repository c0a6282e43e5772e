//! Scopes of API keys, held against what the API has.

use crate::api::{Catalog, RouteKind};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::model::{Action, Scope};

/// What is wrong with a scope that no request can be in, since there is no such table or action.
pub fn idle(scope: &Scope, place: &Span, catalog: &Catalog) -> Option<Diagnostic> {
    let Some(table) = catalog.table_named(&scope.table) else {
        let near = nearest(&scope.table, catalog.tables().map(|table| &*table.name));
        let error = Diagnostic::error("bad-scope", place.clone(), format!("there is no table `{}`", scope.table));
        return Some(Diagnostic { help: near.map(|near| format!("did you mean `{near}`?")), ..error });
    };
    let action = scope.action.as_ref()?;
    let actions = catalog.apis().flat_map(|(_, api)| &api.routes).filter_map(|route| match &route.kind {
        RouteKind::Table { table: of, action } if *of == table.id => Some(action),
        _ => None,
    });
    let known: Vec<&Action> = Action::BUILT_IN.iter().chain(actions).collect();
    if known.contains(&action) {
        return None;
    }
    let near = nearest(action.name(), known.iter().map(|known| known.name()));
    let message = format!("table `{}` has no action `{}`", scope.table, action.name());
    let error = Diagnostic::error("bad-scope", place.clone(), message);
    Some(Diagnostic { help: near.map(|near| format!("did you mean `{near}`?")), ..error })
}
