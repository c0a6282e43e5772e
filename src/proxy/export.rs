//! Lists as CSV (RFC 4180): the rows that the JSON would show, a column for each field that may show on any of them.
//!
//! Whoever opens the file in a spreadsheet runs what its cells say. A text that such a program could take for a formula
//! gets an apostrophe before it, after which none of them does; so does what stands behind a semicolon, a tab or the end of a
//! line in it, for a program that expects these between cells (as in countries with decimal commas) minds no quotes within
//! one. JSON numbers are no text and stay as they are; so do texts of a declared decimal that are one. Lists, maps and free
//! JSON stand in their cell as JSON text. Null, a field that does not show on this row and an empty text are one and the same
//! empty cell.

use std::borrow::Cow;

use csv::{Terminator, Writer, WriterBuilder};

use crate::api::Shape;
use crate::model::Name;
use crate::model::value::{Decimal, Type};
use crate::policy::{Layout, Slot, SlotId};
use crate::redact::{self, Plan, Unreadable};

pub(super) const MEDIA_TYPE: &str = "text/csv; charset=utf-8; header=present";

/// Turns redacted records into rows.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<Column>,
    layout: Layout,
    depth: usize,
    /// For the download: of characters that need no escape.
    file_name: String,
}

#[derive(Debug)]
struct Column {
    name: Name,
    slot: SlotId,
    decimal: bool,
}

impl Rows {
    /// The columns are the plan's: what may show on some record, of what the caller asked for, in declared order.
    pub(super) fn new(plan: &Plan) -> Self {
        let lens = &plan.root;
        let table = plan.catalog.table(lens.residual.table());
        let mut layout = Layout::default();
        let asked = |field| lens.fields.as_ref().is_none_or(|fields| fields.contains(&field));
        let columns = table
            .field_ids()
            .filter(|field| asked(*field) && lens.residual.may_show(*field))
            .filter_map(|field| {
                let declared = table.field(field);
                let Shape::Plain(of) = &declared.shape else { return None };
                let slot = layout.insert(std::slice::from_ref(&declared.name));
                Some(Column { name: Name::clone(&declared.name), slot, decimal: *of == Type::Decimal })
            })
            .collect();
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
        let file_name = format!("{}.csv", table.name.chars().map(plain).collect::<String>());
        Self { columns, layout, depth: plan.depth, file_name }
    }

    /// The value of `Content-Disposition` (RFC 6266).
    pub(super) fn disposition(&self) -> String {
        format!("attachment; filename=\"{}\"", self.file_name)
    }

    /// Appends the names of the columns.
    pub(super) fn header(&self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut writer = writer(out);
        for column in &self.columns {
            writer.write_field(harmless(&column.name, false).as_bytes()).map_err(|_| Unreadable::Shape)?;
        }
        end(&mut writer)
    }

    /// Appends a row for each record.
    ///
    /// Errors: a record is none, or has a member twice: its cell could show only one of them.
    pub(super) fn rows<'b>(
        &self,
        records: impl Iterator<Item = &'b [u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let mut writer = writer(out);
        for record in records {
            let slots = redact::slots(record, &self.layout, self.depth)?;
            for column in &self.columns {
                let written = match slots.get(column.slot) {
                    Slot::Missing | Slot::Raw(b"null") => writer.write_field(""),
                    Slot::Raw(raw @ [b'"', ..]) => {
                        let text = redact::request::text(raw).ok_or(Unreadable::Encoding)?;
                        writer.write_field(harmless(&text, column.decimal).as_bytes())
                    }
                    Slot::Raw(raw) => writer.write_field(unseparated(raw)),
                };
                written.map_err(|_| Unreadable::Shape)?;
            }
            end(&mut writer)?;
        }
        Ok(())
    }
}

fn writer(out: &mut Vec<u8>) -> Writer<&mut Vec<u8>> {
    // Whoever writes sees to it that all rows have the same cells.
    WriterBuilder::new().terminator(Terminator::CRLF).flexible(true).has_headers(false).from_writer(out)
}

fn end(writer: &mut Writer<&mut Vec<u8>>) -> Result<(), Unreadable> {
    writer.write_record(None::<&[u8]>).map_err(|_| Unreadable::Shape)
}

/// The text as no spreadsheet runs it.
fn harmless(text: &str, decimal: bool) -> Cow<'_, str> {
    let is_plain = !is_formula(text) && !text.contains(SEPARATORS);
    if is_plain || decimal && Decimal::parse(text).is_some() {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 1);
    for (number, part) in text.split_inclusive(SEPARATORS).enumerate() {
        // Behind a separator a quote begins a cell anew.
        let begins = if number == 0 {
            is_formula(text)
        } else {
            begins_formula(part.trim_start_matches(|c| c == '"' || is_unseen(c)))
        };
        out.extend(begins.then_some('\''));
        out.push_str(part);
    }
    out.into()
}

/// JSON in which nobody finds the end of a cell.
fn unseparated(raw: &[u8]) -> Cow<'_, [u8]> {
    let ends = |byte: &u8| SEPARATORS.contains(&char::from(*byte));
    if !raw.iter().any(ends) {
        return raw.into();
    }
    let mut out = Vec::with_capacity(raw.len() + 16);
    for byte in raw {
        match byte {
            // It can stand in a text alone, where the others can't.
            b';' => out.extend_from_slice(br"\u003b"),
            _ if ends(byte) => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    out.into()
}

/// What programs that read CSV take for the end of a cell or of a row, beside the comma.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// Whether a spreadsheet may take a text for a formula. Some skip what is not seen at its beginning, and some read the wide
/// forms that East Asian keyboards have.
fn is_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n']) || begins_formula(text)
}

fn begins_formula(text: &str) -> bool {
    let first = text.trim_start_matches(is_unseen).chars().next();
    first.is_some_and(|c| "=+-@＝＋－＠".contains(c))
}

fn is_unseen(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_could_run_begins_with_an_apostrophe() {
        for text in [
            "=1+1",
            "=cmd|' /C calc'!A0",
            "+49 30 1234",
            "-2+3",
            "@SUM(A1)",
            "\n",
            "\ttext",
            " =1",
            "\u{a0}=1",
            "\u{feff}=1",
            "\u{200b}@x",
            "\0=1",
            "＝1",
            "＋1",
            "－1",
            "＠x",
        ] {
            assert_eq!(harmless(text, false), format!("'{text}"), "{text:?}");
        }
        for text in ["", "a=1", "1-2", "'=1", "\"=1", "ä@b.example", " text", "{\"a\":\"=1\"}", "#=1"] {
            assert_eq!(harmless(text, false), text);
        }
    }

    #[test]
    fn what_could_become_a_cell_of_its_own_is_treated_as_one() {
        for (text, safe) in [
            ("x;=1+1", "x;'=1+1"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("x\t=1;@y", "x\t'=1;'@y"),
            ("x\n=1\n", "x\n'=1\n"),
            ("x\r\n\u{feff}-1", "x\r\n'\u{feff}-1"),
            ("=1;=2", "'=1;'=2"),
            ("x; =1", "x;' =1"),
            ("x;\"=1+1;y", "x;'\"=1+1;y"),
            ("x\n \"\"=1", "x\n' \"\"=1"),
            ("a;b;1-2\nc", "a;b;1-2\nc"),
            ("a,=1", "a,=1"),
        ] {
            assert_eq!(harmless(text, false), safe, "{text:?}");
        }
    }

    #[test]
    fn json_in_a_cell_means_what_it_did_and_has_no_end_in_it() {
        for (raw, safe) in [
            (r#"["x;=1+1;y"]"#, r#"["x\u003b=1+1\u003by"]"#),
            ("{\n\t\"a\": [1,\r\n2]}", r#"{  "a": [1,  2]}"#),
            (r#"["a","b c"]"#, r#"["a","b c"]"#),
            ("-1.50", "-1.50"),
        ] {
            assert_eq!(String::from_utf8(unseparated(raw.as_bytes()).into_owned()).unwrap(), safe);
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(read(raw), read(safe));
        }
    }

    #[test]
    fn a_decimal_that_is_spelled_as_a_text_is_a_number() {
        for number in ["-12.50", "-1", "0.10"] {
            assert_eq!(harmless(number, true), number);
        }
        for text in ["-1+1", "-", "-12.50|x", "=-1", " -1", "--1", "-A1", "-1 "] {
            assert_eq!(harmless(text, true), format!("'{text}"), "{text:?}");
        }
    }
}
