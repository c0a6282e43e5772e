//! On what functions are defined: sorts of arguments and of results, for the checker and for messages.

use std::fmt;

/// How a function is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Style {
    /// `f(x)`
    Global,
    /// `x.f()`
    Method,
    Either,
}

/// The type of an argument or a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Sort {
    /// Any, known only when it is judged.
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    Decimal,
    String,
    Bytes,
    Timestamp,
    Duration,
    Type,
    Ip,
    Cidr,
    List(&'static Sort),
    Map(&'static Sort, &'static Sort),
    Optional(&'static Sort),
    /// The same sort wherever its name stands in one overload.
    Parameter(&'static str),
}

/// One way in which a function is defined. The receiver of a method is the first of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Overload {
    pub(in crate::policy) arguments: &'static [Sort],
    /// The last argument may come any number of times more.
    pub(in crate::policy) repeats: bool,
    pub(in crate::policy) result: Sort,
}

impl Style {
    pub(in crate::policy) fn allows(self, is_method: bool) -> bool {
        match self {
            Self::Global => !is_method,
            Self::Method => is_method,
            Self::Either => true,
        }
    }
}

impl Overload {
    pub(super) const fn new(arguments: &'static [Sort], result: Sort) -> Self {
        Self { arguments, repeats: false, result }
    }

    pub(super) const fn repeating(arguments: &'static [Sort], result: Sort) -> Self {
        Self { arguments, repeats: true, result }
    }

    /// Whether it is defined on that many arguments.
    pub(in crate::policy) fn takes(&self, arguments: usize) -> bool {
        arguments == self.arguments.len() || (self.repeats && arguments > self.arguments.len())
    }

    /// The sort of an argument by its place.
    pub(in crate::policy) fn argument(&self, at: usize) -> Option<Sort> {
        let last = self.arguments.last().filter(|_| self.repeats);
        self.arguments.get(at).or(last).copied()
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Decimal => f.write_str("decimal"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Type => f.write_str("type"),
            Self::Ip => f.write_str("ip"),
            Self::Cidr => f.write_str("cidr"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(key, of) => write!(f, "map({key}, {of})"),
            Self::Optional(of) => write!(f, "optional({of})"),
            Self::Parameter(name) => f.write_str(name),
        }
    }
}
