//! How does a sink hear of something? In its own format, tried a few times, and never twice after it said yes.

use std::time::Duration;

use http_body_util::Full;
use hyper::{Request, Uri, body::Bytes};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    Vault,
    http::{once, signed},
};
use crate::domain::{Address, Notice, Secret, SinkKind};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pauses between tries.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

/// What came of one try that failed.
struct Failed {
    why: String,
    again: bool,
}

pub(super) async fn deliver(vault: &Vault, notice: &Notice) -> Result<(), String> {
    let mut pauses = PAUSES.iter();
    loop {
        match attempt(vault, notice).await {
            Ok(()) => return Ok(()),
            Err(Failed { why, again }) => match pauses.next().filter(|_| again) {
                Some(pause) => sleep(*pause).await,
                None => return Err(vault.mask(&why)),
            },
        }
    }
}

async fn attempt(vault: &Vault, notice: &Notice) -> Result<(), Failed> {
    let never = |why: String| Failed { why, again: false };
    let (address, body) = match &notice.sink.kind {
        SinkKind::Slack(address) => (address, json!({ "text": escaped(&notice.text) })),
        SinkKind::Discord(address) => {
            (address, json!({ "content": notice.text, "allowed_mentions": { "parse": [] } }))
        }
        SinkKind::Teams(address) => (address, card(notice)),
        SinkKind::Webhook { address, .. } => (address, event(notice)),
        SinkKind::Email { server, from, to } => {
            return mail(vault.open(server).map_err(never)?.expose(), from, to, notice).await;
        }
    };
    let address = match address {
        Address::Plain(address) => Secret::new(address),
        Address::Secret(reference) => vault.open(reference).map_err(never)?,
    };
    if !is_safe(address.expose()) {
        return Err(never("its address is not one of https".to_owned()));
    }
    let body = body.to_string();
    let mut request = Request::post(address.expose())
        .header("content-type", "application/json")
        .header("user-agent", "chandlery");
    if let SinkKind::Webhook { secret: Some(reference), .. } = &notice.sink.kind {
        for (name, value) in signed(vault.open(reference).map_err(never)?.expose(), &body) {
            request = request.header(name, value);
        }
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| never("its address cannot be used".to_owned()))?;
    let answered =
        timeout(PATIENCE, once(request)).await.unwrap_or_else(|_| Err("it took too long".to_owned()));
    let (status, _, answer) = answered.map_err(|why| Failed { why, again: true })?;
    if (200..300).contains(&status) {
        return Ok(());
    }
    let answer: String = answer.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
    Err(Failed { why: format!("it answered {status}: {answer}"), again: status == 429 || status >= 500 })
}

/// Whether an address may be called: over TLS, or on this machine.
fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    uri.scheme_str() == Some("https") || uri.scheme_str() == Some("http") && local
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

async fn mail(server: &str, from: &str, to: &[String], notice: &Notice) -> Result<(), Failed> {
    let never = |why: String| Failed { why, again: false };
    let mailbox = |text: &str| text.parse().map_err(|_| never(format!("`{text}` is no address of e-mail")));
    let mut message = Message::builder().from(mailbox(from)?).subject(&notice.subject);
    for one in to {
        message = message.to(mailbox(one)?);
    }
    let message = message
        .body(notice.text.clone())
        .map_err(|error| never(format!("the message cannot be made: {error}")))?;
    let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(server)
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
