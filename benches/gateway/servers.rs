//! The processes that are measured: their start, their CPU time and their end.
//!
//! Each is one process without children, so that its CPU time is one number and stopping it leaves nobody behind: nginx
//! runs without a master. A server that is dropped is killed and waited for, also on the way out of a failure.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

use super::setup::Setup;

/// The unit of CPU times in /proc: USER_HZ is 100 wherever Linux runs (proc(5)).
pub(crate) const TICK: Duration = Duration::from_millis(10);

const START_TIME: Duration = Duration::from_secs(20);
/// Of what a server says before it is ready, for the error if it never is.
const MAX_SAID: usize = 16 * 1024;

/// Where Debian's libnginx-mod-http-ndk and libnginx-mod-http-lua lie.
const NDK_MODULE: &str = "/usr/lib/nginx/modules/ndk_http_module.so";
const LUA_MODULE: &str = "/usr/lib/nginx/modules/ngx_http_lua_module.so";

pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The gateway as it is built for release, on a port that the system chooses.
    pub(crate) fn start_scrim(setup: &Setup, upstream: SocketAddr) -> Result<Self, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scrim"));
        command.args(["serve", "--config"]).arg(setup.gateway_file(upstream)?).env_remove("RUST_LOG");
        // It logs one JSON object a line, as stderr is no terminal.
        Self::start(&mut command, |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let fields = line.get("fields")?;
            let listens = fields.get("message")?.as_str()? == "listening";
            fields.get("address").filter(|_| listens)?.as_str()?.parse().ok()
        })
    }

    /// `ready` looks at each line on stderr for the one that says that and where it listens.
    fn start(
        command: &mut Command,
        ready: impl Fn(&str) -> Option<SocketAddr> + Send + 'static,
    ) -> Result<Self, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error: &dyn Display| format!("cannot start {program}: {error}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let stderr = child.stderr.take();
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let (tell, told) = mpsc::channel();
        // Reads to the end, or the server would block on a full pipe.
        thread::spawn(move || {
            let mut said = String::new();
            for line in stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()).map_while(Result::ok) {
                if let Some(address) = ready(&line) {
                    tell.send(Ok(address)).unwrap_or_default();
                } else if said.len() < MAX_SAID {
                    said.push_str(&line);
                    said.push('\n');
                }
            }
            tell.send(Err(said)).unwrap_or_default();
        });
        server.address =
            told.recv_timeout(START_TIME).map_err(|_| failed(&"not ready in time"))?.map_err(|said| failed(&said))?;
        Ok(server)
    }

    /// User and system time of all its threads since it started.
    pub(crate) fn cpu_time(&self) -> Result<Duration, String> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // After the name, which is in parentheses and may hold anything, come fields 3 and on (proc(5)): 14 and 15 are it.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>();
        ticks.map(|ticks| TICK * ticks).map_err(|error| format!("{path}: {error}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().and_then(|()| self.child.wait().map(drop)).unwrap_or_default();
    }
}

pub(crate) struct Nginx {
    program: PathBuf,
    pub(crate) version: String,
}

impl Nginx {
    pub(crate) fn find() -> Result<Self, String> {
        let path = env::var_os("PATH").unwrap_or_default();
        let program = env::split_paths(&path)
            .chain([PathBuf::from("/usr/sbin")])
            .map(|folder| folder.join("nginx"))
            .find(|program| program.is_file())
            .ok_or(
                "nginx is not installed: it is the upstream and the peer here (Debian: apt-get install nginx-light)",
            )?;
        let said = Command::new(&program).arg("-v").output().map_err(|error| error.to_string())?.stderr;
        let version = String::from_utf8_lossy(&said).trim().trim_start_matches("nginx version: ").to_owned();
        Ok(Self { program, version })
    }

    /// The upstream: every page by its tenant, whatever else the query says, and as a file for the opaque route.
    pub(crate) fn start_static(&self, setup: &Setup) -> Result<Server, String> {
        let pages = setup.path("pages");
        self.start(setup, "static", "", |port| {
            format!(
                "sendfile on;\ntcp_nopush on;\nopen_file_cache max=16;\n\
                 server {{\n  listen 127.0.0.1:{port} backlog=511;\n  root {root};\n\
                 location = /v1/contacts {{ try_files /$arg_app_id.json =404; }}\n\
                 location /raw/ {{ alias {root}/; }}\n}}\n",
                root = pages.display(),
            )
        })
    }

    /// The peer: passes everything on, over kept connections, and logs nothing.
    pub(crate) fn start_proxy(&self, setup: &Setup, upstream: SocketAddr) -> Result<Server, String> {
        self.start(setup, "proxy", "", |port| proxy(port, upstream, ""))
    }

    /// The peer that redacts: the same proxy, with the policy written in Lua. `None` where the module is not installed.
    pub(crate) fn start_lua(&self, setup: &Setup, upstream: SocketAddr) -> Result<Option<Server>, String> {
        let modules = [NDK_MODULE, LUA_MODULE];
        if !modules.iter().all(|module| Path::new(module).is_file()) {
            return Ok(None);
        }
        setup.write("lua/redact.lua", include_str!("redact.lua"))?;
        let load: String = modules.iter().map(|module| format!("load_module {module};\n")).collect();
        let folder = setup.path("lua");
        let server = self.start(setup, "lua", &load, |port| {
            let location = "header_filter_by_lua_block { ngx.header.content_length = nil }\n    \
                            body_filter_by_lua_block { require('redact').body() }";
            format!(
                "lua_package_path '{}/?.lua;;';\ninit_by_lua_block {{ require('redact') }}\n{}",
                folder.display(),
                proxy(port, upstream, location)
            )
        })?;
        Ok(Some(server))
    }

    fn start(
        &self,
        setup: &Setup,
        name: &str,
        modules: &str,
        servers: impl Fn(u16) -> String,
    ) -> Result<Server, String> {
        let mut failed = String::new();
        // Somebody else may take the port between its choice and its use.
        for _ in 0..3 {
            let address = free_address()?;
            let file = format!("{name}/nginx.conf");
            let folder = setup.path(name);
            setup.write(&file, configuration(&folder, modules, &servers(address.port())))?;
            let mut command = Command::new(&self.program);
            command.args(["-e", "stderr", "-p"]).arg(&folder).arg("-c").arg(setup.path(&file));
            // Said once its sockets are open.
            match Server::start(&mut command, move |line| line.contains("event method").then_some(address)) {
                Ok(server) => return Ok(server),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

fn free_address() -> Result<SocketAddr, String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.map_err(|error| format!("no free port: {error}"))
}

/// Passes everything on over kept connections; `location` is what is added to its only location.
fn proxy(port: u16, upstream: SocketAddr, location: &str) -> String {
    format!(
        "upstream crm {{\n  server {upstream};\n  keepalive 64;\n  keepalive_requests 1000000000;\n}}\n\
         server {{\n  listen 127.0.0.1:{port} backlog=511;\n  location / {{\n    proxy_pass http://crm;\n    \
         proxy_http_version 1.1;\n    proxy_set_header Connection \"\";\n    proxy_buffering on;\n    \
         proxy_buffers 8 16k;\n    {location}\n  }}\n}}\n"
    )
}

fn configuration(folder: &Path, modules: &str, servers: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", folder.display()))
        .concat();
    format!(
        "{modules}daemon off;\nmaster_process off;\nworker_processes 1;\nerror_log stderr notice;\npid {}/nginx.pid;\n\
         events {{ worker_connections 512; }}\n\
         http {{\naccess_log off;\ntypes {{}}\ndefault_type application/json;\nkeepalive_requests 1000000000;\n\
         {temporary}{servers}}}\n",
        folder.display(),
    )
}
