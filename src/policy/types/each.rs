//! What goes through the elements of something or gives a value a name: comprehensions, `cel.bind` and `optMap`.

use super::super::ir::{self, EachKind, Expr};
use super::super::parse::{Bind, Each, Node, Then, Variable as Named};
use super::{Checker, Kind, MAX_EACH, MAX_VARIABLES, ROOTS, Typed, Variable};

/// A variable that takes each element, or that may be null only where its type says nothing.
fn of_kind(kind: Kind) -> (Kind, bool) {
    let nullable = kind == Kind::Any;
    (kind, nullable)
}

impl Checker<'_, '_> {
    pub(super) fn each(&mut self, each: &Each) -> Option<Typed> {
        let range = self.check(&each.range)?;
        let pairs = each.variables.len() == 2;
        let (key, value) = match &range.kind {
            Kind::List(of) => (Kind::Int, (**of).clone()),
            Kind::Map(key, of) => ((**key).clone(), (**of).clone()),
            Kind::Any => (Kind::Any, Kind::Any),
            other => {
                let message = format!("must be a list or a map, but is of type `{other}`");
                self.fail("type-mismatch", &each.range.span, message, None);
                return None;
            }
        };
        // A single variable goes through the elements of a list and through the keys of a map.
        let single = if matches!(range.kind, Kind::Map(..)) { key.clone() } else { value.clone() };
        if self.each >= MAX_EACH {
            let message = format!("more than {MAX_EACH} comprehensions inside each other");
            self.fail("cel-too-large", &each.body.span, message, None);
            return None;
        }
        let kinds = if pairs { vec![of_kind(key.clone()), of_kind(value)] } else { vec![of_kind(single.clone())] };
        let variable = self.declare(each.variables.iter().zip(kinds))?;
        self.each += 1;
        let filter = each.filter.as_ref().map(|filter| (filter, self.check(filter)));
        let body = self.check(&each.body);
        self.each -= 1;
        self.variables.truncate(usize::from(variable));
        let filter = match filter {
            Some((node, typed)) => Some(self.as_condition(typed?, node)?),
            None => None,
        };
        let body = body?;
        let kind = match each.kind {
            EachKind::All | EachKind::Exists | EachKind::ExistsOne => Kind::Bool,
            EachKind::Filter => Kind::List(single.into()),
            EachKind::SortBy if matches!(range.kind, Kind::Map(..)) => {
                self.fail("type-mismatch", &each.range.span, "`sortBy` is for lists, and this is a map", None);
                return None;
            }
            EachKind::SortBy => Kind::List(single.into()),
            EachKind::Map if body.nullable => Kind::List(Kind::Any.into()),
            EachKind::Map => Kind::List(body.kind.clone().into()),
            EachKind::MapValues if body.nullable => Kind::Map(key.into(), Kind::Any.into()),
            EachKind::MapValues => Kind::Map(key.into(), body.kind.clone().into()),
            EachKind::MapEntries => match &body.kind {
                kind @ (Kind::Map(..) | Kind::Any) => kind.clone(),
                other => {
                    let message = format!("must be a map of entries, but is of type `{other}`");
                    self.fail("type-mismatch", &each.body.span, message, None);
                    return None;
                }
            },
        };
        let makes = !matches!(each.kind, EachKind::All | EachKind::Exists | EachKind::ExistsOne | EachKind::Filter);
        let body = if makes { body.expr } else { self.as_condition(body, &each.body)? };
        let each = ir::Each { kind: each.kind, range: range.expr, variable, pairs, filter, body };
        Some(Typed::part(Expr::Each(each.into()), kind))
    }

    pub(super) fn bind(&mut self, bind: &Bind) -> Option<Typed> {
        let value = self.check(&bind.value)?;
        if let Kind::Relation(_) = value.kind {
            let message = "a related record is no value; name one of its fields";
            self.fail("type-mismatch", &bind.value.span, message, None);
            return None;
        }
        let (variable, body) = self.with(&bind.variable, (value.kind, value.nullable), &bind.body)?;
        let expr = Expr::Bind(Box::new(ir::Bind { variable, value: value.expr, body: body.expr }));
        Some(Typed { expr, ..body })
    }

    pub(super) fn then(&mut self, then: &Then) -> Option<Typed> {
        let of = self.check(&then.of)?;
        let inner = match of.kind {
            Kind::Optional(inner) => *inner,
            Kind::Any => Kind::Any,
            other => {
                let message = format!("must be an optional value, but is of type `{other}`");
                self.fail("type-mismatch", &then.of.span, message, None);
                return None;
            }
        };
        let (variable, body) = self.with(&then.variable, of_kind(inner), &then.body)?;
        let kind = match body.kind {
            kind @ (Kind::Optional(_) | Kind::Any) if then.flat => kind,
            other if then.flat => {
                let message = format!("must be an optional value, but is of type `{other}`");
                self.fail("type-mismatch", &then.body.span, message, Some("`optMap` takes other values".to_owned()));
                return None;
            }
            _ if body.nullable => Kind::Optional(Kind::Any.into()),
            kind => Kind::Optional(kind.into()),
        };
        let flat = then.flat;
        Some(Typed::part(Expr::Then(Box::new(ir::Then { variable, of: of.expr, body: body.expr, flat })), kind))
    }

    /// Checks a body in which one more variable is known.
    fn with(&mut self, variable: &Named, of: (Kind, bool), body: &Node) -> Option<(u8, Typed)> {
        let place = self.declare([(variable, of)])?;
        let body = self.check(body);
        self.variables.truncate(usize::from(place));
        Some((place, body?))
    }

    /// The place of the first of these variables, which now are known.
    fn declare<'n>(&mut self, variables: impl IntoIterator<Item = (&'n Named, (Kind, bool))>) -> Option<u8> {
        let place = self.variables.len();
        for (Named { name, span }, (kind, nullable)) in variables {
            let hides = ROOTS.contains(&name.as_str())
                || self.scope.lets.contains_key(name)
                || self.variables.iter().skip(self.visible).any(|variable| variable.name == *name);
            let wrong = if hides {
                Some(("shadowed-name", format!("the variable `{name}` hides a name of the same spelling")))
            } else if self.variables.len() >= MAX_VARIABLES {
                Some(("cel-too-large", format!("more than {MAX_VARIABLES} variables inside each other")))
            } else {
                None
            };
            if let Some((code, message)) = wrong {
                let help = (code == "shadowed-name").then(|| "choose another name".to_owned());
                self.fail(code, span, message, help);
                self.variables.truncate(place);
                return None;
            }
            self.variables.push(Variable { name: name.clone(), kind, nullable });
        }
        u8::try_from(place).ok()
    }
}
