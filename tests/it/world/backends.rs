//! Backends that say what a story tells them: a server on loopback for the local world, the same without one for the
//! simulated world.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// The address that the fixture's actions call; the local world puts a real one there.
pub const NOWHERE: &str = "127.0.0.1:1";

/// What the server answers next: a code and JSON. `200 {}` when nothing is told.
pub type Answers = Arc<Mutex<VecDeque<(u16, String)>>>;

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// A server that ends with the process that plays the story.
#[derive(Debug, Clone)]
pub struct Server {
    pub address: String,
    pub answers: Answers,
    pub heard: Arc<Mutex<Vec<Heard>>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Self { address, answers: Answers::default(), heard: Arc::default() };
        let (answers, heard) = (Arc::clone(&server.answers), Arc::downgrade(&server.heard));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(heard) = heard.upgrade() else { return };
                if let Some(request) = serve(stream, &answers) {
                    heard.lock().unwrap().push(request);
                }
            }
        });
        server
    }
}

fn serve(mut stream: TcpStream, answers: &Answers) -> Option<Heard> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let (status, answer) = answers.lock().unwrap().pop_front().unwrap_or_else(|| (200, "{}".to_owned()));
    let length = answer.len();
    write!(stream, "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}").ok()?;
    Some(Heard {
        line: line.trim_end().to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
