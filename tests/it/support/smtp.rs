use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::PATIENCE;

/// What the server does when a command has come; the text of an e-mail counts as the command `.`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    /// Says this instead of what is usual.
    Say(&'static str),
    /// Never answers.
    Hang,
    /// Takes it, and is gone before it can say so.
    TakeAndHangUp,
    HangUp,
    Usual,
}

/// An e-mail as it was taken: to whom, its `Message-ID`, and in which session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    pub(crate) to: String,
    pub(crate) message_id: String,
    pub(crate) session: usize,
}

/// A mail server without TLS that a test drives by hand; `smtp_server.py` is the one that nobody here wrote.
pub(crate) struct DrivenServer {
    pub(crate) port: u16,
    taken: mpsc::UnboundedReceiver<Taken>,
    serving: JoinHandle<()>,
}

type Drive = dyn Fn(usize, &str) -> Act + Send + Sync;

impl DrivenServer {
    /// Serves; `drive` is told the number of the session, from 0, and the command.
    pub(crate) async fn start(drive: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), drive)
    }

    pub(crate) fn on(listener: TcpListener, drive: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let port = listener.local_addr().unwrap().port();
        let (tell, taken) = mpsc::unbounded_channel();
        let drive: Arc<Drive> = Arc::new(drive);
        let serving = tokio::spawn(async move {
            let mut session = 0;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, session, Arc::clone(&drive), tell.clone()));
                session += 1;
            }
        });
        Self { port, taken, serving }
    }

    /// The next e-mails that it takes.
    pub(crate) async fn takes(&mut self, number: usize) -> Vec<Taken> {
        let mut all = Vec::new();
        while all.len() < number {
            let next = tokio::time::timeout(PATIENCE, self.taken.recv()).await;
            all.push(next.expect("an e-mail comes").expect("the server runs"));
        }
        all
    }

    /// Whether it has taken nothing more.
    pub(crate) fn has_no_more(&mut self) -> bool {
        self.taken.try_recv().is_err()
    }
}

impl Drop for DrivenServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(stream: TcpStream, session: usize, drive: Arc<Drive>, tell: mpsc::UnboundedSender<Taken>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut to, mut message_id, mut in_text) = (String::new(), String::new(), false);
    // Who hangs up first may do so at any time.
    let mut talk = async || -> std::io::Result<()> {
        say(&mut write, "220 mail.test").await?;
        while let Some(line) = lines.next_line().await? {
            if in_text && line != "." {
                if let Some(id) = line.strip_prefix("Message-ID: ") {
                    id.clone_into(&mut message_id);
                }
                continue;
            }
            let usual = match line.split(' ').next().unwrap_or_default() {
                "EHLO" => "250-mail.test\r\n250-8BITMIME\r\n250 AUTH LOGIN",
                "AUTH" => "334 VXNlcm5hbWU6",
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                // Of LOGIN, the name and the password in base64.
                "aXBuLXJvdXRlcg==" => "334 UGFzc3dvcmQ6",
                "czNjcmV0" => "235 welcome",
                _ => "250 OK",
            };
            let act = drive(session, &line);
            if in_text && matches!(act, Act::Usual | Act::TakeAndHangUp) {
                let taken = Taken {
                    to: to.clone(),
                    message_id: message_id.clone(),
                    session,
                };
                tell.send(taken).ok();
            }
            in_text = line == "DATA" && act == Act::Usual;
            if let Some(address) = line.strip_prefix("RCPT TO:") {
                address.trim_matches(['<', '>']).clone_into(&mut to);
            }
            match act {
                Act::Say(words) => say(&mut write, words).await?,
                Act::Usual => say(&mut write, usual).await?,
                Act::Hang => std::future::pending().await,
                Act::HangUp | Act::TakeAndHangUp => return Ok(()),
            }
        }
        Ok(())
    };
    talk().await.ok();
}

async fn say(write: &mut OwnedWriteHalf, words: &str) -> std::io::Result<()> {
    write.write_all(format!("{words}\r\n").as_bytes()).await
}
