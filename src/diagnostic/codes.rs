//! Every code that a diagnostic bears, with a sentence each: a closed list, for those who filter and count reports.
//!
//! A code never changes its meaning. Whoever adds one describes it here.

/// By code, ascending.
pub const CODES: &[(&str, &str)] = &[
    ("adds-nothing", "A rule adds nothing to another rule of the same table."),
    ("always-fails", "A part of a condition has no value whatever is asked."),
    ("always-true", "A test holds for every record and every caller."),
    ("api-key-expired", "An API key no longer lets anybody in."),
    ("attribute-type", "An API key's attribute is not of the type that is declared for it."),
    ("audit-folder", "The folder of the audit file does not exist."),
    ("audit-unwritable", "The audit log can't be opened."),
    ("bad-address", "An address is not an IP address and a port, or is taken."),
    ("bad-certificate", "A certificate is described in a way that none can match."),
    ("bad-claim", "A claim is not written as a path below `claims`."),
    ("bad-column", "A column that the table names can't serve as what it is named for."),
    ("bad-credential", "An upstream's credential is not one of the known kinds."),
    ("bad-default", "A field's default does not fit the field."),
    ("bad-dpop", "It is not clear what proofs must repeat."),
    ("bad-duration", "A duration is not a number with a unit."),
    ("bad-filter", "A filter parameter's spelling does not name the field."),
    ("bad-header", "A header's name is not valid, or has a meaning of its own."),
    ("bad-hierarchy", "It is not clear where the hierarchy comes from."),
    ("bad-jwks", "It is not clear where an issuer's keys come from."),
    ("bad-limit", "A page's default size is more than its maximum."),
    ("bad-listener", "A listener has neither TLS nor plaintext, or both."),
    ("bad-media-type", "A media type is not valid."),
    ("bad-method", "A route's method does not fit what the route does."),
    ("bad-name", "A name holds other signs than letters, digits and `_`."),
    ("bad-network", "A text is not a network of addresses."),
    ("bad-origin", "A text is not an origin as browsers send it."),
    ("bad-parameter", "A query parameter's name is not valid."),
    ("bad-path", "A path can't be matched in one way only."),
    ("bad-pattern", "A regular expression is not valid, or too large."),
    ("bad-place", "A place in an answer or a body is not valid."),
    ("bad-push", "A field's values are not compared in the way that `push` says."),
    ("bad-race", "A write can't be guarded as its table says."),
    ("bad-rate", "A rate is for callers that there are none of."),
    ("bad-relation", "A relation's column or table does not fit."),
    ("bad-revocation", "A revocation does not say of what it is, or says too much."),
    ("bad-route", "A route is not written as a method and a path, or can't serve its table."),
    ("bad-scope", "A scope of an API key is of no table or action."),
    ("bad-search", "A search looks into what it can't, or there is no way to search."),
    ("bad-secret", "A secret can't be read, or is not declared as one."),
    ("bad-separator", "A separator is not one of the known signs."),
    ("bad-size", "A size is not a number of bytes."),
    ("bad-sort", "It is not clear how the upstream is told a sort's direction."),
    ("bad-tenant", "A tenant is not complete, or its columns don't fit."),
    ("bad-tls", "A listener's TLS is not complete or asks for what is not supported."),
    ("bad-truncation", "A value can't be truncated as the mask says."),
    ("bad-upstream", "An upstream's settings contradict each other."),
    ("bad-url", "A URL is not valid, or holds what a URL can't hold here."),
    ("bool-compared", "A condition is compared with true or false."),
    ("ca-file", "A file of certificate authorities can't be read."),
    ("cel-syntax", "A text is no expression."),
    ("cel-too-large", "An expression is too long, too deep, or costs too much."),
    ("certificate-expired", "A certificate no longer holds."),
    ("certificate-expires-soon", "A certificate ends within 30 days."),
    ("certificate-not-yet-valid", "A certificate does not hold yet."),
    ("check-not-asked", "A grant's `check` does not limit all that the grant gives."),
    ("check-without-write", "A grant that writes nothing has a `check`."),
    ("constant-condition", "`true` or `false` stands where a condition is meant."),
    ("duplicate-address", "Two listeners have one address."),
    ("duplicate-api", "Two API descriptions have one name."),
    ("duplicate-authority", "Two authorities of clients have one name."),
    ("duplicate-certificate-name", "Two certificates of a listener bear one name."),
    ("duplicate-client", "Two entries name the same certificates."),
    ("duplicate-header", "One header is declared twice."),
    ("duplicate-issuer", "One issuer is declared twice."),
    ("duplicate-key-id", "Two API keys have one id."),
    ("duplicate-name", "One name is given twice."),
    ("duplicate-parameter", "One query parameter has two meanings."),
    ("duplicate-rate", "One kind of caller has two rates for one period."),
    ("duplicate-table", "One table is described, or has a policy, twice."),
    ("empty-list", "A list that must name something is empty."),
    ("except-without-all", "`except` stands beside a list of fields."),
    ("expected-bool", "A value is neither `true` nor `false`."),
    ("expected-list", "A value is not a list."),
    ("expected-mapping", "A value is not a mapping of keys to values."),
    ("expected-number", "A value is not a whole number within its range."),
    ("expected-text", "A value is not text, or is empty."),
    ("expected-timestamp", "A value is not a date and time."),
    ("field-twice", "One grant shows a field in two ways."),
    ("file-encoding", "A file is not valid UTF-8."),
    ("file-unreadable", "A file can't be read."),
    ("fractional-bound", "A whole number has a bound with a fraction."),
    ("grants-nothing", "An action of a grant gives nothing to see or to write."),
    ("has-argument", "`has` is not called on a member."),
    ("has-declared", "`has` is called on what is always there."),
    ("hierarchy-loop", "Somebody manages those who manage them."),
    ("hierarchy-manager", "The column that names a manager does not fit."),
    ("hierarchy-missing", "A policy shares by the hierarchy, and there is none."),
    ("hierarchy-self", "Somebody manages themselves."),
    ("hierarchy-table", "The table of the hierarchy does not fit."),
    ("hierarchy-tenant", "A part of the hierarchy is of no tenant that anybody can come in for."),
    ("hierarchy-unfiltered", "The table of the hierarchy is read whole for each tenant."),
    ("hierarchy-unpaged", "The table of the hierarchy is read on one page."),
    ("holds-for-empty", "`all` holds for an empty list."),
    ("identity", "The parts of authentication don't fit together."),
    ("inexact-equality", "A computed number with a fraction is compared for equality."),
    ("internal", "Something failed that is no mistake of the configuration."),
    ("key-beside-secrets", "The key of the sealed secrets lies in the same folder."),
    ("key-hash", "An API key's hash is not valid."),
    ("key-id", "An API key's id is not valid."),
    ("key-set", "A key set can't be used."),
    ("let-cycle", "A `let` is defined by itself."),
    ("let-name", "A `let` has a name that no expression can use."),
    ("let-shadows", "A `let` has the name of something else."),
    ("letter-case", "One value is spelled in two letter cases."),
    ("listed-twice", "One word stands twice in a list."),
    ("listener", "An address can't be listened on: it is taken, or not one of this machine."),
    ("loose-pattern", "A pattern on an identity takes more than it seems to."),
    ("mask-parameters", "Two grants mask a field by one mask with two parameters."),
    ("mask-type", "A mask does not fit the field's type."),
    ("mask-without-key", "A mask needs a key that the gateway file does not have."),
    ("misleading-name", "A rule's name says the opposite of what it does."),
    ("missing-key", "A key that is needed is not there."),
    ("missing-rows", "A grant does not say for which rows it is."),
    ("mixed-operators", "`&&` and `||` stand beside each other without parentheses."),
    ("never-null", "What is never null is compared with null."),
    ("never-true", "A test holds for no record and no caller."),
    ("no-owner", "A table without an owner is treated as if it had one."),
    ("nobody-comes-in", "No way is declared to prove who one is."),
    ("not-a-condition", "What must be true or false is of another type."),
    ("not-a-value", "A name that has members is used as a value."),
    ("not-writable", "A field that can't be written is granted for writing."),
    ("null-denies", "A denial fails, and so denies, where a value is null or missing."),
    ("null-differs", "A grant holds where a value is null."),
    ("nullable-condition", "A condition may be null."),
    ("ocsp-staple", "An OCSP response can't be stapled."),
    ("out-of-range", "A value is outside of its range."),
    ("overlapping-places", "What is passed on unread holds what must be read."),
    ("overlapping-routes", "Two routes match one request."),
    ("owner-not-set", "A creation does not say who owns the record."),
    ("plaintext", "A listener takes credentials in the clear."),
    ("plaintext-keys", "Keys are fetched in the clear."),
    ("plaintext-upstream", "An upstream is asked in the clear."),
    ("policy-name", "A file among the policies has another ending than `.yaml`."),
    ("presets-without-create", "A grant that creates nothing has `presets`."),
    ("principal-id", "An API key's principal is not valid."),
    ("readable-secret", "A file that holds a secret or a private key can be read by others."),
    ("redundant-condition", "A test says nothing beside another one."),
    ("relation-after", "A related record is read after a write."),
    ("role-implied", "A rule for one role asks for that role."),
    ("role-outside", "A rule asks for a role that it is not for."),
    ("role-without-grant", "A role is declared and granted nothing."),
    ("rows-on-create", "A grant that only creates has `rows`."),
    ("serve-without-audit", "Data is served while nobody can account for it."),
    ("shadowed-grant", "A denial that always holds leaves nothing of a grant."),
    ("shadowed-name", "A variable hides a name."),
    ("shared-organization", "Two sources of identity speak for one organization."),
    ("shared-table", "A table of all tenants is granted for writing."),
    ("shared-write", "A table of all tenants has a route that writes."),
    ("tenant-not-told", "An opaque route's upstream isn't told whose tenant is meant."),
    ("tenant-value", "A tenant's value holds signs that it can't."),
    ("tenant-without-credential", "An upstream has no credential for a tenant that may come in."),
    ("text-order", "Texts are ordered where numbers are meant."),
    ("tls-certificate", "A certificate and its key can't be used."),
    ("to-many", "A list of related records is read by a rule."),
    ("too-many", "There are more of something than are allowed."),
    ("too-many-grants", "A table has more grants than are allowed."),
    ("trusts-everybody", "Whoever connects is trusted to say where it comes from."),
    ("type-mismatch", "Something is used as if it were of another type."),
    ("unknown-action", "An action is not declared."),
    ("unknown-algorithm", "A signature algorithm is not known."),
    ("unknown-attribute", "An attribute of the principal is not declared."),
    ("unknown-authority", "No listener asks for certificates of an authority."),
    ("unknown-dialect", "A dialect is not known."),
    ("unknown-dimension", "A dimension of the tenancy is not declared."),
    ("unknown-field", "A field is not declared."),
    ("unknown-function", "A function is not known."),
    ("unknown-key", "A key is not known here."),
    ("unknown-name", "A name is not known here."),
    ("unknown-role", "A role is not declared."),
    ("unknown-secret", "A secret is not declared."),
    ("unknown-sharing", "A sharing mode is not known."),
    ("unknown-table", "A table is not declared."),
    ("unknown-type", "A type is not known."),
    ("unknown-upstream", "An upstream is not declared."),
    ("unknown-word", "A word is not one of those that are possible here."),
    ("unsigned", "An unsigned number stands in a condition."),
    ("unused-let", "A `let` is used by no rule."),
    ("unused-reports", "An API key names reports that nothing asks for."),
    ("unused-secret", "A secret is used by nothing."),
    ("unused-sharing", "A sharing mode is used by no grant."),
    ("upstream-unusable", "An upstream can't be asked as it is declared."),
    ("weak-secret", "A secret is too short."),
    ("write-without-action", "A grant that writes nothing has `write`."),
    ("wrong-arguments", "A function is called with other arguments than it takes."),
    ("wrong-phase", "A name is used where it is not known yet, or not any more."),
    ("yaml-alias", "An alias stands in the file."),
    ("yaml-anchor", "An anchor stands in the file."),
    ("yaml-comment", "A comment cuts an expression off."),
    ("yaml-depth", "The file is nested too deeply."),
    ("yaml-documents", "The file holds several documents."),
    ("yaml-duplicate-key", "A key stands twice in one mapping."),
    ("yaml-empty", "The file is empty."),
    ("yaml-key", "A key is not a plain word."),
    ("yaml-merge", "A merge key stands in the file."),
    ("yaml-syntax", "The file is not valid YAML."),
    ("yaml-tag", "A tag stands in the file, often in place of a negation."),
];

/// What a code stands for.
pub fn described(code: &str) -> Option<&'static str> {
    let index = CODES.binary_search_by(|(known, _)| known.cmp(&code)).ok()?;
    CODES.get(index).map(|(_, sentence)| *sentence)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn codes_are_in_order_and_described_in_a_sentence() {
        for pair in CODES.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{pair:?}");
        }
        for (code, sentence) in CODES.iter().copied() {
            assert_eq!(described(code), Some(sentence));
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            let begins = sentence.starts_with(|c: char| c.is_alphabetic() || c == '`');
            assert!(sentence.ends_with('.') && sentence.len() < 100 && begins, "{code}");
        }
        assert_eq!(described("no-such-code"), None);
    }

    /// Sources without their tests.
    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                sources(&path, found);
            } else if name.ends_with(".rs") && name != "tests.rs" && name != "codes.rs" {
                let text = std::fs::read_to_string(&path).expect("text");
                found.push(text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned());
            }
        }
    }

    #[test]
    fn every_code_is_described_and_every_described_one_is_given() {
        let mut texts = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
        let all = texts.concat();
        let stale: Vec<_> = CODES.iter().filter(|(code, _)| !all.contains(&format!("\"{code}\""))).collect();
        assert!(stale.is_empty(), "{stale:?}");
        // A code is the first text in a call of one of these that is spelled like a code; few are of one word.
        let call = [
            r#"\b(?:error|warning|warn|fail|at|wrong|unknown)\(\s*(?:[\w&.]+,\s*|"[^"]*",\s*)?"([a-z]+(?:-[a-z]+)+)""#,
            r#"(?:Diagnostic::(?:error|warning)|self\.fail)\(\s*"([a-z]+)""#,
        ];
        let call = regex::Regex::new(&call.join("|")).expect("a pattern");
        let given: BTreeSet<&str> =
            call.captures_iter(&all).filter_map(|found| Some(found.get(1).or(found.get(2))?.as_str())).collect();
        assert!(given.len() > CODES.len() * 9 / 10, "only {} codes were found in the source", given.len());
        let unknown: Vec<_> = given.into_iter().filter(|code| described(code).is_none()).collect();
        assert!(unknown.is_empty(), "describe these in diagnostic/codes.rs: {unknown:?}");
    }
}
