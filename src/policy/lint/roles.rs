//! Tests of roles, beside the roles that a rule is for.

use super::super::ir::{Expr, Fact, Operator};
use super::part::Part;
use super::{Lints, Of};
use crate::diagnostic::{Diagnostic, nearest};
use crate::policy::value::Value;
use crate::yaml::Text;

impl<'a> Lints<'a> {
    /// Whether a test of a role has but one outcome here, and that was said.
    pub(super) fn role(&mut self, part: Part<'a>, of: Of<'a>, negated: bool) -> bool {
        let Expr::Binary(Operator::In, role, list) = part.expr else { return false };
        let (Expr::Constant(Value::String(role)), Expr::Fact(Fact::Roles)) = (&**role, &**list) else { return false };
        if !self.principal.roles.contains(role) {
            let known = self.principal.roles.iter().map(|role| &**role);
            let help = nearest(role, known).map(|known| format!("did you mean `{known}`?"));
            let mut wrong = Diagnostic::error("unknown-role", part.span(), format!("unknown role `{role}`"));
            wrong.help = help.or_else(|| Some(format!("known: {}", self.principal.roles.join(", "))));
            self.found.push(wrong);
            return true;
        }
        let (roles, rule): (&[Text], _) = match of {
            Of::Grant(roles) => (roles, "grant"),
            Of::Denial(Some(roles)) => (roles, "denial"),
            Of::Denial(None) | Of::Requirement => return false,
        };
        let is_among = roles.iter().any(|of| *of.value == **role);
        match (roles, negated) {
            ([_], false) if is_among => {
                let message = format!("this {rule} is for `{role}` alone, so this always holds");
                self.warning("role-implied", part, message, Some("leave it out"));
            }
            ([_], true) if is_among => {
                let message = format!("this {rule} is for `{role}` alone, so this never holds");
                self.error("never-true", part, message, Some("list other roles under `roles`"));
            }
            (_, false) if !is_among => {
                let listed: Vec<String> = roles.iter().map(|of| format!("`{}`", of.value)).collect();
                let listed = listed.join(" and ");
                let message = format!("this {rule} is for {listed}: this holds only for who is `{role}`, too");
                let help = "list the role under `roles` if either of them is enough";
                self.warning("role-outside", part, message, Some(help));
                return false;
            }
            _ => return false,
        }
        true
    }
}
