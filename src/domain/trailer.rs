//! Which lines at the end of a commit's message speak to programs?
//!
//! As Git reads them (`git interpret-trailers`): the last paragraph, if it is not the only one and all of it is trailers, or a quarter of
//! it and one that Git itself writes. What stands elsewhere is people's text, whoever it quotes.

/// The token of the trailer by which a commit names a run that it records.
pub const RUN_TRAILER: &str = "Chandlery-Run";

/// What begins a line that Git itself writes there.
const OF_GIT: [&str; 2] = ["Signed-off-by: ", "(cherry picked from commit "];

/// The values of the trailers of this token, in their order; those that go on over several lines on one.
pub fn trailers<'a>(message: &'a str, token: &str) -> Vec<&'a str> {
    let found = block(message).into_iter().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim_end().eq_ignore_ascii_case(token).then(|| value.trim())
    });
    found.collect()
}

/// The lines of the last paragraph, if it is one of trailers.
fn block(message: &str) -> Vec<&str> {
    let lines: Vec<&str> = message.trim_end().lines().collect();
    let Some(begin) = lines.iter().rposition(|line| line.trim().is_empty()) else { return Vec::new() };
    if lines[..begin].iter().all(|line| line.trim().is_empty()) {
        return Vec::new();
    }
    let block = &lines[begin + 1..];
    let is_more = |line: &str| line.starts_with([' ', '\t']);
    let is_of_git = |line: &str| OF_GIT.iter().any(|begin| line.starts_with(begin));
    let (mut good, mut other, mut of_git) = (0, 0, false);
    for line in block.iter().filter(|line| !is_more(line)) {
        of_git |= is_of_git(line);
        if is_of_git(line) || is_trailer(line) {
            good += 1;
        } else {
            other += 1;
        }
    }
    let begins_well = block.first().is_some_and(|line| !is_more(line));
    if begins_well && good > 0 && (other == 0 || of_git && good * 3 >= other) {
        block.to_vec()
    } else {
        Vec::new()
    }
}

fn is_trailer(line: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| {
        let name = name.trim_end();
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_those_of_the_last_paragraph() {
        for (message, wanted) in [
            ("Record\n\nChandlery-Run: a x=1\nChandlery-Run: b\n", vec!["a x=1", "b"]),
            ("Record\n\nText.\n\nchandlery-run : a\nSigned-off-by: Bo <bo@acme.test>\n\n", vec!["a"]),
            (
                "Record\n\nA long story\nChandlery-Run: a\nwith an end\nSigned-off-by: Bo <bo@acme.test>\n",
                vec!["a"],
            ),
            // People's text.
            ("Chandlery-Run: a", vec![]),
            ("\nChandlery-Run: a", vec![]),
            ("Revert it\n\nChandlery-Run: a\n\nThat was wrong.\n", vec![]),
            ("Quote it\n\nIt said:\nChandlery-Run: a\nand meant it.\n", vec![]),
            ("Quote it\n\n Chandlery-Run: a\n", vec![]),
            ("Quote it\n\n> Chandlery-Run: a\n", vec![]),
        ] {
            assert_eq!(trailers(message, RUN_TRAILER), wanted, "{message:?}");
        }
    }
}
