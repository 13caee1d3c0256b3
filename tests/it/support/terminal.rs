use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::{Child, Command};

use super::eventually;

/// A command on a terminal of 80 columns, with somebody in front of it.
pub(crate) struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    drawing: Option<JoinHandle<()>>,
    child: Child,
}

impl Terminal {
    pub(crate) fn run(mut command: Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = || -> OwnedFd {
            let mut options = OpenOptions::new();
            let no_control = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
            let options = options.read(true).write(true).custom_flags(no_control);
            options.open(Path::new(name.to_str().unwrap())).unwrap().into()
        };
        command.stdin(theirs()).stdout(theirs()).stderr(theirs());
        let child = command.env("TERM", "xterm").kill_on_drop(true).spawn().unwrap();
        let mut terminal = File::from(ours);
        let keyboard = terminal.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        let drawing = std::thread::spawn(move || {
            let mut some = [0; 4096];
            // An error, once nobody has the other side.
            while let Ok(count @ 1..) = terminal.read(&mut some) {
                shown.lock().unwrap().extend_from_slice(&some[..count]);
            }
        });
        Self {
            keyboard,
            screen,
            drawing: Some(drawing),
            child,
        }
    }

    /// Everything that was written to it, as it was written.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until it has shown this.
    pub(crate) async fn shows(&self, text: &str) {
        eventually(text, async || self.written().contains(text).then_some(())).await;
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Ctrl-C.
    pub(crate) fn interrupts(&self) {
        let process = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(process).unwrap(), Signal::INT).unwrap();
    }

    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let status = self.child.wait().await.unwrap();
        // Nobody else has its side of the terminal: then all is shown.
        self.drawing.take().unwrap().join().unwrap();
        status
    }
}
