//! The queue between those who log and standard error.
//!
//! A thread of its own writes, so a log that nobody reads blocks that thread and nothing else. What
//! does not fit into the queue, and what cannot be written, is lost and counted.
//!
//! `tracing-appender` has such a thread, too. When a program ends while the log is full, it prints
//! to standard output, which then blocks the end.

use std::{
    io::{self, ErrorKind, Write},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How much may wait to be written, in bytes. Most lines have 100 to 300.
const MAX_QUEUED: usize = 1024 * 1024;

/// How long the end of a program may wait for its last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// The pause between two attempts to write to a full, non-blocking standard error, and how many
/// there are for a line: one second in all.
const RETRY_AFTER: Duration = Duration::from_millis(10);
const MAX_RETRIES: u32 = 100;

/// The queue of this process.
static STANDARD_ERROR: LazyLock<Queue> = LazyLock::new(|| Queue::new(io::stderr()));

/// Returns the queue of this process.
pub(super) fn standard_error() -> Queue {
    STANDARD_ERROR.clone()
}

/// The way into the queue. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    messages: Sender<Message>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    queued_bytes: AtomicUsize,
    lost_lines: AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    /// Answered when all lines before it are written.
    Flush(SyncSender<()>),
}

impl Queue {
    fn new(out: impl Write + Send + 'static) -> Self {
        let (messages, received) = mpsc::channel();
        let state = Arc::new(State::default());
        let thread = thread::Builder::new().name("log".to_owned());
        let shared = Arc::clone(&state);
        // Without a thread, all lines are lost and counted: the receiver is dropped.
        let _ = thread.spawn(move || write_all(&received, out, &shared));
        Self { messages, state }
    }

    /// Adds a line, which ends with a line break.
    pub(super) fn add(&self, line: &[u8]) {
        let length = line.len();
        let queued = self.state.queued_bytes.fetch_add(length, Ordering::Relaxed);
        let fits = queued + length <= MAX_QUEUED;
        if !fits || self.messages.send(Message::Line(line.to_vec())).is_err() {
            self.state.queued_bytes.fetch_sub(length, Ordering::Relaxed);
            self.state.lost_lines.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines are written, for up to half a second.
    pub(super) fn flush(&self) {
        let (done, is_done) = mpsc::sync_channel(1);
        if self.messages.send(Message::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    /// How many lines are lost.
    pub(super) fn lost_lines(&self) -> u64 {
        self.state.lost_lines.load(Ordering::Relaxed)
    }
}

/// Writes all that is received.
fn write_all(received: &Receiver<Message>, mut out: impl Write, state: &State) {
    // The next line does not continue one that was written in part.
    let mut is_torn = false;
    for message in received {
        match message {
            Message::Line(line) => {
                let is_written = (!is_torn || write_line(&mut out, b"\n").is_ok())
                    && write_line(&mut out, &line).is_ok();
                is_torn = !is_written;
                if !is_written {
                    state.lost_lines.fetch_add(1, Ordering::Relaxed);
                }
                state.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            }
            Message::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// Writes a line, and waits for a non-blocking `out` that is full.
fn write_line(out: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    let mut retries = 0;
    while !line.is_empty() {
        match out.write(line) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => line = &line[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && retries < MAX_RETRIES => {
                retries += 1;
                thread::sleep(RETRY_AFTER);
            }
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Fails or takes nothing, as long as it is told to.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<(Option<ErrorKind>, String)>>);

    impl Pipe {
        fn fail(&self, with: Option<ErrorKind>) {
            self.0.lock().unwrap().0 = with;
        }

        fn text(&self) -> String {
            self.0.lock().unwrap().1.clone()
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut pipe = self.0.lock().unwrap();
            match pipe.0 {
                Some(kind) => Err(kind.into()),
                // A pipe may take a part of a line.
                None => {
                    pipe.1.push(char::from(bytes[0]));
                    Ok(1)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_lost_and_counted() {
        let pipe = Pipe::default();
        let queue = Queue::new(pipe.clone());
        pipe.fail(Some(ErrorKind::BrokenPipe));
        queue.add(b"lost\n");
        queue.flush();
        pipe.fail(None);
        queue.add(b"written\n");
        queue.flush();
        assert_eq!((pipe.text().as_str(), queue.lost_lines()), ("\nwritten\n", 1));
    }

    #[test]
    fn a_pipe_that_is_full_for_a_moment_loses_nothing() {
        let pipe = Pipe::default();
        pipe.fail(Some(ErrorKind::WouldBlock));
        let queue = Queue::new(pipe.clone());
        queue.add(b"late\n");
        thread::sleep(RETRY_AFTER * 3);
        pipe.fail(None);
        queue.flush();
        assert_eq!((pipe.text().as_str(), queue.lost_lines()), ("late\n", 0));
    }

    #[test]
    fn a_pipe_that_nobody_reads_blocks_nobody_and_takes_a_bounded_memory() {
        struct Stuck;
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                loop {
                    thread::park();
                }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let queue = Queue::new(Stuck);
        let line = [b'-'; 1024];
        for _ in 0..2048 {
            queue.add(&line);
        }
        queue.flush();
        assert_eq!(queue.lost_lines(), 1024);
    }
}
