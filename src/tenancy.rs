//! From a principal and its choice to exactly one tenant, or none. Pure.

use crate::config::Tenancy;
use crate::model::{Principal, Reason, TenantScope};

/// The tenant of an exchange. `chosen` is the declared header's value, such as `acme/shop`.
///
/// With one membership no choice is needed, but a choice that is made must name it. With several, absent and foreign
/// choices are refused alike to the client.
pub fn scope(principal: &Principal, chosen: Option<&str>, tenancy: &Tenancy) -> Result<TenantScope, Reason> {
    let complete = |scope: &&TenantScope| scope.dimensions().map(|(name, _)| name).eq(&tenancy.dimensions);
    let mut memberships = principal.memberships.iter().filter(complete);
    match chosen {
        Some(chosen) => memberships.find(|scope| scope.to_string() == chosen).cloned().ok_or(Reason::TenantNotAMember),
        None => match (memberships.next(), memberships.next()) {
            (Some(only), None) => Ok(only.clone()),
            // Not missing: the credential names one, which its issuer may not give.
            (None, _) if principal.overreaches => Err(Reason::TenantNotAMember),
            _ => Err(Reason::TenantMissing),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Method, Name};

    fn principal(tenants: &[&str]) -> Principal {
        let dimensions: Vec<Name> = vec!["organization_id".into(), "app_id".into()];
        let membership = |tenant: &&str| {
            let (organization, app) = tenant.split_once('/').expect("a pair");
            TenantScope::new(&dimensions, |d| Some(if d == "app_id" { app } else { organization }))
        };
        Principal {
            id: "u1".into(),
            issuer: "test".into(),
            method: Method::Jwt,
            roles: Vec::new(),
            groups: Vec::new(),
            attributes: Default::default(),
            reports: Arc::default(),
            memberships: tenants.iter().filter_map(membership).collect(),
            overreaches: false,
            scopes: None,
        }
    }

    #[test]
    fn a_tenant_is_one_membership_or_a_refusal() {
        let tenancy = Tenancy { dimensions: vec!["organization_id".into(), "app_id".into()], choose_by: None };
        let scope = |tenants: &[&str], chosen| scope(&principal(tenants), chosen, &tenancy).map(|t| t.to_string());
        assert_eq!(scope(&["acme/shop"], None), Ok("acme/shop".to_owned()));
        assert_eq!(scope(&["acme/shop"], Some("acme/shop")), Ok("acme/shop".to_owned()));
        assert_eq!(scope(&["acme/shop"], Some("globex/shop")), Err(Reason::TenantNotAMember));
        assert_eq!(scope(&["acme/shop", "acme/desk"], None), Err(Reason::TenantMissing));
        assert_eq!(scope(&["acme/shop", "acme/desk"], Some("acme/desk")), Ok("acme/desk".to_owned()));
        assert_eq!(scope(&["acme/shop", "acme/desk"], Some("acme")), Err(Reason::TenantNotAMember));
        assert_eq!(scope(&["acme/"], None), Err(Reason::TenantMissing), "half a tenant is none");
        assert_eq!(scope(&[], None), Err(Reason::TenantMissing));
    }

    #[test]
    fn a_tenant_that_an_issuer_may_not_give_is_not_missing() {
        let tenancy = Tenancy { dimensions: vec!["organization_id".into(), "app_id".into()], choose_by: None };
        let overreaching = |tenants: &[&str]| Principal { overreaches: true, ..principal(tenants) };
        let scope = |tenants: &[&str]| scope(&overreaching(tenants), None, &tenancy).map(|t| t.to_string());
        assert_eq!(scope(&[]), Err(Reason::TenantNotAMember));
        assert_eq!(scope(&["acme/shop"]), Ok("acme/shop".to_owned()), "what it may give holds");
        assert_eq!(scope(&["acme/shop", "acme/desk"]), Err(Reason::TenantMissing), "a choice is what is missing");
    }

    #[test]
    fn memberships_of_other_dimensions_do_not_count() {
        let tenancy = Tenancy { dimensions: vec!["organization_id".into()], choose_by: None };
        assert_eq!(super::scope(&principal(&["acme/shop"]), None, &tenancy), Err(Reason::TenantMissing));
        let names: Vec<Arc<str>> =
            principal(&["acme/shop"]).memberships[0].dimensions().map(|(n, _)| n.clone()).collect();
        assert_eq!(names.len(), 2);
    }
}
