//! What names say: which columns look like a tenant's, an owner's, or like data about persons and secrets.
//!
//! Names are compared word by word, however they are joined: `birth_date`, `birthDate` and `Birth-Date` are two words.

use super::draft::Tags;

/// The words of a name, in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        // `accountId`, and `APIKey` at the K.
        let begins = c.is_uppercase()
            && (before.is_some_and(|b| b.is_lowercase() || b.is_ascii_digit())
                || before.is_some_and(|b| b.is_uppercase()) && after.is_some_and(|a| a.is_lowercase()));
        if (begins || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Names that say the same: `org_id`, `orgId`.
pub(super) fn same(a: &str, b: &str) -> bool {
    a == b || words(a) == words(b)
}

/// (dimension, columns that look like it): what is tried where the operator names none.
pub(super) const TENANTS: [(&str, &[&str]); 2] = [
    (
        "organization_id",
        &[
            "organization_id",
            "organisation_id",
            "org_id",
            "tenant_id",
            "workspace_id",
            "organization",
            "organisation",
            "org",
            "tenant",
        ],
    ),
    ("app_id", &["app_id", "application_id", "app", "application"]),
];

/// The best first.
pub(super) const OWNERS: [&str; 8] =
    ["owner_id", "owner", "owned_by", "owner_user_id", "assigned_to_id", "assigned_to", "assignee_id", "assignee"];

const TAGGED: [(&str, Tags); 64] = [
    ("email", Tags::PII),
    ("e mail", Tags::PII),
    ("mail address", Tags::PII),
    ("phone", Tags::PII),
    ("telephone", Tags::PII),
    ("mobile", Tags::PII),
    ("cell phone", Tags::PII),
    ("fax", Tags::PII),
    ("address", Tags::PII),
    ("street", Tags::PII),
    ("postcode", Tags::PII),
    ("postal code", Tags::PII),
    ("zip code", Tags::PII),
    ("birth", Tags::PII),
    ("birthday", Tags::PII),
    ("birthdate", Tags::PII),
    ("birthplace", Tags::PII),
    ("dob", Tags::PII),
    ("first name", Tags::PII),
    ("firstname", Tags::PII),
    ("last name", Tags::PII),
    ("lastname", Tags::PII),
    ("middle name", Tags::PII),
    ("maiden name", Tags::PII),
    ("full name", Tags::PII),
    ("fullname", Tags::PII),
    ("surname", Tags::PII),
    ("given name", Tags::PII),
    ("family name", Tags::PII),
    ("gender", Tags::PII),
    ("nationality", Tags::PII),
    ("religion", Tags::PII),
    ("ethnicity", Tags::PII),
    ("latitude", Tags::PII),
    ("longitude", Tags::PII),
    ("ssn", Tags::BOTH),
    ("social security", Tags::BOTH),
    ("national id", Tags::BOTH),
    ("tax id", Tags::BOTH),
    ("tax number", Tags::BOTH),
    ("passport", Tags::BOTH),
    ("driver license", Tags::BOTH),
    ("drivers license", Tags::BOTH),
    ("iban", Tags::BOTH),
    ("bank account", Tags::BOTH),
    ("account number", Tags::BOTH),
    ("credit card", Tags::BOTH),
    ("card number", Tags::BOTH),
    ("salary", Tags::BOTH),
    ("wage", Tags::BOTH),
    ("health", Tags::BOTH),
    ("diagnosis", Tags::BOTH),
    ("cvv", Tags::SECRET),
    ("pin", Tags::SECRET),
    ("password", Tags::SECRET),
    ("passwd", Tags::SECRET),
    ("passphrase", Tags::SECRET),
    ("secret", Tags::SECRET),
    ("token", Tags::SECRET),
    ("otp", Tags::SECRET),
    ("api key", Tags::SECRET),
    ("apikey", Tags::SECRET),
    ("private key", Tags::SECRET),
    ("credential", Tags::SECRET),
];

/// What a field's name proposes.
pub(super) fn tags(name: &str) -> Tags {
    let words = words(name);
    let holds = |phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).any(|run| {
            let plural = |word: &str, known: &str| word == known || word.strip_suffix('s') == Some(known);
            run.iter().zip(&phrase).all(|(word, known)| plural(word, known) || word == &format!("{known}es"))
        })
    };
    TAGGED.iter().filter(|(phrase, _)| holds(phrase)).fold(Tags::default(), |all, (_, tags)| all.with(*tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_however_they_are_joined() {
        for (name, expected) in [
            ("birth_date", vec!["birth", "date"]),
            ("birthDate", vec!["birth", "date"]),
            ("Birth-Date", vec!["birth", "date"]),
            ("APIKey", vec!["api", "key"]),
            ("homeAddress2", vec!["home", "address2"]),
            ("OrganizationID", vec!["organization", "id"]),
            ("__x__", vec!["x"]),
            ("", vec![]),
        ] {
            assert_eq!(words(name), expected, "{name}");
        }
        assert!(same("orgId", "org_id") && !same("orgs_id", "org_id"));
    }

    #[test]
    fn tags_are_proposed_by_whole_words() {
        for name in [
            "email",
            "workEmail",
            "e-mail",
            "PhoneNumbers",
            "mobile_phone",
            "date_of_birth",
            "homeAddress",
            "addresses",
        ] {
            assert_eq!(tags(name), Tags::PII, "{name}");
        }
        for name in ["ssn", "passport_no", "IBAN", "base-salary", "TaxId"] {
            assert_eq!(tags(name), Tags::BOTH, "{name}");
        }
        for name in ["password_hash", "apiKey", "api_keys", "refreshToken", "client_secret"] {
            assert_eq!(tags(name), Tags::SECRET, "{name}");
        }
        for name in
            ["name", "emailed", "addressable", "spinning", "shipping", "tokens_per_minute_", "keyboard", "app_id"]
        {
            let expected = if name.starts_with("tokens") { Tags::SECRET } else { Tags::default() };
            assert_eq!(tags(name), expected, "{name}");
        }
    }
}
