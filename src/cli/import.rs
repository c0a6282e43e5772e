//! `scrim import`: drafts an API description from what an upstream says of itself.
//!
//! It reads files or stdin, never the network, and grants nothing. What is drafted has passed the loader. Whatever can't be
//! told from the input for sure is left out and named, each with its place: first of all a table of which nothing says whose
//! its rows are. The input is somebody else's: sizes, depths and references are bounded, and none of its names can become
//! anything but a name.

mod cascades;
mod directus;
mod draft;
mod odata;
mod openapi;
mod pocketbase;
mod print;
mod settle;
mod tree;
mod words;

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use self::draft::{Draft, Notes};
use self::tree::{MAX_BYTES, Tree};
use crate::api::Catalog;
use crate::diagnostic::{Diagnostic, Source};
use crate::files;
use crate::model::Name;

#[derive(Debug, Args)]
pub struct Import {
    /// What the upstream says of itself; stdin if none is given. Of Directus, several: collections, fields and relations
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// What the files are; told by what they hold, if left out
    #[arg(long, value_enum)]
    pub from: Option<From>,
    /// What the API is to be called
    #[arg(long, value_name = "NAME", default_value = "crm")]
    pub name: String,
    /// The upstream of the gateway's configuration; the API's name, if left out
    #[arg(long, value_name = "NAME")]
    pub upstream: Option<String>,
    /// Which columns say whose a row is: `organization_id=org_id`, one or, joined by `|`, several for each dimension. Without
    /// it they are taken from usual names
    #[arg(long, value_name = "DIMENSION=COLUMN", value_delimiter = ',')]
    pub tenant: Vec<String>,
    /// A table whose tenant is its parent's: `notes=account`
    #[arg(long, value_name = "TABLE=RELATION", value_delimiter = ',')]
    pub via: Vec<String>,
    /// A table that belongs to all tenants
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub shared: Vec<String>,
    /// The column that says who owns a row; without it, it is taken from usual names
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub owner: Vec<String>,
    /// The path of an OData service, which its `$metadata` doesn't tell: /odata/v4/crm
    #[arg(long, value_name = "PATH")]
    pub root: Option<String>,
    /// Where the draft is written; stdout if left out
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, requires = "out")]
    pub force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// OpenAPI 3.0 or 3.1, JSON or YAML
    Openapi,
    /// The `$metadata` of an OData V4 service, XML or JSON
    Odata,
    /// /collections, /fields and /relations of a Directus, or its schema's snapshot
    Directus,
    /// /api/collections of a PocketBase, or its export
    Pocketbase,
}

/// Why nothing was drafted.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("{0}: {1}")]
    Unreadable(String, String),
    #[error("{0}: {1}")]
    Malformed(String, String),
    #[error("{0}: this is no document that can be imported: say what it is with --from")]
    Unknown(String),
    #[error("{0}: {1}")]
    Unsupported(String, String),
    #[error("the document is too intricate")]
    Intricate,
    #[error("the path of the service is not in its metadata: say it with --root, for example --root /odata/v4/crm")]
    Root,
    #[error("--{0} {1:?} is not of the form {2}")]
    Option(&'static str, String, &'static str),
    #[error("{0} is there already: write elsewhere, or over it with --force")]
    Exists(String),
    #[error("no table could be drafted")]
    Nothing(Vec<(String, String)>),
    #[error("the draft does not load")]
    Draft(Vec<Diagnostic>),
    #[error("the draft could not be written: {0}")]
    Output(#[from] io::Error),
}

/// What the operator said of the upstream.
#[derive(Debug, Default)]
struct Options {
    name: String,
    upstream: String,
    /// (dimension, columns); empty: usual names.
    tenant: Vec<(String, Vec<String>)>,
    via: Vec<(String, String)>,
    shared: Vec<String>,
    owner: Vec<String>,
    root: Option<String>,
}

/// A document and what people call it.
struct Input {
    name: String,
    text: String,
}

/// Drafts, and says on stderr what is not in the draft.
pub fn run(arguments: &Import) -> Result<(), Failed> {
    let options = Options::new(arguments)?;
    let (text, notes) = draft(&read(&arguments.files)?, arguments.from, &options).inspect_err(tell)?;
    match &arguments.out {
        None => io::stdout().write_all(text.as_bytes())?,
        Some(path) => save(path, &text, arguments.force)?,
    }
    left_out(&notes.all, notes.more);
    Ok(())
}

/// The draft as YAML that has passed the loader.
fn draft(inputs: &[Input], from: Option<From>, options: &Options) -> Result<(String, Notes), Failed> {
    let mut notes = Notes::default();
    let read = understand(inputs, from, options, &mut notes)?;
    let dimensions: Vec<Name> =
        settle::dimensions(&read.tables, options).iter().map(|(name, _)| name.as_str().into()).collect();
    let settled = settle::settle(read, options, &mut notes);
    if settled.tables.is_empty() {
        return Err(Failed::Nothing(notes.all));
    }
    let text = print::print(&settled, &notes, options);
    let source = Source::new("draft", text.as_str());
    Catalog::compile(&[source], &[options.upstream.as_str().into()], &dimensions).map_err(Failed::Draft)?;
    Ok((text, notes))
}

fn understand(inputs: &[Input], from: Option<From>, options: &Options, notes: &mut Notes) -> Result<Draft, Failed> {
    let mut trees = Vec::new();
    for input in inputs {
        let text = input.text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with('<') {
            let is_odata = from.is_none_or(|from| from == From::Odata) && inputs.len() == 1;
            return if is_odata { odata::xml(input, options, notes) } else { Err(Failed::Unknown(input.name.clone())) };
        }
        let tree = if text.starts_with(['{', '[']) { Tree::json(text) } else { Tree::yaml(text) };
        trees.push(tree.map_err(|why| Failed::Malformed(input.name.clone(), why))?);
    }
    let (Some(first), Some(input)) = (trees.first(), inputs.first()) else {
        return Err(Failed::Unknown("stdin".to_owned()));
    };
    let from = from.or_else(|| detect(first)).ok_or_else(|| Failed::Unknown(input.name.clone()))?;
    if let (Some(second), true) = (inputs.get(1), from != From::Directus) {
        return Err(Failed::Unsupported(second.name.clone(), "only one file of this kind is read".to_owned()));
    }
    match from {
        From::Openapi => openapi::read(input, first, options, notes),
        From::Odata => odata::json(input, first, options, notes),
        From::Directus => directus::read(input, &trees, notes),
        From::Pocketbase => pocketbase::read(input, first, notes),
    }
}

fn detect(tree: &Tree) -> Option<From> {
    if tree.get("openapi").or(tree.get("swagger")).is_some() {
        return Some(From::Openapi);
    }
    if tree.get("$Version").is_some() {
        return Some(From::Odata);
    }
    if directus::is(tree) {
        return Some(From::Directus);
    }
    pocketbase::is(tree).then_some(From::Pocketbase)
}

impl Options {
    fn new(arguments: &Import) -> Result<Self, Failed> {
        let pair = |option, text: &str, form| {
            let pair = text.split_once('=').filter(|(a, b)| !a.is_empty() && !b.is_empty());
            let owned = pair.map(|(a, b)| (a.trim().to_owned(), b.trim().to_owned()));
            owned.ok_or_else(|| Failed::Option(option, text.to_owned(), form))
        };
        let pairs = |option, texts: &[String], form| {
            texts.iter().map(|text| pair(option, text, form)).collect::<Result<Vec<_>, _>>()
        };
        let columns = |all: &str| all.split('|').map(|column| column.trim().to_owned()).collect();
        let tenant = pairs("tenant", &arguments.tenant, "DIMENSION=COLUMN")?;
        for (option, name) in [("name", Some(&arguments.name)), ("upstream", arguments.upstream.as_ref())] {
            if let Some(name) = name.filter(|name| !settle::is_table_name(name)) {
                return Err(Failed::Option(option, name.clone(), "of letters, digits, `_` or `-`"));
            }
        }
        let is_path = |root: &String| crate::api::Template::parse(root).is_ok_and(|t| t.variables().next().is_none());
        if let Some(root) = arguments.root.as_ref().filter(|root| !is_path(root)) {
            return Err(Failed::Option("root", root.clone(), "/path"));
        }
        Ok(Self {
            name: arguments.name.clone(),
            upstream: arguments.upstream.clone().unwrap_or_else(|| arguments.name.clone()),
            tenant: tenant.iter().map(|(dimension, all)| (dimension.clone(), columns(all))).collect(),
            via: pairs("via", &arguments.via, "TABLE=RELATION")?,
            shared: arguments.shared.clone(),
            owner: arguments.owner.clone(),
            root: arguments.root.clone(),
        })
    }
}

fn read(paths: &[PathBuf]) -> Result<Vec<Input>, Failed> {
    let text = |name: String, bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(text) => Ok(Input { name, text }),
        Err(_) => Err(Failed::Malformed(name, "it is not valid UTF-8".to_owned())),
    };
    if paths.is_empty() {
        let mut bytes = Vec::new();
        let failed = |why: String| Failed::Unreadable("stdin".to_owned(), why);
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| failed(files::reason(&e)))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(failed(format!("longer than {MAX_BYTES} bytes")));
        }
        return Ok(vec![text("stdin".to_owned(), bytes)?]);
    }
    let one = |path: &PathBuf| {
        let name = path.display().to_string();
        let bytes = files::bytes(path, MAX_BYTES).map_err(|e| Failed::Unreadable(name.clone(), files::reason(&e)))?;
        text(name, bytes)
    };
    paths.iter().map(one).collect()
}

/// Whole or not at all: a draft that is half written could load.
fn save(path: &Path, text: &str, force: bool) -> Result<(), Failed> {
    if force {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        fs::write(&partial, text)?;
        return Ok(fs::rename(&partial, path)?);
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => Ok(file.write_all(text.as_bytes())?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failed::Exists(path.display().to_string())),
        Err(error) => Err(error.into()),
    }
}

fn tell(failed: &Failed) {
    match failed {
        Failed::Nothing(notes) => left_out(notes, 0),
        // Nowhere is left to say that stderr is closed.
        Failed::Draft(found) => drop(super::check::show(found)),
        _ => {}
    }
}

fn left_out(notes: &[(String, String)], more: usize) {
    let mut err = io::stderr().lock();
    for (place, what) in notes {
        // Nowhere is left to say that stderr is closed.
        writeln!(err, "left out: {}: {}", print::comment(place), print::comment(what)).ok();
    }
    if more > 0 {
        writeln!(err, "left out: {more} more").ok();
    }
}

#[cfg(test)]
mod tests;
