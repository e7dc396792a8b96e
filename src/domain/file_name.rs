//! What is a file called that holds an entity, and which entity does a file hold?
//!
//! An identifier may have characters, words and lengths that some file systems do not keep. Those are written as
//! `%` and two hexadecimal digits for each byte, as in URLs; `%` itself is in no identifier, so the way back is
//! never in doubt. Most identifiers are their own file names.
//!
//! Letters keep their case. Whoever adds a file must see to it that no other differs in case alone.

use std::{fmt::Write as _, sync::LazyLock};

use regex::Regex;

use super::Identifier;

/// The longest part of a path, in bytes: file systems keep 255, and an ending must fit.
const LONGEST: usize = 240;

impl Identifier {
    /// The file's path below its folder, without its ending: `checkout`, or `shop%2Fcart` for `shop/cart`. What is
    /// too long for one name goes on below a folder whose name ends with `%`.
    pub fn file_stem(&self) -> String {
        let mut parts = vec![String::new()];
        for c in self.as_str().chars() {
            let written = if is_kept(c) { c.to_string() } else { escaped(c) };
            if parts.last().is_some_and(|part| part.len() + written.len() > LONGEST) {
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push_str(&written);
            }
        }
        for part in parts.iter_mut().filter(|part| is_reserved(part)) {
            // Reserved words are plain ASCII.
            let first = part.remove(0);
            part.insert_str(0, &escaped(first));
        }
        parts.join("%/")
    }

    /// The identifier that a file is called after: `below` is its path below the folder of its blueprint.
    pub fn of_file(below: &str) -> Option<Self> {
        let (folders, name) =
            below.rsplit_once('/').map_or((None, below), |(folders, name)| (Some(folders), name));
        let mut written = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
        for folder in folders.into_iter().flat_map(|folders| folders.rsplit('/')) {
            let Some(part) = folder.strip_suffix('%') else { break };
            written.insert_str(0, part);
        }
        unescaped(&written)?.parse().ok()
    }
}

fn escaped(c: char) -> String {
    c.encode_utf8(&mut [0; 4]).bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

fn unescaped(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next()?.bytes());
    for part in parts {
        bytes.push(hex::decode(part.get(..2)?).ok()?[0]);
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Whether every file system gives a character of an identifier back as it was.
fn is_kept(c: char) -> bool {
    static LETTER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\p{L}$").expect("it is a pattern"));
    if c.is_ascii() {
        return !"/\\:".contains(c);
    }
    // Some systems store letters in their composed or decomposed form: these would not come back, as they are others'
    // second form (Unicode's normal form C replaces them) or join their neighbours, as marks and Hangul's parts do.
    let has_another_form = matches!(c, '\u{374}' | '\u{958}'..='\u{95f}' | '\u{9dc}'..='\u{9df}' | '\u{a33}'..='\u{a36}'
        | '\u{a59}'..='\u{a5e}' | '\u{b5c}'..='\u{b5d}' | '\u{f43}'..='\u{f69}' | '\u{1100}'..='\u{11ff}'
        | '\u{1f70}'..='\u{1fff}' | '\u{2126}' | '\u{212a}'..='\u{212b}' | '\u{f900}'..='\u{faff}'
        | '\u{fb1d}'..='\u{fb4f}' | '\u{2f800}'..='\u{2fa1f}');
    !has_another_form && LETTER.is_match(c.encode_utf8(&mut [0; 4]))
}

/// What Windows takes for a device, whatever follows after a dot:
/// <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>.
fn is_reserved(name: &str) -> bool {
    let word = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let port = word.strip_prefix("com").or_else(|| word.strip_prefix("lpt"));
    ["con", "prn", "aux", "nul"].contains(&word.as_str())
        || port.is_some_and(|number| matches!(number.as_bytes(), [b'1'..=b'9']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::RepoPath;

    #[test]
    fn ordinary_names_stay_and_others_can_be_read() {
        for (name, file) in [
            ("checkout", "checkout"),
            ("PROJ-42", "PROJ-42"),
            ("größe.v1=a+b@c_d", "größe.v1=a+b@c_d"),
            ("shop/cart", "shop%2Fcart"),
            ("arn:aws:s3", "arn%3Aaws%3As3"),
            ("c:\\x", "c%3A%5Cx"),
            ("con", "%63on"),
            ("Aux.v1", "%41ux.v1"),
            ("com1", "%63om1"),
            ("com10", "com10"),
            ("console", "console"),
            ("\u{212b}", "%E2%84%AB"),
        ] {
            assert_eq!(name.parse::<Identifier>().unwrap().file_stem(), file);
            assert_eq!(Identifier::of_file(&format!("team/{file}.yaml")), name.parse().ok(), "{file}");
        }
        for file in ["a%2.yaml", "a%zz.yaml", "%.yaml", "a b.yaml", "a%20b.yaml", "%FF.yaml", ".yaml"] {
            assert_eq!(Identifier::of_file(file), None, "{file}");
        }
    }

    /// What the strictest of the usual file systems ask of one part of a path.
    fn is_portable(part: &str) -> bool {
        (1..=255).contains(&part.len())
            && !part.ends_with(['.', ' '])
            && !part.contains(|c: char| c.is_control() || "<>:\"/\\|?*".contains(c))
            && !is_reserved(part)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_identifier_has_a_portable_file_and_comes_back(
            name in prop_oneof![
                r"[a-zA-Z0-9@_.+:\\/=-]{1,40}",
                r"(?i)(con|aux|nul|prn|com[0-9]|lpt[0-9])[.:/a-b]{0,3}",
                r"[\p{L}a-z/.\u{1100}-\u{1175}\u{93e}]{1,40}",
                r"[a-d.:ä/]{180,320}",
            ],
            folder in r"([a-z]{1,5}/){0,2}",
        ) {
            let Ok(identifier) = name.parse::<Identifier>() else { return Ok(()) };
            let file = format!("{}.yaml", identifier.file_stem());
            prop_assert_eq!(Identifier::of_file(&format!("{folder}{file}")), Some(identifier));
            prop_assert!(file.split('/').all(is_portable), "{}", file);
            prop_assert!(file.len() > 900 || format!("entities/x/{folder}{file}").parse::<RepoPath>().is_ok(), "{}", file);
        }
    }
}
