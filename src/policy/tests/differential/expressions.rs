//! Typed expressions over the fields of `samples`, as this engine and as the oracle write them.

use super::choices::Choices;

/// What an expression is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Bool,
    Int,
    Double,
    String,
    Timestamp,
    Duration,
    Ints,
    Strings,
    Labels,
    /// Of any type: a part of a JSON field.
    Any,
}

#[derive(Clone, Debug)]
pub(in crate::policy::tests) struct Text {
    pub(in crate::policy::tests) ours: String,
    /// `None` where the oracle has no such thing.
    pub(super) oracle: Option<String>,
}

impl Text {
    fn same(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { oracle: Some(text.clone()), ours: text }
    }

    fn ours(text: impl Into<String>) -> Self {
        Self { ours: text.into(), oracle: None }
    }

    /// Where the two write it differently.
    fn two(ours: impl Into<String>, oracle: impl Into<String>) -> Self {
        Self { ours: ours.into(), oracle: Some(oracle.into()) }
    }
}

/// Puts texts into the places `{}` of a pattern.
fn join<const N: usize>(pattern: &str, parts: [&Text; N]) -> Text {
    let fill = |text: &dyn Fn(&Text) -> Option<String>| {
        let mut pieces = pattern.split("{}");
        let mut made = pieces.next().unwrap_or_default().to_owned();
        for (part, piece) in parts.iter().zip(pieces) {
            made.push_str(&text(part)?);
            made.push_str(piece);
        }
        Some(made)
    };
    Text { ours: fill(&|part| Some(part.ours.clone())).unwrap_or_default(), oracle: fill(&|part| part.oracle.clone()) }
}

pub(in crate::policy::tests) struct Generator<'c> {
    choices: Choices<'c>,
    variables: Vec<(String, Of)>,
    named: usize,
    each: usize,
}

const COMPARISONS: [&str; 6] = ["{} == {}", "{} != {}", "({}) < ({})", "({}) <= ({})", "({}) > ({})", "({}) >= ({})"];

impl<'c> Generator<'c> {
    pub(in crate::policy::tests) fn new(choices: Choices<'c>) -> Self {
        Self { choices, variables: Vec::new(), named: 0, each: 0 }
    }

    /// Conditions mostly.
    pub(in crate::policy::tests) fn expression(&mut self) -> Text {
        let kinds = [Of::Int, Of::Double, Of::String, Of::Timestamp, Of::Duration, Of::Ints, Of::Strings, Of::Any];
        let of = if self.choices.rarely(3) { self.choices.one(&kinds) } else { Of::Bool };
        let depth = 1 + self.choices.below(4);
        self.make(of, depth)
    }

    fn make(&mut self, of: Of, depth: usize) -> Text {
        if depth == 0 || self.choices.rarely(6) {
            return self.leaf(of);
        }
        if self.choices.rarely(12) {
            return self.any_kind(of, depth - 1);
        }
        match of {
            Of::Bool => self.bool(depth - 1),
            Of::Int => self.int(depth - 1),
            Of::Double => self.double(depth - 1),
            Of::String => self.string(depth - 1),
            Of::Timestamp => self.timestamp(depth - 1),
            Of::Duration => self.duration(depth - 1),
            Of::Ints | Of::Strings => self.list(of, depth - 1),
            Of::Labels => self.leaf(of),
            Of::Any => self.dynamic(depth - 1),
        }
    }

    fn leaf(&mut self, of: Of) -> Text {
        if self.choices.below(3) == 0 {
            let known: Vec<String> =
                self.variables.iter().filter(|(_, kind)| *kind == of).map(|(name, _)| name.clone()).collect();
            if !known.is_empty() {
                let at = self.choices.below(known.len());
                return Text::same(known.get(at).cloned().unwrap_or_default());
            }
        }
        let texts: &[&str] = match of {
            Of::Bool => &["record.active", "true", "false", "principal.attributes.mfa"],
            Of::Int => &[
                "record.qty",
                "record.id",
                "0",
                "1",
                "2",
                "7",
                "(-1)",
                "(-5)",
                "9223372036854775807",
                "(-9223372036854775808)",
            ],
            Of::Double => &["record.price", "0.0", "1.5", "(-2.25)", "0.1", "1e308", "3.0"],
            Of::String => &[
                "record.name",
                "record.note",
                "record.account.region",
                "record.account.name",
                "principal.id",
                "tenant.organization_id",
                "request.method",
                "'a'",
                "''",
                "'ab'",
                "'é'",
                "\"😀 b\"",
                "'1'",
                "principal.attributes.team",
                "record.labels.a",
                "record.tags[0]",
            ],
            Of::Timestamp => &["record.at", "record.seen", "record.born", "now", "timestamp('2025-01-02T03:04:05Z')"],
            Of::Duration => &["record.took", "duration('1h')", "duration('-90s')", "duration('1.5s')"],
            Of::Ints => &["record.scores", "[1, 2, 3]", "[]", "[7]"],
            Of::Strings => &[
                "record.tags",
                "['a', 'ab']",
                "principal.attributes.regions",
                "principal.roles",
                "principal.groups",
                "['é', 'u1', 'u2', '']",
            ],
            Of::Labels => &["record.labels", "{'a': 'x', 'é': 'ab'}"],
            Of::Any => &[
                "record.custom.a",
                "record.custom",
                "record.extra",
                "record.custom.b.c",
                "record.extra.a",
                "record.custom['a']",
                "record.custom.list",
                "record.extra.list",
                "record.custom.flag",
            ],
        };
        Text::same(self.choices.one(texts))
    }

    /// What may be of every type.
    fn any_kind(&mut self, of: Of, depth: usize) -> Text {
        match self.choices.below(4) {
            0 | 1 => {
                let condition = self.make(Of::Bool, depth);
                let (yes, no) = (self.make(of, depth), self.make(of, depth));
                join("({} ? {} : {})", [&condition, &yes, &no])
            }
            2 if self.variables.len() < 6 => self.bound(of, depth),
            _ if of != Of::Bool => {
                let (list, at) = (self.make(of, depth), self.make(of, depth));
                let index = self.make(Of::Int, 0);
                join("[{}, {}][{}]", [&list, &at, &index])
            }
            _ => self.make(of, depth),
        }
    }

    /// `cel.bind` is what the oracle lacks: there, the value stands where its name would.
    fn bound(&mut self, of: Of, depth: usize) -> Text {
        let kinds = [Of::Int, Of::String, Of::Bool, Of::Any, Of::Strings, Of::Timestamp];
        let kind = self.choices.one(&kinds);
        let value = self.make(kind, depth);
        let name = self.name();
        self.variables.push((name.clone(), kind));
        let body = self.make(of, depth);
        self.variables.pop();
        let replaced = |body: String| Some(body.replace(&name, &format!("({})", value.oracle.as_ref()?)));
        Text {
            ours: format!("cel.bind({name}, {}, {})", value.ours, body.ours),
            oracle: body.oracle.and_then(replaced),
        }
    }

    /// No name is a part of another.
    fn name(&mut self) -> String {
        self.named += 1;
        format!("v{}_", self.named)
    }

    fn pair(&mut self, of: Of, depth: usize, pattern: &str) -> Text {
        let (a, b) = (self.make(of, depth), self.make(of, depth));
        join(pattern, [&a, &b])
    }

    fn bool(&mut self, depth: usize) -> Text {
        match self.choices.below(19) {
            0 => self.pair(Of::Bool, depth, "({} && {})"),
            1 => self.pair(Of::Bool, depth, "({} || {})"),
            2 => {
                let of = self.make(Of::Bool, depth);
                join("!({})", [&of])
            }
            3..=5 => {
                let kinds = [Of::Int, Of::String, Of::Double, Of::Timestamp, Of::Duration, Of::Bool];
                let kind = self.choices.one(&kinds);
                let sign = self.choices.one(&COMPARISONS);
                self.pair(kind, depth, &format!("({sign})"))
            }
            6 => {
                let sign = self.choices.one(&COMPARISONS);
                // The oracle compares as doubles, which for large integers is not exact.
                let (a, b) = (self.make(Of::Int, depth), self.make(Of::Double, depth));
                join(&format!("({})", sign.replacen("{}", "({} % 1000)", 1)), [&a, &b])
            }
            7 => {
                let kind = self.choices.one(&[Of::Any, Of::Int, Of::String, Of::Double]);
                let sign = self.choices.one(&COMPARISONS);
                let (a, b) = (self.make(Of::Any, depth), self.make(kind, depth));
                join(&format!("({sign})"), [&a, &b])
            }
            8 => {
                let (kind, list) =
                    self.choices.one(&[(Of::String, Of::Strings), (Of::Int, Of::Ints), (Of::Any, Of::Strings)]);
                let (a, b) = (self.make(kind, depth), self.make(list, depth));
                join("({} in {})", [&a, &b])
            }
            9 => {
                let (a, b) = (self.make(Of::String, depth), self.make(Of::Labels, depth));
                join("({} in {})", [&a, &b])
            }
            10 | 11 => {
                let function = self.choices.one(&["startsWith", "endsWith", "contains"]);
                self.pair(Of::String, depth, &format!("{{}}.{function}({{}})"))
            }
            12 => {
                let pattern = self.choices.one(&["^a", "b$", "[^a]+", "^(a|é)?$", "."]);
                let of = self.make(Of::String, depth);
                join(&format!("{{}}.matches('{pattern}')"), [&of])
            }
            13 => Text::same(format!(
                "({})",
                self.choices.one(&[
                    "record.note == null",
                    "record.seen != null",
                    "record.vip == null",
                    "record.vip == true",
                    "record.account != null",
                    "record.custom == null",
                    "null == record.custom.a",
                    "record.extra.b != null",
                    "record.custom.b.c == null",
                    "has(record.custom.a)",
                    "has(record.custom.b.c)",
                    "has(record.extra.list)",
                    "has(record.labels.a)",
                ])
            )),
            14 => self.quantifier(depth),
            15 => self.fact(depth),
            16 => self.pair(Of::Strings, depth, "({} == {})"),
            17 => {
                let of = self.make(Of::Any, depth);
                let kind = self.choices.one(&["int", "double", "string", "bool", "list", "map", "null_type"]);
                join(&format!("(type({{}}) == {kind})"), [&of])
            }
            _ => self.make(Of::Any, depth),
        }
    }

    fn fact(&mut self, depth: usize) -> Text {
        let text = self.make(Of::String, depth);
        match self.choices.below(6) {
            0 => Text::two("principal.has_role('sales_rep')", "('sales_rep' in principal.roles)"),
            1 => Text {
                oracle: join("({} in principal.reports)", [&text]).oracle,
                ..join("principal.manages({})", [&text])
            },
            2 => Text {
                oracle: join("({} in principal.groups)", [&text]).oracle,
                ..join("principal.in_group({})", [&text])
            },
            3 => Text::two("cidr('10.0.0.0/8').containsIP(request.ip)", "true"),
            4 => Text::ours(format!(
                "({})",
                self.choices.one(&[
                    "record.amount > 10",
                    "record.amount == 10.5",
                    "record.amount in [1, 10.50, 99999999999999999999.25]",
                    "record.amount == principal.attributes.limit",
                    "record.amount == null",
                    "record.amount < 0.1",
                ])
            )),
            _ => self.optional(depth),
        }
    }

    /// What is no map has no members that could be missing: here that is an error, and for the oracle there is nothing.
    fn optional(&mut self, depth: usize) -> Text {
        let of = self.make(Of::Any, depth);
        let [inner, ours] = self.choices.one(&[
            ["{}.?a.hasValue()", "{}.?a.hasValue()"],
            ["{}[?'a'].orValue(1) == 1", "{}[?'a'].orValue(1) == 1"],
            ["{}.?a.optMap(o_, o_ == 1).orValue(false)", "{}.?a.optMap(o_, o_ == 1).orValue(false)"],
            ["{}.?a == {}.?b.or(optional.of(1))", "{}.?a == {}.?b.or(optional.of(1))"],
            ["({}.?a.hasValue() && type({}.a) != map ? {}.a.b == 1 : {}.?a.?b.hasValue())", "{}.?a.?b.hasValue()"],
        ]);
        let oracle = join(&format!("(type({{}}) == map ? {inner} : {{}}.a == 1)"), [&of; 6]).oracle;
        Text { ours: join(&format!("({ours})"), [&of; 2]).ours, oracle }
    }

    fn quantifier(&mut self, depth: usize) -> Text {
        let kind = self.choices.one(&["exists", "all", "exists_one"]);
        if self.choices.rarely(5) {
            return self.each(Of::Bool, depth, |list, v, body| match kind {
                "exists_one" => Text::ours(format!("{}.existsOne(i{v}, {v}, {})", list.ours, body.ours)),
                kind => Text::ours(format!("{}.{kind}(i{v}, {v}, {})", list.ours, body.ours)),
            });
        }
        self.each(Of::Bool, depth, |list, v, body| join(&format!("{{}}.{kind}({v}, {{}})"), [list, body]))
    }

    /// A comprehension over a list, unless there are two around it already.
    fn each(&mut self, of: Of, depth: usize, make: impl FnOnce(&Text, &str, &Text) -> Text) -> Text {
        if self.each == 2 {
            return self.leaf(of);
        }
        let (kind, list) = self.choices.one(&[(Of::String, Of::Strings), (Of::Int, Of::Ints), (Of::Any, Of::Any)]);
        let list = self.make(list, depth);
        let name = self.name();
        self.variables.push((name.clone(), kind));
        self.each += 1;
        let body = self.make(of, depth);
        self.each -= 1;
        self.variables.pop();
        make(&list, &name, &body)
    }

    fn int(&mut self, depth: usize) -> Text {
        match self.choices.below(12) {
            0..=3 => {
                let sign = self.choices.one(&["+", "-", "*", "/", "%"]);
                self.pair(Of::Int, depth, &format!("({{}} {sign} {{}})"))
            }
            4 => {
                let kind = self.choices.one(&[Of::String, Of::Strings, Of::Ints, Of::Labels, Of::Any]);
                let of = self.make(kind, depth);
                join("size({})", [&of])
            }
            5 => {
                let kind = self.choices.one(&[Of::Double, Of::String, Of::Timestamp]);
                let of = self.make(kind, depth);
                join("int({})", [&of])
            }
            6 => self.pair(Of::String, depth, "{}.indexOf({})"),
            7 => {
                let part = self.choices.one(&[
                    "getFullYear()",
                    "getMonth()",
                    "getDate()",
                    "getDayOfMonth()",
                    "getDayOfWeek()",
                    "getDayOfYear()",
                    "getHours()",
                    "getMinutes()",
                    "getSeconds()",
                    "getMilliseconds()",
                    "getHours('Europe/Paris')",
                    "getDate('-08:00')",
                ]);
                let of = self.make(Of::Timestamp, depth);
                join(&format!("{{}}.{part}"), [&of])
            }
            8 => {
                let of = self.make(Of::Int, depth);
                join("(-({}))", [&of])
            }
            9 => {
                let part = self.choices.one(&["getHours()", "getMinutes()", "getSeconds()"]);
                let of = self.make(Of::Duration, depth);
                join(&format!("{{}}.{part}"), [&of])
            }
            10 => {
                let function =
                    self.choices.one(&["math.greatest({}, {})", "math.least({}, {})", "math.bitAnd({}, {})"]);
                self.pair(Of::Int, depth, function)
            }
            _ => {
                let of = self.make(Of::Int, depth);
                join(self.choices.one(&["math.abs({})", "math.sign({})"]), [&of])
            }
        }
    }

    fn double(&mut self, depth: usize) -> Text {
        match self.choices.below(6) {
            0..=2 => {
                let sign = self.choices.one(&["+", "-", "*", "/"]);
                self.pair(Of::Double, depth, &format!("({{}} {sign} {{}})"))
            }
            3 => {
                let of = self.make(Of::Int, depth);
                join("double({})", [&of])
            }
            4 => {
                let of = self.make(Of::Double, depth);
                join("(-({}))", [&of])
            }
            _ => {
                let of = self.make(Of::Double, depth);
                join(self.choices.one(&["math.floor({})", "math.ceil({})", "math.trunc({})", "math.abs({})"]), [&of])
            }
        }
    }

    fn string(&mut self, depth: usize) -> Text {
        match self.choices.below(9) {
            0 | 1 => self.pair(Of::String, depth, "({} + {})"),
            2 => {
                let of = self.make(Of::String, depth);
                join(self.choices.one(&["{}.lowerAscii()", "{}.upperAscii()", "{}.trim()", "{}.reverse()"]), [&of])
            }
            3 => {
                let kind = self.choices.one(&[Of::Int, Of::Bool, Of::String, Of::Timestamp]);
                let of = self.make(kind, depth);
                join("string({})", [&of])
            }
            4 => {
                let (of, at) = (self.make(Of::String, depth), self.make(Of::Int, depth));
                join(self.choices.one(&["{}.charAt({})", "{}.substring({})"]), [&of, &at])
            }
            5 => {
                let (of, from) = (self.make(Of::String, depth), self.make(Of::String, depth));
                let to = self.make(Of::String, 0);
                join("{}.replace({}, {})", [&of, &from, &to])
            }
            6 => {
                let (of, by) = (self.make(Of::Strings, depth), self.make(Of::String, depth));
                join("{}.join({})", [&of, &by])
            }
            7 => {
                let (of, at) = (self.make(Of::Strings, depth), self.make(Of::Int, depth));
                join("{}[{}]", [&of, &at])
            }
            _ => {
                let (of, key) = (self.make(Of::Labels, depth), self.make(Of::String, depth));
                join("{}[{}]", [&of, &key])
            }
        }
    }

    fn timestamp(&mut self, depth: usize) -> Text {
        let (at, by) = (self.make(Of::Timestamp, depth), self.make(Of::Duration, depth));
        join(self.choices.one(&["({} + {})", "({} - {})"]), [&at, &by])
    }

    fn duration(&mut self, depth: usize) -> Text {
        match self.choices.below(3) {
            0 => self.pair(Of::Timestamp, depth, "({} - {})"),
            1 => self.pair(Of::Duration, depth, "({} + {})"),
            _ => self.pair(Of::Duration, depth, "({} - {})"),
        }
    }

    fn list(&mut self, of: Of, depth: usize) -> Text {
        let element = if of == Of::Ints { Of::Int } else { Of::String };
        match self.choices.below(7) {
            0 => self.pair(of, depth, "({} + {})"),
            1 => self.pair(element, depth, "[{}, {}]"),
            2 => self.each(element, depth, |list, v, body| join(&format!("{{}}.map({v}, {{}})"), [list, body])),
            3 | 4 => {
                let list = self.make(of, depth);
                if self.each == 2 {
                    return list;
                }
                let name = self.name();
                self.variables.push((name.clone(), element));
                self.each += 1;
                let body = self.make(Of::Bool, depth);
                self.each -= 1;
                self.variables.pop();
                join(&format!("{{}}.filter({name}, {{}})"), [&list, &body])
            }
            5 => {
                let list = self.make(of, depth);
                join(self.choices.one(&["{}.distinct()", "{}.reverse()", "{}.sort()", "{}.slice(0, 1)"]), [&list])
            }
            _ if of == Of::Strings => self.pair(Of::String, depth, "{}.split({})"),
            _ => Text::ours("lists.range(3)"),
        }
    }

    fn dynamic(&mut self, depth: usize) -> Text {
        match self.choices.below(6) {
            0 => {
                let (of, at) = (self.make(Of::Any, depth), self.make(Of::Int, 0));
                join("{}[{}]", [&of, &at])
            }
            1 => {
                let of = self.make(Of::Any, depth);
                join(self.choices.one(&["{}.a", "{}['b']", "{}.list", "{}[0]"]), [&of])
            }
            2 => {
                let kind = self.choices.one(&[Of::Int, Of::String, Of::Bool, Of::Double]);
                let of = self.make(kind, depth);
                join("dyn({})", [&of])
            }
            3 => {
                let sign = self.choices.one(&["+", "-", "*", "/"]);
                let (a, b) = (self.make(Of::Any, depth), self.make(Of::Int, depth));
                join(&format!("({{}} {sign} {{}})"), [&a, &b])
            }
            4 => {
                let a = self.make(Of::Any, depth);
                join("[{}, 1][0]", [&a])
            }
            _ => self.leaf(Of::Any),
        }
    }
}
