//! How does a sink hear of something? In its own format, tried a few times, and never twice after it said yes.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::time::{sleep, timeout};

use super::http;
use crate::domain::{Address, Notice, Secret, SecretRef, SinkKind};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pauses between tries.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

/// What came of one try that failed.
struct Failed {
    why: String,
    again: bool,
}

/// Tells a sink; `secrets` knows those of our environment.
///
/// # Errors
/// Why it could not be told, in words without secrets.
pub async fn deliver(
    notice: &Notice,
    secrets: &(dyn Fn(&SecretRef) -> Option<Secret> + Sync),
) -> Result<(), String> {
    let mut pauses = PAUSES.iter();
    loop {
        match attempt(notice, secrets).await {
            Ok(()) => return Ok(()),
            Err(Failed { why, again }) => match pauses.next().filter(|_| again) {
                Some(pause) => sleep(*pause).await,
                None => return Err(why),
            },
        }
    }
}

async fn attempt(
    notice: &Notice,
    secrets: &(dyn Fn(&SecretRef) -> Option<Secret> + Sync),
) -> Result<(), Failed> {
    let find = |reference: &SecretRef| {
        let missing = || Failed { why: format!("the secret `{reference}` is not set"), again: false };
        secrets(reference).ok_or_else(missing)
    };
    let (address, body) = match &notice.sink.kind {
        SinkKind::Slack(address) => (address, json!({ "text": escaped(&notice.text) })),
        SinkKind::Discord(address) => {
            (address, json!({ "content": notice.text, "allowed_mentions": { "parse": [] } }))
        }
        SinkKind::Teams(address) => (address, card(notice)),
        SinkKind::Webhook { address, .. } => (address, event(notice)),
        SinkKind::Email { server, from, to } => {
            return mail(&find(server)?, from, to, notice).await;
        }
    };
    let address = match address {
        Address::Plain(address) => Secret::new(address),
        Address::Secret(reference) => find(reference)?,
    };
    if !http::is_safe(address.expose()) {
        return Err(Failed { why: "its address is not one of https".to_owned(), again: false });
    }
    let body = body.to_string().into_bytes();
    let mut headers = Vec::new();
    if let SinkKind::Webhook { secret: Some(reference), .. } = &notice.sink.kind {
        headers = signature(&find(reference)?, &body);
    }
    let (status, answer) = http::post(address.expose(), &headers, body, PATIENCE)
        .await
        .map_err(|why| Failed { why, again: true })?;
    if (200..300).contains(&status) {
        return Ok(());
    }
    let answer: String =
        String::from_utf8_lossy(&answer).chars().filter(|c| !c.is_control()).take(200).collect();
    Err(Failed { why: format!("it answered {status}: {answer}"), again: status == 429 || status >= 500 })
}

/// What signs a body: the time and an HMAC over both.
#[expect(clippy::disallowed_methods, reason = "a signature names its time")]
fn signature(secret: &Secret, body: &[u8]) -> Vec<(&'static str, String)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let timestamp = now.as_secs().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("any length is a key");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    vec![("x-chandlery-timestamp", timestamp), ("x-chandlery-signature", signature)]
}

/// In Slack's markup `<…>` mentions, links and calls everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn card(notice: &Notice) -> Value {
    let block = |text: &str| json!({ "type": "TextBlock", "text": text, "wrap": true });
    // Only spaces at its end break a line in a card.
    let lines: Vec<Value> = notice.text.lines().map(block).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": { "type": "AdaptiveCard", "version": "1.4", "body": lines },
        }],
    })
}

fn event(notice: &Notice) -> Value {
    let mut event = notice.event.clone();
    event["text"] = notice.text.clone().into();
    event
}

async fn mail(server: &Secret, from: &str, to: &[String], notice: &Notice) -> Result<(), Failed> {
    let never = |why: String| Failed { why, again: false };
    let mailbox = |text: &str| text.parse().map_err(|_| never(format!("`{text}` is no address of e-mail")));
    let mut message = Message::builder().from(mailbox(from)?).subject(&notice.subject);
    for one in to {
        message = message.to(mailbox(one)?);
    }
    let message = message
        .body(notice.text.clone())
        .map_err(|error| never(format!("the message cannot be made: {error}")))?;
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(server.expose())
        .map_err(|_| never("the address of the mail server cannot be used".to_owned()))?
        .timeout(Some(PATIENCE))
        .build();
    match timeout(PATIENCE * 2, transport.send(message)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            let again = !error.is_permanent() && !error.is_client();
            Err(Failed { why: format!("the mail server: {error}"), again })
        }
        Err(_) => Err(Failed { why: "the mail server did not answer".to_owned(), again: true }),
    }
}
