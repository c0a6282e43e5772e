//! Whether a call fits a function's overloads, and what it then gives.

use std::collections::BTreeMap;

use super::{Kind, Typed};
use crate::policy::functions::{Function, Overload, Sort};

/// What stands for each parameter of an overload.
type Bound = BTreeMap<&'static str, Kind>;

/// What the call gives and whether that may be null; or the place of the first argument that no overload takes.
pub(super) fn result(function: &Function, arguments: &[Typed]) -> Result<(Kind, bool), usize> {
    let fitting = |overload: &&Overload| overload.takes(arguments.len());
    let mut made: Option<(Kind, bool)> = None;
    let mut furthest = 0;
    let open = arguments.iter().any(|argument| is_open(&argument.kind));
    for overload in function.overloads.iter().filter(fitting) {
        let mut bound = Bound::new();
        let misfit = arguments.iter().enumerate().find(|(at, argument)| {
            !overload.argument(*at).is_some_and(|sort| accepts(sort, &argument.kind, &mut bound))
        });
        if let Some((at, _)) = misfit {
            furthest = furthest.max(at);
            continue;
        }
        let kind = of_sort(overload.result, &bound);
        // What takes part in the result may be null in it.
        let nullable = matches!(overload.result, Sort::Parameter(_)) && arguments.iter().any(|a| a.nullable);
        made = Some(match made {
            Some((other, null)) => (other.or(kind), null || nullable),
            None => (kind, nullable),
        });
        // Where all types are known, the first that fits is meant.
        if !open {
            break;
        }
    }
    let (kind, nullable) = made.ok_or(furthest)?;
    let nullable = nullable || kind == Kind::Any;
    Ok((kind, nullable))
}

fn is_open(kind: &Kind) -> bool {
    match kind {
        Kind::Any => true,
        Kind::List(of) | Kind::Optional(of) => is_open(of),
        Kind::Map(key, of) => is_open(key) || is_open(of),
        _ => false,
    }
}

/// Whether a value of that kind may be an argument of that sort. What only the record knows may be.
fn accepts(sort: Sort, kind: &Kind, bound: &mut Bound) -> bool {
    match (sort, kind) {
        (_, Kind::Relation(_)) => false,
        (Sort::Parameter(name), kind) => match bound.remove(name) {
            None => bound.insert(name, kind.clone()).is_none(),
            Some(other) => {
                let fits = other == *kind || [&other, kind].iter().any(|k| matches!(k, Kind::Any | Kind::Null));
                let both = if *kind == Kind::Null { other } else { other.or(kind.clone()) };
                fits && bound.insert(name, both).is_none()
            }
        },
        (_, Kind::Any) | (Sort::Dyn, _) => true,
        (Sort::List(of), Kind::List(kind)) | (Sort::Optional(of), Kind::Optional(kind)) => accepts(*of, kind, bound),
        (Sort::Map(key, of), Kind::Map(name, kind)) => accepts(*key, name, bound) && accepts(*of, kind, bound),
        (sort, kind) => plain(sort).is_some_and(|plain| plain == *kind),
    }
}

fn plain(sort: Sort) -> Option<Kind> {
    Some(match sort {
        Sort::Bool => Kind::Bool,
        Sort::Int => Kind::Int,
        Sort::Double => Kind::Double,
        Sort::Decimal => Kind::Decimal,
        Sort::String => Kind::String,
        Sort::Bytes => Kind::Bytes,
        Sort::Timestamp => Kind::Timestamp,
        Sort::Duration => Kind::Duration,
        Sort::Type => Kind::Type,
        Sort::Ip => Kind::Ip,
        Sort::Cidr => Kind::Cidr,
        Sort::Dyn | Sort::Uint | Sort::List(_) | Sort::Map(..) | Sort::Optional(_) | Sort::Parameter(_) => return None,
    })
}

fn of_sort(sort: Sort, bound: &Bound) -> Kind {
    match sort {
        Sort::List(of) => Kind::List(of_sort(*of, bound).into()),
        Sort::Map(key, of) => Kind::Map(of_sort(*key, bound).into(), of_sort(*of, bound).into()),
        Sort::Optional(of) => Kind::Optional(of_sort(*of, bound).into()),
        Sort::Parameter(name) => match bound.get(name) {
            None | Some(Kind::Null) => Kind::Any,
            Some(kind) => kind.clone(),
        },
        sort => plain(sort).unwrap_or(Kind::Any),
    }
}
