//! Figures: how many records there are, and what they come to, taken together or by groups.
//!
//! A figure is judged by nobody once it is made, so it is asked for only where the upstream itself takes into account
//! exactly the records that the caller may list, and where every field that goes into it is clear on each of them. Then it
//! tells nothing that the list wouldn't tell, however few records a group has. Elsewhere the query is refused as one for
//! what does not exist. Pure.

use std::sync::Arc;

use http::{HeaderValue, header};

use super::{Asked, Case, Permit, query};
use crate::api::{FieldId, Push, Records, Route, Shape, Table};
use crate::dialect::figures::{By, Figures, Function, Measure};
use crate::dialect::{self, Language, Query, is_scalar};
use crate::model::value::Type;
use crate::model::{Name, Reason};
use crate::policy::Residual;
use crate::redact::figures::{Expected, Kind, Window};

/// To ask what many records come to: the answer is read as expected, and written anew.
#[derive(Debug)]
pub struct Aggregate {
    pub expected: Expected,
    /// What is asked, for the record: `sum amount`, `by stage`.
    pub names: Vec<String>,
    pub asked: Asked,
}

/// To ask how many records there are: the answer is a number.
#[derive(Debug)]
pub struct Count {
    pub asked: Asked,
}

impl Case<'_> {
    /// What a list comes to, in the place of its records. `parsed`: the client's query.
    pub(super) fn aggregate(
        &self,
        route: &Route,
        variables: &[(Name, String)],
        residual: &Residual,
        mut parsed: Query,
        figures: &Figures,
    ) -> Result<Permit<Aggregate>, Reason> {
        let table = self.catalog.table(residual.table());
        let language = dialect::of(self.catalog.api(table.api));
        check(figures, table, residual)?;
        let envelope = language.envelope();
        let Records::Array(groups) = envelope.list else { return Err(Reason::QueryNotAllowed) };
        let most = language.paging().limit.map_or(u64::MAX, |limit| limit.max);
        // How many groups there are is known to who has seen all of them: then the page is cut here.
        let window = match std::mem::take(&mut parsed.count) {
            true => Some(Window {
                total: envelope.totals.first().cloned().ok_or(Reason::QueryNotAllowed)?,
                skip: parsed.offset.take().map_or(0, size),
                take: parsed.limit.take().map_or(usize::MAX, size),
            }),
            false => None,
        };
        if window.is_some() {
            parsed.figures = Some(Figures { sort: figures.ordered().collect(), ..figures.clone() });
        }
        let expected = Expected {
            groups: groups.clone(),
            columns: language.columns(table, figures),
            kinds: kinds(figures, table),
            single: figures.groups.is_empty(),
            most: size(most),
            limit: parsed.limit.map(size),
            window,
            depth: self.depth,
        };
        let names = names(figures, table);
        let (sent, asked) = self.counted(table, residual, language, parsed)?;
        let printed = language.print(table, &sent, self.tenant, true);
        let api = self.catalog.api(table.api);
        let outgoing = self.outgoing(api, route, variables, &printed).ok_or(Reason::RecordHidden)?;
        let purpose = Aggregate { expected, names, asked };
        Ok(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose })
    }

    /// How many records of a list there are. `pairs` is the client's query, which may say which, and nothing else.
    pub fn count(
        &self,
        route: &Route,
        variables: &[(Name, String)],
        residual: &Residual,
        pairs: &[(String, String)],
    ) -> Result<Permit<Count>, Reason> {
        let table = self.catalog.table(residual.table());
        let api = self.catalog.api(table.api);
        let language = dialect::of(api);
        let parsed = language.parse(table, pairs)?;
        let which = Query {
            filter: parsed.filter.clone(),
            searched: parsed.searched.clone(),
            search: parsed.search.clone(),
            ..language.parse(table, &[])?
        };
        if parsed != which {
            return Err(Reason::QueryNotAllowed);
        }
        let (sent, asked) = self.counted(table, residual, language, parsed)?;
        let printed = language.print_count(table, &sent, self.tenant).ok_or(Reason::QueryNotAllowed)?;
        let mut outgoing = self.outgoing(api, route, variables, &printed).ok_or(Reason::RecordHidden)?;
        outgoing.headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain"));
        Ok(Permit { upstream: Arc::clone(&api.upstream), outgoing, purpose: Count { asked } })
    }

    /// Whether figures of a table may be asked for at all, by who may list it.
    pub fn tells_figures(&self, residual: &Residual) -> bool {
        let table = self.catalog.table(residual.table());
        let language = dialect::of(self.catalog.api(table.api));
        let all = language.parse(table, &[]);
        all.and_then(|all| self.counted(table, residual, language, all)).is_ok()
    }

    /// A query that takes into account exactly the records that the caller may list. Errors: there is none.
    fn counted(
        &self,
        table: &Table,
        residual: &Residual,
        language: &dyn Language,
        parsed: Query,
    ) -> Result<(Query, Asked), Reason> {
        let scoped = query::scoped(self, table, residual, language, parsed)?;
        query::check(&scoped.query, table, Some(residual), scoped.exact)?;
        if !scoped.exact {
            return Err(Reason::QueryNotAllowed);
        }
        let asked = Asked { tenant: scoped.tenant, exact: true, pushed: scoped.pushed.into() };
        let mut sent = scoped.query;
        sent.filter = sent.filter.and(scoped.added);
        Ok((sent, asked))
    }
}

fn check(figures: &Figures, table: &Table, residual: &Residual) -> Result<(), Reason> {
    let mut fields = figures.groups.iter().chain(figures.measures.iter().filter_map(|measure| measure.of.as_ref()));
    let clear = fields.all(|field| residual.is_clear_everywhere(*field) && is_scalar(&table.field(*field).shape));
    let fits = figures.measures.iter().all(|measure| fits(measure, table));
    // A group by the key is a record, and which records somebody has seen is on record of lists alone.
    let are_groups = !figures.groups.contains(&table.key);
    // An order by anything else would tell what no answer shows.
    let shown = figures.sort.iter().all(|(by, _)| match by {
        By::Group(field) => figures.groups.contains(field),
        By::Measure(place) => *place < figures.measures.len(),
    });
    if clear && fits && are_groups && shown { Ok(()) } else { Err(Reason::QueryNotAllowed) }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Whether a function means something of a field's type.
fn fits(measure: &Measure, table: &Table) -> bool {
    let Some(field) = measure.of else { return measure.function == Function::Count };
    let field = table.field(field);
    let Shape::Plain(of) = &field.shape else { return false };
    let is_number = matches!(of, Type::Int | Type::Double | Type::Decimal);
    match measure.function {
        Function::Count | Function::CountDistinct => true,
        Function::Sum | Function::SumDistinct | Function::Average | Function::AverageDistinct => is_number,
        Function::Min | Function::Max => match field.push {
            Some(Push::Ordered) => *of != Type::Bool,
            Some(Push::Exact) => is_number || matches!(of, Type::Timestamp | Type::Date),
            Some(Push::Double) => is_number,
            // Which of two that differ is the greater is not said.
            Some(Push::Loose | Push::Rounded | Push::Seconds | Push::Milliseconds | Push::Microseconds) | None => false,
        },
    }
}

/// What the values of the answer are: of the groups' fields, then of the measures.
fn kinds(figures: &Figures, table: &Table) -> Vec<Kind> {
    let own = |field: FieldId| match &table.field(field).shape {
        Shape::Plain(of) => Kind::Own(of.clone()),
        Shape::One { .. } | Shape::Many { .. } => Kind::Count,
    };
    let measured = |measure: &Measure| match (measure.function, measure.of) {
        (Function::Min | Function::Max, Some(field)) => own(field),
        (Function::Count | Function::CountDistinct, _) | (_, None) => Kind::Count,
        _ => Kind::Number,
    };
    figures.groups.iter().map(|field| own(*field)).chain(figures.measures.iter().map(measured)).collect()
}

fn names(figures: &Figures, table: &Table) -> Vec<String> {
    let name = |field: FieldId| &table.field(field).name;
    let measured = |measure: &Measure| match measure.of {
        Some(field) => format!("{} {}", measure.function.word(), name(field)),
        None => measure.function.word().to_owned(),
    };
    let groups = figures.groups.iter().map(|field| format!("by {}", name(*field)));
    figures.measures.iter().map(measured).chain(groups).collect()
}
