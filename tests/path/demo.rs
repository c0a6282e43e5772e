//! The demo as a newcomer runs it: the whole tour, in this process.

use scrim::demo::{self, Options};

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_gets_what_the_policies_promise() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut out = anstream::StripStream::new(Vec::new());
    let passed = demo::run(&Options { tour: true, keep: None }, &mut out).await.expect("the demo runs");
    let text = String::from_utf8(out.into_inner()).expect("text");
    assert!(passed, "{text}");
    assert!(!text.contains("BAD"), "{text}");
    assert!(!text.replace("SECRET- seen", "").replace("ssn=SECRET", "").contains("SECRET"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 110, "{line}");
    }
    // Why each answer is as it is: a rule that granted, one that masked, one that denied, and a reason without a rule.
    for part in ["reps-work-their-own", "masked email", "won-deals-stay", "legal-hold", "table_hidden"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
