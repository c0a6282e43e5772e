//! What no file of cases can say of writes: what the gateway refuses to start with.

use crate::support::world::Setup;

#[tokio::test]
#[should_panic(expected = "is shared by all tenants and can't be written")]
async fn a_policy_that_writes_a_shared_table_is_refused_at_load() {
    let policy = "table: countries\n\
                  grants:\n\
                  - { name: rename, roles: [rep], actions: [read, update], rows: all, read: { clear: all }, write: [name] }\n";
    Setup::default().policy("countries", policy).start().await;
}
