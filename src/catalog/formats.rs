//! What is a text of this format?

use core::net::{Ipv4Addr, Ipv6Addr};

use jsonschema::ValidationOptions;

use super::yaml;
use crate::domain::{BlueprintId, Format, Identifier, Login, SecretRef, Spec, TeamSlug, moment};

/// Teaches a validator our formats, and the specifications, which a schema names like formats.
pub(super) fn teach(mut options: ValidationOptions) -> ValidationOptions {
    for format in Format::ALL {
        options = options.with_format(format.name(), move |text: &str| is_of_format(format, text));
    }
    for spec in Spec::ALL {
        options = options.with_format(spec.name(), move |text: &str| is_of_spec(spec, text));
    }
    options
}

/// What a text of the format of this name must be, after "must be".
pub(super) fn wanted_by(name: &str) -> String {
    match (Format::named(name), Spec::named(name)) {
        (Some(format), _) => wanted(format).to_owned(),
        (None, Some(Spec::OpenApi)) => "an OpenAPI document, which says `openapi` or `swagger`".to_owned(),
        (None, Some(Spec::AsyncApi)) => "an AsyncAPI document, which says `asyncapi`".to_owned(),
        (None, Some(Spec::EmbeddedUrl)) => wanted(Format::Url).to_owned(),
        (None, None) => name.to_owned(),
    }
}

fn is_of_spec(spec: Spec, text: &str) -> bool {
    let says = |words: &[&str]| {
        yaml::first_keys(text).is_some_and(|keys| keys.iter().any(|key| words.contains(&key.as_str())))
    };
    match spec {
        Spec::OpenApi => says(&["openapi", "swagger"]),
        Spec::AsyncApi => says(&["asyncapi"]),
        Spec::EmbeddedUrl => is_url(text),
    }
}

/// What a text of this format must be, after "must be".
fn wanted(format: Format) -> &'static str {
    match format {
        Format::Url => "a URL such as https://acme.example/docs",
        Format::Email | Format::IdnEmail => "a mail address such as ada@acme.example",
        Format::DateTime => "a date and time such as 2026-11-23T08:30:00Z",
        Format::Timer => "the moment of its end, such as 2026-11-23T08:30:00Z",
        Format::Duration => "an amount of time such as 12h, 7d or P7D",
        Format::Ipv4 => "an IPv4 address such as 192.0.2.1",
        Format::Ipv6 => "an IPv6 address such as 2001:db8::1",
        Format::Markdown | Format::MultiLine | Format::Proto => "text",
        Format::LabeledUrl => "a mapping of `url` and `displayText`",
        Format::Blueprints => "the identifier of a blueprint",
        Format::Yaml => "a YAML document",
        Format::User => "the login of a person",
        Format::Team => "the identifier of a team",
        Format::Entity => "the identifier of an entity",
        Format::Secret => "a reference to a secret",
    }
}

fn is_of_format(format: Format, text: &str) -> bool {
    match format {
        Format::Url => is_url(text),
        Format::Email | Format::IdnEmail => is_email(text),
        Format::DateTime | Format::Timer => is_date_time(text),
        Format::Duration => text.parse::<jiff::Span>().is_ok_and(|span| span.is_positive()),
        Format::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
        Format::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
        Format::Markdown | Format::MultiLine | Format::Proto | Format::LabeledUrl => true,
        Format::Blueprints => text.parse::<BlueprintId>().is_ok(),
        Format::Yaml => yaml::is_yaml(text),
        Format::User => text.parse::<Login>().is_ok(),
        Format::Team => text.parse::<TeamSlug>().is_ok(),
        Format::Entity => text.parse::<Identifier>().is_ok(),
        Format::Secret => text.parse::<SecretRef>().is_ok(),
    }
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
        && !host.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"<>\"{}|\\^`".contains(c))
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    name.split('.').all(|part| !part.is_empty())
        && text.len() <= 254
        && name.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"@<>()[],;:\\\"".contains(c))
        && host.contains('.')
        && host.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

/// RFC 3339, of which jiff reads a superset: other signs between the parts, zones of more than a day, and a
/// leap second at any time.
fn is_date_time(text: &str) -> bool {
    const DAY: i64 = 24 * 60 * 60;
    let bytes = text.as_bytes();
    let shape =
        bytes.len() >= 20 && matches!(bytes[10], b'T' | b't') && bytes[13] == b':' && bytes[16] == b':';
    let Some(moment) = moment(text).filter(|_| !text.contains(',')) else { return false };
    let zone = match bytes {
        [.., b'Z' | b'z'] => true,
        [.., b'+' | b'-', h, _, b':', m, _] => (*h < b'2' || bytes[bytes.len() - 4] < b'4') && *m < b'6',
        _ => false,
    };
    // A leap second is read as the one before it, and comes at the end of a day alone.
    let leap = bytes.get(17..19) == Some(b"60".as_slice());
    shape && zone && (!leap || moment.as_second().rem_euclid(DAY) == DAY - 1)
}
