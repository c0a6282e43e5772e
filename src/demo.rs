//! `scrim demo`: a CRM that trusts everybody, people with tokens, and the real gateway between them, in one process.
//!
//! Everything is made at the start and goes away at the end: ports, keys, files. [`Demo`] owns all of it. The tour sends
//! real requests through the real listener and fails if one answer is not what the policies promise.

pub mod crm;
pub mod data;
pub mod identity;
pub mod tour;

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::clock::Clock;
use crate::config::Config;
use crate::diagnostic::{self, Diagnostic};
use crate::gateway::Gateway;
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
    gateway: Gateway,
    pub crm: Crm,
    pub identity: Identity,
}

/// How the demo runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Send the requests, show what each caller sees and why, and end
    #[arg(long)]
    pub tour: bool,
    /// Keep everything in this folder; configuration and policies that it holds already stay as they are
    #[arg(long, value_name = "DIR", env = KEEP_VARIABLE, value_hint = clap::ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
}

impl Demo {
    /// `keep` names a folder that stays; without it the files go away at the end.
    pub async fn start(keep: Option<&Path>) -> io::Result<Self> {
        let identity = Identity::create(keep, &Store::seeded(), &Clock::system())?;
        let crm = crm::start(identity.crm_token.clone()).await?;
        let gateway = start_gateway(&identity.config(), crm.address()).await?;
        let public =
            *gateway.addresses().first().ok_or_else(|| io::Error::other("the demo's gateway has no listener"))?;
        let entrance = Entrance { public, admin: gateway.admin_address() };
        Ok(Self { entrance, gateway, crm, identity })
    }

    pub async fn shutdown(self) {
        self.gateway.shutdown().await;
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
async fn start_gateway(config: &Path, crm: SocketAddr) -> io::Result<Gateway> {
    let found_crm = move |config: &mut Config| {
        for upstream in config.upstreams.values_mut() {
            upstream.port = crm.port();
        }
    };
    let wrong = |errors: Vec<Diagnostic>| io::Error::other(diagnostic::render(&errors, false));
    Gateway::start(config, found_crm, Clock::system()).await.map_err(wrong)
}

/// Runs until SIGINT or SIGTERM, or the tour; SIGHUP reloads, but not during the tour, which has one set of policies.
/// True unless an answer of the tour was not as promised or it was cut short.
pub async fn run(options: &Options, out: &mut impl Write) -> io::Result<bool> {
    // Watched before anything is made, so that no signal leaves files behind.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let told_to_stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let demo = Demo::start(options.keep.as_deref()).await?;
    let kept = tell_kept(&demo.identity, out);
    let passed = if let Err(error) = kept {
        Err(error)
    } else if options.tour {
        tokio::select! {
            passed = tour::run(&demo, out) => passed,
            () = told_to_stop => Ok(false),
        }
    } else {
        tokio::select! {
            // Ends only when nobody can read it any more, as when the terminal is closed: then the demo ends too.
            served = serve(&demo, &mut hangup, out) => served.map(|never| match never {}),
            () = told_to_stop => Ok(true),
        }
    };
    demo.shutdown().await;
    passed
}

/// Introduces the demo and reloads at each SIGHUP, for as long as that can be told.
async fn serve(demo: &Demo, hangup: &mut Signal, out: &mut impl Write) -> io::Result<Infallible> {
    demo.introduce(out)?;
    loop {
        if hangup.recv().await.is_none() {
            return Err(io::Error::other("signals can no longer be watched"));
        }
        tell_reload(&demo.gateway.reload().await, out)?;
    }
}

/// One line; every mistake, with its place, is in the log.
fn tell_reload(outcome: &Result<(), Vec<Diagnostic>>, out: &mut impl Write) -> io::Result<()> {
    match outcome {
        Ok(()) => writeln!(out, "Reloaded: the files as they are now are in force.")?,
        Err(errors) => {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            let first = first.lines().next().unwrap_or_default();
            writeln!(
                out,
                "Not reloaded, the last good files stay in force; mistakes: {}, first {first}",
                errors.len()
            )?;
        }
    }
    out.flush()
}

fn tell_kept(identity: &Identity, out: &mut impl Write) -> io::Result<()> {
    if identity.kept > 0 {
        let folder = identity.folder().display();
        writeln!(out, "Kept {} existing files of configuration and policies in {folder}\n", identity.kept)?;
    }
    Ok(())
}

fn introduce(identity: &Identity, url: &str, admin: Option<SocketAddr>, out: &mut impl Write) -> io::Result<()> {
    let folder = identity.folder();
    writeln!(out, "Scrim stands in front of a CRM that hides nothing.\n")?;
    writeln!(out, "  gateway    {url}")?;
    writeln!(out, "  authority  {}", identity.ca_file().display())?;
    writeln!(out, "  audit log  {}", identity.audit_file().display())?;
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
    writeln!(out, "# support's view, for a service account bound to this tenant")?;
    writeln!(out, "curl --cacert \"$CA\" -H \"X-Api-Key: $BILLING\" \"$URL/v1/contacts?limit=20\"")?;
    writeln!(out, "# refused: an amount above what a rep may enter")?;
    writeln!(
        out,
        "curl --cacert \"$CA\" -H \"Authorization: Bearer $ANA\" --json '{{\"amount\": 250000}}' -X PATCH \"$URL/v1/contacts/1\""
    )?;
    let policies = folder.join("policies");
    writeln!(out, "\nEdit the policies in {}, then: kill -HUP {}", policies.display(), std::process::id())?;
    writeln!(out, "Ctrl-C ends it.")?;
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
