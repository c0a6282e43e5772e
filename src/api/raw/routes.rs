//! The routes of a table as they are written.

use super::{text, writes};
use crate::diagnostic::Span;
use crate::yaml::{Node, Reader, Text, Value};

#[derive(Debug)]
pub(in crate::api) struct Route {
    pub(in crate::api) action: Text,
    /// Records of one request, where there may be several.
    pub(in crate::api) many: Option<(Span, usize)>,
    /// `None`: where the dialect has it.
    pub(in crate::api) route: Option<Text>,
    pub(in crate::api) upstream_path: Option<Text>,
    /// How the upstream takes it, where that is another way.
    pub(in crate::api) sent_as: Option<Text>,
    /// Where it is sent as a write of what a filter finds.
    pub(in crate::api) by_filter: Option<Text>,
}

impl Route {
    fn of(action: Text, route: Option<Text>) -> Self {
        Self { action, many: None, route, upstream_path: None, sent_as: None, by_filter: None }
    }
}

/// A map of actions to routes, or a list of those actions whose routes the dialect knows.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Vec<Route> {
    if let Value::List(_) = &node.value {
        let actions = reader.texts(node, "`routes`").into_iter();
        return actions.map(|action| Route::of(action, None)).collect();
    }
    let mut routes = Vec::new();
    for (action, node) in reader.entries(node, "`routes`") {
        let route = if matches!(node.value, Value::Map(_)) {
            let mut fields = reader.fields(node, "a route");
            let route = text(fields.require("route", reader), "`route`", reader);
            let upstream_path = text(fields.take("upstream_path"), "`upstream_path`", reader);
            let many = fields.take("many").and_then(|node| writes::many(node, reader));
            let sent_as = text(fields.take("as"), "`as`", reader);
            let by_filter = text(fields.take("by_filter"), "`by_filter`", reader);
            fields.finish(reader);
            Route { many, upstream_path, sent_as, by_filter, ..Route::of(action.clone(), route) }
        } else {
            Route::of(action.clone(), reader.text(node, "a route"))
        };
        if route.route.is_some() {
            routes.push(route);
        }
    }
    routes
}
