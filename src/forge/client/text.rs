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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_path_stays_one_segment() {
        assert_eq!(encode("chandlery[bot]"), "chandlery%5Bbot%5D");
    }
}
