//! The demo's records.

use std::collections::BTreeSet;

use super::*;

#[test]
fn two_starts_have_the_same_records() {
    assert_eq!(Store::seeded(), Store::seeded());
}

#[test]
fn each_tenant_has_its_share_of_every_table() {
    let store = Store::seeded();
    let total: usize = store.tables.values().map(Vec::len).sum();
    assert!((1_900..=2_100).contains(&total), "{total}");
    for (organization, app) in TENANTS {
        for (table, count) in [("users", 18), ("accounts", 80), ("contacts", 96), ("deals", 96), ("reports", 40)] {
            let rows = store
                .rows(table)
                .filter(|row| text(row, "organization_id") == organization && text(row, "app_id") == app);
            assert_eq!(rows.count(), count, "{organization}/{app} {table}");
        }
    }
}

#[test]
fn keys_are_unique_and_references_stay_within_the_tenant() {
    let store = Store::seeded();
    for (table, rows) in &store.tables {
        let keys: BTreeSet<String> = rows.iter().map(|stored| stored.row["id"].to_string()).collect();
        assert_eq!(keys.len(), rows.len(), "{table}");
    }
    for table in ["contacts", "deals"] {
        for row in store.rows(table) {
            let Some(account) = row["account_id"].as_u64() else { continue };
            let account = store.find("accounts", &account.to_string()).expect("the account exists");
            for column in ["organization_id", "app_id"] {
                assert_eq!(account.row[column], row[column], "{table} {}", row["id"]);
            }
            let owner = store.find("users", text(row, "owner_id")).expect("the owner exists");
            assert_eq!(owner.row["organization_id"], row["organization_id"]);
        }
    }
}

/// The columns of config/apis/demo-crm.yaml, and beside them only `legacy_notes`, which the description does not know.
#[test]
fn columns_are_those_of_the_description_and_one_more() {
    let description = include_str!("../../../config/apis/demo-crm.yaml");
    let store = Store::seeded();
    for (table, rows) in &store.tables {
        let section = description.split(&format!("\n  {table}:\n")).nth(1).expect("the table is described");
        let fields = section.split("    fields:\n").nth(1).expect("it has fields");
        let mut declared: BTreeSet<&str> = fields
            .lines()
            .take_while(|line| line.starts_with("      "))
            .filter(|line| !line.contains("{ table:"))
            .filter_map(|line| line.trim().split(':').next())
            .collect();
        declared.insert("legacy_notes");
        for stored in rows {
            let columns: BTreeSet<&str> = stored.row.keys().map(String::as_str).collect();
            assert_eq!(columns, declared, "{table}");
        }
    }
}

#[test]
fn decimals_are_printed_with_two_places() {
    let store = Store::seeded();
    for (table, column) in
        [("accounts", "annual_revenue"), ("contacts", "amount"), ("deals", "amount"), ("deals", "margin")]
    {
        for row in store.rows(table).filter(|row| !row[column].is_null()) {
            let digits = row[column].to_string();
            assert_eq!(digits.split('.').nth(1).map(str::len), Some(2), "{table}.{column} {digits}");
        }
    }
}

#[test]
fn the_hierarchy_has_three_levels() {
    let store = Store::seeded();
    let marta = store.reports_of("marta");
    assert!(marta.contains(&"ana".to_owned()), "{marta:?}");
    let petra = store.reports_of("petra");
    assert!(petra.contains(&"marta".to_owned()) && petra.contains(&"ana".to_owned()), "{petra:?}");
    assert_eq!(petra.len(), 14);
    assert!(store.reports_of("ana").is_empty());
}
