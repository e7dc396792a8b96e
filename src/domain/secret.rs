//! What must never be printed?

use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::{Arc, LazyLock},
};

use regex::Regex;

/// A token. It cannot be printed; whoever needs its text says so with [`Secret::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Hides a text; spaces and line ends around it, as files have them, are not part of it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What can be nothing but a credential: each has a form that nothing else has.
static CREDENTIALS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    [
        (
            "a private key",
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|.*)",
        ),
        ("a token of GitHub", r"\b(?:gh[oprsu]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
        ("a token of GitLab", r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("an access key of AWS", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
        ("a key of Google", r"\bAIza[A-Za-z0-9_-]{35}\b"),
        ("a token of Slack", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("a token of npm", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("a signed token (JWT)", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
        ("an identity of age", r"\bAGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{50,}"),
    ]
    .map(|(what, pattern)| (what, Regex::new(pattern).expect("it is a pattern")))
    .into()
});

/// Where a text holds a credential, and what kind of one; in the order of the text.
pub fn credentials(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let of = |(what, pattern): &'static (&'static str, Regex)| {
        pattern.find_iter(text).map(|found| (found.range(), *what)).collect::<Vec<_>>()
    };
    let mut found: Vec<_> = CREDENTIALS.iter().flat_map(of).collect();
    found.sort_by_key(|(range, _)| range.start);
    found
}

/// A text without the credentials in it.
pub fn masked(text: &str) -> Cow<'_, str> {
    let found = credentials(text);
    if found.is_empty() {
        return text.into();
    }
    let (mut shown, mut at) = (String::new(), 0);
    for (range, _) in found {
        if range.start >= at {
            shown.push_str(&text[at..range.start]);
            shown.push_str("(hidden)");
        }
        at = at.max(range.end);
    }
    shown.push_str(&text[at..]);
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_told_from_what_looks_a_little_like_them() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA\n-----END OPENSSH PRIVATE KEY-----";
        let age = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
        for held in [
            key,
            "-----BEGIN RSA PRIVATE KEY-----\ncut off",
            &format!("ghp_{}", "a1B2".repeat(9)),
            &format!("github_pat_{}", "a1_2".repeat(20)),
            "AKIAIOSFODNN7EXAMPLE",
            "xoxb-123456789012-abcdef",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJlLWlzLWhlcmU",
            &age,
        ] {
            let text = format!("before {held} after");
            assert_eq!(credentials(&text).len(), 1, "{held}");
            let shown = masked(&text);
            assert!(shown.starts_with("before (hidden)") && !shown.contains(&held[..20]), "{shown}");
        }
        for free in [
            "ghp_short",
            "-----BEGIN CERTIFICATE-----",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "AKIA is how access keys begin",
            "e3b0c442-98fc-1c14-9afb-f4c8996fb924",
            "https://example.com/eyJhbGciOiJIUzI1NiJ9",
        ] {
            assert_eq!(credentials(free), [], "{free}");
            assert_eq!(masked(free), free);
        }
    }
}
