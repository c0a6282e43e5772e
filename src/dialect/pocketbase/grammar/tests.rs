//! What PocketBase's filters mean, which of them can't be judged, and that a printed one reads back as itself.

use proptest::prelude::*;

use super::*;

fn of(path: &str, sign: Sign, literal: Literal) -> Expression {
    Expression::Comparison(Comparison { path: path.to_owned(), sign, literal })
}

fn text(text: &str) -> Literal {
    Literal::Text(text.to_owned())
}

fn equal(path: &str, value: &str) -> Expression {
    of(path, Sign::Equal, text(value))
}

#[test]
fn a_filter_is_what_the_server_takes_it_for() {
    use Expression::{All, Any};
    let number = |number: &str| Literal::Number(number.to_owned());
    let (a, b, c) = (equal("a", "1"), equal("b", "2"), equal("c", "3"));
    for (written, expected) in [
        ("a='1'", a.clone()),
        (" a\t=\n\"1\" ", a.clone()),
        ("'1'=a", a.clone()),
        ("a?='1'", a.clone()),
        ("((a='1'))", a.clone()),
        ("a!='1'", of("a", Sign::NotEqual, text("1"))),
        ("a?!=5", of("a", Sign::NotEqual, number("5"))),
        ("a<-1.50", of("a", Sign::Less, number("-1.50"))),
        ("5>=a", of("a", Sign::LessOrEqual, number("5"))),
        ("a>=0", of("a", Sign::GreaterOrEqual, number("0"))),
        ("a>NULL", of("a", Sign::Greater, Literal::Null)),
        ("a=True", of("a", Sign::Equal, Literal::Bool(true))),
        ("false!=a", of("a", Sign::NotEqual, Literal::Bool(false))),
        ("a~'x%'", of("a", Sign::Like, text("x%"))),
        ("a!~'x'", of("a", Sign::NotLike, text("x"))),
        ("a.b_c.d='x'", equal("a.b_c.d", "x")),
        (r"a='it\'s'", equal("a", "it's")),
        (r#"a="it's""#, equal("a", "it's")),
        (r#"a='say "so"'"#, equal("a", "say \"so\"")),
        (r"a='back\slash'", equal("a", r"back\slash")),
        ("a='// ) || (1=1'", equal("a", "// ) || (1=1")),
        ("a='1'&&b='2'||c='3'", Any(vec![All(vec![a.clone(), b.clone()]), c.clone()])),
        ("a='1'||b='2'&&c='3'", Any(vec![a.clone(), All(vec![b.clone(), c.clone()])])),
        ("(a='1'||b='2')&&c='3'", All(vec![Any(vec![a.clone(), b.clone()]), c.clone()])),
        ("a='1' && b='2' && c='3'", All(vec![a.clone(), b.clone(), c.clone()])),
    ] {
        assert_eq!(parse(written), Ok(expected), "{written}");
    }
}

#[test]
fn what_cant_be_judged_is_no_filter() {
    use Mistake::*;
    let long = format!("a='{}'", "x".repeat(MAX_FILTER));
    let many = vec!["a=1"; MAX_COMPARISONS + 1].join("&&");
    let deep = format!("{}a=1{}", "(".repeat(MAX_DEPTH + 1), ")".repeat(MAX_DEPTH + 1));
    for (written, mistake) in [
        ("", Syntax),
        ("a", Syntax),
        ("a=", Syntax),
        ("=1", Syntax),
        ("a=1 &&", Syntax),
        ("a=1 & b=1", Syntax),
        ("a=1 | b=1", Syntax),
        ("a=1 and b=1", Syntax),
        ("a=1 b=1", Syntax),
        ("a==1", Syntax),
        ("a=!1", Syntax),
        ("a?1", Syntax),
        ("a??=1", Syntax),
        ("(a=1", Syntax),
        ("a=1)", Syntax),
        ("()", Syntax),
        ("!(a=1)", Syntax),
        ("a='x", Syntax),
        ("a=x'", Operands),
        ("a=1e3", Syntax),
        ("a=.5", Syntax),
        ("a=5.", Syntax),
        ("a=007", Syntax),
        ("a=0x1", Syntax),
        ("a=+1", Syntax),
        ("a=--1", Syntax),
        ("a=1;", Syntax),
        ("a=1\r", Syntax),
        ("a=1\u{a0}", Syntax),
        ("ä=1", Syntax),
        ("a#b=1", Syntax),
        ("a@b=1", Syntax),
        ("id!='') //", Syntax),
        ("id!='' // x", Comment),
        ("a=1 // && b=1", Comment),
        ("//", Comment),
        ("@now>a", Macro),
        ("created>@yearStart", Macro),
        ("@random='x'", Macro),
        ("@request.auth.id!=''", Request),
        ("a=@request.headers.x", Request),
        ("@collection.users.email?~'a'", Collection),
        ("@collection:one.users.id=a", Collection),
        ("a:lower='x'", Modifier),
        ("a:length>1", Modifier),
        ("a:each='x'", Modifier),
        ("a:isset=true", Modifier),
        ("geoDistance(1,2,3,4)>5", Function),
        ("strftime('%Y',a)='2025'", Function),
        ("a=b", Operands),
        ("1=1", Operands),
        ("'a'='a'", Operands),
        ("true=true", Operands),
        ("'x'~a", Operands),
        (r"a='x\'", Syntax),
        (r"a='x\\'", Text),
        (r"a='x\\' || b='", Text),
        (r#"a='x\"y'"#, Text),
        (r"a='x\\'y'", Text),
        ("a='x\u{0}y'", Text),
        ("a='x\ny'", Text),
        (&long, TooLong),
        (&many, TooMany),
        (&deep, TooDeep),
    ] {
        assert_eq!(parse(written), Err(mistake), "{written:?}");
    }
}

#[test]
fn limits_are_reached_and_not_passed() {
    let many = vec!["a=1"; MAX_COMPARISONS].join("&&");
    let deep = format!("{}a=1{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    for written in [many, deep, format!("a='{}'", "x".repeat(MAX_FILTER - 4))] {
        assert!(parse(&written).is_ok(), "{written}");
    }
}

#[test]
fn texts_that_cant_be_quoted_are_not_printed() {
    for unquotable in ["end\\", "a\\'b", "a\\\"b", "a\0b", "a\nb", "\u{7f}"] {
        assert_eq!(print(&equal("a", unquotable)), None, "{unquotable:?}");
    }
    for number in ["1e3", "", "-", "NaN", "1) || (1=1"] {
        assert_eq!(print(&of("a", Sign::Equal, Literal::Number(number.to_owned()))), None, "{number:?}");
    }
    let group = Expression::All(vec![equal("a", "it's"), Expression::Any(vec![equal("b", "\\x"), equal("c", "")])]);
    assert_eq!(print(&group).as_deref(), Some(r"(a='it\'s' && (b='\x' || c=''))"));
}

fn literals() -> impl Strategy<Value = Literal> {
    prop_oneof![
        "[ -~äß😀\\\\'\"%]{0,8}".prop_map(Literal::Text),
        "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,4})?".prop_map(Literal::Number),
        any::<bool>().prop_map(Literal::Bool),
        Just(Literal::Null),
    ]
}

fn expressions() -> impl Strategy<Value = Expression> {
    let sign = prop::sample::select(Sign::ALL.to_vec());
    let path = "[a-z_][a-z0-9_]{0,5}(\\.[a-z]{1,3})?"
        .prop_filter("words", |path| !["null", "true", "false"].contains(&path.as_str()));
    let leaf = (path, sign, literals())
        .prop_map(|(path, sign, literal)| Expression::Comparison(Comparison { path, sign, literal }));
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::All),
            prop::collection::vec(inner, 2..4).prop_map(Expression::Any),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_filter_reads_back_as_itself(expression in expressions()) {
        if let Some(printed) = print(&expression) && printed.len() <= MAX_FILTER {
            prop_assert_eq!(parse(&printed), Ok(expression));
        }
    }

    #[test]
    fn hostile_filters_are_refused_or_understood(written in "[ab.@:#()'\"\\\\&|=!<>~?/0-9 -]{0,64}") {
        if let Ok(expression) = parse(&written) {
            let printed = print(&expression).expect("what was quoted can be quoted");
            prop_assert_eq!(parse(&printed), Ok(expression));
        }
    }

    #[test]
    fn bytes_of_any_kind_never_panic(written in "\\PC*", depth in 0_usize..4000) {
        let open = parse(&"(".repeat(depth + 1));
        prop_assert!(open.is_err());
        for hostile in [written.clone(), format!("{}{written}", "a=1||".repeat(depth / 8))] {
            if let Ok(expression) = parse(&hostile) {
                prop_assert!(print(&expression).is_some(), "{}", hostile);
            }
        }
    }
}
