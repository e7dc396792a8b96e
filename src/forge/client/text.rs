//! How are errors put into words, and texts into addresses?

/// An error and its causes, without saying the same twice.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !words.contains(&next) {
            words = format!("{words}: {next}");
        }
        cause = error.source();
    }
    words.lines().next().unwrap_or_default().to_owned()
}

/// A text as one segment of a path, or one value of a query.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// What to do about an answer that says that something is set up wrongly rather than what.
pub(super) fn advice(status: u16, what: &str) -> &'static str {
    match status {
        401 if what.contains("/app") || what.ends_with("/installation") => {
            "; the App ID and the private key must be those of one App, and this machine's clock right"
        }
        401 => "; the token has ended, was revoked or is not whole",
        404 if what.ends_with(" /graphql") || what.ends_with(" /meta") => {
            "; is this the address of an API? That of a GitHub Enterprise Server is https://HOST/api/v3"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_path_stays_one_segment() {
        assert_eq!(encode("chandlery[bot]"), "chandlery%5Bbot%5D");
    }
}
