//! Who hears of what happens on a forge, by webhook?

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
};

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

/// What every hook of the tests is signed with.
pub(crate) const SECRET: &str = "It's a secret to everybody";

/// Something that was told.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) event: String,
    pub(crate) payload: Value,
    /// By the secret that was agreed on.
    pub(crate) signed: bool,
}

/// The address to give to the forge, and what it sends there, in the order in which it came.
pub(crate) fn listen() -> (String, Receiver<Delivery>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    // It ends with the test's process, or when nobody listens any more.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(delivery) = hear(stream)
                && sender.send(delivery).is_err()
            {
                return;
            }
        }
    });
    (url, receiver)
}

fn hear(stream: TcpStream) -> Option<Delivery> {
    let (headers, body) = answer(stream, "200 OK")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let signed = headers.get("x-hub-signature-256") == Some(&signature);
    Some(Delivery {
        event: headers.get("x-github-event")?.clone(),
        payload: serde_json::from_slice(&body).ok()?,
        signed,
    })
}

/// Reads one HTTP request and answers with a status and nothing else; its headers, in lower case, with the path as
/// `:path`, and its body.
pub(crate) fn answer(stream: TcpStream, status: &str) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    headers.insert(":path".to_owned(), first.split(' ').nth(1)?.to_owned());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() { break } else { continue }
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes()).ok()?;
    Some((headers, body))
}

impl Delivery {
    pub(crate) fn word(&self, pointer: &str) -> &str {
        self.payload.pointer(pointer).and_then(Value::as_str).unwrap_or("-")
    }
}
