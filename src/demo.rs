//! `scrim demo`: a CRM that trusts everybody, people with tokens, and the real gateway between them, in one process.
//!
//! Everything is made at the start and goes away at the end: ports, keys, files. [`Demo`] owns all of it. The tour sends
//! real requests through the real listener and fails if one answer is not what the policies promise.

pub mod crm;
pub mod data;
pub mod identity;
pub mod tour;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crm::Crm;
use data::Store;
use identity::Identity;

/// The variable that names a folder to keep, where no option does.
pub const KEEP_VARIABLE: &str = "SCRIM_DEMO_DIR";

/// Where a started gateway is reached.
#[derive(Clone, Copy, Debug)]
pub struct Entrance {
    pub public: SocketAddr,
    pub admin: Option<SocketAddr>,
}

/// Everything that runs. Stopped in this order: gateway, CRM, files.
pub struct Demo {
    pub entrance: Entrance,
    pub crm: Crm,
    pub identity: Identity,
}

impl Demo {
    /// `keep` names a folder that stays; without it and without [`KEEP_VARIABLE`] the files go away at the end.
    pub async fn start(keep: Option<PathBuf>) -> io::Result<Self> {
        let keep = keep.or_else(|| std::env::var_os(KEEP_VARIABLE).map(PathBuf::from));
        let identity = Identity::create(keep.as_deref(), &Store::seeded(), &Clock::system())?;
        let crm = crm::start(identity.crm_token.clone()).await?;
        let entrance = start_gateway(&identity.config(), crm.address()).await?;
        Ok(Self { entrance, crm, identity })
    }

    pub async fn shutdown(self) {
        self.crm.shutdown().await;
    }

    /// `https://localhost:port`
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.entrance.public.port())
    }

    /// Where everything is, and requests to paste into a shell.
    pub fn introduce(&self, out: &mut impl Write) -> io::Result<()> {
        introduce(&self.identity, &self.url(), self.entrance.admin, out)
    }
}

/// Starts the gateway over the demo's configuration, with `crm` as the address of its upstream.
async fn start_gateway(_config: &Path, _crm: SocketAddr) -> io::Result<Entrance> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this build has no gateway"))
}

/// Runs until Ctrl-C.
pub async fn run(keep: Option<PathBuf>, out: &mut impl Write) -> io::Result<()> {
    let demo = Demo::start(keep).await?;
    demo.introduce(out)?;
    tokio::signal::ctrl_c().await?;
    demo.shutdown().await;
    Ok(())
}

/// Runs the tour. True if every answer was as promised.
pub async fn run_tour(keep: Option<PathBuf>, out: &mut impl Write) -> io::Result<bool> {
    let demo = Demo::start(keep).await?;
    let passed = tour::run(&demo.identity, demo.entrance, out).await;
    demo.shutdown().await;
    passed
}

fn introduce(identity: &Identity, url: &str, admin: Option<SocketAddr>, out: &mut impl Write) -> io::Result<()> {
    let folder = identity.folder();
    writeln!(out, "Scrim stands in front of a CRM that hides nothing.\n")?;
    writeln!(out, "  gateway    {url}")?;
    writeln!(out, "  authority  {}", identity.ca_file().display())?;
    writeln!(out, "  audit log  {}", folder.join("config/demo/audit.jsonl").display())?;
    if let Some(admin) = admin {
        writeln!(out, "  metrics    http://{admin}/metrics")?;
    }
    writeln!(out, "  policies   {}\n", folder.join("policies").display())?;
    writeln!(out, "Paste into another shell:\n")?;
    writeln!(out, "URL={url}")?;
    writeln!(out, "CA={}", quoted(&identity.ca_file().display().to_string()))?;
    for persona in &identity.personas {
        writeln!(out, "{}={}  # {}", persona.name.to_uppercase(), persona.token, persona.about)?;
    }
    writeln!(out, "BILLING={}  # a service account's key\n", identity.api_key)?;
    for (what, who, target) in [
        ("a rep: her own contacts in clear, her region's masked", "ANA", "/v1/contacts?limit=20"),
        ("her manager: the team's too", "MARTA", "/v1/contacts?limit=20"),
        ("support: everybody's, masked", "SAM", "/v1/contacts?limit=20"),
        ("another organisation's rep: nothing of this one", "VIC", "/v1/contacts?limit=20"),
        ("refused: an analyst has no contacts", "LEA", "/v1/contacts"),
    ] {
        writeln!(out, "# {what}")?;
        writeln!(out, "curl --cacert \"$CA\" -H \"Authorization: Bearer ${who}\" \"$URL{target}\"")?;
    }
    writeln!(out, "\nCtrl-C ends it.")?;
    out.flush()
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_introduction_has_a_line_for_each_persona_and_no_key_of_the_gateway() {
        let identity = Identity::create(None, &Store::seeded(), &Clock::system()).unwrap();
        let mut out = Vec::new();
        introduce(&identity, "https://localhost:1", Some(([127, 0, 0, 1], 2).into()), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for who in ["ANA", "MARTA", "SAM", "VIC", "LEA"] {
            assert!(text.contains(&format!("\n{who}=ey")), "{who}");
            assert!(text.contains(&format!("Bearer ${who}\"")), "{who}");
        }
        assert!(text.contains("http://127.0.0.1:2/metrics"));
        assert!(!text.contains(&identity.crm_token));
        assert_eq!(quoted("a'b"), r"'a'\''b'");
    }
}
