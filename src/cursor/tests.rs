//! Cursors and what is remembered: what comes back, to whom, and for how long.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::seal::TEXT_LEN;
use super::*;
use crate::secret::Secret;

const LASTS: Duration = Duration::from_secs(600);

fn config(key: Option<&str>) -> config::Paging {
    let remember_time = Duration::from_secs(60);
    config::Paging { cursor_key: key.map(Secret::new), cursor_time: LASTS, remembered: 2, remember_time }
}

fn binding(caller: u8, list: &str) -> Binding {
    Binding::of([caller; 32], [list.as_bytes()])
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("an instant")
}

fn keys(names: &[&str]) -> RecordKeys {
    names.iter().copied().collect()
}

fn place(page: u64, position: u64) -> Place {
    Place { page, position, skip: 0, anchor: Anchor::nth(&keys(&["a"]), 0) }
}

fn places() -> [Place; 5] {
    [
        place(1, 2),
        Place { anchor: Anchor::last(&keys(&["b", "a"])), ..place(1, 2) },
        Place { page: 0, position: 0, skip: 0, anchor: None },
        Place { page: u64::MAX, position: u64::MAX, skip: u64::MAX, anchor: None },
        Place { page: 7, position: 9, skip: 3, anchor: None },
    ]
}

#[test]
fn a_place_comes_back_as_it_was_and_its_text_has_one_length() {
    let (cursors, bound) = (Cursors::new(&config(None)), binding(1, "contacts"));
    let mut seen = std::collections::HashSet::new();
    for place in places() {
        let text = cursors.sealed(&place, &bound, at(1000)).expect("sealed");
        assert_eq!(text.len(), TEXT_LEN, "{place:?}");
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(cursors.opened(&text, &bound, at(1000)), Some(place));
        assert_eq!(cursors.opened(&text, &bound, at(1599)), Some(place), "again, until it ends");
        assert_eq!(cursors.opened(&text, &bound, at(1600)), None);
        assert!(seen.insert(text));
        let again = cursors.sealed(&place, &bound, at(1000)).expect("sealed");
        assert!(seen.insert(again), "no two texts tell that they are of one place");
    }
}

#[test]
fn whatever_was_not_told_to_this_caller_of_this_list_is_nothing() {
    let (cursors, bound) = (Cursors::new(&config(None)), binding(1, "contacts"));
    let text = cursors.sealed(&places()[0], &bound, at(0)).expect("sealed");
    for other in [binding(2, "contacts"), binding(1, "contact"), binding(1, ""), Binding::of([1; 32], [])] {
        assert_eq!(cursors.opened(&text, &other, at(0)), None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(&text).expect("base64");
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(cursors.opened(&URL_SAFE_NO_PAD.encode(changed), &bound, at(0)), None, "bit {bit}");
    }
    for length in 0..text.len() {
        let cut: String = text.chars().take(length).collect();
        assert_eq!(cursors.opened(&cut, &bound, at(0)), None, "{length} characters");
    }
    let odd =
        [format!("{text}="), format!("{text}A"), format!(" {text}"), "A".repeat(TEXT_LEN), "ü".repeat(TEXT_LEN / 2)];
    for odd in odd {
        assert_eq!(cursors.opened(&odd, &bound, at(0)), None, "{odd}");
    }
    assert_eq!(Cursors::new(&config(None)).opened(&text, &bound, at(0)), None, "another process");
}

#[test]
fn instances_with_one_key_open_each_others_places() {
    let (bound, place) = (binding(1, "contacts"), places()[0]);
    let key = "0123456789abcdef0123456789abcdef";
    let one = Cursors::new(&config(Some(key)));
    let text = one.sealed(&place, &bound, at(0)).expect("sealed");
    assert_eq!(Cursors::new(&config(Some(key))).opened(&text, &bound, at(0)), Some(place));
    let mut other = Cursors::new(&config(Some("0123456789abcdef0123456789abcdeF")));
    assert_eq!(other.opened(&text, &bound, at(0)), None);
    other.inherit(&one);
    assert_eq!(other.opened(&text, &bound, at(0)), None, "the operator has changed it");
    let mut none = Cursors::new(&config(None));
    none.inherit(&one);
    assert_eq!(none.opened(&text, &bound, at(0)), None, "the operator has taken it away");
}

#[test]
fn a_reload_keeps_the_key_of_the_process() {
    let (bound, place) = (binding(1, "contacts"), places()[0]);
    let old = Cursors::new(&config(None));
    let text = old.sealed(&place, &bound, at(0)).expect("sealed");
    let mut new = Cursors::new(&config(None));
    new.inherit(&old);
    assert_eq!(new.opened(&text, &bound, at(0)), Some(place));
}

#[test]
fn an_anchor_is_found_wherever_its_record_is() {
    let anchor = Anchor::nth(&keys(&["a", "b", "c"]), 1).expect("noted");
    let among = |names: &[&str]| anchor.among(&keys(names));
    assert_eq!([among(&["a", "b"]), among(&["b"]), among(&["x", "y", "b"])], [Some(1), Some(0), Some(2)]);
    assert_eq!([among(&["a"]), among(&[]), among(&["B", "b "])], [None; 3]);
    assert_eq!([Anchor::nth(&keys(&["a"]), 1), Anchor::nth(&keys(&["a"]), u64::MAX)], [None; 2]);
}

#[test]
fn the_last_place_that_is_not_behind_a_position_is_recalled() {
    let (cursors, bound) = (Cursors::new(&config(None)), binding(1, "contacts"));
    cursors.remember(place(1, 5), &bound, at(0));
    cursors.remember(place(3, 20), &bound, at(30));
    let found = |position, now| cursors.recalled(&bound, position, at(now)).map(|place| place.page);
    assert_eq!([4, 5, 19, 20, 99].map(|position| found(position, 59)), [None, Some(1), Some(1), Some(3), Some(3)]);
    assert_eq!([found(19, 60), found(99, 89), found(99, 90)], [None, Some(3), None], "each has an end of its own");
    cursors.remember(place(8, 20), &bound, at(50));
    assert_eq!(found(99, 50), Some(8), "one that is known anew is not what it was");
    let none = Cursors::new(&config::Paging { remembered: 0, ..config(None) });
    none.remember(place(1, 5), &bound, at(0));
    assert_eq!((none.remembers(), none.recalled(&bound, 99, at(0))), (false, None));
}

#[test]
fn places_are_kept_apart_and_a_caller_pushes_out_only_its_own() {
    let cursors = Cursors::new(&config(None));
    let bound = binding(1, "contacts");
    cursors.remember(place(1, 5), &bound, at(0));
    for other in [binding(2, "contacts"), binding(1, "deals")] {
        assert_eq!(cursors.recalled(&other, 99, at(0)), None);
    }
    for number in 0..1000 {
        cursors.remember(place(1, 5), &binding(2, &number.to_string()), at(0));
    }
    assert_eq!(cursors.recalled(&bound, 99, at(0)), Some(place(1, 5)));
    assert_eq!(cursors.recalled(&binding(2, "0"), 99, at(0)), None);
    assert_eq!(cursors.recalled(&binding(2, "999"), 99, at(0)), Some(place(1, 5)));
    for number in 1..1000 {
        cursors.remember(place(number, number), &bound, at(0));
    }
    assert_eq!(cursors.recalled(&bound, 900, at(0)), None, "of one list there are the newest");
    assert_eq!(cursors.recalled(&bound, 999, at(0)), Some(place(999, 999)));
}

#[test]
fn a_reload_keeps_what_is_kept_unless_as_much_is_to_be_kept_no_more() {
    let bound = binding(1, "contacts");
    let old = Cursors::new(&config(None));
    old.remember(place(1, 2), &bound, at(1000));
    let after = |config: config::Paging| {
        let mut new = Cursors::new(&config);
        new.inherit(&old);
        new.recalled(&bound, 2, at(1000))
    };
    assert_eq!(after(config(None)), Some(place(1, 2)));
    assert_eq!(
        after(config(Some("0123456789abcdef0123456789abcdef"))),
        Some(place(1, 2)),
        "the key seals, and no more"
    );
    assert_eq!(after(config::Paging { remembered: 1, ..config(None) }), None);
    assert_eq!(after(config::Paging { remembered: 0, ..config(None) }), None);
    assert_eq!(after(config::Paging { remember_time: LASTS, ..config(None) }), None);
}
