//! From a question to a decision: visibility, requirements, then what is left for each record.

use std::sync::Arc;

use super::super::compile::{Compiled, Grant, Mode, Rows, Rules};
use super::super::decision::Creation;
use super::super::evaluate::{self, MAX_STEPS};
use super::super::ir::{Expr, Operator};
use super::super::program::{Condition, Word};
use super::fold::fold;
use super::plans::Plans;
use super::{Check, Fence, Inner, Live};
use crate::api::{FieldId, Shape, TableId};
use crate::model::value::{Decimal, Type};
use crate::model::{self, Action, Name, Principal, Reason};
use crate::policy::value::Value;
use crate::policy::{Decision, Question, Residual};

impl Compiled {
    pub(in crate::policy) fn decide(&self, question: &Question<'_>) -> Decision {
        match self.residual(question) {
            Err((reason, rule)) => Decision::Deny(reason, rule),
            Ok(mut inner) => {
                inner.hidden = self.hidden(question);
                // A creation is judged by its check and its presets, whatever the grants for other actions say.
                let whole = inner.is_total() && *question.action != Action::Create;
                let residual = Arc::new(Residual { inner });
                if whole { Decision::Allow(residual) } else { Decision::Conditional(residual) }
            }
        }
    }

    /// All but the derived fields, for which other tables are asked.
    fn residual(&self, question: &Question<'_>) -> Result<Inner, (Reason, Option<Name>)> {
        let Some(rules) = self.tables.get(usize::from(question.table.0)) else {
            return Err((Reason::TableHidden, None));
        };
        let held: Vec<(usize, &Grant)> =
            rules.grants.iter().enumerate().filter(|(_, grant)| is_held(&grant.roles, question.principal)).collect();
        if !held.iter().any(|(_, grant)| self.may_apply(grant, rules, question)) {
            return Err((Reason::TableHidden, None));
        }
        let action = question.action;
        if let Some(rule) = unmet(rules, action, question) {
            return Err((Reason::RequirementUnmet, Some(rule)));
        }
        let fence = self::fence(rules, question);
        if matches!(rules.fence, Fence::Shared) && action.writes() {
            return Err((Reason::ActionNotGranted, None));
        }
        let creates = *action == Action::Create;
        let live = |action: &Action| -> Vec<Live> {
            held.iter().filter_map(|(index, grant)| live(*index, grant, action, rules, question)).collect()
        };
        let grants = if creates { Vec::new() } else { live(action) };
        let hands_over = action.writes() && !creates && *action != Action::Delete;
        let transfers = if hands_over { live(&Action::Transfer) } else { Vec::new() };
        let creations = if creates {
            held.iter().filter_map(|(_, grant)| self.creation(grant, rules, question)).collect()
        } else {
            Vec::new()
        };
        // An update may change the owner alone, which only a transfer grants.
        let only_transfers = *action == Action::Update && !transfers.is_empty();
        if grants.is_empty() && creations.is_empty() && !only_transfers {
            return Err((Reason::ActionNotGranted, None));
        }
        Ok(Inner {
            rules: Arc::clone(rules),
            action: action.clone(),
            fence,
            denials: denials(rules, action, question),
            plans: Plans::new(grants.len()),
            grants,
            transfers,
            transfer_denials: denials(rules, &Action::Transfer, question),
            transfer_unmet: unmet(rules, &Action::Transfer, question),
            creations,
            hidden: Vec::new(),
        })
    }

    /// Whether the grant may hold for some record and some action: what makes a table visible.
    fn may_apply(&self, grant: &Grant, rules: &Rules, question: &Question<'_>) -> bool {
        grant.actions.iter().any(|action| match action {
            Action::Create => self.creation(grant, rules, question).is_some(),
            action => rows(grant, action, rules, question).can_hold(),
        })
    }

    fn creation(&self, grant: &Grant, rules: &Rules, question: &Question<'_>) -> Option<Creation> {
        if !grant.actions.contains(&Action::Create) {
            return None;
        }
        let table = self.catalog.table(rules.table);
        let preset = |(id, expr): &(FieldId, Expr)| {
            let value = evaluate::constant(&fold(expr, question), &mut { MAX_STEPS }).ok()?;
            let field = table.field(*id);
            let Shape::Plain(of) = &field.shape else { return None };
            stored(value, of, field.nullable).map(|value| (*id, value))
        };
        // A preset that has no value leaves nothing to create with.
        let presets: Vec<(FieldId, model::Value)> = grant.presets.iter().map(preset).collect::<Option<_>>()?;
        let check = grant.check.as_ref().map(|check| fold(check, question));
        if check.as_ref().is_some_and(|check| !check.can_hold()) {
            return None;
        }
        let preset = |field: &FieldId| presets.iter().any(|(preset, _)| preset == field);
        let writable = grant.write.iter().copied().filter(|field| !preset(field)).collect();
        Some(Creation { rule: Arc::clone(&grant.name), presets, writable, check: Check(check.map(Condition::new)) })
    }

    /// A derived field shows only where every record of what it is made of would.
    fn hidden(&self, question: &Question<'_>) -> Vec<bool> {
        let is_whole = |table: &TableId| {
            let of = Question { table: *table, action: &Action::List, ..*question };
            self.residual(&of).is_ok_and(|inner| inner.is_total())
        };
        let fields = &self.catalog.table(question.table).fields;
        fields.iter().map(|field| !field.derived_from.iter().all(is_whole)).collect()
    }
}

fn is_held(roles: &[Name], principal: &Principal) -> bool {
    roles.iter().any(|role| principal.has_role(role))
}

/// A requirement that is not exactly true refuses, an error too.
fn unmet(rules: &Rules, action: &Action, question: &Question<'_>) -> Option<Name> {
    let asked = rules.requirements.iter().filter(|requirement| requirement.actions.contains(action));
    let mut unmet = asked.filter(|requirement| !fold(&requirement.must, question).is(true));
    unmet.next().map(|requirement| Arc::clone(&requirement.name))
}

fn denials(rules: &Rules, action: &Action, question: &Question<'_>) -> Vec<(Name, Condition)> {
    rules
        .denials
        .iter()
        .filter(|denial| denial.actions.contains(action))
        .filter(|denial| denial.roles.as_ref().is_none_or(|roles| is_held(roles, question.principal)))
        .map(|denial| (Arc::clone(&denial.name), fold(&denial.rows, question)))
        .filter(|(_, rows)| !rows.is(false))
        .map(|(name, rows)| (name, Condition::new(rows)))
        .collect()
}

fn live(index: usize, grant: &Grant, action: &Action, rules: &Rules, question: &Question<'_>) -> Option<Live> {
    if !grant.actions.contains(action) {
        return None;
    }
    let rows = rows(grant, action, rules, question);
    let check = || grant.check.as_ref().map(|check| Condition::new(fold(check, question)));
    rows.can_hold().then(|| Live { index, check: check(), rows: Condition::new(rows) })
}

/// A grant's rows for one action, with `shared` written out.
fn rows(grant: &Grant, action: &Action, rules: &Rules, question: &Question<'_>) -> Expr {
    match &grant.rows {
        Rows::None => Expr::FALSE,
        Rows::All => Expr::TRUE,
        Rows::When(condition) => fold(condition, question),
        Rows::Shared => {
            let open = match rules.sharing.default {
                Mode::Private => false,
                Mode::PublicRead => matches!(action, Action::List | Action::Read),
                Mode::PublicReadWrite => matches!(action, Action::List | Action::Read | Action::Update),
            };
            if open { Expr::TRUE } else { owned(rules, question.principal) }
        }
    }
}

/// The owner is the principal or, with hierarchy, among the principal's reports.
fn owned(rules: &Rules, principal: &Principal) -> Expr {
    let Some(owner) = &rules.sharing.owner else { return Expr::FALSE };
    let field = Expr::Field(owner.0.clone());
    // Ids of principals are text; an owner column may hold a number.
    let id = if owner.0.of == Type::String { field } else { Expr::call("string", false, vec![field]) };
    let is_principal = |id: Expr| {
        let own = Expr::Constant(Value::String(Arc::clone(&principal.id)));
        Expr::Binary(Operator::Equal, id.into(), own.into())
    };
    if !rules.sharing.hierarchy || principal.reports.is_empty() {
        return is_principal(id);
    }
    let reports = Expr::Constant(Value::strings(principal.reports.iter()));
    let among = Expr::Binary(Operator::In, id.clone().into(), reports.into());
    Expr::Or(is_principal(id).into(), among.into())
}

/// `None` where a dimension has no value or no column: then nothing passes.
fn fence(rules: &Rules, question: &Question<'_>) -> Option<Vec<(super::SlotId, Word)>> {
    match &rules.fence {
        Fence::Shared => Some(Vec::new()),
        Fence::Never => None,
        Fence::Columns { columns, .. } => {
            let covered =
                question.tenant.dimensions().all(|(name, _)| columns.iter().any(|(column, _)| column == name));
            let value = |(name, slot): &(Name, super::SlotId)| Some((*slot, Word::new(question.tenant.value(name)?)));
            columns.iter().map(value).collect::<Option<Vec<_>>>().filter(|columns| covered && !columns.is_empty())
        }
    }
}

/// A preset's value as its field stores it.
fn stored(value: Value, of: &Type, nullable: bool) -> Option<model::Value> {
    use model::Value;
    match (value.into_model()?, of) {
        (Value::Null, _) => nullable.then_some(Value::Null),
        (Value::Int(number), Type::Decimal) => Decimal::parse(&number.to_string()).map(Value::Decimal),
        (Value::Double(number), Type::Decimal) => Decimal::parse(&number.to_string()).map(Value::Decimal),
        (value, of) => {
            let fits = matches!(
                (&value, of),
                (Value::Bool(_), Type::Bool)
                    | (Value::Int(_), Type::Int)
                    | (Value::Double(_), Type::Double)
                    | (Value::Decimal(_), Type::Decimal)
                    | (Value::String(_), Type::String)
                    | (Value::Timestamp(_), Type::Timestamp | Type::Date)
                    | (Value::Duration(_), Type::Duration)
                    | (Value::List(_), Type::List(_))
                    | (Value::Map(_), Type::Map(_))
                    | (_, Type::Json)
            );
            fits.then_some(value)
        }
    }
}
