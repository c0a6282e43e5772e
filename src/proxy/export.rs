//! Lists as CSV (RFC 4180): the rows that the JSON would show, a column for each field that may show on any of them.
//!
//! Whoever opens the file in a spreadsheet runs what its cells say. A text that such a program could take for a formula
//! gets an apostrophe before it, after which none of them does; so does what stands behind a semicolon, a tab or the end of a
//! line in it, for a program that expects these between cells (as in countries with decimal commas) minds no quotes within
//! one. JSON numbers are no text and stay as they are; so do texts of a declared decimal that are one. Lists, maps and free
//! JSON stand in their cell as JSON text. Null, a field that does not show on this row and an empty text are one and the same
//! empty cell.
//!
//! To a program that expects a semicolon, a whole line is one cell. If a number below zero begins it, it is a formula, and
//! the texts behind the number would be its terms: on such a line each text is in quotes, which a formula reads as a text.

use std::borrow::Cow;

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
    pub(super) fn header(&self, out: &mut Vec<u8>) {
        let mut line = Line::new(out);
        for column in &self.columns {
            line.text(harmless(&column.name).as_bytes());
        }
        line.end();
    }

    /// Appends a row for each record.
    ///
    /// Errors: a record is none, or has a member twice: its cell could show only one of them.
    pub(super) fn rows<'b>(
        &self,
        records: impl Iterator<Item = &'b [u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        for record in records {
            let slots = redact::slots(record, &self.layout, self.depth)?;
            let mut line = Line::new(out);
            for column in &self.columns {
                match slots.get(column.slot) {
                    Slot::Missing | Slot::Raw(b"null") => line.word(b""),
                    Slot::Raw(raw @ [b'"', ..]) => {
                        let text = redact::request::text(raw).ok_or(Unreadable::Encoding)?;
                        if column.decimal && Decimal::parse(&text).is_some() {
                            line.word(text.as_bytes());
                        } else {
                            line.text(harmless(&text).as_bytes());
                        }
                    }
                    Slot::Raw(raw @ [b'[' | b'{', ..]) => line.text(&unseparated(raw)),
                    Slot::Raw(raw) => line.word(raw),
                }
            }
            line.end();
        }
        Ok(())
    }
}

/// A line while its cells are written.
struct Line<'o> {
    out: &'o mut Vec<u8>,
    /// Where it begins in `out`.
    begin: usize,
    is_first: bool,
}

impl<'o> Line<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        Self { begin: out.len(), out, is_first: true }
    }

    /// A number, `true`, `false` or nothing: what calls nothing, whatever it is taken for.
    fn word(&mut self, word: &[u8]) {
        self.next();
        self.out.extend_from_slice(word);
    }

    fn text(&mut self, text: &[u8]) {
        // A text that begins so has an apostrophe before it, so it is a number that begins this line.
        let is_formula = matches!(self.out.get(self.begin), Some(b'-' | b'+'));
        self.next();
        let ends = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
        if !text.iter().any(ends) && (!is_formula || text.is_empty()) {
            self.out.extend_from_slice(text);
            return;
        }
        self.out.push(b'"');
        for byte in text {
            // In a formula, too, a quote is written twice within quotes, and nothing else stands for another thing.
            self.out.extend((*byte == b'"').then_some(b'"'));
            self.out.push(*byte);
        }
        self.out.push(b'"');
    }

    fn next(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
    }

    fn end(self) {
        // An empty line would be none.
        if self.out.len() == self.begin {
            self.out.extend_from_slice(b"\"\"");
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// The text as no spreadsheet runs it.
fn harmless(text: &str) -> Cow<'_, str> {
    if !is_formula(text) && !text.contains(SEPARATORS) {
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
            assert_eq!(harmless(text), format!("'{text}"), "{text:?}");
        }
        for text in ["", "a=1", "1-2", "'=1", "\"=1", "ä@b.example", " text", "{\"a\":\"=1\"}", "#=1"] {
            assert_eq!(harmless(text), text);
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
            assert_eq!(harmless(text), safe, "{text:?}");
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

    /// A record's line under these columns. `amount` is a decimal.
    fn line(columns: &[&str], record: &str) -> String {
        let mut layout = Layout::default();
        let column = |name: &&str| {
            let name = Name::from(*name);
            let slot = layout.insert(std::slice::from_ref(&name));
            Column { decimal: &*name == "amount", name, slot }
        };
        let columns = columns.iter().map(column).collect();
        let rows = Rows { columns, layout, depth: 8, file_name: String::new() };
        let mut out = Vec::new();
        rows.rows(std::iter::once(record.as_bytes()), &mut out).expect("a record");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_decimal_that_is_spelled_as_a_text_is_a_number() {
        for number in ["-12.50", "-1", "0.10"] {
            assert_eq!(line(&["amount"], &format!(r#"{{"amount":"{number}"}}"#)), format!("{number}\r\n"));
        }
        for text in ["-1+1", "-", "-12.50|x", "=-1", " -1", "--1", "-A1", "-1 "] {
            assert_eq!(line(&["amount"], &format!(r#"{{"amount":"{text}"}}"#)), format!("'{text}\r\n"), "{text:?}");
        }
    }

    #[test]
    fn behind_a_number_below_zero_each_text_of_the_line_is_in_quotes() {
        let columns = ["amount", "title", "custom", "vip", "score"];
        for (record, written) in [
            (r#"{"amount":-2,"title":"3+cmd|' /C calc'!A0"}"#, r#"-2,"3+cmd|' /C calc'!A0",,,"#),
            (r#"{"amount":"-2.50","title":"HYPERLINK(A1)"}"#, r#"-2.50,"HYPERLINK(A1)",,,"#),
            (r#"{"amount":-2e1,"title":"a\"&cmd|' /C calc'!A0&\"b"}"#, r#"-2e1,"a""&cmd|' /C calc'!A0&""b",,,"#),
            (r#"{"amount":-2,"title":"=1"}"#, r#"-2,"'=1",,,"#),
            (r#"{"amount":-2,"title":"","vip":true,"score":-1.5}"#, "-2,,,true,-1.5"),
            (r#"{"amount":-2,"custom":[1]}"#, r#"-2,,"[1]",,"#),
            (r#"{"amount":-2,"custom":{"a":"x;=1"}}"#, r#"-2,,"{""a"":""x\u003b=1""}",,"#),
            (r#"{"amount":-2,"title":"x;y"}"#, r#"-2,"x;y",,,"#),
            (r#"{"amount":-2,"title":"5"}"#, r#"-2,"5",,,"#),
            (r#"{"amount":2,"title":"3+A1"}"#, "2,3+A1,,,"),
            (r#"{"title":"3+A1","score":-2}"#, ",3+A1,,,-2"),
            (r#"{"amount":"-2+A1","title":"3+A1"}"#, "'-2+A1,3+A1,,,"),
        ] {
            assert_eq!(line(&columns, record), format!("{written}\r\n"), "{record}");
        }
    }

    /// What is left of a cell as a formula when its texts are taken out. `None`: it is no formula, for a text has no end.
    fn terms(formula: &str) -> Option<String> {
        let parts: Vec<&str> = formula.split('"').collect();
        (parts.len() % 2 == 1).then(|| parts.into_iter().step_by(2).collect())
    }

    #[test]
    fn no_line_is_a_formula_that_calls_anything_whatever_ends_a_cell() {
        let texts = [
            "3+cmd|' /C calc'!A0",
            "\"+cmd|' /C calc'!A0+\"",
            "x;=cmd()",
            "\";=cmd();\"",
            "a\n-1+cmd()",
            "\"\n+cmd()",
            "a\t@cmd()",
            "\",-2,cmd()",
            "=cmd()",
            "\u{feff}=cmd()",
            "-1",
            "'",
            ";",
            "",
        ];
        let numbers = ["-2", "\"-2\"", "-0.5e3", "2", "null"];
        let free = |text: &str| serde_json::json!([text, { "a": text }]).to_string();
        for (number, first) in numbers.iter().flat_map(|number| texts.map(|text| (number, text))) {
            for second in texts {
                let (title, note) = (serde_json::json!(first), serde_json::json!(second));
                let record =
                    format!(r#"{{"amount":{number},"title":{title},"custom":{},"note":{note}}}"#, free(second));
                for columns in [["amount", "title", "custom", "note"], ["title", "custom", "amount", "note"]] {
                    let line = line(&columns, &record);
                    for cell in line.split([';', '\t', '\r', '\n']).filter(|cell| begins_formula(cell)) {
                        let terms = terms(cell).unwrap_or_default();
                        let calls = terms.contains(|c: char| !c.is_ascii_digit() && !"-.,e".contains(c));
                        assert!(!calls, "{cell} of {line}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_header_is_no_formula_either() {
        let mut out = Vec::new();
        let column =
            |name: &str| Column { name: name.into(), slot: Layout::default().insert(&[name.into()]), decimal: true };
        let columns = vec![column("-2"), column("3+cmd|' /C calc'!A0"), column("=1")];
        Rows { columns, layout: Layout::default(), depth: 8, file_name: String::new() }.header(&mut out);
        assert_eq!(String::from_utf8(out).expect("text"), "'-2,3+cmd|' /C calc'!A0,'=1\r\n");
    }
}
