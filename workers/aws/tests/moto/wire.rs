//! What moto does not do: answers that get lost, and refusals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// Listens, has each connection served in a thread of its own, and says where.
fn serve(each: impl Fn(u32, TcpStream) + Send + Sync + 'static) -> String {
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
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let endpoint = serve(move |_, mut client| {
        let mut length = 0;
        let mut request = BufReader::new(client.try_clone().unwrap());
        let mut line = String::new();
        while request.read_line(&mut line).unwrap() > 2 {
            let head = line.to_ascii_lowercase();
            if let Some(value) = head.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        request.read_exact(&mut vec![0; length]).unwrap();
        count.fetch_add(1, Ordering::Relaxed);
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        client.write_all(answer.as_bytes()).unwrap();
    });
    (endpoint, asked)
}
