//! From a question to a decision: visibility, requirements, then what is left for each record.

use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use super::super::compile::{Compiled, Grant, Mode, Rows, Rules};
use super::super::decision::Creation;
use super::super::evaluate::{self, MAX_STEPS};
use super::super::ir::{Expr, Failure, Operator};
use super::super::program::{Condition, Word};
use super::fold::fold;
use super::index::places;
use super::plans::{Grants, Plans};
use super::{Check, Fence, Inner, Live, SlotId};
use crate::api::{Catalog, FieldId, Shape, TableId};
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
    fn residual(&self, question: &Question<'_>) -> Result<Inner, Refusal> {
        let rules = self.tables.get(usize::from(question.table.0)).ok_or((Reason::TableHidden, None))?;
        Asked { catalog: &self.catalog, rules, question, owned: OnceCell::new() }.residual()
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

type Refusal = (Reason, Option<Name>);

/// One question about one table.
struct Asked<'a> {
    catalog: &'a Catalog,
    rules: &'a Arc<Rules>,
    question: &'a Question<'a>,
    /// That the principal owns a record, once some grant asks.
    owned: OnceCell<Expr>,
}

impl Asked<'_> {
    fn residual(&self) -> Result<Inner, Refusal> {
        let Question { action, principal, .. } = *self.question;
        let held = self.rules.index.held(&principal.roles);
        let creates = *action == Action::Create;
        let grants = if creates { Vec::new() } else { self.lives(held, action) };
        let creations = if creates { self.creations(held) } else { Vec::new() };
        let is_visible =
            !grants.is_empty() || !creations.is_empty() || self.grants(held).any(|grant| self.may_apply(grant));
        if !is_visible {
            return Err((Reason::TableHidden, None));
        }
        if let Some(refusal) = self.unmet(action) {
            return Err(refusal);
        }
        if matches!(self.rules.fence, Fence::Shared) && action.writes() {
            return Err((Reason::ActionNotGranted, None));
        }
        let hands_over = action.writes() && !creates && *action != Action::Delete;
        let transfers = if hands_over { self.lives(held, &Action::Transfer) } else { Vec::new() };
        // An update may change the owner alone, which only a transfer grants.
        let only_transfers = *action == Action::Update && !transfers.is_empty();
        if grants.is_empty() && creations.is_empty() && !only_transfers {
            return Err((Reason::ActionNotGranted, None));
        }
        Ok(Inner {
            rules: Arc::clone(self.rules),
            action: action.clone(),
            fence: self.fence(),
            denials: self.denials(action),
            plans: Plans::new(grants.len()),
            grants,
            transfers,
            transfer_denials: if hands_over { self.denials(&Action::Transfer) } else { Vec::new() },
            transfer_unmet: if hands_over { self.unmet(&Action::Transfer) } else { None },
            creations,
            hidden: Vec::new(),
            sieve: OnceLock::new(),
            narrowed: OnceLock::new(),
        })
    }

    fn grants(&self, some: Grants) -> impl Iterator<Item = &Grant> {
        places(some).filter_map(|place| self.rules.grants.get(place))
    }

    /// Whether the grant may hold for some record and some action: what makes a table visible.
    fn may_apply(&self, grant: &Grant) -> bool {
        grant.actions.iter().filter(|action| self.is_in_scope(action)).any(|action| match action {
            Action::Create => self.creation(grant).is_some(),
            action => self.rows(grant, action).can_hold(),
        })
    }

    /// What lies out of the credential's scope is as if no grant were for it.
    fn is_in_scope(&self, action: &Action) -> bool {
        self.question.principal.is_in_scope(&self.catalog.table(self.rules.table).name, action)
    }

    /// The grants among those held that may hold for some record.
    fn lives(&self, held: Grants, action: &Action) -> Vec<Live> {
        if !self.is_in_scope(action) {
            return Vec::new();
        }
        let live = |index: usize| {
            let grant = self.rules.grants.get(index)?;
            let rows = self.rows(grant, action);
            let check = || grant.check.as_ref().map(|check| Condition::new(fold(check, self.question)));
            rows.can_hold().then(|| Live { index, check: check(), rows: Condition::new(rows) })
        };
        places(held & self.rules.index.grants(action)).filter_map(live).collect()
    }

    fn creations(&self, held: Grants) -> Vec<Creation> {
        if !self.is_in_scope(&Action::Create) {
            return Vec::new();
        }
        let grants = self.grants(held & self.rules.index.grants(&Action::Create));
        grants.filter_map(|grant| self.creation(grant)).collect()
    }

    fn creation(&self, grant: &Grant) -> Option<Creation> {
        let table = self.catalog.table(self.rules.table);
        let preset = |(id, expr): &(FieldId, Expr)| {
            let value = evaluate::constant(&fold(expr, self.question), &mut { MAX_STEPS }).ok()?;
            let field = table.field(*id);
            let Shape::Plain(of) = &field.shape else { return None };
            stored(value, of, field.nullable).map(|value| (*id, value))
        };
        // A preset that has no value leaves nothing to create with.
        let presets: Vec<(FieldId, model::Value)> = grant.presets.iter().map(preset).collect::<Option<_>>()?;
        let check = grant.check.as_ref().map(|check| fold(check, self.question));
        if check.as_ref().is_some_and(|check| !check.can_hold()) {
            return None;
        }
        let preset = |field: &FieldId| presets.iter().any(|(preset, _)| preset == field);
        let writable = grant.write.iter().copied().filter(|field| !preset(field)).collect();
        Some(Creation { rule: Arc::clone(&grant.name), presets, writable, check: Check(check.map(Condition::new)) })
    }

    /// A requirement that is not exactly true refuses, an error too.
    fn unmet(&self, action: &Action) -> Option<Refusal> {
        let asked =
            self.rules.index.requirements(action).iter().filter_map(|place| self.rules.requirements.get(*place));
        asked.into_iter().find_map(|requirement| match fold(&requirement.must, self.question) {
            must if must.is(true) => None,
            Expr::Fails(Failure::Budget) => Some((Reason::BudgetExceeded, Some(Arc::clone(&requirement.name)))),
            _ => Some((Reason::RequirementUnmet, Some(Arc::clone(&requirement.name)))),
        })
    }

    fn denials(&self, action: &Action) -> Vec<(Name, Condition)> {
        let principal = self.question.principal;
        let asked = self.rules.index.denials(action).iter().filter_map(|place| self.rules.denials.get(*place));
        asked
            .filter(|denial| denial.roles.as_ref().is_none_or(|roles| is_held(roles, principal)))
            .map(|denial| (&denial.name, fold(&denial.rows, self.question)))
            .filter(|(_, rows)| !rows.is(false))
            .map(|(name, rows)| (Arc::clone(name), Condition::new(rows)))
            .collect()
    }

    /// A grant's rows for one action, with `shared` written out.
    fn rows(&self, grant: &Grant, action: &Action) -> Expr {
        match &grant.rows {
            Rows::None => Expr::FALSE,
            Rows::All => Expr::TRUE,
            Rows::When(condition) => fold(condition, self.question),
            Rows::Shared => {
                let open = match self.rules.sharing.default {
                    Mode::Private => false,
                    Mode::PublicRead => matches!(action, Action::List | Action::Read),
                    Mode::PublicReadWrite => matches!(action, Action::List | Action::Read | Action::Update),
                };
                if open { Expr::TRUE } else { self.owned.get_or_init(|| self.owns()).clone() }
            }
        }
    }

    /// The owner is the principal or, with hierarchy, among the principal's reports.
    fn owns(&self) -> Expr {
        let (sharing, principal) = (&self.rules.sharing, self.question.principal);
        let Some(owner) = &sharing.owner else { return Expr::FALSE };
        let field = Expr::Field(owner.0.clone());
        // Ids of principals are text; an owner column may hold a number.
        let id = if owner.0.of == Type::String { field } else { Expr::call("string", false, vec![field]) };
        let is_principal = |id: Expr| {
            let own = Expr::Constant(Value::String(Arc::clone(&principal.id)));
            Expr::Binary(Operator::Equal, id.into(), own.into())
        };
        if !sharing.hierarchy || principal.reports.is_empty() {
            return is_principal(id);
        }
        let reports = Expr::Constant(Value::strings(&*principal.reports));
        let among = Expr::Binary(Operator::In, id.clone().into(), reports.into());
        Expr::Or(is_principal(id).into(), among.into())
    }

    /// `None` where a dimension has no value or no column: then nothing passes.
    fn fence(&self) -> Option<Vec<(SlotId, Word)>> {
        let tenant = self.question.tenant;
        match &self.rules.fence {
            Fence::Shared => Some(Vec::new()),
            Fence::Never => None,
            Fence::Columns { columns, .. } => {
                let covered = tenant.dimensions().all(|(name, _)| columns.iter().any(|(column, _)| column == name));
                let value = |(name, slot): &(Name, SlotId)| Some((*slot, Word::new(tenant.value(name)?)));
                columns.iter().map(value).collect::<Option<Vec<_>>>().filter(|columns| covered && !columns.is_empty())
            }
        }
    }
}

fn is_held(roles: &[Name], principal: &Principal) -> bool {
    roles.iter().any(|role| principal.has_role(role))
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
