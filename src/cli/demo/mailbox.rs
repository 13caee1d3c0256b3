//! A mail server that takes everything, and shows it.
//!
//! The libraries for this are either programs of their own or long without care, and what one client on loopback needs
//! of SMTP (RFC 5321) is a page.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quoted_printable::ParseMode;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::Seen;

/// An e-mail as it was received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mail {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
}

/// Takes e-mails for ever.
pub(super) async fn serve(listener: TcpListener, seen: mpsc::UnboundedSender<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        let seen = seen.clone();
        // An e-mail whose session breaks off is sent again.
        tokio::spawn(async move { session(stream, &seen).await.ok() });
    }
}

async fn session(stream: TcpStream, seen: &mpsc::UnboundedSender<Seen>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 demo ESMTP\r\n").await?;
    let mut command = String::new();
    loop {
        command.clear();
        if stream.read_line(&mut command).await? == 0 {
            return Ok(());
        }
        let verb = command.split_whitespace().next().unwrap_or_default().to_uppercase();
        let answer = match verb.as_str() {
            "EHLO" | "HELO" => "250 demo",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mail = Mail::read(&data(&mut stream).await?);
                seen.send(Seen::Mail(mail)).ok();
                "250 thank you"
            }
            "MAIL" | "NOOP" | "RCPT" | "RSET" => "250 fine",
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 not here",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

/// The lines up to the one with a dot alone; a leading dot was doubled on the way.
async fn data(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.strip_prefix('.') {
            Some("\r\n") => return Ok(text),
            Some(rest) => text.push_str(rest),
            None => text.push_str(&line),
        }
    }
}

impl Mail {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let head = head.replace("\r\n ", " ");
        let header = |wanted: &str| {
            let mut headers = head.split("\r\n").filter_map(|line| line.split_once(": "));
            let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map_or("", |(_, value)| value).to_owned()
        };
        let text = match header("Content-Transfer-Encoding").as_str() {
            "base64" => STANDARD.decode(body.replace("\r\n", "")).unwrap_or_default(),
            "quoted-printable" => quoted_printable::decode(body, ParseMode::Robust).unwrap_or_default(),
            _ => body.as_bytes().to_vec(),
        };
        Self {
            to: header("To"),
            subject: header("Subject"),
            text: String::from_utf8_lossy(&text).replace("\r\n", "\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_read_however_it_is_encoded() {
        for (encoding, body) in [
            ("7bit", "What failed\r\n  a"),
            ("quoted-printable", "What=20fai=\r\nled\r\n  a"),
            ("base64", "V2hhdCBmYWlsZWQN\r\nCiAgYQ=="),
        ] {
            let text =
                format!("To: a@b.example\r\nSubject: x\r\n y\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}");
            let expected = Mail {
                to: "a@b.example".to_owned(),
                subject: "x y".to_owned(),
                text: "What failed\n  a".to_owned(),
            };
            assert_eq!(Mail::read(&text), expected, "{encoding}");
        }
    }
}
