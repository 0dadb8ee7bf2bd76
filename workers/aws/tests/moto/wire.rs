//! What moto does not do: answers that get lost, and refusals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// A request, read whole.
pub(crate) struct Request {
    /// The request line and the headers, each as it came.
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// None: the connection was closed without one.
    pub(crate) fn read(connection: &TcpStream) -> Option<Self> {
        let mut from = BufReader::new(connection.try_clone().unwrap());
        let mut head = Vec::new();
        let mut line = String::new();
        while from.read_line(&mut line).ok()? > 2 {
            head.push(line.trim_end().to_owned());
            line.clear();
        }
        let request = Self {
            body: Vec::new(),
            head,
        };
        request.head.first()?;
        let length = request
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        from.read_exact(&mut body).ok()?;
        Some(Self { body, ..request })
    }

    /// What a header says.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .head
            .iter()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }
}

/// Listens, has each connection served in a thread of its own, and says where.
pub(crate) fn serve(each: impl Fn(u32, TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let each = Arc::new(each);
    thread::spawn(move || {
        for (n, connection) in (0..).zip(listener.incoming()) {
            let each = Arc::clone(&each);
            thread::spawn(move || each(n, connection.unwrap()));
        }
    });
    endpoint
}

/// An endpoint in front of another: of the first request the answer gets lost, after it was carried out.
pub(crate) fn losing_the_first_answer(endpoint: &str) -> String {
    let behind = endpoint.trim_start_matches("http://").to_owned();
    serve(move |n, mut client| {
        let mut server = TcpStream::connect(&behind).unwrap();
        let (mut from_client, mut to_server) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
        if n == 0 {
            let _first_byte_of_the_answer = server.read(&mut [0]);
        } else {
            let _until_either_is_done = std::io::copy(&mut server, &mut client);
        }
        let _it_may_be_closed_already = client.shutdown(Shutdown::Both);
        let _it_may_be_closed_already = server.shutdown(Shutdown::Both);
    })
}

/// An endpoint that has one answer for everything, and how often it gave it.
pub(crate) fn always(status: &'static str, body: &'static str) -> (String, Arc<AtomicU32>) {
    in_turn(&[(status, body)])
}

/// An endpoint that gives these answers, statuses and bodies, one after the other, the last one for good; and
/// how often it was asked.
pub(crate) fn in_turn(answers: &[(&'static str, &'static str)]) -> (String, Arc<AtomicU32>) {
    let answers = answers.to_vec();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let endpoint = serve(move |_, mut client| {
        let Some(_) = Request::read(&client) else {
            return;
        };
        let place = count.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(place).unwrap().min(answers.len() - 1);
        let (status, body) = answers[place];
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        client.write_all(answer.as_bytes()).unwrap();
    });
    (endpoint, asked)
}
